/*
 * Perfetto's protobuf: a Trace of TracePackets with TrackDescriptors and TrackEvents.
 *
 * Field numbers of perfetto/protos/perfetto/trace (perfetto_trace.proto), which are its published schema:
 *   Trace.packet 1
 *   TracePacket: clock_snapshot 6, timestamp 8, trusted_packet_sequence_id 10, track_event 11, sequence_flags 13,
 *     timestamp_clock_id 58, track_descriptor 60
 *   ClockSnapshot: clocks 1 (clock_id 1, timestamp 2), primary_trace_clock 2
 *     clocks: REALTIME 1, MONOTONIC 3
 *   TrackDescriptor: uuid 1, name 2, process 3, thread 4, parent_uuid 5
 *     ProcessDescriptor: pid 1, process_name 6;  ThreadDescriptor: pid 1, tid 2, thread_name 5
 *   TrackEvent: debug_annotations 4, type 9, track_uuid 11, categories 22, name 23,
 *     flow_ids 47 (fixed64), terminating_flow_ids 48 (fixed64)
 *     type: SLICE_BEGIN 1, SLICE_END 2, INSTANT 3
 *   DebugAnnotation: uint_value 3, string_value 6, name 10
 * Events of one track must come in the order of time, a begin before what is inside of it: each thread's
 * events are sorted, which is all that the reader asks for.
 */
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "trace.h"

enum { SLICE_BEGIN = 1, SLICE_END = 2, INSTANT = 3, SEQUENCE = 1 };
enum { REALTIME = 1, MONOTONIC = 3 };

struct message {
    unsigned char *bytes;
    size_t len, max;
};

static void put(struct message *message, const void *bytes, size_t len)
{
    if (message->len + len > message->max) {
        message->max = (message->len + len) * 2;
        message->bytes = allocated(realloc(message->bytes, message->max));
    }
    memcpy(message->bytes + message->len, bytes, len);
    message->len += len;
}

static void put_varint(struct message *message, uint64_t value)
{
    unsigned char bytes[10];
    size_t len = 0;

    do {
        bytes[len++] = (unsigned char)((value & 127) | (value > 127 ? 128 : 0));
        value >>= 7;
    } while (value);
    put(message, bytes, len);
}

static void put_number(struct message *message, unsigned field, uint64_t value)
{
    put_varint(message, (uint64_t)field << 3);
    put_varint(message, value);
}

