/*
 * baton-discover, which `baton discover` starts: a process of its own, because what it reads may be anything and
 * the libraries that it needs would make every start of the launcher slower.
 *
 *   baton-discover static PROGRAM text|json
 *   baton-discover fits FILE ADDRESS ROLE SIZE [FILE ADDRESS ROLE]  is the function there what an item takes it for, and
 *                                                        does it take what the second one, its reader, answers?
 *   baton-discover hooks FILE                            have functions of it the arguments that items say (fits_hook.c)?
 *   baton-discover lines                                 where in the source addresses are (lines.c)
 *   baton-discover judge FACTS text|json [FILE.conf]     FACTS: a file, or a folder with one a process
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sys.h"
#include "base/text.h"
#include "elf/file.h"
#include "facts.h"
#include "write.h"

/* Names of files come through without what a terminal would obey. */
static int print_clean(FILE *out, char *text, size_t len)
{
    char *end;

    for (char *line = text; line < text + len; line = end + 1) {
        end = memchr(line, '\n', (size_t)(text + len - line));
        if (!end)
            end = text + len;
        text_clean(line, (size_t)(end - line));
    }
    return fwrite(text, 1, len, out) == len && fflush(out) == 0 ? 0 : 1;
}

/* ---- a terminal sees that something goes on ---- */

enum { PATIENCE_S = 2 };
static volatile sig_atomic_t seconds;

static void show_second(int number)
{
    char line[] = "\rbaton: looking at what there is:      s";
    char *digit = line + sizeof line - 4;
    int left = ++seconds;
    ssize_t ignored;

    if (left < PATIENCE_S)
        return;
    do {
        *digit-- = (char)('0' + left % 10);
    } while (left /= 10);
    ignored = write(STDERR_FILENO, line, sizeof line - 1);
    (void)ignored;
}

static void begin_progress(void)
{
    const struct itimerval second = {{1, 0}, {1, 0}};
    struct sigaction action = {.sa_handler = show_second, .sa_flags = SA_RESTART};

    if (isatty(STDERR_FILENO) && sigaction(SIGALRM, &action, NULL) == 0)
        setitimer(ITIMER_REAL, &second, NULL);
}

static void end_progress(void)
{
    const struct itimerval never = {{0, 0}, {0, 0}};

    setitimer(ITIMER_REAL, &never, NULL);
    if (seconds >= PATIENCE_S)
        fprintf(stderr, "\r%*s\r", 60, "");
    seconds = 0;
}

/* Of the processes of a run the one that has most to tell. */
static char *choose(const char *folder)
{
    DIR *list = opendir(folder);
    struct dirent *entry;
    char *best = NULL;
    uint32_t most = 0;
    struct discover_header *head = allocated(malloc(sizeof *head)); /* too large for a stack */

    if (!list) {
        free(head);
        return allocated(strdup(folder));
    }
    while ((entry = readdir(list))) {
        char *path = joined("%s/%s", folder, entry->d_name);
        FILE *file = entry->d_name[0] == '.' ? NULL : fopen(path, "re");

        if (file && fread(head, offsetof(struct discover_header, module), 1, file) == 1 &&
            !memcmp(head->magic, DISCOVER_MAGIC, sizeof head->magic) &&
            (!best || head->events > most)) {
            best = path;
            most = head->events;
        }
        if (file)
            fclose(file);
    }
    closedir(list);
    free(head);
    return best;
}

int verb_judge(const char *path, bool is_json, const char *conf)
{
    char *chosen = choose(path);
    char *text = NULL;
    size_t len = 0;
    FILE *out, *memory;

    if (!chosen || !facts_open(chosen)) {
        uint64_t limit = sys_file_limit();

        end_progress();
        if (limit < sizeof(struct discover_header)) {
            fprintf(stderr,
                    "baton: the run has left nothing to judge: a file of %zu bytes is wanted, the "
                    "limit is %lu (ulimit -f)\n",
                    sizeof(struct discover_header), (unsigned long)limit);
            return 1;
        }
        fprintf(
            stderr,
            "baton: the run has left nothing to judge: the library was not loaded, or the program "
            "ended before it began\n");
        return 1;
    }
    for (unsigned i = 0; i < modules_count; i++) {
        if (modules[i].elf.tls_size && !facts_is_runtime(names_of(&modules[i])))
            code_variables(names_of(&modules[i]));
    }
    follow();
    pools_compare();
    typed_look();
    known_find();
    judge();
    typed_name();
    if (is_json)
        write_json();
    if (!is_json && !conf)
        write_conf(stdout);
    if (!conf)
        return 0;
    memory = allocated(open_memstream(&text, &len));
    write_conf(memory);
    fclose(memory);
    out = fopen(conf, "we");
    if (!out || print_clean(out, text, len) || fclose(out) != 0) {
        fprintf(stderr, "baton: %s: %s\n", conf, strerror(errno));
        return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    FILE *terminal = stdout, *kept;
    char *text = NULL;
    size_t len = 0;
    bool is_static = argc == 4 && !strcmp(argv[1], "static");
    bool is_fits = (argc == 6 || argc == 9) && !strcmp(argv[1], "fits");
    bool is_hooks = argc == 3 && !strcmp(argv[1], "hooks");
    bool is_lines = argc == 2 && !strcmp(argv[1], "lines");
    bool is_judge = (argc == 4 || argc == 5) && !strcmp(argv[1], "judge");
    int status;

    log_level = -1;
    if (!is_static && !is_judge && !is_fits && !is_hooks && !is_lines) {
        fprintf(
            stderr,
            "usage: baton-discover static PROGRAM text|json, baton-discover judge FACTS text|json "
            "[FILE]\n");
        return 2;
    }
    begin_progress();
    /* libstdc++ flushes at exit what is the standard output when it is loaded, for its demangler: the real one. */
    free(facts_demangled("_Z1fv"));
    kept = stdout = allocated(open_memstream(&text, &len));
    status = is_fits    ? verb_fits(argv + 2, (unsigned)argc - 2)
             : is_hooks ? verb_fits_hooks(argv[2])
             : is_lines ? verb_lines()
             : is_static
                 ? verb_static(argv[2], !strcmp(argv[3], "json"))
                 : verb_judge(argv[2], !strcmp(argv[3], "json"), argc == 5 ? argv[4] : NULL);
    stdout = terminal;
    fclose(kept);
    end_progress();
    return print_clean(stdout, text, len) ? 1 : status;
}
