// OpenTelemetry's thread context record (OTEP 4947), read by profilers from outside the process:
// the thread-local pointer otel_thread_ctx_v1 to a packed record of at most 640 bytes.
// One thread writes to one record, so each task gets a record of its own.
#define POINTER_VARIABLE "otel_thread_ctx_v1"
#include "adapters/pointer.h"

#include <stdint.h>
#include <string.h>

enum { RECORD_SIZE = 640, VALID = 24, DATA_SIZE = 26, DATA = 28 };

static void *pointer_copy(const void *value)
{
    const unsigned char *record = value;
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

static void pointer_end(void *value)
{
    free(value);
}

static enum baton_adapter_result capture(void **captured)
{
    const unsigned char *record = *pointer_place();

    return record && record[VALID] == 1 ? pointer_capture(record, captured) : BATON_ADAPTER_NONE;
}

const struct baton_adapter baton_adapter = {
    BATON_ADAPTER_VERSION, "otel-thread-ctx", NULL,     capture, attach, detach,
    pointer_end,           detach_at_end,     exchange, wanted,  WANTED};
