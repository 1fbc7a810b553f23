/*
 * A trace file becomes handoffs and runs.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "trace.h"

const char *const run_ends[] = {"returned", "exception", "cancelled",
                                "jumped",   "suspended", "running"};

struct event {
    uint64_t ns;
    const uint64_t *record;
    uint32_t thread, order;
    bool is_return; /* of the run whose start the record is */
};

struct reading {
    struct trace *trace;
    struct event *events;
    size_t count, max;
    double ns_per_tick;
    struct trace_anchor first;
};

static void *grown(void *block, size_t *max, size_t size)
{
    *max = *max ? *max * 2 : 1024;
    return allocated(realloc(block, *max * size));
}

static uint64_t ns_of(const struct reading *reading, uint64_t ticks)
{
    int64_t passed = (int64_t)(ticks - reading->first.ticks);

    return reading->first.ns + (uint64_t)(int64_t)((double)passed * reading->ns_per_tick);
}

static const struct trace_chunk *chunk_at(const struct trace *trace, uint32_t number)
{
    return (const void *)((const char *)trace->header + trace->header->chunks_at +
                          (size_t)number * TRACE_CHUNK);
}

static uint32_t thread_index(struct trace *trace, uint32_t tid, const char *name)
{
    static size_t max;

    for (uint32_t i = trace->thread_count; i-- > 0;) {
        if (trace->threads[i].tid == tid) {
            if (name && *name)
                snprintf(trace->threads[i].name, sizeof trace->threads[i].name, "%.16s", name);
            return i;
        }
    }
    if (trace->thread_count == max)
        trace->threads = grown(trace->threads, &max, sizeof *trace->threads);
    trace->threads[trace->thread_count].tid = tid;
    snprintf(trace->threads[trace->thread_count].name, sizeof trace->threads[0].name, "%.16s",
             name ? name : "");
    return trace->thread_count++;
}

static void add_event(struct reading *reading, const uint64_t *record, uint32_t thread,
                      uint64_t ticks, bool is_return)
{
    if (reading->count == reading->max)
        reading->events = grown(reading->events, &reading->max, sizeof *reading->events);
    reading->events[reading->count] =
        (struct event){ns_of(reading, ticks), record, thread, (uint32_t)reading->count, is_return};
    reading->count++;
}

static void read_chunk(struct reading *reading, const struct trace_chunk *chunk)
{
    struct trace *trace = reading->trace;
    uint32_t thread = thread_index(trace, chunk->tid, chunk->name);
    const uint64_t *record = (const void *)(chunk + 1);
    const uint64_t *end = (const void *)((const char *)chunk + TRACE_CHUNK);

    while (record < end) {
        unsigned type = (unsigned)(*record & 255), words = (unsigned)(*record >> 8 & 255);

        if (!*record) {
            record++;
            continue;
        }
        if (words < 3 || words > (size_t)(end - record) || type < TRACE_SUBMIT ||
            type > TRACE_THREAD) {
            trace->damaged++;
            return;
        }
        if (type == TRACE_THREAD && words >= 4)
            thread = thread_index(trace, (uint32_t)(*record >> 32), (const char *)&record[2]);
        if (record[1]) /* else it was being written */
            add_event(reading, record, thread, record[1], false);
        if (record[1] && type == TRACE_START && words >= 4 && record[3])
            add_event(reading, record, thread, record[3] > record[1] ? record[3] : record[1], true);
        record += words;
    }
}

static int by_ring(const void *a, const void *b)
{
    const struct trace_chunk *one = *(const struct trace_chunk *const *)a,
                             *other = *(const struct trace_chunk *const *)b;

    if (one->ring != other->ring)
        return one->ring < other->ring ? -1 : 1;
    return one->sequence < other->sequence ? -1 : one->sequence > other->sequence;
}

static int by_time(const void *a, const void *b)
{
    const struct event *one = a, *other = b;

    if (one->ns != other->ns)
        return one->ns < other->ns ? -1 : 1;
    return one->order < other->order ? -1 : 1;
}

/* Of one that was being written only half may be there. */
static struct trace_anchor later_anchor(struct trace_anchor one, struct trace_anchor other)
{
    return other.ticks > one.ticks && other.ns >= one.ns ? other : one;
}

