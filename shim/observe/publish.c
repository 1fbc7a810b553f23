/*
 * OpenTelemetry's thread context record, kept for tasks (OTEP 4947, and 4719 for the names of its keys).
 *
 * Each handoff has a record, written when it is captured; attach and detach change one thread-local pointer.
 * A reader stops the thread anywhere: a record is whole before the pointer leads to it, and is written
 * again only when nobody runs its task any more. The names stand in a mapping called OTEL_CTX.
 *
 * Rules: values are read as ring.c reads them: nothing is followed but what the context owns.
 */
#include "observe/publish.h"

#include <dlfcn.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/sys.h"
#include "elf/elf.h"
#include "observe/live_format.h"
#include "observe/wishes.h"
#include "slots/kind.h"
#include "slots/slots.h"

enum { TEXT = 64, RECORD_MAX = 640 };
enum { TRACE_ID = 0, SPAN_ID = 16, VALID = 24, SIZE = 26, DATA = 28 }; /* bytes of a record */
enum { IS_TRACE_ID, IS_SPAN_ID, IS_ATTRIBUTE };
enum { NAME_MAPPING = 0x53564d41 /* PR_SET_VMA */, DONT_FORK = 10 };

struct published {
    const struct slot *slot;
    const char *key;
    uint16_t key_len;
    uint8_t what, index;
};

struct process_context {
    char signature[8];
    uint32_t version, payload_size;
    uint64_t published_ns;
    const char *payload;
    char room[4096 - 32];
};

bool publish_is_on;

static struct published published[WISHES_PUBLISHED];
static unsigned count, attributes;
static size_t record_size;
static char *records;
static void *volatile *(*place)(void);

/* ---- what is chosen ---- */

/* What names none has been told (wishes.c). */
static void choose(const char *text)
{
    struct published *chosen = &published[count];
    const char *key;
    size_t len;
    const struct slot *slot = count < WISHES_PUBLISHED ? wishes_publish(text, &key, &len) : NULL;

    if (!slot)
        return;
    *chosen = (struct published){slot, key, (uint16_t)len, IS_ATTRIBUTE, 0};
    if (len == 8 && !memcmp(key, "trace_id", len))
        chosen->what = IS_TRACE_ID;
    else if (len == 7 && !memcmp(key, "span_id", len))
        chosen->what = IS_SPAN_ID;
    else
        chosen->index = (uint8_t)attributes++;
    count++;
}

void publish_begin(const struct config *config)
{
    struct elf_module module;
    const char *slash;
    char path[4096];
    void *library;

    for (size_t i = 0; i < config->publish.count; i++)
        choose(config->publish.items[i].text);
    if (!count || !elf_module_at((const void *)publish_begin, &module))
        return;
    slash = strrchr(module.path, '/');
    fmt_buf(path, sizeof path, "%.*sadapters/otel-publish.so",
            slash ? (int)(slash + 1 - module.path) : 0, module.path);
    library = elf_open(path, RTLD_NOW | RTLD_LOCAL);
    if (library)
        *(void **)&place = elf_open_symbol(library, "baton_publish_place");
    if (!place) {
        log_msg(LOG_LEVEL_ERROR, "BATON_PUBLISH: %s cannot be loaded", path);
        return;
    }
    record_size = (DATA + attributes * (2 + TEXT) + 15) & ~(size_t)15;
    if (record_size > RECORD_MAX)
        record_size = RECORD_MAX;
    publish_is_on = true;
}

/* ---- the names of the keys: opentelemetry.proto, by hand ---- */

static size_t put_bytes(char *into, size_t at, unsigned field, const char *bytes, size_t len)
{
    into[at++] = (char)(field << 3 | 2);
    if (len > 127)
        into[at++] = (char)(len | 128);
    into[at++] = (char)(len > 127 ? len >> 7 : len);
    memcpy(into + at, bytes, len);
    return at + len;
}

static size_t put_attribute(char *into, size_t at, const char *key, const char *value, size_t len)
{
    char pair[2048];
    size_t used = put_bytes(pair, 0, 1, key, strlen(key));

    used = put_bytes(pair, used, 2, value, len);
    return put_bytes(into, at, 2, pair, used);
}

static size_t encode(char *payload)
{
    static const char version[] = "tlsdesc_v1_dev";
    char value[1600], list[1500] = "";
    size_t used = 0, at;

    at = put_bytes(value, 0, 1, version, sizeof version - 1);
    at = put_attribute(payload, 0, "threadlocal.schema_version", value, at);
    for (unsigned i = 0; i < count; i++) {
        size_t len;

        if (published[i].what != IS_ATTRIBUTE || used > sizeof list - 100)
            continue;
        len = put_bytes(value, 0, 1, published[i].key,
                        published[i].key_len < 80 ? published[i].key_len : 80);
        used = put_bytes(list, used, 1, value, len);
    }
    return put_attribute(payload, at, "threadlocal.attribute_key_map", value,
                         put_bytes(value, 0, 5, list, used));
}

