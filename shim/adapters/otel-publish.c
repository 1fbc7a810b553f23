// Not an adapter: what BATON_PUBLISH=otel:... opens, so that the symbol is there only where it is asked for.
// OpenTelemetry's thread context (OTEP 4947): readers outside find otel_thread_ctx_v1 in .dynsym, and by the
// TLS descriptor of this object where a thread has it.
#include <stdint.h>

extern __thread void *volatile otel_thread_ctx_v1 __attribute__((visibility("default")));
__thread void *volatile otel_thread_ctx_v1;

/* Of the calling thread. */
__attribute__((visibility("default"))) void *volatile *baton_publish_place(void)
{
    return &otel_thread_ctx_v1;
}
