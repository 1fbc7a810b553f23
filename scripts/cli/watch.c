/*
 * A run that is told about at its end: the program's processes write their reports, and the verdict is read
 * from these. Where the user named a plain file, it is that one; else one of ours, which goes with the run.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/said.h"
#include "cli.h"

#ifdef HAVE_JANSSON
#include "report.h"
#include "verdict.h"

static bool is_asked_for_anything(void)
{
    const char *const names[] = {"BATON_CARRY", "BATON_HOOKS", "BATON_CONFIG"};

    for (unsigned i = 0; i < 3; i++) {
        const char *value = getenv(names[i]);

        if (value && *value)
            return true;
    }
    return false;
}

static bool is_our_number(const char *name)
{
    const char *value = getenv(name);

    return value && *value && strtol(value, NULL, 10) == getpid();
}

/* Does who started us speak to the process that he started, as systemd does of Type=notify and of a socket? Then that one
 * has to be the program. */
static bool is_spoken_to(void)
{
    const char *socket = getenv("NOTIFY_SOCKET");

    if (is_our_number("LISTEN_PID") || is_our_number("WATCHDOG_PID"))
        return true;
    return socket && *socket &&
           (getenv("SYSTEMD_EXEC_PID") ? is_our_number("SYSTEMD_EXEC_PID")
                                       : !isatty(STDERR_FILENO));
}

bool watch_is_wanted(const struct cli *cli)
{
    if (is_spoken_to())
        return false;
    if (cli_has(cli, OPT_run_require) || cli_has(cli, OPT_run_verdict))
        return true;
    if (cli_has(cli, OPT_run_no_verdict))
        return false;
    return cli_has(cli, OPT_run_report) || (isatty(STDERR_FILENO) && is_asked_for_anything());
}

void watch_say_why_not(const struct cli *cli)
{
    if (is_spoken_to() && (cli_has(cli, OPT_run_verdict) || cli_has(cli, OPT_run_require)))
        say("no verdict: the service manager speaks to the process that it has started, which "
            "becomes "
            "the program; --report FILE, and baton report FILE afterwards");
}

struct watched {
    const char *asked; /* what the user named; NULL: nothing */
    char *file, *folder;
    long long from; /* in the file: what was there before */
};

/* A file that other users whom the program becomes can add to, and that nobody else finds. */
static bool make_own_file(struct watched *watched)
{
    int fd;

    watched->folder = make_folder("baton-run-");
    if (!watched->folder)
        return false;
    watched->file = joined("%s/XXXXXX", watched->folder);
    fd = mkostemp(watched->file, O_CLOEXEC);
    if (fd < 0 || fchmod(fd, 0622) != 0 || chmod(watched->folder, 0711) != 0) {
        rmdir(watched->folder);
        return false;
    }
    close(fd);
    return setenv("BATON_REPORT", watched->file, 1) == 0;
}

static bool is_one_file(const char *name)
{
    return name && *name && strcmp(name, "stdout") != 0 && strcmp(name, "stderr") != 0 &&
           !strstr(name, "%p");
}

static bool begin(struct watched *watched)
{
    struct stat status;

    watched->asked = getenv("BATON_REPORT");
    if (watched->asked)
        watched->asked = allocated(strdup(watched->asked));
    if (!is_one_file(watched->asked))
        return make_own_file(watched);
    watched->file = allocated(strdup(watched->asked));
    watched->from = stat(watched->file, &status) == 0 && S_ISREG(status.st_mode) ? status.st_size
                                                                                 : 0;
    reports_note_live(watched->file);
    return true;
}

/* Writes what is in our file to where the user wanted it. */
static void hand_on(const struct watched *watched, const struct reports *reports)
{
    bool is_stdout = watched->asked && !strcmp(watched->asked, "stdout");

    for (size_t i = 0; watched->asked && i < reports->count; i++) {
        char *line = report_line(reports->at[i]);
        const char *percent = strstr(watched->asked, "%p");
        char *name = percent ? joined("%.*s%lld%s", (int)(percent - watched->asked), watched->asked,
                                      report_number(reports->at[i], "pid"), percent + 2)
                             : NULL;
        int fd = name ? open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600)
                 : is_stdout ? STDOUT_FILENO
                             : STDERR_FILENO;

        line = joined("%s\n", line);
        if (fd < 0 || write(fd, line, strlen(line)) < 0)
            say("%s: cannot be written: %s", clean(name ? name : watched->asked), strerror(errno));
        if (fd > STDERR_FILENO)
            close(fd);
    }
}

