/*
 * A crash report (shim/observe/crash.c writes it), read again: names as the source has them, and where in the source
 * each frame is.
 *
 * Rules: the text may be anything, a whole log with reports in it, cut short or made up. Lines that are no frames come
 * out as they were, but cleaned. What a report names is looked into by a process of its own (baton-discover lines).
 */
#include <ctype.h>
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"

extern char **environ;

enum { TEXT_MAX = 64 << 20, NAME_MAX_HERE = 1024 };

/* A line, and what of it is a frame: "#2 NAME+0x1f (MODULE+0x1301)", or "#2 MODULE+0x1301". */
struct report_line {
    char *text;
    char *name, *name_end;     /* a mangled one, NULL: none */
    char *module, *module_end; /* NULL: no frame */
    unsigned long long address;
    bool is_call;
    char *readable, *place; /* what was found */
};

struct report {
    struct report_line *lines;
    size_t count;
};

/* "... MODULE+0xHEX": where the module's name begins is the caller's to say. */
static bool take_offset(char *from, char *end, struct report_line *line)
{
    char *plus = NULL, *digits_end;

    for (char *at = from; at + 3 < end; at++) {
        if (!memcmp(at, "+0x", 3))
            plus = at;
    }
    if (!plus || plus == from || !isxdigit((unsigned char)plus[3]))
        return false;
    line->address = strtoull(plus + 3, &digits_end, 16);
    line->module = from;
    line->module_end = plus;
    return digits_end == end;
}

static void take_frame(struct report_line *line)
{
    char *at = strchr(line->text, '#'), *end = line->text + strlen(line->text), *open = NULL;
    unsigned long number;

    if (!at || !isdigit((unsigned char)at[1]))
        return;
    number = strtoul(at + 1, &at, 10);
    if (*at++ != ' ')
        return;
    line->is_call = number > 0;
    if (end > at && end[-1] == ')') {
        for (char *look = at; (look = strstr(look, " (")); look++)
            open = look;
        if (!open || !take_offset(open + 2, end - 1, line)) {
            line->module = NULL;
            return;
        }
        line->name_end = at + strcspn(at, "+ ");
        if (!strncmp(at, "_Z", 2) && line->name_end - at < NAME_MAX_HERE)
            line->name = at;
    } else if (!take_offset(at, end, line)) {
        line->module = NULL;
    }
}

/* "submitted by" lines stand before frames that are return addresses from the first on. */
static void mark_calls(struct report *report)
{
    bool is_submitted = false;

    for (size_t i = 0; i < report->count; i++) {
        if (strstr(report->lines[i].text, "baton: SIG"))
            is_submitted = false;
        else if (strstr(report->lines[i].text, "  submitted by"))
            is_submitted = true;
        report->lines[i].is_call |= is_submitted;
    }
}

static void split(struct report *report, char *text)
{
    size_t room = 0;
    char *next;

    for (; text && *text; text = next) {
        next = strchr(text, '\n');
        if (next)
            *next++ = '\0';
        if (report->count == room) {
            room = room ? 2 * room : 256;
            report->lines = allocated(realloc(report->lines, room * sizeof *report->lines));
        }
        report->lines[report->count] = (struct report_line){.text = text};
        take_frame(&report->lines[report->count++]);
    }
    mark_calls(report);
}

/* "    PATH build-id HEX", of the modules behind the frame and before the next report. */
static const char *find_module(const struct report *report, size_t frame, int *path_len,
                               const char **id)
{
    const struct report_line *line = &report->lines[frame];
    size_t name_len = (size_t)(line->module_end - line->module);

    for (size_t i = frame + 1; i < report->count; i++) {
        const char *text = report->lines[i].text, *path = strstr(text, "    /"), *mark;

        if (strstr(text, "baton: SIG"))
            return NULL;
        mark = path ? strstr(path, " build-id ") : NULL;
        path = path ? path + 4 : NULL;
        if (!mark || (size_t)(mark - path) <= name_len || mark[-1 - (ptrdiff_t)name_len] != '/' ||
            strncmp(mark - name_len, line->module, name_len) != 0)
            continue;
        *path_len = (int)(mark - path);
        *id = mark + 10;
        return path;
    }
    return NULL;
}

