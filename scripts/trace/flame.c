/*
 * Samples of a profiler join a trace: what a worker was seen at stands under the submitter's stack.
 *
 * The samples are text as `perf script` prints it: a line with the thread and the time, then a line a frame,
 * innermost first. The profiler must have used the trace's clock (perf record -k CLOCK_MONOTONIC). Of a
 * sample in a run, only frames of the task stay: what is outside of our trampoline is the pool's.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "flame.h"

enum { LINE = 8192, FRAMES = 256, CHAIN = 64, STACK = 32768 };

struct sample {
    char comm[64];
    uint32_t tid;
    uint64_t ns;
    char *frames[FRAMES]; /* innermost first */
    unsigned count, task; /* task: so many are inside of our trampoline */
};

/* ---- runs, by thread and start ---- */

static const struct trace *sorting;

static int by_thread(const void *a, const void *b)
{
    const struct trace_run *one = &sorting->runs[*(const uint32_t *)a],
                           *other = &sorting->runs[*(const uint32_t *)b];

    if (one->thread != other->thread)
        return one->thread < other->thread ? -1 : 1;
    return one->start_ns < other->start_ns ? -1 : one->start_ns > other->start_ns;
}

static uint32_t *sorted_runs(const struct trace *trace)
{
    uint32_t *order = allocated(calloc(trace->run_count + 1, sizeof *order));

    for (uint32_t i = 0; i < trace->run_count; i++)
        order[i] = i;
    sorting = trace;
    qsort(order, trace->run_count, sizeof *order, by_thread);
    return order;
}

/* The innermost run that the thread was in. */
static const struct trace_run *run_at(const struct trace *trace, const uint32_t *order,
                                      uint32_t tid, uint64_t ns)
{
    uint32_t low = 0, high = trace->run_count, thread = 0;

    while (thread < trace->thread_count && trace->threads[thread].tid != tid)
        thread++;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct trace_run *run = &trace->runs[order[middle]];

        if (run->thread < thread || (run->thread == thread && run->start_ns <= ns))
            low = middle + 1;
        else
            high = middle;
    }
    /* Runs nest: the first one backwards that has not ended yet is the innermost. */
    for (unsigned steps = 0; low-- > 0 && steps < 1024; steps++) {
        const struct trace_run *run = &trace->runs[order[low]];

        if (run->thread != thread)
            return NULL;
        if (!run->end_ns || run->end_ns >= ns)
            return run;
    }
    return NULL;
}

/* ---- folded stacks ---- */

static void put(char *stack, const char *name)
{
    size_t len = strlen(stack);

    if (len + 2 >= STACK)
        return;
    if (len)
        stack[len++] = ';';
    for (; *name && len + 1 < STACK; name++)
        stack[len++] = *name == ';' || *name == '\n' ? ':' : *name;
    stack[len] = '\0';
}

/* A name without the offset behind it. */
static void put_symbol(char *stack, const char *name)
{
    const char *offset = strstr(name, "+0x");
    char *copy = allocated(strndup(name, offset ? (size_t)(offset - name) : strlen(name)));

    put(stack, copy);
    free(copy);
}

/* Code of ours: what is outside of it, in a task, is the pool's. */
static bool is_trampoline(const struct trace *trace, uint64_t address)
{
    const struct trace_module *module =
        (const void *)((const char *)trace->header + trace->header->modules_at);

    for (unsigned i = 0; i < TRACE_MODULES && module[i].hi; i++) {
        if (address >= module[i].lo && address < module[i].hi)
            return memmem(module[i].path, sizeof module[i].path, "libbaton.so", 11) != NULL;
    }
    return false;
}

static void put_chain(char *stack, const struct trace *trace, const struct trace_handoff *handoff,
                      unsigned depth)
{
    const struct trace_handoff *parent = depth < CHAIN ? trace_find(trace, handoff->parent) : NULL;
    const uint64_t *frames;
    unsigned count = trace_stack(trace, handoff->node, &frames);

    if (parent) {
        put_chain(stack, trace, parent, depth + 1);
        for (unsigned i = 0; i < count; i++) {
            if (is_trampoline(trace, frames[i]))
                count = i;
        }
    }
    while (count-- > 0)
        put_symbol(stack, symbol_of(trace, frames[count]));
    put(stack, trace_call(trace, handoff));
}