/* The two anchors that are furthest apart say how long a tick is. */
static void set_clock(struct reading *reading, const struct trace_chunk **chunks, uint32_t count)
{
    struct trace_anchor last = reading->trace->header->first;

    reading->first = last;
    last = later_anchor(last, reading->trace->header->last);
    for (uint32_t i = 0; i < count; i++)
        last = later_anchor(last, chunks[i]->anchor);
    reading->ns_per_tick = reading->trace->header->clock == TRACE_CLOCK_NS ? 1 : 0.4;
    if (last.ticks > reading->first.ticks && reading->trace->header->clock != TRACE_CLOCK_NS)
        reading->ns_per_tick = (double)(last.ns - reading->first.ns) /
                               (double)(last.ticks - reading->first.ticks);
}

static void read_names(struct trace *trace)
{
    const char *names = (const char *)trace->header + trace->header->names_at;
    const struct trace_names *counts = (const void *)names;
    const char *name = names + sizeof *counts, *end = names + trace->header->names_used;
    uint32_t total = 1 + counts->family_count + counts->hook_count + counts->slot_count, i = 0;
    const char **list = allocated(calloc(total + 1, sizeof *list));

    for (; i < total; i++) {
        list[i] = name < end ? name : "?";
        if (name < end)
            name += strlen(name) + 1;
    }
    trace->program = list[0];
    trace->family_count = counts->family_count;
    trace->hook_count = counts->hook_count;
    trace->slot_count = counts->slot_count;
    trace->families = list + 1;
    trace->hooks = trace->families + counts->family_count;
    trace->slots = trace->hooks + counts->hook_count;
}

/* ---- handoffs by id: open addressing ---- */

static uint32_t *id_index;
static size_t id_slots;

static size_t id_place(const struct trace *trace, uint64_t id)
{
    size_t place = (size_t)(id * 0x9e3779b97f4a7c15u >> 20) & (id_slots - 1);

    while (id_index[place] && trace->handoffs[id_index[place] - 1].id != id)
        place = (place + 1) & (id_slots - 1);
    return place;
}

const struct trace_handoff *trace_find(const struct trace *trace, uint64_t id)
{
    uint32_t found = id && id_slots ? id_index[id_place(trace, id)] : 0;

    return found ? &trace->handoffs[found - 1] : NULL;
}

static struct trace_handoff *handoff_of(struct trace *trace, uint64_t id)
{
    size_t place = id_place(trace, id);

    if (!id_index[place]) {
        memset(&trace->handoffs[trace->handoff_count], 0, sizeof *trace->handoffs);
        trace->handoffs[trace->handoff_count].id = id;
        id_index[place] = ++trace->handoff_count;
    }
    return &trace->handoffs[id_index[place] - 1];
}

static void add_run(struct trace *trace, struct trace_handoff *handoff, const struct event *event)
{
    struct trace_run *run = &trace->runs[trace->run_count++];
    uint32_t *link = &handoff->first_run;

    *run = (struct trace_run){.start_ns = event->ns,
                              .thread = event->thread,
                              .how = RUN_OPEN,
                              .handoff = (uint32_t)(handoff - trace->handoffs)};
    for (unsigned steps = 0; *link && steps < 1 << 16; steps++)
        link = &trace->runs[*link - 1].next;
    *link = trace->run_count;
}

/* The last run that is open, of this thread if there is one. */
static void end_run(struct trace *trace, struct trace_handoff *handoff, const struct event *event)
{
    struct trace_run *found = NULL;

    for (uint32_t link = handoff->first_run; link; link = trace->runs[link - 1].next) {
        struct trace_run *run = &trace->runs[link - 1];

        if (run->how == RUN_OPEN &&
            (!found || run->thread == event->thread || found->thread != event->thread))
            found = run;
    }
    if (!found)
        return;
    found->end_ns = event->ns;
    found->how = event->is_return ? RUN_RETURNED : (uint32_t)(*event->record >> 16 & 0xffff);
    if (found->how > RUN_SUSPENDED)
        found->how = RUN_RETURNED;
}

