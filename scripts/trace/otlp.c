/*
 * OTLP/JSON (opentelemetry-proto, ExportTraceServiceRequest in the JSON mapping of OTLP 1.x): a run of a
 * handoff is a span, which links to its submitter's span; the queue time is an attribute.
 *
 * A chosen slot may hold the trace id: 32 hexadecimal digits, 16 bytes, or anything else, of which an id
 * is made that is the same wherever the value is. Else all handoffs that come from one have one trace.
 */
#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "cli.h"
#include "trace.h"

static uint64_t mixed(uint64_t hash, const char *text)
{
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
    hash ^= hash >> 29;
    hash *= 0xbf58476d1ce4e5b9u;
    return hash ^ hash >> 32;
}

static const struct trace_handoff *root_of(const struct trace *trace,
                                           const struct trace_handoff *handoff)
{
    const struct trace_handoff *parent;

    for (unsigned steps = 0; steps < 10000 && (parent = trace_find(trace, handoff->parent));
         steps++)
        handoff = parent;
    return handoff;
}

static void put_trace_id(const struct trace *trace, const struct trace_handoff *handoff, int slot,
                         FILE *out)
{
    const char *text = slot >= 0 ? trace_slot_text(trace, handoff, (unsigned)slot) : NULL;
    char own[64];

    if (text && strspn(text, "0123456789abcdefABCDEF") == 32 && strlen(text) == 32 &&
        strspn(text, "0") < 32) {
        for (; *text; text++)
            putc(tolower((unsigned char)*text), out);
        return;
    }
    if (!text) {
        snprintf(own, sizeof own, "%u.%" PRIu64, trace->pid, root_of(trace, handoff)->id);
        text = own;
    }
    fprintf(out, "%016" PRIx64 "%016" PRIx64, mixed(0xcbf29ce484222325u, text) | 1,
            mixed(trace->header->version, text));
}

/* A run's: the handoff's id and which run it is. */
static uint64_t span_id(const struct trace *trace, uint64_t id, unsigned number)
{
    char own[64];

    snprintf(own, sizeof own, "%u.%" PRIu64 ".%u.%" PRIu64, trace->pid, id, number,
             trace->header->real_ns);
    return mixed(0xcbf29ce484222325u, own) | 1;
}

static void put_attribute(FILE *out, bool *is_first, const char *key, const char *text)
{
    fprintf(out, "%s{\"key\":", *is_first ? "" : ",");
    put_json(out, key);
    fprintf(out, ",\"value\":{\"stringValue\":");
    put_json(out, text);
    fprintf(out, "}}");
    *is_first = false;
}

static void put_number(FILE *out, bool *is_first, const char *key, uint64_t number)
{
    fprintf(out, "%s{\"key\":\"%s\",\"value\":{\"intValue\":\"%" PRIu64 "\"}}",
            *is_first ? "" : ",", key, number);
    *is_first = false;
}

static void put_span(const struct trace *trace, const struct trace_run *run, unsigned number,
                     int slot, FILE *out)
{
    const struct trace_handoff *handoff = &trace->handoffs[run->handoff],
                               *parent = trace_find(trace, handoff->parent);
    struct trace_value_view value;
    const uint64_t *frames;
    unsigned count = trace_stack(trace, handoff->node, &frames);
    bool is_first = true;
    uint64_t end = run->end_ns ? run->end_ns : run->start_ns;

    fprintf(out, "{\"traceId\":\"");
    put_trace_id(trace, handoff, slot, out);
    fprintf(out, "\",\"spanId\":\"%016" PRIx64 "\",\"name\":", span_id(trace, handoff->id, number));
    put_json(out, trace_call(trace, handoff));
    fprintf(out,
            ",\"kind\":5,\"startTimeUnixNano\":\"%" PRId64 "\",\"endTimeUnixNano\":\"%" PRId64
            "\",",
            (int64_t)run->start_ns + trace->to_real_ns, (int64_t)end + trace->to_real_ns);
    fprintf(out, "\"attributes\":[");
    put_attribute(out, &is_first, "baton.family", trace_family(trace, handoff));
    put_number(out, &is_first, "thread.id", trace->threads[run->thread].tid);
    put_attribute(out, &is_first, "thread.name", trace->threads[run->thread].name);
    if (handoff->submit_ns)
        put_number(out, &is_first, "baton.queue_ns", run->start_ns - handoff->submit_ns);
    put_attribute(out, &is_first, "baton.ended", run_ends[run->how]);
    if (count)
        put_attribute(out, &is_first, "baton.site", symbol_of(trace, frames[0]));
    for (uint32_t at = 0; trace_next_value(trace, handoff, &at, &value);)
        put_attribute(out, &is_first, trace->slots[value.slot], trace_value_text(&value));
    fprintf(out, "],\"links\":[");
    if (parent && parent->first_run) {
        fprintf(out, "{\"traceId\":\"");
        put_trace_id(trace, parent, slot, out);
        fprintf(out, "\",\"spanId\":\"%016" PRIx64 "\"}", span_id(trace, parent->id, 0));
    }
    fprintf(out, "],\"status\":{%s}}", run->how == RUN_EXCEPTION ? "\"code\":2" : "");
}

void write_otlp(const struct trace *trace, const char *trace_id_slot, FILE *out)
{
    int slot = trace_id_slot ? trace_slot_find(trace, trace_id_slot) : -1;
    bool is_first = true, is_first_span = true;

    if (trace_id_slot && slot < 0)
        fail(EXIT_FAILED, "--trace-id %s: the trace has no such item", clean(trace_id_slot));
    fprintf(out, "{\"resourceSpans\":[{\"resource\":{\"attributes\":[");
    put_attribute(out, &is_first, "service.name",
                  strrchr(trace->program, '/') ? strrchr(trace->program, '/') + 1 : trace->program);
    put_attribute(out, &is_first, "process.executable.path", trace->program);
    put_number(out, &is_first, "process.pid", trace->pid);
    fprintf(out, "]},\"scopeSpans\":[{\"scope\":{\"name\":\"baton\",\"version\":\"" BATON_VERSION
                 "\"},\"spans\":[\n");
    for (uint32_t i = 0; i < trace->handoff_count; i++) {
        unsigned number = 0;

        for (uint32_t link = trace->handoffs[i].first_run; link;
             link = trace->runs[link - 1].next) {
            fprintf(out, "%s", is_first_span ? "" : ",\n");
            put_span(trace, &trace->runs[link - 1], number++, slot, out);
            is_first_span = false;
        }
    }
    fprintf(out, "\n]}]}]}\n");
}