static char *fold(const struct trace *trace, const uint32_t *order, const struct sample *sample)
{
    static char stack[STACK];
    const struct trace_run *run = run_at(trace, order, sample->tid, sample->ns);
    unsigned count = run && sample->task ? sample->task : sample->count;

    *stack = '\0';
    if (run)
        put_chain(stack, trace, &trace->handoffs[run->handoff], 0);
    else
        put(stack, sample->comm);
    while (count-- > 0)
        put_symbol(stack, sample->frames[count]);
    return allocated(strdup(stack));
}

/* ---- the text of perf script ---- */

/* "COMM PID/TID [CPU] SECONDS.FRACTION: ...", where COMM may have spaces in it. */
static bool read_head(char *line, struct sample *sample)
{
    for (char *at = line; (at = strchr(at, ' ')); at++) {
        char *end, *fraction, *before = at;
        uint64_t seconds = strtoull(at, &fraction, 10), part;
        unsigned digits;

        if (fraction == at || *fraction != '.' || !isdigit((unsigned char)fraction[1]))
            continue;
        part = strtoull(fraction + 1, &end, 10);
        digits = (unsigned)(end - fraction - 1);
        if (*end != ':' || digits > 9)
            continue;
        for (; digits < 9; digits++)
            part *= 10;
        sample->ns = seconds * 1000000000 + part;
        while (before > line && before[-1] == ' ')
            before--;
        if (before > line && before[-1] == ']') { /* the processor */
            while (before > line && before[-1] != '[')
                before--;
            while (before > line && (before[-1] == '[' || before[-1] == ' '))
                before--;
        }
        end = before;
        while (before > line && isdigit((unsigned char)before[-1]))
            before--;
        if (before == end)
            return false;
        sample->tid = (uint32_t)strtoul(before, NULL, 10);
        while (before > line && (before[-1] == '/' || isdigit((unsigned char)before[-1])))
            before--;
        while (before > line && before[-1] == ' ')
            before--;
        while (*line == ' ' && line < before)
            line++;
        snprintf(sample->comm, sizeof sample->comm, "%.*s", (int)(before - line), line);
        return true;
    }
    return false;
}

/* "    ADDRESS SYMBOL+0xOFFSET (MODULE)" */
static void read_frame(char *line, struct sample *sample)
{
    char *name, *module;

    while (isspace((unsigned char)*line))
        line++;
    name = line + strspn(line, "0123456789abcdef");
    if (name == line || *name != ' ' || sample->count == FRAMES)
        return;
    name++;
    module = strrchr(name, '(');
    if (module && module > name && module[-1] == ' ')
        module[-1] = '\0';
    if (module && strstr(module, "libbaton.so") && !sample->task)
        sample->task = sample->count;
    sample->frames[sample->count++] = allocated(strdup(*name ? name : "?"));
}

static void end_sample(const struct trace *trace, const uint32_t *order, struct sample *sample,
                       struct flame *flame)
{
    static size_t max;