static void take(struct trace *trace, const struct event *event)
{
    const uint64_t *record = event->record;
    unsigned type = (unsigned)(*record & 255), words = (unsigned)(*record >> 8 & 255);
    struct trace_handoff *handoff;

    if (type == TRACE_THREAD || words < 3 || !record[2])
        return;
    handoff = handoff_of(trace, record[2]);
    switch (type) {
    case TRACE_SUBMIT:
        if (words < 4)
            return;
        handoff->submit_ns = event->ns;
        handoff->thread = event->thread;
        handoff->parent = record[3] & (((uint64_t)1 << TRACE_FAMILY_SHIFT) - 1);
        handoff->family = (uint32_t)(record[3] >> TRACE_FAMILY_SHIFT);
        handoff->hook = (uint32_t)(*record >> 16 & 0xffff);
        handoff->node = (uint32_t)(*record >> 32);
        handoff->values = record + 4;
        handoff->value_words = words - 4;
        break;
    case TRACE_START:
        if (event->is_return)
            end_run(trace, handoff, event);
        else
            add_run(trace, handoff, event);
        break;
    case TRACE_END:
        end_run(trace, handoff, event);
        break;
    case TRACE_DROP:
        handoff->drop_ns = event->ns;
        break;
    default:
        break;
    }
}

static bool is_within(uint64_t at, uint64_t length, size_t size)
{
    return at % sizeof(uint64_t) == 0 && at <= size && length <= size - at;
}

/* There are so many, each of a byte at least, and the last one ends. */
static bool are_names(const struct trace_header *header)
{
    const char *names = (const char *)header + header->names_at;
    const struct trace_names *counts = (const void *)names;
    size_t used = header->names_used;

    return used > sizeof *counts && used <= TRACE_NAMES && !names[used - 1] &&
           counts->family_count <= used && counts->hook_count <= used && counts->slot_count <= used;
}

static bool is_trace(const struct trace_header *header, size_t size)
{
    return size >= sizeof *header && !memcmp(header->magic, TRACE_MAGIC, 8) &&
           header->version == TRACE_VERSION && is_within(header->names_at, TRACE_NAMES, size) &&
           is_within(header->stacks_at, TRACE_STACK_WORDS * 8, size) &&
           is_within(header->nodes_at, TRACE_NODES * sizeof(struct trace_node), size) &&
           is_within(header->modules_at, TRACE_MODULES * sizeof(struct trace_module), size) &&
           is_within(header->chunks_at, (uint64_t)header->chunk_count * TRACE_CHUNK, size) &&
           are_names(header);
}

void trace_read(struct trace *trace, const char *path)
{
    struct reading reading = {.trace = trace};
    const struct trace_chunk **chunks;
    uint32_t count = 0, used;
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    memset(trace, 0, sizeof *trace);
    if (fd < 0 || fstat(fd, &status) != 0)
        fail(EXIT_FAILED, "%s: cannot be read (a program that handed nothing over leaves no trace)",
             clean(path));
    trace->path = path;
    trace->size = (size_t)status.st_size;
    trace->header = trace->size ? mmap(NULL, trace->size, PROT_READ, MAP_PRIVATE, fd, 0)
                                : MAP_FAILED;
    close(fd);
    if (trace->header == MAP_FAILED || !is_trace(trace->header, trace->size))
        fail(EXIT_FAILED, "%s: not a trace of this version", clean(path));
    trace->pid = trace->header->pid;
    trace->to_real_ns = (int64_t)(trace->header->real_ns - trace->header->first.ns);
    trace->unwatched = trace->header->handoffs_lost;
    trace->lost = atomic_load((_Atomic uint64_t *)(uintptr_t)&trace->header->lost);
    read_names(trace);
    used = atomic_load((_Atomic uint32_t *)(uintptr_t)&trace->header->chunks_used);
    if (used > trace->header->chunk_count)
        used = trace->header->chunk_count;
    chunks = allocated(calloc(used + 1, sizeof *chunks));
    for (uint32_t i = 0; i < used; i++) {
        const struct trace_chunk *chunk = chunk_at(trace, i);

        if (chunk->ring && chunk->used >= sizeof *chunk)
            chunks[count++] = chunk;
    }
    qsort(chunks, count, sizeof *chunks, by_ring);
    set_clock(&reading, chunks, count);
    for (uint32_t i = 0; i < count; i++) {
        read_chunk(&reading, chunks[i]);
        if (i + 1 == count || chunks[i + 1]->ring != chunks[i]->ring)
            trace->lost += chunks[i]->lost;
    }
    qsort(reading.events, reading.count, sizeof *reading.events, by_time);
    for (id_slots = 1024; id_slots < reading.count * 2; id_slots *= 2)
        ;
    id_index = allocated(calloc(id_slots, sizeof *id_index));
    trace->handoffs = allocated(calloc(reading.count + 1, sizeof *trace->handoffs));
    trace->runs = allocated(calloc(reading.count + 1, sizeof *trace->runs));
    for (size_t i = 0; i < reading.count; i++)
        take(trace, &reading.events[i]);
    trace->start_ns = reading.count ? reading.events[0].ns : trace->header->first.ns;
    free(chunks);
    free(reading.events);
}

