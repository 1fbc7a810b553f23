/*
 * baton stacks PID: where the work comes from that each thread of a running process is at. Of a file: a crash report
 * in it, for a reader (crash_report.c).
 *
 * The process is not stopped: its memory is read as it is (process_vm_readv), by way of the two tables that
 * shim/observe keeps, which are found by the words that they begin with. What changes meanwhile may be
 * missing.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "cli.h"
#include "observe/live_format.h"
#include "trace/trace.h"

static int pid;

static bool read_memory(uint64_t address, void *into, size_t size)
{
    struct iovec local = {into, size}, remote = {(void *)(uintptr_t)address, size};

    return process_vm_readv(pid, &local, 1, &remote, 1, 0) == (ssize_t)size;
}

/* The mapping that begins with MAGIC; 0. */
static uint64_t find_table(const char *magic)
{
    char line[4400], path[64], head[8];
    uint64_t found = 0, start, end;
    FILE *maps;

    snprintf(path, sizeof path, "/proc/%d/maps", pid);
    maps = fopen(path, "re");
    if (!maps)
        fail(EXIT_FAILED, "process %d: %s", pid, strerror(errno));
    while (!found && fgets(line, sizeof line, maps)) {
        if (sscanf(line, "%llx-%llx rw", (unsigned long long *)&start,
                   (unsigned long long *)&end) != 2 ||
            !strstr(line, " rw"))
            continue;
        /* Neighbouring mappings without a file are shown as one: a table begins where a page does. */
        for (uint64_t at = start; at < end && !found && at - start < (uint64_t)1 << 32;
             at += 4096) {
            if (read_memory(at, head, sizeof head) && !memcmp(head, magic, 8))
                found = at;
        }
    }
    fclose(maps);
    return found;
}

static const struct trace_module *module_at(const struct trace *trace, uint64_t address)
{
    const struct trace_module *modules =
        (const void *)((const char *)trace->header + trace->header->modules_at);
    uint32_t count = atomic_load((_Atomic uint32_t *)(uintptr_t)&trace->header->modules_used);

    for (uint32_t i = 0; i < count && i < TRACE_MODULES; i++) {
        if (address >= modules[i].lo && address < modules[i].hi)
            return &modules[i];
    }
    return NULL;
}

/* As a crash report has it. */
static void print_frame(FILE *out, const struct trace *trace, unsigned number, uint64_t address)
{
    const struct trace_module *module = module_at(trace, address);
    const char *name = module ? strrchr(module->path, '/') : NULL, *symbol;
    uint64_t start;

    if (!name) {
        fprintf(out, "    #%u %s\n", number, symbol_of(trace, address));
        return;
    }
    /* A return address may be the first behind the function that called. */
    symbol = symbol_in_file(module->path, address - module->base - 1, &start);
    if (symbol)
        fprintf(out, "    #%u %s+0x%llx (%s+0x%llx)\n", number, symbol,
                (unsigned long long)(address - module->base - start), name + 1,
                (unsigned long long)(address - module->base));
    else
        fprintf(out, "    #%u %s+0x%llx\n", number, name + 1,
                (unsigned long long)(address - module->base));
}

static void print_modules(FILE *out, const struct trace *trace)
{
    const struct trace_module *modules =
        (const void *)((const char *)trace->header + trace->header->modules_at);
    uint32_t count = atomic_load((_Atomic uint32_t *)(uintptr_t)&trace->header->modules_used);

    fprintf(out, "  modules\n");
    for (uint32_t i = 0; i < count && i < TRACE_MODULES; i++) {
        fprintf(out, "    %.*s build-id %s", (int)sizeof modules[i].path, modules[i].path,
                modules[i].build_id_len ? "" : "none");
        for (uint32_t byte = 0; byte < modules[i].build_id_len && byte < 20; byte++)
            fprintf(out, "%02x", modules[i].build_id[byte]);
        fprintf(out, "\n");
    }
}

static void print_chain(FILE *out, const struct trace *trace, uint32_t node)
{
    for (unsigned steps = 0; node && steps < 64; steps++) {
        const uint64_t *frames;
        unsigned count = trace_stack(trace, node, &frames);

        fprintf(out, "  submitted by\n");
        for (unsigned i = 0; i < count; i++)
            print_frame(out, trace, i, frames[i]);
        if (!count)
            fprintf(out, "    (the place is not known)\n");
        node = trace_node_parent(trace, node);
    }
}

static void print_process(void)
{
    struct trace trace = {.path = ""};
    struct live_header live;
    struct trace_header *header;
    struct live_thread thread;
    uint64_t table, at;
    size_t size, len = 0;
    char *text = NULL;
    FILE *out;

    at = find_table(LIVE_PAGE_MAGIC);
    table = find_table(TRACE_MAGIC);
    if (!at || !table || !read_memory(at, &live, sizeof live))
        fail(EXIT_FAILED,
             "process %d keeps no stacks: start it with BATON_STACKS=N (or it may not be read)",
             pid);
    size = TRACE_HEADER + TRACE_NAMES + TRACE_MODULES * sizeof(struct trace_module) +
           TRACE_STACK_WORDS * 8 + TRACE_NODES * sizeof(struct trace_node);
    header = allocated(calloc(1, size));
    if (!read_memory(table, header, size))
        fail(EXIT_FAILED, "process %d: its tables cannot be read: %s", pid, strerror(errno));
    trace.header = header;
    out = allocated(open_memstream(&text, &len));
    for (uint32_t i = 0; i < live.threads_used && i < LIVE_THREADS; i++) {
        if (!read_memory(at + live.threads_at + (uint64_t)i * LIVE_THREAD_SIZE, &thread,
                         offsetof(struct live_thread, queue)) ||
            !thread.depth)
            continue;
        fprintf(out, "thread %u\n", thread.tid);
        print_chain(out, &trace,
                    thread.runs[(thread.depth <= LIVE_NEST ? thread.depth : LIVE_NEST) - 1].node);
    }
    print_modules(out, &trace);
    fclose(out);
    crash_report_print(text, false);
}

int cmd_stacks(const struct cli *cli)
{
    char *end = NULL;

    if (cli->argc != 1)
        usage_error("stacks: one process number, or a file with a crash report, is needed");
    pid = (int)strtol(cli->argv[0], &end, 10);
    if (*end || end == cli->argv[0])
        crash_report_file(cli->argv[0]);
    else if (pid <= 0)
        usage_error("stacks: %s is no process number", clean(cli->argv[0]));
    else
        print_process();
    if (fflush(stdout) != 0)
        fail(EXIT_FAILED, "standard output: %s", strerror(errno));
    return 0;
}