/* What else there is to ask where it crashed with something carried; "" where it is said already, or nobody crashed. */
static const char *where_it_crashed(int signal)
{
    const char *stacks = getenv("BATON_STACKS");
    bool is_crash = signal == SIGSEGV || signal == SIGBUS || signal == SIGILL || signal == SIGFPE ||
                    signal == SIGABRT;

    return is_crash && is_asked_for_anything() && (!stacks || strtol(stacks, NULL, 10) <= 0)
               ? "; where, and which keys it missed: BATON_STACKS=8"
               : "";
}

static struct verdict conclude(const struct reports *reports, const char *program, int status,
                               bool has_file)
{
    const char *name;

    /* Who carries nothing leaves no report where it ends by _exit. */
    if (reports->count || !is_asked_for_anything()) {
        struct verdict verdict = verdict_of(reports, program);

        if (WIFSIGNALED(status))
            verdict.text = joined("%s (ended by signal %d, %s%s)", verdict.text, WTERMSIG(status),
                                  strsignal(WTERMSIG(status)), where_it_crashed(WTERMSIG(status)));
        if (reports->running)
            verdict.text =
                joined(has_file ? "%s (process %ld still runs: baton report --now %ld)"
                                : "%s (process %ld still runs: --report FILE keeps what it counts)",
                       verdict.text, reports->running, reports->running);
        return verdict;
    }
    name = quoted(program);
    if (WIFEXITED(status) &&
        (WEXITSTATUS(status) == EXIT_SETTINGS || WEXITSTATUS(status) == EXIT_REQUIRED))
        return (struct verdict){
            VERDICT_NOTHING,
            joined("NOTHING CARRIED: BATON_STRICT ended the program before its main function; "
                   "why stands above")};
    return (struct verdict){VERDICT_NOTHING,
                            WIFSIGNALED(status)
                                ? joined("NOTHING CARRIED, as far as is known: the program was "
                                         "ended by signal %d (%s) and left no report; can the "
                                         "library be loaded: baton check %s",
                                         WTERMSIG(status), strsignal(WTERMSIG(status)), name)
                                : joined("NOTHING CARRIED, as far as is known: no process of the "
                                         "program left a report; can the library be loaded: baton "
                                         "check %s",
                                         name)};
}

/* A page in memory, which is gone when we are, for what the processes of the run have said. Where there is none each says
 * it. */
static void share_what_is_said(void)
{
    int fd = memfd_create(SAID_NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd >= 0 && ftruncate(fd, SAID_BYTES) == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        setenv(SAID_VARIABLE, joined("%ld:%d", (long)getpid(), fd), 1);
}

void watch_run(const struct cli *cli, int (*become)(char **argv))
{
    struct watched watched = {0};
    struct reports reports = {.count = 0};
    struct verdict verdict;
    int status;

    if (!begin(&watched))
        return;
    share_what_is_said();
    status = wait_for_child(become, cli->argv);
    reports_read_since(&reports, watched.file, watched.from);
    reports_read_live(&reports, watched.file, true);
    if (watched.folder) {
        hand_on(&watched, &reports);
        /* With what a daemon keeps there: where it ends, nobody reads it. */
        remove_folder(watched.folder);
    }
    verdict = conclude(&reports, cli->argv[0], status, !watched.folder);
    if (!cli_has(cli, OPT_run_no_verdict) || verdict.word != VERDICT_OK)
        verdict_print(stderr, &verdict);
    if (cli_has(cli, OPT_run_require) && verdict.word != VERDICT_OK && WIFEXITED(status) &&
        !WEXITSTATUS(status))
        exit(EXIT_REQUIRED);
    end_as(status);
}
#else
void watch_say_why_not(const struct cli *cli)
{
}

bool watch_is_wanted(const struct cli *cli)
{
    return false;
}

void watch_run(const struct cli *cli, int (*become)(char **argv))
{
}
#endif