/* ---- asking ---- */

bool trace_next_value(const struct trace *trace, const struct trace_handoff *handoff, uint32_t *at,
                      struct trace_value_view *value)
{
    uint64_t word;
    uint32_t words;

    if (*at >= handoff->value_words)
        return false;
    word = handoff->values[*at];
    if (!word)
        return false;
    value->slot = (unsigned)(word & 255);
    value->kind = (enum trace_kind)(word >> 8 & 255);
    value->length = (unsigned)(word >> 16 & 0xffff);
    value->bytes = &handoff->values[*at + 1];
    words = (value->length + 7) / 8;
    if (value->slot >= trace->slot_count || words > handoff->value_words - *at - 1)
        return false;
    *at += 1 + words;
    return true;
}

const char *trace_value_text(const struct trace_value_view *value)
{
    static char buffers[8][2 * TRACE_VALUE_MAX + 8];
    static unsigned next;
    char *text = buffers[next++ % 8];
    uint64_t word = 0;

    switch (value->kind) {
    case TRACE_STRING:
        snprintf(text, sizeof buffers[0], "%.*s", (int)value->length, (const char *)value->bytes);
        break;
    case TRACE_BYTES:
        for (unsigned i = 0; i < value->length && i < TRACE_VALUE_MAX; i++)
            snprintf(text + 2 * i, 3, "%02x", ((const unsigned char *)value->bytes)[i]);
        if (!value->length)
            *text = '\0';
        break;
    default:
        memcpy(&word, value->bytes, value->length < 8 ? value->length : 8);
        snprintf(text, sizeof buffers[0], value->kind == TRACE_POINTER ? "0x%llx" : "%llu",
                 (unsigned long long)word);
    }
    return text;
}

const char *trace_slot_text(const struct trace *trace, const struct trace_handoff *handoff,
                            unsigned slot)
{
    struct trace_value_view value;

    for (uint32_t at = 0; trace_next_value(trace, handoff, &at, &value);) {
        if (value.slot == slot)
            return trace_value_text(&value);
    }
    return NULL;
}

int trace_slot_find(const struct trace *trace, const char *name)
{
    size_t len = strlen(name);

    for (uint32_t i = 0; i < trace->slot_count; i++) {
        const char *item = trace->slots[i], *colon = strchr(item, ':');

        if (!strcmp(item, name))
            return (int)i;
        if (colon && !strncmp(colon + 1, name, len) && strchr(",@#", colon[1 + len]))
            return (int)i;
    }
    return -1;
}

const char *trace_family(const struct trace *trace, const struct trace_handoff *handoff)
{
    return handoff->family < trace->family_count && handoff->submit_ns
               ? trace->families[handoff->family]
               : "?";
}

const char *trace_call(const struct trace *trace, const struct trace_handoff *handoff)
{
    return handoff->hook && handoff->hook <= trace->hook_count ? trace->hooks[handoff->hook - 1]
                                                               : trace_family(trace, handoff);
}

static const struct trace_node *node_at(const struct trace *trace, uint32_t node)
{
    return (const struct trace_node *)(const void *)((const char *)trace->header +
                                                     trace->header->nodes_at) +
           (node < TRACE_NODES ? node : 0);
}

uint32_t trace_node_parent(const struct trace *trace, uint32_t node)
{
    return node_at(trace, node)->parent;
}

unsigned trace_stack(const struct trace *trace, uint32_t node, const uint64_t **frames)
{
    const uint64_t *words = (const void *)((const char *)trace->header + trace->header->stacks_at);
    uint32_t at = node_at(trace, node)->stack;

    if (!node || !at || at >= TRACE_STACK_WORDS || words[at] >= TRACE_STACK_WORDS - at)
        return 0;
    *frames = words + at + 1;
    return (unsigned)words[at];
}
