// OpenTelemetry's thread context record (OTEP 4947), read by profilers from outside the process:
// the thread-local pointer otel_thread_ctx_v1 to a packed record of at most 640 bytes.
// One thread writes to one record, so each task gets a record of its own. It is freed only if the
// pointer still leads to it: a task that detached it owns it.
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "baton_adapter.h"

enum { RECORD_SIZE = 640, VALID = 24, DATA_SIZE = 26, DATA = 28 };

struct attached {
    unsigned char *before, *lent;
};

typedef unsigned char *volatile *place;

/* dlsym answers the calling thread's address: asked once a thread. */
static place find_place(void)
{
    static __thread place mine;

    if (!mine)
        mine = (place)dlsym(RTLD_DEFAULT, "otel_thread_ctx_v1");
    return mine;
}

static const char *start(void)
{
    return find_place() ? NULL : "no loaded library exports otel_thread_ctx_v1";
}

static unsigned char *copy(const unsigned char *record)
{
    unsigned char *copied = malloc(RECORD_SIZE);
    uint16_t data;
    size_t size;

    if (!copied)
        return NULL;
    memcpy(&data, record + DATA_SIZE, sizeof data);
    size = (size_t)DATA + data < RECORD_SIZE ? (size_t)DATA + data : RECORD_SIZE;
    memset(copied, 0, RECORD_SIZE);
    memcpy(copied, record, size);
    data = (uint16_t)(size - DATA);
    memcpy(copied + DATA_SIZE, &data, sizeof data);
    return copied;
}

static enum baton_adapter_result capture(void **captured)
{
    const unsigned char *record = *find_place();

    if (!record || record[VALID] != 1)
        return BATON_ADAPTER_NONE;
    return (*captured = copy(record)) ? BATON_ADAPTER_OK : BATON_ADAPTER_FAILED;
}

/* A profiler stops the thread anywhere: the record is whole before the pointer leads to it. */
static void point_to(unsigned char *record)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    *find_place() = record;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static enum baton_adapter_result attach(void *captured, void **attached)
{
    struct attached *scope = malloc(sizeof *scope);

    if (!scope)
        return BATON_ADAPTER_FAILED;
    scope->before = *find_place();
    scope->lent = captured ? copy(captured) : NULL;
    if (captured && !scope->lent) {
        free(scope);
        return BATON_ADAPTER_FAILED;
    }
    point_to(scope->lent);
    *attached = scope;
    return BATON_ADAPTER_OK;
}

static void detach(void *attached)
{
    struct attached *scope = attached;
    int is_ours = scope->lent && *find_place() == scope->lent;

    point_to(scope->before);
    if (is_ours)
        free(scope->lent);
    free(scope);
}

const struct baton_adapter baton_adapter = {
    BATON_ADAPTER_VERSION, "otel-thread-ctx", start, capture, attach, detach, free};
