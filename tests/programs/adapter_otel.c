// OpenTelemetry's thread context record (OTEP 4947) of the request is the task's; one thread writes to one record.
// libs: glib-2.0
// flags: -DOTEL -fPIC -mtls-dialect=gnu2
// link: -rdynamic
// usage: adapter_otel [takes] (the task detaches its record, and owns it then)
#include "adapter.h"
#include <stdint.h>

struct record {
    uint8_t trace_id[16], span_id[8], valid, flags;
    uint16_t data_size;
    uint8_t data[612];
} __attribute__((packed));

__thread struct record *otel_thread_ctx_v1;
static int takes;

static void set_request(long number)
{
    struct record *before = otel_thread_ctx_v1, *made = number ? calloc(1, sizeof(*made)) : NULL;
    otel_thread_ctx_v1 = NULL;
    free(before); /* who takes a record off the thread ends it */
    if (!number)
        return;
    memset(made->trace_id, (int)number, sizeof(made->trace_id));
    made->span_id[7] = (uint8_t)number;
    made->data_size = 3;
    memcpy(made->data, "\001\001x", 3);
    made->valid = 1;
    otel_thread_ctx_v1 = made;
}

static long seen(void)
{
    const struct record *record = otel_thread_ctx_v1;
    if (!record || !record->valid)
        return 0;
    if (record->trace_id[0] != record->span_id[7] || record->data_size != 3 || record->data[2] != 'x')
        return -1;
    return record->trace_id[0];
}

/* In place, as the owner of a record may: up to its full size. */
static void spoil(void)
{
    struct record *record = otel_thread_ctx_v1;
    if (!record)
        return;
    record->valid = 0;
    memset(record->trace_id, 99, sizeof(record->trace_id));
    memset(record->data, 99, sizeof(record->data));
    record->data_size = sizeof(record->data);
    record->valid = 1;
    if (takes) {
        otel_thread_ctx_v1 = NULL;
        free(record);
    }
}

int main(int argc, char **argv)
{
    takes = argc > 1;
    return main_of_test();
}
