/*
 * Reports of processes that have not come to their exit: they run, or a signal has ended them. What they
 * count stands in a file beside that of the report (shim/base/live.h). Nothing in it is believed before it
 * was measured: it may be cut off, or be somebody else's.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/live.h"
#include "base/waits.h"
#include "cli.h"
#include "report.h"

struct mapped {
    const struct live_head *head;
    size_t len;
};

static bool has_sizes(const struct live_head *head, size_t len)
{
    size_t counters = (size_t)head->families * (16 + 4 * (size_t)head->reasons);

    return !memcmp(head->magic, LIVE_MAGIC, sizeof head->magic) && head->page_size >= 4096 &&
           head->families <= 1024 && head->reasons <= 64 && counters <= head->page_size &&
           (size_t)head->carried_at + 8 * head->families <= head->page_size &&
           (size_t)head->empty_at + 8 * head->families <= head->page_size &&
           (size_t)head->bare_at + 4 * head->families * head->reasons <= head->page_size &&
           (size_t)head->read_at + 8 <= head->page_size &&
           !((head->carried_at | head->empty_at | head->read_at) & 7) && !(head->bare_at & 3) &&
           head->pages_at >= LIVE_HEAD + 2 * LIVE_TEXT && head->pages_at % 4096 == 0 &&
           head->pages_at + (size_t)LIVE_PAGES * head->page_size <= len;
}

static bool map_file(const char *path, struct mapped *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat status;
    void *memory = MAP_FAILED;

    if (fd < 0)
        return false;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size >= LIVE_HEAD &&
        (status.st_uid == geteuid() || geteuid() == 0))
        memory = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (memory == MAP_FAILED)
        return false;
    *out = (struct mapped){memory, (size_t)status.st_size};
    if (has_sizes(out->head, out->len))
        return true;
    munmap(memory, out->len);
    return false;
}

/* The process, and not a later one that was given its number. */
static bool is_running(const struct live_head *head)
{
    char *path = joined("/proc/%d/stat", head->pid), text[1024], *at;
    FILE *in = fopen(path, "re");
    size_t len = in ? fread(text, 1, sizeof text - 1, in) : 0;

    free(path);
    if (in)
        fclose(in);
    text[len] = '\0';
    at = strrchr(text, ')');
    if (!at || at[1] != ' ' || at[2] == 'Z')
        return false;
    for (unsigned field = 2; at && field < 22; field++)
        at = strchr(at + 1, ' ');
    return at && strtoull(at + 1, NULL, 10) == head->start;
}

static const char *name_in(const json_t *list, size_t i)
{
    const char *name = json_string_value(json_array_get(list, i));

    return name ? name : "";
}

/* The counter at AT of a page, over all pages. */
static uint64_t sum_pages(const struct live_head *head, uint32_t pages, size_t at)
{
    uint64_t sum = 0;

    for (uint32_t page = 0; page < pages; page++)
        sum += *(const uint64_t *)(const void *)((const char *)head + head->pages_at +
                                                 (size_t)page * head->page_size + at);
    return sum;
}

/* "families" of the report, and "read", summed over the pages; what was counted in all. */
static uint64_t add_families(const struct live_head *head, json_t *report)
{
    const json_t *names = json_object_get(report, "family_names"),
                 *reasons = json_object_get(report, "bare_names");
    uint32_t pages = atomic_load(&head->pages);
    json_t *families = json_object();
    uint64_t all = 0;

    if (pages > LIVE_PAGES)
        pages = LIVE_PAGES;
    for (uint32_t family = 0; family < head->families; family++) {
        uint64_t carried = sum_pages(head, pages, head->carried_at + 8 * (size_t)family);
        uint64_t empty = sum_pages(head, pages, head->empty_at + 8 * (size_t)family), bare = 0;
        json_t *why = json_object(), *counts;

        for (uint32_t reason = 0; reason < head->reasons; reason++) {
            uint64_t sum = 0;

            for (uint32_t page = 0; page < pages; page++)
                sum += ((const uint32_t *)(const void *)((const char *)head + head->pages_at +
                                                         (size_t)page * head->page_size +
                                                         head->bare_at))[family * head->reasons +
                                                                         reason];
            if (sum)
                json_object_set_new(why, name_in(reasons, reason), json_integer((json_int_t)sum));
            bare += sum;
        }
        all += carried + empty + bare;
        if (carried + empty + bare && *name_in(names, family)) {
            counts = json_pack("{s:I,s:I,s:O}", "carried", (json_int_t)(carried + empty), "empty",
                               (json_int_t)empty, "bare", why);
            json_object_set_new(families, name_in(names, family), counts);
        }
        json_decref(why);
    }
    json_object_set_new(report, "families", families);
    if (json_object_get(report, "reads_are_seen"))
        json_object_set_new(report, "read",
                            json_integer((json_int_t)sum_pages(head, pages, head->read_at)));
    json_object_del(report, "reads_are_seen");
    json_object_del(report, "family_names");
    json_object_del(report, "bare_names");
    return all;
}

static json_t *place_of(const struct waits_place *place)
{
    char name[WAITS_NAME + 1] = "";

    if (!place->module)
        return json_sprintf("0x%llx", (unsigned long long)place->address);
    memcpy(name, place->module->name, WAITS_NAME);
    return json_sprintf("%s+0x%llx", clean(name),
                        (unsigned long long)(place->address - place->module->base));
}

