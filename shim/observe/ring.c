/*
 * Chunks of a trace and the values in it.
 *
 * Rules: only the thread that has the block writes to its ring. Values are read out of the handoff's
 * context, never through a pointer of the program's, but for strings: those of policy `string`, which
 * the context owns, and those of which the user says so (BATON_SHOW).
 */
#include "observe/ring.h"

#include <string.h>
#include <sys/prctl.h>

#include "base/log.h"
#include "base/sandbox.h"
#include "base/sys.h"
#include "observe/wishes.h"
#include "slots/kind.h"
#include "slots/slots.h"

bool ring_is_on;
__thread struct watcher *watcher_self; /* watch.c sets it, a crash looks at it from its handler */

/* ---- chunks ---- */

static struct trace_chunk *chunk_at(uint32_t number)
{
    return (struct trace_chunk *)(void *)((char *)store_trace + store_trace->chunks_at +
                                          (size_t)(number - 1) * TRACE_CHUNK);
}

static uint32_t chunk_number(const struct trace_chunk *chunk)
{
    return 1 +
           (uint32_t)(((const char *)chunk - (const char *)store_trace - store_trace->chunks_at) /
                      TRACE_CHUNK);
}

/* Bytes of records: a ring has anchors at first, where time may be long and records few, then one a chunk. */
enum { ANCHOR_FIRST = 1024, ANCHOR_SECOND = 4096 };
enum { ACROSS = 4 * TRACE_RUN_WORDS * 8 }; /* of runs, which are tried in several places */
enum { NAME_EVERY = 16 };                  /* chunks: the thread may have got another */

/*
 * Where records of a chunk end. Between the instruction that reserves one and the question whether it ends before the
 * end, a signal handler may have gone on to another chunk, whose end is asked for then: so behind each end there is
 * room for what is reserved across it, here and by a handler that does the same.
 */
static char *chunk_end(struct trace_chunk *chunk)
{
    return (char *)chunk + TRACE_CHUNK - 2 * (4 + ring_values_max) * sizeof(uint64_t) - ACROSS;
}

/* From `from` on there is room for a record of `words`. */
static uint64_t *set_anchor(struct watcher *watcher, uint64_t *from, unsigned words)
{
    struct thread_trace *trace = &watcher->thread->trace;
    struct trace_chunk *chunk = watcher->chunk;
    char *end = chunk_end(chunk), *record = (char *)from;
    char *next = chunk->sequence > 1                      ? end
                 : record < (char *)chunk + ANCHOR_FIRST  ? (char *)chunk + ANCHOR_FIRST
                 : record < (char *)chunk + ANCHOR_SECOND ? (char *)chunk + ANCHOR_SECOND
                                                          : end;

    chunk->anchor = store_anchor();
    atomic_store_explicit(&chunk->lost, watcher->lost, memory_order_relaxed);
    trace->next = from + words;
    atomic_signal_fence(memory_order_acq_rel);
    trace->end = (uint64_t *)(void *)(next > (char *)trace->next ? next : end);
    return from;
}

static unsigned count_records(const struct trace_chunk *chunk)
{
    const uint64_t *record = (const void *)(chunk + 1);
    const uint64_t *end = (const void *)((const char *)chunk + TRACE_CHUNK);
    unsigned count = 0, words;

    for (; record < end; record += words ? words : 1) {
        words = *record >> 8 & 255;
        count += words != 0 && record[TRACE_AT_TICKS];
    }
    return count;
}

/* As top -H shows it: 16 bytes. In a sandbox that ends the program at the question it is not known. */
static void name_thread(void *name)
{
    memset(name, 0, 16);
    if (sandbox_allows(SANDBOX_NAME))
        (void)SYS_CALL(prctl, PR_GET_NAME, name, 0, 0, 0);
}

