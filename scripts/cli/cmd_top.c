/*
 * baton top: what processes with BATON_LIVE=on are at. Reads the page that they map (observe/live_format.h)
 * and nothing else of them.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/arch.h"
#include "cli.h"
#include "screen.h"
#include "observe/live_format.h"
#include "trace/trace.h"

enum { SCREEN_FIRST_MS = 200 };

struct page {
    const struct live_header *header;
    size_t size;
};

struct family {
    uint64_t submitted, started, dropped, finished, queue_max;
    uint64_t queue[LIVE_BUCKETS];
};

struct sample {
    struct family families[LIVE_FAMILIES], all;
    uint32_t threads;
    uint64_t ns; /* when it was taken */
    uint64_t oldest_ns;
    double ns_per_tick;
};

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static bool page_open(int pid, struct page *page)
{
    char path[64];
    struct stat status;
    void *map = MAP_FAILED;
    int fd;

    snprintf(path, sizeof path, "/dev/shm/baton-%d.live", pid);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0 && fstat(fd, &status) == 0 &&
        (size_t)status.st_size >= LIVE_HEADER + (size_t)LIVE_THREADS * LIVE_THREAD_SIZE)
        map = mmap(NULL, page->size = (size_t)status.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (fd >= 0)
        close(fd);
    page->header = map == MAP_FAILED ? NULL : map;
    return page->header && !memcmp(page->header->magic, LIVE_PAGE_MAGIC, 8) &&
           page->header->version == 1 && page->header->threads_at == LIVE_HEADER &&
           (int)page->header->pid == pid &&
           page->header->handoffs_at + (uint64_t)LIVE_HANDOFFS * sizeof(struct handoff) <=
               page->size;
}

static bool is_alive(const struct page *page)
{
    return page->header->is_alive && (kill((pid_t)page->header->pid, 0) == 0 || errno == EPERM);
}

/* The one that there is; says which there are when there are several. */
static int find_only(void)
{
    DIR *folder = opendir("/dev/shm");
    struct dirent *entry;
    struct page page;
    int found = 0, count = 0, pid;
    char end;

    while (folder && (entry = readdir(folder))) {
        if (sscanf(entry->d_name, "baton-%d.liv%c", &pid, &end) != 2 || !page_open(pid, &page) ||
            !is_alive(&page))
            continue;
        if (count++)
            say("process %d: %s", found, "one of several; name it");
        found = pid;
    }
    if (folder)
        closedir(folder);
    if (!count)
        fail(EXIT_FAILED, "no process shows what it does: start it with BATON_LIVE=on");
    if (count > 1)
        fail(EXIT_USAGE, "process %d: one of several; name it, as in: baton top %d", found, found);
    return found;
}

static void add(struct family *sum, const struct live_thread *thread, unsigned family)
{
    sum->submitted += thread->submitted[family];
    sum->started += thread->started[family];
    sum->dropped += thread->dropped[family];
    sum->finished += thread->finished[family];
    if (thread->queue_max[family] > sum->queue_max)
        sum->queue_max = thread->queue_max[family];
    for (unsigned i = 0; i < LIVE_BUCKETS; i++)
        sum->queue[i] += thread->queue[family][i];
}

static void take(const struct page *page, struct sample *sample)
{
    const struct live_header *header = page->header;
    const struct handoff *handoffs = (const void *)((const char *)header + header->handoffs_at);
    uint32_t threads = atomic_load((_Atomic uint32_t *)(uintptr_t)&header->threads_used);
    uint32_t used = atomic_load((_Atomic uint32_t *)(uintptr_t)&header->handoffs_used);
    uint64_t ticks = header->clock == 1 ? arch_ticks() : now_ns(), oldest = UINT64_MAX;

    memset(sample, 0, sizeof *sample);
    sample->ns = now_ns();
    sample->ns_per_tick = header->clock == 1 && ticks > header->first_ticks
                              ? (double)(sample->ns - header->first_ns) /
                                    (double)(ticks - header->first_ticks)
                              : 1;
    sample->threads = threads < LIVE_THREADS ? threads : LIVE_THREADS;
    for (uint32_t i = 0; i < sample->threads; i++) {
        const struct live_thread *thread = (const void *)((const char *)header +
                                                          header->threads_at +
                                                          (size_t)i * LIVE_THREAD_SIZE);

        for (unsigned family = 0; family < LIVE_FAMILIES && family < header->family_count;
             family++) {
            if (!thread->submitted[family] && !thread->started[family] && !thread->finished[family])
                continue;
            add(&sample->families[family], thread, family);
            add(&sample->all, thread, family);
        }
    }
    for (uint32_t i = 0; i < used && i < LIVE_HANDOFFS; i++) {
        uint64_t id = handoffs[i].id, submitted = handoffs[i].submitted;

        if (id && submitted < oldest && submitted < ticks)
            oldest = submitted;
    }
    if (oldest != UINT64_MAX)
        sample->oldest_ns = (uint64_t)((double)(ticks - oldest) * sample->ns_per_tick);
}