    if (sample->tid && sample->count) {
        if (flame->count == max) {
            max = max ? max * 2 : 1024;
            flame->stacks = allocated(realloc(flame->stacks, max * sizeof *flame->stacks));
        }
        flame->joined += run_at(trace, order, sample->tid, sample->ns) != NULL;
        flame->stacks[flame->count++] = fold(trace, order, sample);
    }
    for (unsigned i = 0; i < sample->count; i++)
        free(sample->frames[i]);
    *sample = (struct sample){.tid = 0};
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void flame_read(struct flame *flame, const struct trace *trace, FILE *in)
{
    static struct sample sample;
    static char line[LINE];
    uint32_t *order = sorted_runs(trace);

    memset(flame, 0, sizeof *flame);
    while (fgets(line, sizeof line, in)) {
        line[strcspn(line, "\n")] = '\0';
        if (*line == '#')
            continue;
        if (!line[strspn(line, " \t")])
            end_sample(trace, order, &sample, flame);
        else if (sample.tid)
            read_frame(line, &sample);
        else
            read_head(line, &sample);
    }
    end_sample(trace, order, &sample, flame);
    if (flame->count)
        qsort(flame->stacks, flame->count, sizeof *flame->stacks, by_text);
    free(order);
}

void flame_write_folded(const struct flame *flame, FILE *out)
{
    for (size_t i = 0, next; i < flame->count; i = next) {
        for (next = i + 1; next < flame->count && !strcmp(flame->stacks[i], flame->stacks[next]);)
            next++;
        fprintf(out, "%s %zu\n", flame->stacks[i], next - i);
    }
}

/* ---- the picture ---- */

enum { WIDTH = 1200, ROW = 17, CHAR_WIDTH = 7 };

static void put_xml(FILE *out, const char *text, size_t len)
{
    for (; len-- > 0; text++) {
        if (*text == '<' || *text == '>' || *text == '&' || *text == '"')
            fprintf(out, "&#%d;", *text);
        else
            putc(*text, out);
    }
}

/* The samples from `first` to `last` have the same frames up to `at`; what comes next is drawn above. */
static unsigned draw(const struct flame *flame, size_t first, size_t last, size_t at,
                     unsigned depth, FILE *out)
{
    unsigned deepest = depth;

    for (size_t i = first, next; i < last; i = next) {
        const char *name = flame->stacks[i] + at;
        size_t len = strlen(flame->stacks[i]) >= at ? strcspn(name, ";") : 0;
        double x = (double)i * WIDTH / (double)flame->count, width;
        uint32_t hash = 5381;
        unsigned below;

        for (next = i + 1; next < last; next++) {
            const char *other = flame->stacks[next];

            if (strlen(other) < at + len || strncmp(other + at, name, len) != 0 ||
                (other[at + len] && other[at + len] != ';'))
                break;
        }
        if (!len)
            continue;
        width = (double)(next - i) * WIDTH / (double)flame->count;
        for (size_t c = 0; c < len; c++)
            hash = hash * 33 + (unsigned char)name[c];
        if (out) {
            fprintf(out, "<g><title>");
            put_xml(out, name, len);
            fprintf(out, " (%zu samples, %.1f %%)</title><rect x=\"%.1f\" y=\"%u\" width=\"%.1f\" ",
                    next - i, 100.0 * (double)(next - i) / (double)flame->count, x, depth * ROW,
                    width > .4 ? width - .2 : width);
            fprintf(out, "height=\"%d\" fill=\"hsl(%u,70%%,%u%%)\"/>", ROW - 1, hash % 50,
                    60 + hash / 50 % 15);
            if (width > 3 * CHAR_WIDTH) {
                size_t fits = (size_t)(width / CHAR_WIDTH);

                fprintf(out, "<text x=\"%.1f\" y=\"%u\">", x + 3, depth * ROW + 12);
                put_xml(out, name, len < fits ? len : fits);
                fprintf(out, "</text>");
            }
            fprintf(out, "</g>\n");
        }
        /* Those that end here come first, as they are sorted. */
        for (; i < next && !flame->stacks[i][at + len]; i++)
            ;
        below = draw(flame, i, next, at + len + 1, depth + 1, out);
        deepest = below > deepest ? below : deepest;
    }
    return deepest;
}

void flame_write_svg(const struct flame *flame, FILE *out)
{
    unsigned rows = draw(flame, 0, flame->count, 0, 0, NULL) + 1;

    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%u\" "
            "viewBox=\"0 0 %d %u\" font-family=\"monospace\" font-size=\"11\">\n"
            "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
            WIDTH, rows * ROW, WIDTH, rows * ROW);
    draw(flame, 0, flame->count, 0, 0, out);
    fprintf(out, "</svg>\n");
}