static void publish_process(void)
{
    struct process_context *process;
    struct timespec now = clock_read(CLOCK_REALTIME);
    bool is_file = sizeof *process <= sys_file_limit();
    long fd = is_file ? SYS_CALL(memfd_create, "OTEL_CTX", 1L /* MFD_CLOEXEC */) : -1, map;

    if (fd >= 0 && SYS_CALL(ftruncate, fd, (long)sizeof *process) < 0) {
        sys_close((int)fd);
        fd = -1;
    }
    map = SYS_CALL(mmap, NULL, (long)sizeof *process, PROT_READ | PROT_WRITE,
                   fd >= 0 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS, fd, 0L);
    if (fd >= 0)
        sys_close((int)fd);
    if (map < 0 && map > -4096)
        return;
    process = (struct process_context *)map;
    (void)SYS_CALL(madvise, process, (long)sizeof *process, (long)DONT_FORK);
    process->version = 2;
    process->payload = process->room;
    process->payload_size = (uint32_t)encode(process->room);
    process->published_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
    atomic_thread_fence(memory_order_seq_cst);
    memcpy(process->signature, "OTEL_CTX", 8);
    (void)SYS_CALL(prctl, NAME_MAPPING, 0L, process, (long)sizeof *process, "OTEL_CTX");
}

void publish_open(void)
{
    long map = SYS_CALL(mmap, NULL, (long)(LIVE_HANDOFFS * record_size), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0L);

    if (map < 0 && map > -4096) {
        publish_is_on = false;
        return;
    }
    records = (char *)map;
    publish_process();
}

/* ---- records ---- */

/* The value as bytes; *is_text: of a string. Its length, 0: none. */
static size_t value_of(const struct slot *slot, const struct context *context, char *into,
                       bool *is_text)
{
    bool is_key = slot->key_index != SLOT_NO_KEY;
    const char *copied = (const char *)context_copied(context) + (is_key ? 0 : slot->offset);
    uint64_t word = 0;
    size_t len;

    if (is_key)
        word = (uintptr_t)context->key[slot->key_index];
    else
        memcpy(&word, copied, slot->size < 8 && !slot->is_owned ? slot->size : 8);
    *is_text = slot->policy == POLICY_STRING;
    if (slot->policy == POLICY_STRING || slot->policy == POLICY_COPY) {
        len = *is_text ? TEXT : slot->copy_size < TEXT ? slot->copy_size : TEXT;
        if (!word)
            return 0;
        if (*is_text)
            len = strnlen((const char *)(uintptr_t)word, len);
        memcpy(into, (const void *)(uintptr_t)word, len);
        return len;
    }
    if (!is_key && !slot->is_owned && slot->size > 8) {
        len = slot->size < TEXT ? slot->size : TEXT;
        memcpy(into, copied, len);
        return len;
    }
    if (!word || (!is_key && !slot_is_set(slot, context_copied(context))))
        return 0;
    for (unsigned i = 0; i < 8; i++) /* a number: as it is written down */
        into[i] = (char)(word >> (56 - 8 * i));
    return 8;
}

static unsigned digit(char c)
{
    return c >= '0' && c <= '9' ? (unsigned)(c - '0') : ((unsigned)c | 32) - 'a' + 10;
}

/* An id of `size` bytes: as it is, or in hexadecimal digits; a number fills its end. */
static void put_id(char *id, size_t size, const char *value, size_t len, bool is_text)
{
    if (is_text && len >= 2 * size) {
        for (size_t i = 0; i < size; i++)
            id[i] = (char)(digit(value[2 * i]) << 4 | (digit(value[2 * i + 1]) & 15));
        return;
    }
    if (len > size)
        len = size;
    memcpy(id + size - len, value, len);
}

static size_t put_attribute_value(char *data, size_t at, const struct published *chosen,
                                  const char *value, size_t len, bool is_text)
{
    char text[2 * TEXT + 4];
    uint64_t number = 0;
    size_t used = 0;

    if (is_text) {
        memcpy(text, value, used = len);
    } else if (len == 8) {
        for (unsigned i = 0; i < 8; i++)
            number = number << 8 | (unsigned char)value[i];
        used = (size_t)fmt_buf(text, sizeof text,
                               chosen->slot->key_index != SLOT_NO_KEY ? "0x%lx" : "%lu",
                               (unsigned long)number);
    } else {
        for (size_t i = 0; i < len && used + 3 < TEXT; i++)
            used += (size_t)fmt_buf(text + used, sizeof text - used, "%02x",
                                    (unsigned)(unsigned char)value[i]);
    }
    if (used > TEXT)
        used = TEXT;
    if (DATA + at + 2 + used > record_size)
        return at;
    data[at] = (char)chosen->index;
    data[at + 1] = (char)used;
    memcpy(data + at + 2, text, used);
    return at + 2 + used;
}

void publish_fill(uint32_t number, const struct context *context)
{
    char *record = publish_record(number), value[TEXT];
    uint16_t used = 0;
    bool is_text;

    memset(record, 0, DATA);
    atomic_signal_fence(memory_order_seq_cst);
    for (unsigned i = 0; i < count; i++) {
        const struct published *chosen = &published[i];
        size_t len = value_of(chosen->slot, context, value, &is_text);

        if (!len)
            continue;
        if (chosen->what == IS_ATTRIBUTE)
            used = (uint16_t)put_attribute_value(record + DATA, used, chosen, value, len, is_text);
        else if (chosen->what == IS_TRACE_ID)
            put_id(record + TRACE_ID, 16, value, len, is_text);
        else
            put_id(record + SPAN_ID, 8, value, len, is_text);
    }
    memcpy(record + SIZE, &used, sizeof used);
    atomic_signal_fence(memory_order_seq_cst);
    record[VALID] = 1;
}

void *publish_record(uint32_t number)
{
    return records + (size_t)number * record_size;
}

void *volatile *publish_place(void)
{
    return place();
}