/* The time below which a part of all waited. */
static double quantile(const struct sample *sample, const struct family *family, double part)
{
    uint64_t total = 0, passed = 0;

    for (unsigned i = 0; i < LIVE_BUCKETS; i++)
        total += family->queue[i];
    if (!total)
        return 0;
    for (unsigned i = 0; i < LIVE_BUCKETS; i++) {
        passed += family->queue[i];
        if ((double)passed >= (double)total * part) {
            double end = (double)live_bucket_start(i + 1), most = (double)family->queue_max;

            return (end < most || i + 1 < LIVE_BUCKETS ? (end < most ? end : most) : most) *
                   sample->ns_per_tick;
        }
    }
    return 0;
}

static int64_t in_flight(const struct family *family)
{
    int64_t count = (int64_t)(family->submitted - family->finished);

    return count < 0 ? 0 : count;
}

static const char *duration(double ns)
{
    static char texts[8][24];
    static unsigned next;
    char *text = texts[next++ % 8];

    snprintf(text, sizeof texts[0],
             ns < 1e3   ? "%.0f ns"
             : ns < 1e6 ? "%.1f us"
             : ns < 1e9 ? "%.1f ms"
                        : "%.1f s",
             ns < 1e3   ? ns
             : ns < 1e6 ? ns / 1e3
             : ns < 1e9 ? ns / 1e6
                        : ns / 1e9);
    return text;
}

static void print_line(FILE *out, const char *name, const struct sample *now,
                       const struct family *family, const struct family *before, double seconds)
{
    fprintf(out, "%-16s %12.0f %10" PRId64 " %10" PRIu64 " %10s %10s %10s\n", name,
            seconds > 0 ? (double)(family->submitted - before->submitted) / seconds : 0,
            in_flight(family), family->dropped, duration(quantile(now, family, .5)),
            duration(quantile(now, family, .99)),
            duration((double)family->queue_max * now->ns_per_tick));
}

static void print_table(FILE *out, const struct page *page, const struct sample *now,
                        const struct sample *before)
{
    double seconds = (double)(now->ns - before->ns) / 1e9;

    fprintf(out, "%s (pid %u): %u threads, %" PRId64 " in flight, the oldest for %s\n",
            clean(page->header->program), page->header->pid, now->threads, in_flight(&now->all),
            duration((double)now->oldest_ns));
    fprintf(out, "%-16s %12s %10s %10s %10s %10s %10s\n", "handoffs", "a second", "in flight",
            "dropped", "p50 wait", "p99 wait", "max wait");
    for (unsigned i = 0; i < LIVE_FAMILIES; i++) {
        if (now->families[i].submitted || now->families[i].started)
            print_line(out, page->header->families[i], now, &now->families[i], &before->families[i],
                       seconds);
    }
    fflush(out);
}

static void print_json(const struct page *page, const struct sample *now)
{
    bool is_first = true;

    printf("{\"pid\":%u,\"program\":", page->header->pid);
    put_json(stdout, page->header->program);
    printf(",\"threads\":%u,\"in_flight\":%" PRId64 ",\"oldest_ns\":%" PRIu64 ",\"families\":{",
           now->threads, in_flight(&now->all), now->oldest_ns);
    for (unsigned i = 0; i < LIVE_FAMILIES; i++) {
        const struct family *family = &now->families[i];

        if (!family->submitted && !family->started)
            continue;
        printf("%s\"%s\":{\"submitted\":%" PRIu64 ",\"started\":%" PRIu64 ",\"dropped\":%" PRIu64
               ",\"in_flight\":%" PRId64
               ",\"wait_p50_ns\":%.0f,\"wait_p99_ns\":%.0f,\"wait_max_ns\":%.0f}",
               is_first ? "" : ",", page->header->families[i], family->submitted, family->started,
               family->dropped, in_flight(family), quantile(now, family, .5),
               quantile(now, family, .99), (double)family->queue_max * now->ns_per_tick);
        is_first = false;
    }
    printf("}}\n");
    fflush(stdout);
}

