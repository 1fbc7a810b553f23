/*
 * Chrome's JSON (chrome://tracing, ui.perfetto.dev), and CSV.
 *
 * A handoff is a small slice where it is submitted, an arrow, and a slice for each of its runs. Times are
 * microseconds from the start of the trace.
 */
#include <inttypes.h>

#include "trace.h"

void put_json(FILE *out, const char *text)
{
    putc('"', out);
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c == '"' || *c == '\\')
            fprintf(out, "\\%c", *c);
        else if (*c < 32 || *c > 126)
            fprintf(out, "\\u%04x", *c);
        else
            putc(*c, out);
    }
    putc('"', out);
}

static void put_us(FILE *out, const struct trace *trace, uint64_t ns)
{
    int64_t from = (int64_t)(ns - trace->start_ns);

    fprintf(out, "%" PRId64 ".%03d", from / 1000, (int)(from % 1000 < 0 ? 0 : from % 1000));
}

static void put_head(FILE *out, const struct trace *trace, const char *name, const char *phase,
                     uint32_t thread, uint64_t ns)
{
    fprintf(out, ",\n{\"name\":");
    put_json(out, name);
    fprintf(out, ",\"ph\":\"%s\",\"cat\":\"baton\",\"pid\":%u,\"tid\":%u,\"ts\":", phase,
            trace->pid, trace->threads[thread].tid);
    put_us(out, trace, ns);
}

static void put_args(FILE *out, const struct trace *trace, const struct trace_handoff *handoff)
{
    struct trace_value_view value;
    const uint64_t *frames;
    unsigned count = trace_stack(trace, handoff->node, &frames);

    fprintf(out, "\"id\":\"%" PRIu64 "\",\"family\":", handoff->id);
    put_json(out, trace_family(trace, handoff));
    if (count) {
        fprintf(out, ",\"site\":");
        put_json(out, symbol_of(trace, frames[0]));
    }
    for (uint32_t at = 0; trace_next_value(trace, handoff, &at, &value);) {
        fprintf(out, ",");
        put_json(out, trace->slots[value.slot]);
        fprintf(out, ":");
        put_json(out, trace_value_text(&value));
    }
}

void write_chrome(const struct trace *trace, FILE *out)
{
    fprintf(out,
            "{\"displayTimeUnit\":\"ns\",\"otherData\":{\"lost\":\"%" PRIu64
            "\",\"damaged\":\"%" PRIu64 "\"},\"traceEvents\":[\n{\"name\":\"process_name\",\"ph\":"
            "\"M\",\"pid\":%u,\"args\":{\"name\":",
            trace->lost, trace->damaged, trace->pid);
    put_json(out, trace->program);
    fprintf(out, "}}");
    for (uint32_t i = 0; i < trace->thread_count; i++) {
        fprintf(
            out,
            ",\n{\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":%u,\"tid\":%u,\"args\":{\"name\":",
            trace->pid, trace->threads[i].tid);
        put_json(out, trace->threads[i].name);
        fprintf(out, "}}");
    }
    for (uint32_t i = 0; i < trace->handoff_count; i++) {
        const struct trace_handoff *handoff = &trace->handoffs[i];
        const char *step = "t";

        if (!handoff->submit_ns)
            continue;
        put_head(out, trace, trace_call(trace, handoff), "X", handoff->thread, handoff->submit_ns);
        fprintf(out, ",\"dur\":0.001,\"args\":{\"what\":\"submit\",");
        put_args(out, trace, handoff);
        fprintf(out, "}}");
        if (handoff->first_run) {
            put_head(out, trace, "handoff", "s", handoff->thread, handoff->submit_ns);
            fprintf(out, ",\"id\":%" PRIu64 "}", handoff->id);
        }
        for (uint32_t link = handoff->first_run; link; link = trace->runs[link - 1].next) {
            const struct trace_run *run = &trace->runs[link - 1];

            step = run->next ? "t" : "f";
            put_head(out, trace, "handoff", step, run->thread, run->start_ns);
            fprintf(out, ",\"bp\":\"e\",\"id\":%" PRIu64 "}", handoff->id);
        }
        if (handoff->drop_ns) {
            put_head(out, trace, "dropped", "i", handoff->thread, handoff->drop_ns);
            fprintf(out, ",\"s\":\"t\",\"args\":{");
            put_args(out, trace, handoff);
            fprintf(out, "}}");
        }
    }
    for (uint32_t i = 0; i < trace->run_count; i++) {
        const struct trace_run *run = &trace->runs[i];
        const struct trace_handoff *handoff = &trace->handoffs[run->handoff];
        uint64_t length = run->end_ns ? run->end_ns - run->start_ns : 0;

        put_head(out, trace, trace_family(trace, handoff), run->end_ns ? "X" : "B", run->thread,
                 run->start_ns);
        if (run->end_ns)
            fprintf(out, ",\"dur\":%" PRIu64 ".%03u", length / 1000, (unsigned)(length % 1000));
        fprintf(out, ",\"args\":{\"what\":\"run\",\"ended\":\"%s\",\"queued_ns\":%" PRIu64 ",",
                run_ends[run->how], handoff->submit_ns ? run->start_ns - handoff->submit_ns : 0);
        put_args(out, trace, handoff);
        fprintf(out, "}}");
    }
    fprintf(out, "\n]}\n");
}