/* "waited" of the report. Copied: it is written to while we read. */
static void add_waited(const struct live_head *head, json_t *report)
{
    struct waits_page *page = allocated(malloc(sizeof *page));
    struct waits_chosen chosen;

    memcpy(page, (const char *)head + LIVE_ROOM_AT, sizeof *page);
    if (waits_choose(page, &chosen))
        json_object_set_new(report, "waited",
                            json_pack("{s:o,s:o,s:I,s:I,s:I,s:I}", "at", place_of(&chosen.waiter),
                                      "from", place_of(&chosen.waker), "threads",
                                      (json_int_t)chosen.threads, "wakes", (json_int_t)chosen.wakes,
                                      "held", (json_int_t)chosen.held, "missed",
                                      (json_int_t)chosen.missed));
    free(page);
}

static const char *how_it_ended(const struct live_head *head, bool runs)
{
    if (runs)
        return "still running";
    if (head->is_over == LIVE_FEARED)
        return "ended in a sandbox, perhaps";
    return head->is_over ? "ended in a sandbox" : "ended without exit";
}

/* The report; NULL: none, or of a child that has counted nothing. *PROCESS: which, in words that no other has. */
static json_t *read_live(const char *path, bool *runs, char **process)
{
    struct mapped mapped;
    json_t *report = NULL;
    char *text;
    uint32_t which, len;

    if (!map_file(path, &mapped))
        return NULL;
    which = atomic_load(&mapped.head->text) & 1;
    len = mapped.head->text_len[which];
    if (len <= LIVE_TEXT) {
        /* Copied: it is written to while we read. */
        text = allocated(malloc(len + 1));
        memcpy(text, (const char *)mapped.head + LIVE_HEAD + which * LIVE_TEXT, len);
        report = json_loadb(text, len, JSON_ALLOW_NUL, NULL);
        free(text);
    }
    *runs = is_running(mapped.head);
    *process = joined("%d %llu", mapped.head->pid, (unsigned long long)mapped.head->start);
    if (report && !json_is_object(report)) {
        json_decref(report);
        report = NULL;
    }
    if (report) {
        uint64_t counted = add_families(mapped.head, report);

        add_waited(mapped.head, report);
        json_object_set_new(report, "pid", json_integer(mapped.head->pid));
        json_object_set_new(report, "ended", json_string(how_it_ended(mapped.head, *runs)));
        if (mapped.head->is_child && !counted) {
            json_decref(report);
            report = NULL;
        }
    }
    munmap((void *)(uintptr_t)mapped.head, mapped.len);
    return report;
}

/* Is NAME "BASE.PID.live"? */
static bool is_live_of(const char *name, const char *base)
{
    size_t len = strlen(base);

    if (strncmp(name, base, len) != 0 || name[len] != '.')
        return false;
    name += len + 1;
    len = strspn(name, "0123456789");
    return len && !strcmp(name + len, LIVE_SUFFIX);
}

static bool append(const char *file, const json_t *report)
{
    int fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    char *text = report_line(report), *line = joined("%s\n", text);
    bool is_written = fd >= 0 && write(fd, line, strlen(line)) == (ssize_t)strlen(line);

    if (fd >= 0)
        close(fd);
    free(text);
    free(line);
    return is_written;
}

/* The processes whose files were there before a run. */
static char **noted;
static size_t noted_count;

static bool is_noted(const char *process)
{
    for (size_t i = 0; i < noted_count; i++) {
        if (!strcmp(noted[i], process))
            return true;
    }
    return false;
}

static void note(char *process)
{
    noted = allocated(realloc(noted, (noted_count + 1) * sizeof *noted));
    noted[noted_count++] = process;
}

/* Adds to REPORTS; NULL: notes which there are. */
static void each_live(struct reports *reports, const char *file, bool take)
{
    const char *slash = strrchr(file, '/'), *base = slash ? slash + 1 : file;
    char *folder = slash ? joined("%.*s", (int)(slash - file + 1), file) : joined("./");
    DIR *dir = opendir(folder);
    struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        char *path, *process = NULL;
        json_t *report;
        bool runs = true;

        if (!is_live_of(entry->d_name, base))
            continue;
        path = joined("%s%s", folder, entry->d_name);
        report = read_live(path, &runs, &process);
        if (take && !runs && (!report || append(file, report)))
            unlink(path);
        if (report && reports && !is_noted(process))
            reports_add(reports, report);
        else
            json_decref(report);
        if (process && runs && reports && !is_noted(process))
            reports->running = strtol(process, NULL, 10);
        if (process && !reports)
            note(process);
        else
            free(process);
        free(path);
    }
    if (dir)
        closedir(dir);
    free(folder);
}

void reports_note_live(const char *file)
{
    each_live(NULL, file, false);
}

size_t reports_read_live(struct reports *reports, const char *file, bool take)
{
    size_t before = reports->count;

    each_live(reports, file, take);
    return reports->count - before;
}

void reports_read_now(struct reports *reports, const char *pid)
{
    char line[4200], *path, *name, *process = NULL;
    json_t *report = NULL;
    bool runs;
    FILE *in;

    if (!*pid || pid[strspn(pid, "0123456789")])
        usage_error("report: --now needs the number of a process, not %s", clean(pid));
    path = joined("/proc/%s/maps", pid);
    in = fopen(path, "re");
    if (!in)
        fail(EXIT_FAILED, "process %s: %s", pid,
             errno == ENOENT ? "there is none" : strerror(errno));
    while (!report && fgets(line, sizeof line, in)) {
        line[strcspn(line, "\n")] = '\0';
        name = strchr(line, '/');
        if (name && strlen(name) > 5 &&
            !strcmp(name + strlen(name) - strlen(LIVE_SUFFIX), LIVE_SUFFIX))
            report = read_live(name, &runs, &process);
    }
    fclose(in);
    free(path);
    free(process);
    if (!report)
        fail(EXIT_FAILED,
             "process %s has no live report: it was not started with --report FILE (or "
             "BATON_REPORT=FILE), or has "
             "handed nothing over yet",
             pid);
    reports_add(reports, report);
}