static void print_metric(const struct page *page, const struct sample *now, const char *name,
                         const char *type, const char *help, int which)
{
    printf("# HELP baton_%s %s\n# TYPE baton_%s %s\n", name, help, name, type);
    for (unsigned i = 0; i < LIVE_FAMILIES; i++) {
        const struct family *family = &now->families[i];

        if (!family->submitted && !family->started)
            continue;
        if (which == 4) {
            for (unsigned part = 0; part < 2; part++)
                printf("baton_%s{pid=\"%u\",family=\"%s\",quantile=\"%s\"} %.9f\n", name,
                       page->header->pid, page->header->families[i], part ? "0.99" : "0.5",
                       quantile(now, family, part ? .99 : .5) / 1e9);
            continue;
        }
        printf("baton_%s{pid=\"%u\",family=\"%s\"} %" PRIu64 "\n", name, page->header->pid,
               page->header->families[i],
               which == 0   ? family->submitted
               : which == 1 ? family->started
               : which == 2 ? family->dropped
                            : (uint64_t)in_flight(family));
    }
}

static void print_prometheus(const struct page *page, const struct sample *now)
{
    print_metric(page, now, "handoffs_total", "counter", "Handoffs so far.", 0);
    print_metric(page, now, "handoffs_started_total", "counter", "Handoffs that have begun to run.",
                 1);
    print_metric(page, now, "handoffs_dropped_total", "counter", "Handoffs given up without a run.",
                 2);
    print_metric(page, now, "handoffs_in_flight", "gauge", "Handoffs whose context is kept now.",
                 3);
    print_metric(page, now, "handoff_wait_seconds", "gauge",
                 "Time between handing over and running.", 4);
    printf("# HELP baton_oldest_seconds Age of the oldest handoff in flight.\n# TYPE "
           "baton_oldest_seconds gauge\n"
           "baton_oldest_seconds{pid=\"%u\"} %.9f\n",
           page->header->pid, (double)now->oldest_ns / 1e9);
    printf("# HELP baton_threads Threads that have handed over or run work.\n# TYPE baton_threads "
           "gauge\n"
           "baton_threads{pid=\"%u\"} %u\n",
           page->header->pid, now->threads);
}

/* The table fills the screen until a key ends it, or the process has ended. The bold line is the table's head. */
static void show_on_screen(const struct page *page, struct sample *before, long count)
{
    static struct sample now;
    bool is_over = screen_wait(SCREEN_FIRST_MS);

    for (long i = 0; !is_over && (!count || i < count); i++) {
        char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);

        if (!out)
            break;
        take(page, &now);
        print_table(out, page, &now, before);
        fprintf(out, "\nq ends\n");
        if (fclose(out) == 0)
            screen_show(text, 1);
        free(text);
        if (!is_alive(page))
            break;
        *before = now;
        is_over = screen_wait(1000);
    }
    screen_end();
}

int cmd_top(const struct cli *cli)
{
    bool is_once = cli_has(cli, OPT_top_json) || cli_has(cli, OPT_top_prometheus);
    bool is_table = !is_once;
    const char *value = cli_value(cli, OPT_top_count);
    long count = value ? strtol(value, NULL, 10) : is_once ? 1 : 0;
    struct timespec second = {1, 0};
    static struct sample now, before;
    struct page page;
    char *end = NULL;
    int pid = cli->argc ? (int)strtol(cli->argv[0], &end, 10) : find_only();

    if (cli->argc > 1 || (cli->argc && (pid <= 0 || *end)))
        usage_error("top: a process number is needed");
    if (!page_open(pid, &page))
        fail(EXIT_FAILED, "process %d shows nothing: start it with BATON_LIVE=on", pid);
    take(&page, &before);
    if (is_table && screen_begin()) {
        show_on_screen(&page, &before, count);
        return 0;
    }
    if (is_table)
        nanosleep(&second, NULL);
    for (long i = 0; !count || i < count; i++) {
        if (i)
            nanosleep(&second, NULL);
        take(&page, &now);
        if (cli_has(cli, OPT_top_json))
            print_json(&page, &now);
        else if (cli_has(cli, OPT_top_prometheus))
            print_prometheus(&page, &now);
        else
            print_table(stdout, &page, &now, &before);
        if (!is_alive(&page))
            break;
        before = now;
    }
    return 0;
}