/* Has what stands in QUESTIONS answered; NULL: there is no answer. */
static char *ask(int questions)
{
    char *const words[] = {our_file("baton-discover"), (char *)"lines", NULL};
    int answers = memfd_create("baton-lines", MFD_CLOEXEC), status = -1;
    posix_spawn_file_actions_t actions;
    char *text = NULL;
    pid_t child;
    off_t len;

    lseek(questions, 0, SEEK_SET);
    if (answers < 0 || posix_spawn_file_actions_init(&actions) != 0)
        return NULL;
    if (posix_spawn_file_actions_adddup2(&actions, questions, STDIN_FILENO) == 0 &&
        posix_spawn_file_actions_adddup2(&actions, answers, STDOUT_FILENO) == 0 &&
        posix_spawn(&child, words[0], &actions, NULL, words, environ) == 0) {
        while (waitpid(child, &status, 0) < 0 && errno == EINTR)
            ;
    }
    posix_spawn_file_actions_destroy(&actions);
    len = lseek(answers, 0, SEEK_END);
    if (status == 0 && len > 0) {
        text = allocated(calloc(1, (size_t)len + 1));
        if (pread(answers, text, (size_t)len, 0) != len)
            text[0] = '\0';
    }
    close(answers);
    return text;
}

/* One line of the answers, which are as many as the questions. */
static char *next_answer(char **answers)
{
    char *line = *answers, *end = line ? strchr(line, '\n') : NULL;

    if (!end)
        return NULL;
    *end = '\0';
    *answers = end + 1;
    return *line ? line : NULL;
}

static void find_names(struct report *report)
{
    int questions = memfd_create("baton-names", MFD_CLOEXEC);
    char *answers;

    for (size_t i = 0; i < report->count && questions >= 0; i++) {
        const struct report_line *line = &report->lines[i];

        if (line->name)
            dprintf(questions, "name %.*s\n", (int)(line->name_end - line->name), line->name);
    }
    answers = questions >= 0 && lseek(questions, 0, SEEK_END) > 0 ? ask(questions) : NULL;
    for (size_t i = 0; i < report->count && answers; i++) {
        if (report->lines[i].name)
            report->lines[i].readable = next_answer(&answers);
    }
    if (questions >= 0)
        close(questions);
}

static void find_places(struct report *report)
{
    int questions = memfd_create("baton-places", MFD_CLOEXEC), len;
    bool *is_asked = allocated(calloc(report->count + 1, sizeof *is_asked));
    const char *id;
    char *answers;

    for (size_t i = 0; i < report->count && questions >= 0; i++) {
        const struct report_line *line = &report->lines[i];
        const char *path = line->module ? find_module(report, i, &len, &id) : NULL;

        /* A return address may be of the line behind the call. */
        is_asked[i] = path && len < 4096;
        if (is_asked[i])
            dprintf(questions, "%.*s %llx %.*s\n", (int)strspn(id, "0123456789abcdefno"), id,
                    line->address - line->is_call, len, path);
    }
    answers = questions >= 0 && lseek(questions, 0, SEEK_END) > 0 ? ask(questions) : NULL;
    for (size_t i = 0; i < report->count && answers; i++) {
        if (is_asked[i])
            report->lines[i].place = next_answer(&answers);
    }
    if (questions >= 0)
        close(questions);
    free(is_asked);
}

/* From here on, where it lies below. */
static const char *shorter(const char *place)
{
    static char folder[4096];
    size_t len;

    if (!folder[0] && !getcwd(folder, sizeof folder))
        folder[0] = '\0';
    len = strlen(folder);
    return len > 1 && !strncmp(place, folder, len) && place[len] == '/' ? place + len + 1 : place;
}

static void print_report(const struct report *report, bool has_modules)
{
    for (size_t i = 0; i < report->count; i++) {
        const struct report_line *line = &report->lines[i];

        if (!has_modules && !strcmp(line->text, "  modules"))
            return;
        if (line->readable) {
            *line->name = '\0';
            printf("%s%s", clean(line->text), clean(line->readable));
            *line->name = '_';
            printf("%s", clean(line->name_end));
        } else {
            printf("%s", clean(line->text));
        }
        if (line->place)
            printf(" at %s", clean(shorter(line->place)));
        printf("\n");
    }
}

void crash_report_print(char *text, bool has_modules)
{
    struct report report = {NULL, 0};

    split(&report, text);
    find_names(&report);
    find_places(&report);
    print_report(&report, has_modules);
    free(report.lines);
}

void crash_report_file(const char *path)
{
    size_t room = 1 << 16, len = 0, got;
    char *text = allocated(malloc(room));
    FILE *in = strcmp(path, "-") != 0 ? fopen(path, "re") : stdin;

    if (!in)
        fail(EXIT_FAILED, "%s: %s", clean(path), strerror(errno));
    while ((got = fread(text + len, 1, room - len - 1, in)) > 0) {
        len += got;
        if (len > TEXT_MAX)
            fail(EXIT_FAILED, "%s: too long for a crash report", clean(path));
        if (len + 1 == room)
            text = allocated(realloc(text, room *= 2));
    }
    if (ferror(in))
        fail(EXIT_FAILED, "%s: %s", clean(path), strerror(errno));
    for (size_t i = 0; i < len; i++) {
        if (!text[i])
            text[i] = '\1'; /* is shown cleaned */
    }
    text[len] = '\0';
    crash_report_print(text, true);
    free(text);
}
