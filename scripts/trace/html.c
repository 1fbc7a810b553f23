/*
 * One page that shows a trace: page.html with the data put in. It loads nothing, and its policy forbids it.
 *
 * Columns of numbers, an element a handoff or a run; times in nanoseconds from the start; texts once.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "trace.h"

__asm__(".pushsection .rodata\n"
        "page_start: .incbin \"scripts/trace/page.html\"\n"
        "page_end: .byte 0\n"
        ".popsection\n");
extern const char page_start[] __asm__("page_start"), page_end[] __asm__("page_end");

static const char mark[] = "/*DATA*/null";

/* Each text is written once; by its number. */
static const char **texts;
static size_t texts_count, texts_max;
static uint32_t *text_index;
static size_t text_slots;

static void grow_index(void)
{
    free(text_index);
    text_slots = text_slots ? text_slots * 2 : 4096;
    text_index = allocated(calloc(text_slots, sizeof *text_index));
}

static size_t text_place(const char *text)
{
    uint64_t hash = 0xcbf29ce484222325u;
    size_t place;

    for (const char *c = text; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 0x100000001b3u;
    place = (size_t)(hash ^ hash >> 32) & (text_slots - 1);
    while (text_index[place] && strcmp(texts[text_index[place] - 1], text) != 0)
        place = (place + 1) & (text_slots - 1);
    return place;
}

static unsigned text_number(const char *text)
{
    size_t place;

    if (texts_count * 2 >= text_slots) {
        grow_index();
        for (size_t i = 0; i < texts_count; i++)
            text_index[text_place(texts[i])] = (uint32_t)i + 1;
    }
    place = text_place(text);
    if (!text_index[place]) {
        if (texts_count == texts_max) {
            texts_max = texts_max ? texts_max * 2 : 1024;
            texts = allocated(realloc(texts, texts_max * sizeof *texts));
        }
        texts[texts_count++] = allocated(strdup(text));
        text_index[place] = (uint32_t)texts_count;
    }
    return text_index[place] - 1;
}

static int64_t since(const struct trace *trace, uint64_t ns)
{
    return ns ? (int64_t)(ns - trace->start_ns) : -1;
}

/* "<" would end the script where "</script" stands in a name. */
static void put_text(FILE *out, const char *text)
{
    putc('"', out);
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c == '"' || *c == '\\' || *c == '<' || *c < 32 || *c > 126)
            fprintf(out, "\\u%04x", *c);
        else
            putc(*c, out);
    }
    putc('"', out);
}

static void put_list(FILE *out, const char *name, const char *const *list, size_t count)
{
    fprintf(out, "\"%s\":[", name);
    for (size_t i = 0; i < count; i++) {
        if (i)
            putc(',', out);
        put_text(out, list[i]);
    }
    fprintf(out, "],\n");
}

#define COLUMN(name, type, list, count, value)                            \
    do {                                                                  \
        fprintf(out, "\"" name "\":[");                                   \
        for (uint32_t i = 0; i < (count); i++) {                          \
            const type *each = &(list)[i];                                \
                                                                          \
            fprintf(out, i ? ",%" PRId64 : "%" PRId64, (int64_t)(value)); \
        }                                                                 \
        fprintf(out, "],\n");                                             \
    } while (0)
#define HANDOFFS(name, value) \
    COLUMN(name, struct trace_handoff, trace->handoffs, trace->handoff_count, value)
#define RUNS(name, value) COLUMN(name, struct trace_run, trace->runs, trace->run_count, value)

static int64_t parent_index(const struct trace *trace, const struct trace_handoff *handoff)
{
    const struct trace_handoff *parent = trace_find(trace, handoff->parent);

    return parent ? parent - trace->handoffs : -1;
}

static unsigned site_number(const struct trace *trace, const struct trace_handoff *handoff)
{
    const uint64_t *frames;
    unsigned count = trace_stack(trace, handoff->node, &frames);

    return text_number(count ? symbol_of(trace, frames[0]) : "");
}

static void put_values(const struct trace *trace, FILE *out)
{
    fprintf(out, "\"values\":[");
    for (uint32_t i = 0; i < trace->handoff_count; i++) {
        struct trace_value_view value;
        bool is_first = true;

        if (i)
            putc(',', out);
        if (!trace->handoffs[i].value_words) {
            putc('0', out);
            continue;
        }
        putc('[', out);
        for (uint32_t at = 0; trace_next_value(trace, &trace->handoffs[i], &at, &value);) {
            fprintf(out, "%s%u,%u", is_first ? "" : ",", value.slot,
                    text_number(trace_value_text(&value)));
            is_first = false;
        }
        putc(']', out);
    }
    fprintf(out, "],\n");
}

void write_html(const struct trace *trace, FILE *out)
{
    const char *at = memmem(page_start, (size_t)(page_end - page_start), mark, sizeof mark - 1);

    if (!at)
        fail(EXIT_FAILED, "the page has no place for data");
    fwrite(page_start, 1, (size_t)(at - page_start), out);
    fprintf(out, "{\"program\":");
    put_text(out, trace->program);
    fprintf(out, ",\"pid\":%u,\"lost\":%" PRIu64 ",\"threads\":[", trace->pid, trace->lost);
    for (uint32_t i = 0; i < trace->thread_count; i++) {
        fprintf(out, "%s[%u,", i ? "," : "", trace->threads[i].tid);
        put_text(out, trace->threads[i].name);
        putc(']', out);
    }
    fprintf(out, "],\n");
    put_list(out, "families", trace->families, trace->family_count);
    put_list(out, "slots", trace->slots, trace->slot_count);
    put_list(out, "ends", run_ends, RUN_OPEN + 1);
    text_number("");
    fprintf(out, "\"ids\":[");
    for (uint32_t i = 0; i < trace->handoff_count; i++)
        fprintf(out, "%s\"%" PRIu64 "\"", i ? "," : "", trace->handoffs[i].id);
    fprintf(out, "],\n");
    HANDOFFS("parent", parent_index(trace, each));
    HANDOFFS("submit", since(trace, each->submit_ns));
    HANDOFFS("drop", since(trace, each->drop_ns));
    HANDOFFS("by", each->thread);
    HANDOFFS("family", each->family < trace->family_count ? each->family : 0);
    HANDOFFS("site", site_number(trace, each));
    HANDOFFS("call", text_number(trace_call(trace, each)));
    put_values(trace, out);
    RUNS("run", each->handoff);
    RUNS("on", each->thread);
    RUNS("start", since(trace, each->start_ns));
    RUNS("end", each->end_ns ? since(trace, each->end_ns) : 0);
    RUNS("how", each->how);
    put_list(out, "texts", texts, texts_count);
    fprintf(out, "\"version\":1}");
    fwrite(at + sizeof mark - 1, 1, (size_t)(page_end - (at + sizeof mark - 1)), out);
}