/* Nobody has written to it yet, or its records are given up. */
static void begin_chunk(struct watcher *watcher, struct trace_chunk *chunk, bool is_new)
{
    atomic_store_explicit(&chunk->used, 0, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    if (!is_new)
        memset(chunk + 1, 0, TRACE_CHUNK - sizeof *chunk);
    chunk->next = 0;
    chunk->ring = watcher->ring;
    chunk->sequence = ++watcher->sequence;
    chunk->tid = watcher->tid;
    if (watcher->chunk && watcher->chunk->tid == watcher->tid &&
        watcher->sequence % NAME_EVERY != 1)
        memcpy(chunk->name, watcher->chunk->name, sizeof chunk->name);
    else
        name_thread(chunk->name);
    if (watcher->chunk)
        watcher->chunk->next = chunk_number(chunk);
    watcher->chunk = chunk;
    if (!watcher->oldest)
        watcher->oldest = chunk;
    atomic_store_explicit(&chunk->used, TRACE_CHUNK, memory_order_release);
}

/* `next` of a chunk is the number of the ring's next one. */
static bool take_chunk(struct watcher *watcher)
{
    struct thread_trace *trace = &watcher->thread->trace;
    struct trace_chunk *chunk = store_chunk();
    bool is_new = chunk != NULL;

    if (!chunk && (chunk = watcher->oldest)) {
        watcher->oldest = chunk->next ? chunk_at(chunk->next) : NULL;
        watcher->lost += count_records(chunk);
        if (chunk == watcher->chunk)
            watcher->chunk = NULL;
        if ((uintptr_t)trace->open - (uintptr_t)chunk < TRACE_CHUNK)
            trace->open = NULL;
    }
    if (!chunk) {
        atomic_fetch_add(&store_trace->lost, 1);
        return false;
    }
    begin_chunk(watcher, chunk, is_new);
    return true;
}

/*
 * What was moved on beyond the end, here and by signal handlers meanwhile, is left: words that are 0. While the end
 * is NULL a handler's record comes here and is lost.
 */
uint64_t *ring_more(struct watcher *watcher, unsigned words)
{
    struct thread_trace *trace = &watcher->thread->trace;
    struct trace_chunk *chunk;
    uint64_t *record;

    if (watcher->is_busy) {
        watcher->lost++;
        if (watcher->chunk)
            atomic_store_explicit(&watcher->chunk->lost, watcher->lost, memory_order_relaxed);
        return NULL;
    }
    watcher->is_busy = true;
    atomic_signal_fence(memory_order_acq_rel);
    trace->end = NULL;
    atomic_signal_fence(memory_order_acq_rel);
    chunk = watcher->chunk;
    record = trace->next;
    if (chunk && (uintptr_t)(record + words) - (uintptr_t)chunk <=
                     (uintptr_t)chunk_end(chunk) - (uintptr_t)chunk)
        record = set_anchor(watcher, record, words);
    else if (take_chunk(watcher)) /* the longest record always finds room in a fresh one */
        record = set_anchor(watcher, (uint64_t *)(void *)(watcher->chunk + 1), words);
    else
        record = NULL;
    atomic_signal_fence(memory_order_release);
    watcher->is_busy = false;
    return record;
}

void ring_thread(struct watcher *watcher)
{
    uint64_t *record = ring_is_on ? ring_reserve(watcher, 4) : NULL;

    if (!record)
        return;
    trace_begin(record, TRACE_WORD(TRACE_THREAD, 4, 0, watcher->tid));
    name_thread(&record[2]);
    trace_commit(record, store_ticks_slow());
}

/* ---- values ---- */

struct shown {
    uint8_t slot, kind;
    bool is_key;
    uint16_t length; /* bytes; of a string at most that many */
    uint32_t at;     /* key index, or offset of the copied part */
};

static struct shown shown[SLOTS_MAX];
static unsigned shown_count;

struct ring_word ring_words[RING_WORDS_MAX + 1];
unsigned ring_values_max;
bool ring_has_words_only;

/* A word of a thread that never set it; 0 also where that is not known yet. */
static uint64_t initial_of(const struct slot *slot)
{
    uint64_t word = 0;

    if (slot->key_index == SLOT_NO_KEY && !slot->is_owned && slot->state == SLOT_BOUND &&
        slot->size <= sizeof word && slot->kind->initial)
        slot->kind->initial(slot, &word);
    return word;
}

/* How long values can be, and where those are that are one word, if all are. */
static void plan_words(void)
{
    unsigned count = 0;

    ring_values_max = 1;
    ring_has_words_only = shown_count <= RING_WORDS_MAX;
    for (unsigned i = 0; i < shown_count; i++) {
        const struct shown *value = &shown[i];

        if (ring_values_max < 200)
            ring_values_max += 1 + (value->length + 8u) / 8;
        ring_has_words_only &= value->kind == TRACE_POINTER || value->kind == TRACE_NUMBER;
        /* Where what is not found yet will lie is not known. */
        ring_has_words_only &= value->is_key || slots[value->slot].state == SLOT_BOUND;
        if (!ring_has_words_only)
            continue;
        ring_words[count++] = (struct ring_word){
            value->is_key ? (int64_t)(offsetof(struct context, key) + value->at * sizeof(void *))
                          : (int64_t)value->at - (int64_t)context_before,
            value->length < 8 ? ((uint64_t)1 << 8 * value->length) - 1 : UINT64_MAX,
            TRACE_VALUE(value->slot, value->kind, value->length), initial_of(&slots[value->slot])};
    }
}

void ring_plan(const struct config *config)
{
    shown_count = 0;
    for (unsigned i = 0; i < slots_count && i < 250; i++) {
        const struct slot *slot = &slots[i];
        bool is_key = slot->key_index != SLOT_NO_KEY;
        unsigned kind = slot->policy == POLICY_STRING ? TRACE_STRING
                        : slot->policy == POLICY_COPY ? TRACE_BYTES
                        : is_key || slot->is_owned    ? TRACE_POINTER
                        : slot->size <= 8             ? TRACE_NUMBER
                                                      : TRACE_BYTES;
        uint16_t length = (uint16_t)(is_key || slot->is_owned || slot->size > TRACE_VALUE_MAX
                                         ? sizeof(void *)
                                         : slot->size);

        if (slot->kind->hold || slot->policy == POLICY_WEAK)
            continue; /* nothing that could be shown */
        if (!wishes_show(config, slot, &kind) && config->trace_values.count)
            continue;
        if (kind == TRACE_BYTES)
            length = (uint16_t)(slot->policy == POLICY_COPY && slot->copy_size < TRACE_VALUE_MAX
                                    ? slot->copy_size
                                : slot->size < TRACE_VALUE_MAX && !slot->is_owned && !is_key
                                    ? slot->size
                                    : TRACE_VALUE_MAX);
        if (kind == TRACE_STRING)
            length = TRACE_VALUE_MAX - 1;
        if (kind)
            shown[shown_count++] = (struct shown){(uint8_t)i, (uint8_t)kind, is_key, length,
                                                  is_key ? slot->key_index : slot->offset};
    }
    plan_words();
}

unsigned ring_values_any(const struct context *context, uint64_t *into, unsigned room)
{
    const char *copied = context_copied(context);
    unsigned used = 0;

    for (unsigned i = 0; i < shown_count; i++) {
        const struct shown *value = &shown[i];
        const struct slot *slot = &slots[value->slot];
        size_t at = value->is_key ? value->at
                                  : slot->offset; /* it may have moved when it was found */
        uint64_t word = 0;
        const char *from;
        size_t length = value->length;

        if (!value->is_key && (slot->state != SLOT_BOUND || slot->since > context->epoch))
            continue; /* the context may be older than what was found */
        if (!value->is_key && !slot->is_owned && value->kind != TRACE_STRING && length > slot->size)
            length = slot->size;
        if (value->is_key)
            word = (uintptr_t)context->key[at];
        else
            memcpy(&word, copied + at, length < 8 ? length : 8);
        if (!word && (value->is_key || value->kind != TRACE_BYTES))
            continue;
        if (value->kind == TRACE_POINTER || value->kind == TRACE_NUMBER) {
            if (!value->is_key && memcmp(&word, (const char *)context_copied(context_empty) + at,
                                         length < sizeof word ? length : sizeof word) == 0)
                continue; /* what a thread has that never set it */
            if (used + 2 > room)
                break;
            into[used++] = TRACE_VALUE(value->slot, value->kind, length);
            into[used++] = word;
            continue;
        }
        from = value->is_key || value->kind == TRACE_STRING || slot->policy == POLICY_COPY
                   ? (const char *)(uintptr_t)word
                   : copied + at;
        if (!from)
            continue;
        if (value->kind == TRACE_STRING)
            length = strnlen(from, length);
        if (used + 1 + (length + 7) / 8 > room)
            break;
        into[used++] = TRACE_VALUE(value->slot, value->kind, length);
        if (length) {
            into[used + (length - 1) / 8] = 0;
            memcpy(&into[used], from, length);
        }
        used += (unsigned)((length + 7) / 8);
    }
    return used;
}