/* ---- one line a run; a handoff that never ran has one too ---- */

static void csv_text(FILE *out, const char *text)
{
    putc('"', out);
    for (; *text; text++) {
        if (*text == '"')
            putc('"', out);
        putc(*text, out);
    }
    putc('"', out);
}

static void csv_line(FILE *out, const struct trace *trace, const struct trace_handoff *handoff,
                     const struct trace_run *run)
{
    const uint64_t *frames;
    unsigned count = trace_stack(trace, handoff->node, &frames);

    fprintf(out, "%" PRIu64 ",%" PRIu64 ",%s,%s,", handoff->id, handoff->parent,
            trace_family(trace, handoff), trace_call(trace, handoff));
    csv_text(out, count ? symbol_of(trace, frames[0]) : "");
    if (handoff->submit_ns)
        fprintf(out, ",%u,%" PRIu64, trace->threads[handoff->thread].tid,
                handoff->submit_ns - trace->start_ns);
    else
        fprintf(out, ",,");
    if (run)
        fprintf(out, ",%u,%" PRIu64 ",", trace->threads[run->thread].tid,
                run->start_ns - trace->start_ns);
    else
        fprintf(out, ",,,");
    if (run && run->end_ns)
        fprintf(out, "%" PRIu64, run->end_ns - trace->start_ns);
    fprintf(out, ",%s", run ? run_ends[run->how] : handoff->drop_ns ? "dropped" : "waiting");
    for (uint32_t slot = 0; slot < trace->slot_count; slot++) {
        const char *text = trace_slot_text(trace, handoff, slot);

        putc(',', out);
        if (text)
            csv_text(out, text);
    }
    putc('\n', out);
}

void write_csv(const struct trace *trace, FILE *out)
{
    fprintf(out,
            "id,parent,family,call,site,submit_thread,submit_ns,run_thread,start_ns,end_ns,ended");
    for (uint32_t slot = 0; slot < trace->slot_count; slot++) {
        putc(',', out);
        csv_text(out, trace->slots[slot]);
    }
    putc('\n', out);
    for (uint32_t i = 0; i < trace->handoff_count; i++) {
        const struct trace_handoff *handoff = &trace->handoffs[i];

        if (!handoff->first_run)
            csv_line(out, trace, handoff, NULL);
        for (uint32_t link = handoff->first_run; link; link = trace->runs[link - 1].next)
            csv_line(out, trace, handoff, &trace->runs[link - 1]);
    }
}