static void put_fixed(struct message *message, unsigned field, uint64_t value)
{
    unsigned char bytes[8];

    put_varint(message, (uint64_t)field << 3 | 1);
    for (unsigned i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(value >> 8 * i);
    put(message, bytes, 8);
}

static void put_bytes(struct message *message, unsigned field, const void *bytes, size_t len)
{
    put_varint(message, (uint64_t)field << 3 | 2);
    put_varint(message, len);
    put(message, bytes, len);
}

static void put_text(struct message *message, unsigned field, const char *text)
{
    put_bytes(message, field, text, strlen(text));
}

static void put_message(struct message *message, unsigned field, struct message *part)
{
    put_bytes(message, field, part->bytes, part->len);
    part->len = 0;
}

static struct message packet, part, inner;

static void flush(FILE *out)
{
    static struct message whole;

    put_message(&whole, 1, &packet);
    fwrite(whole.bytes, 1, whole.len, out);
    whole.len = 0;
}

static void put_clock(unsigned clock, uint64_t ns)
{
    put_number(&inner, 1, clock);
    put_number(&inner, 2, ns);
    put_message(&part, 1, &inner);
}

/* A reader drops events on a clock that it cannot bring to the trace's, which is BOOTTIME unless this says another. */
static void put_clocks(const struct trace *trace, FILE *out)
{
    put_clock(MONOTONIC, trace->header->first.ns);
    put_clock(REALTIME, trace->header->real_ns);
    put_number(&part, 2, MONOTONIC);
    put_number(&packet, 10, SEQUENCE);
    put_message(&packet, 6, &part);
    flush(out);
}

static void put_tracks(const struct trace *trace, FILE *out)
{
    put_number(&inner, 1, trace->pid);
    put_text(&inner, 6, trace->program);
    put_number(&part, 1, trace->pid);
    put_message(&part, 3, &inner);
    put_number(&packet, 10, SEQUENCE);
    put_number(&packet, 13, 1); /* incremental state is cleared: the sequence begins */
    put_message(&packet, 60, &part);
    flush(out);
    for (uint32_t i = 0; i < trace->thread_count; i++) {
        put_number(&inner, 1, trace->pid);
        put_number(&inner, 2, trace->threads[i].tid);
        put_text(&inner, 5, trace->threads[i].name);
        put_number(&part, 1, (uint64_t)trace->pid << 32 | trace->threads[i].tid);
        put_number(&part, 5, trace->pid);
        put_message(&part, 4, &inner);
        put_number(&packet, 10, SEQUENCE);
        put_message(&packet, 60, &part);
        flush(out);
    }
}

struct item {
    uint64_t ns;
    uint32_t kind; /* SLICE_BEGIN of a run, SLICE_END of one, INSTANT: a submit, DROPPED */
    uint32_t index;
};
enum { DROPPED = 4 };

static int by_time(const void *a, const void *b)
{
    const struct item *one = a, *other = b;

    if (one->ns != other->ns)
        return one->ns < other->ns ? -1 : 1;
    /* What ends makes room for what begins. */
    return (one->kind != SLICE_END) - (other->kind != SLICE_END);
}

static void put_note(const char *name, const char *text)
{
    put_text(&inner, 10, name);
    put_text(&inner, 6, text);
    put_message(&part, 4, &inner);
}

static void put_notes(const struct trace *trace, const struct trace_handoff *handoff)
{
    struct trace_value_view value;
    const uint64_t *frames;
    unsigned count = trace_stack(trace, handoff->node, &frames);
    uint64_t number;

    for (uint32_t at = 0; trace_next_value(trace, handoff, &at, &value);) {
        if (value.kind == TRACE_NUMBER) {
            number = 0;
            memcpy(&number, value.bytes, value.length < 8 ? value.length : 8);
            put_text(&inner, 10, trace->slots[value.slot]);
            put_number(&inner, 3, number);
            put_message(&part, 4, &inner);
        } else {
            put_note(trace->slots[value.slot], trace_value_text(&value));
        }
    }
    if (count)
        put_note("site", symbol_of(trace, frames[0]));
}

static void put_event(const struct trace *trace, const struct item *item, FILE *out)
{
    bool is_run = item->kind == SLICE_BEGIN || item->kind == SLICE_END;
    const struct trace_run *run = is_run ? &trace->runs[item->index] : NULL;
    const struct trace_handoff *handoff = &trace->handoffs[run ? run->handoff : item->index];
    uint32_t thread = run ? run->thread : handoff->thread;

    put_number(&part, 9, item->kind == DROPPED ? INSTANT : item->kind);
    put_number(&part, 11, (uint64_t)trace->pid << 32 | trace->threads[thread].tid);
    if (item->kind != SLICE_END) {
        put_text(&part, 22, "baton");
        put_text(&part, 23,
                 run                     ? trace_family(trace, handoff)
                 : item->kind == DROPPED ? "dropped"
                                         : trace_call(trace, handoff));
        put_notes(trace, handoff);
    }
    if (item->kind == INSTANT)
        put_fixed(&part, 47, handoff->id);
    else if (item->kind == SLICE_BEGIN || item->kind == DROPPED)
        put_fixed(&part, run && run->next ? 47 : 48, handoff->id);
    else
        put_note("ended", run_ends[run->how]);
    put_number(&packet, 8, item->ns);
    put_number(&packet, 10, SEQUENCE);
    put_message(&packet, 11, &part);
    put_number(&packet, 58, MONOTONIC);
    flush(out);
}

void write_perfetto(const struct trace *trace, FILE *out)
{
    struct item *items = allocated(
        calloc(2 * (size_t)trace->handoff_count + 2 * (size_t)trace->run_count + 1, sizeof *items));
    size_t count = 0;

    put_clocks(trace, out);
    put_tracks(trace, out);
    for (uint32_t i = 0; i < trace->handoff_count; i++) {
        if (trace->handoffs[i].submit_ns)
            items[count++] = (struct item){trace->handoffs[i].submit_ns, INSTANT, i};
        if (trace->handoffs[i].drop_ns)
            items[count++] = (struct item){trace->handoffs[i].drop_ns, DROPPED, i};
    }
    for (uint32_t i = 0; i < trace->run_count; i++) {
        items[count++] = (struct item){trace->runs[i].start_ns, SLICE_BEGIN, i};
        if (trace->runs[i].end_ns)
            items[count++] = (struct item){trace->runs[i].end_ns, SLICE_END, i};
    }
    qsort(items, count, sizeof *items, by_time);
    for (size_t i = 0; i < count; i++)
        put_event(trace, &items[i], out);
    free(items);
}
