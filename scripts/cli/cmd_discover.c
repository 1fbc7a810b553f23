/*
 * baton discover: what a program has that could be carried. The program runs with libbaton-discover.so, which notes
 * down what its threads hold when work changes hands; what looks into files and judges what was noted down is
 * baton-discover, a process of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"

/* FILE of -o; NULL: standard output, which - is. */
static const char *output_of(const struct cli *cli)
{
    const char *output = cli_value(cli, OPT_discover_output);
    bool is_stdout = output && !strcmp(output, "-");

    if (is_stdout && cli_has(cli, OPT_discover_json))
        usage_error("discover: --json is standard output, too: -o takes a file beside it");
    return is_stdout ? NULL : output;
}

static const char *form(const struct cli *cli)
{
    return cli_has(cli, OPT_discover_json) ? "json" : "text";
}

/* What the file of a program is, as check says it. */
static char *look_at(const struct cli *cli, bool is_static)
{
    char *path = program_find(cli->argv[0]), *behind = program_behind(path, cli->argv + 1);
    struct program program;

    if (behind && is_static)
        path = behind;
    program_inspect(behind ? behind : path, &program);
    if (program_refusal(&program))
        fail(EXIT_FAILED, "%s: %s", program_name(&program), program_refusal(&program));
    return program.is_script && is_static ? allocated(strdup(program.file)) : path;
}

static int become_static(const struct cli *cli)
{
    char *helper = our_file("baton-discover"), *path;

    if (cli->argc != 1)
        usage_error("discover: --static takes one program");
    path = look_at(cli, true);
    unsetenv("LD_PRELOAD");
    execl(helper, helper, "static", path, form(cli), (char *)NULL);
    fail(EXIT_FAILED, "cannot run %s: %s", clean(helper), strerror(errno));
}

/* ---- a process that runs ---- */

/* The file that it writes, by its environment; NULL: none. */
static char *file_of_process(const char *pid)
{
    static char environment[1 << 20];
    int fd = open(joined("/proc/%s/environ", pid), O_RDONLY | O_CLOEXEC);
    size_t len = 0;
    ssize_t got;

    if (fd < 0)
        fail(EXIT_FAILED, "process %s: %s", clean(pid), strerror(errno));
    while (len < sizeof environment - 1 &&
           (got = read(fd, environment + len, sizeof environment - 1 - len)) > 0)
        len += (size_t)got;
    close(fd);
    for (size_t at = 0; at < len; at += strlen(environment + at) + 1) {
        char *value = environment + at, *percent;

        if (strncmp(value, "BATON_DISCOVER=", 15) != 0)
            continue;
        value += 15;
        percent = strstr(value, "%p");
        return percent ? joined("%.*s%s%s", (int)(percent - value), value, pid, percent + 2)
                       : allocated(strdup(value));
    }
    return NULL;
}

static int judge_now(const struct cli *cli)
{
    const char *pid = cli_value(cli, OPT_discover_now), *output = output_of(cli);
    char *helper = our_file("baton-discover"), *file;

    if (cli->argc || !*pid || pid[strspn(pid, "0123456789")])
        usage_error("discover: --now takes the number of a process, and no program");
    file = file_of_process(pid);
    if (!file || access(file, R_OK) != 0)
        fail(EXIT_FAILED,
             "process %s notes nothing down: start it by baton discover, or with "
             "BATON_DISCOVER=/FILE.%%p and "
             "LD_PRELOAD=%s",
             clean(pid), clean(our_file("libbaton-discover.so")));
    execl(helper, helper, "judge", file, form(cli), output, (char *)NULL);
    fail(EXIT_FAILED, "cannot run %s: %s", clean(helper), strerror(errno));
}

/* ---- a run ---- */

static double seconds_of(const char *text)
{
    char *end;
    double seconds = strtod(text, &end);

    if (end == text || *end || !(seconds > 0) || seconds > 1e6)
        usage_error("discover: --for %s: expected seconds, as in 10", clean(text));
    return seconds;
}

/* Ends the program after so many seconds: it is asked to, and made to when it does not hear. */
static void end_after(const char *seconds)
{
    enum { GRACE_S = 10 };
    double wanted = seconds_of(seconds);
    pid_t program = getppid();
    struct timespec rest;

    if (fork() != 0)
        return;
    program = getppid();
    rest.tv_sec = (time_t)wanted;
    rest.tv_nsec = (long)((wanted - (double)rest.tv_sec) * 1e9);
    /* Our parent becomes the program: when it has ended, somebody else is our parent. */
    unsetenv("LD_PRELOAD");
    for (int i = 0; i < 3; i++) {
        int null = open("/dev/null", O_RDWR);

        dup2(null, i);
    }
    nanosleep(&rest, NULL);
    if (getppid() == program)
        kill(program, SIGTERM);
    for (int i = 0; i < GRACE_S * 10 && getppid() == program; i++)
        nanosleep(&(struct timespec){0, 100000000}, NULL);
    if (getppid() == program)
        kill(program, SIGKILL);
    _exit(0);
}

static const char *time_limit;

static int become_limited(char **argv)
{
    if (time_limit)
        end_after(time_limit);
    return become_program(argv);
}

static int judge_folder(const struct cli *cli, const char *folder)
{
    const char *output = output_of(cli);
    char *helper = our_file("baton-discover");
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        unsetenv("LD_PRELOAD");
        execl(helper, helper, "judge", folder, form(cli), output, (char *)NULL);
        say("cannot run %s: %s", clean(helper), strerror(errno));
        _exit(EXIT_FAILED);
    }
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return child > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILED;
}

/* Has the file that was written such a line? BEGINNING: of a comment that stands for an item to be filled in; NULL: an
 * item. Presets alone carry nothing; functions are named only where something is to be carried. */
static bool has_line(const char *file, const char *beginning)
{
    FILE *in = fopen(file, "re");
    bool found = !in;
    char line[4096];

    while (!found && fgets(line, sizeof line, in))
        found = beginning ? !strncmp(line, beginning, strlen(beginning))
                          : line[0] != '#' && strncmp(line, "preset:", 7) != 0 &&
                                line[strspn(line, " \t\r\n")];
    if (in)
        fclose(in);
    return found;
}

static int discover_run(const struct cli *cli)
{
    const char *output = output_of(cli);
    char *path = look_at(cli, false), *library = preload_library("libbaton-discover.so"), *folder;
    char *before = getenv("LD_PRELOAD") ? allocated(strdup(getenv("LD_PRELOAD"))) : NULL;
    int status, answer;

    time_limit = cli_value(cli, OPT_discover_for);
    if (time_limit)
        seconds_of(time_limit);
    if (output && access(output, F_OK) == 0 && access(output, W_OK) != 0)
        fail(EXIT_FAILED, "%s: %s", clean(output), strerror(errno));
    folder = make_folder("baton-discover-");
    if (!folder)
        fail(EXIT_FAILED, "no folder can be made in TMPDIR or /tmp: %s", strerror(errno));
    setenv("BATON_DISCOVER", joined("%s/%%p", folder), 1);
    setenv("LD_PRELOAD", preload_list(path, NULL, library), 1);
    status = wait_for_child(become_limited, cli->argv);
    unsetenv("BATON_DISCOVER");
    if (before)
        setenv("LD_PRELOAD", before, 1);
    else
        unsetenv("LD_PRELOAD");
    answer = judge_folder(cli, folder);
    remove_folder(folder);
    if (WIFSIGNALED(status) &&
        !(time_limit && (WTERMSIG(status) == SIGTERM || WTERMSIG(status) == SIGKILL)))
        say("%s was ended by signal %d", clean(cli->argv[0]), WTERMSIG(status));
    if (WIFEXITED(status) &&
        (WEXITSTATUS(status) == EXIT_NOT_FOUND || WEXITSTATUS(status) == EXIT_CANNOT_RUN) && answer)
        return WEXITSTATUS(status);
    if (!answer && output && !cli_has(cli, OPT_discover_json) && has_line(output, "#qt:"))
        say("written to %s; say in it what copies the QThreadStorage, and take the # away; then: "
            "baton run "
            "--config %s -- %s",
            clean(output), quoted(output), quoted(cli->argv[0]));
    else if (!answer && output && !cli_has(cli, OPT_discover_json) && !has_line(output, NULL))
        say("written to %s, but nothing was found to carry: give %s more work to do, or more time",
            clean(output), clean(cli->argv[0]));
    else if (!answer && output)
        say("written to %s; next: baton run --config %s -- %s", clean(output), quoted(output),
            quoted(cli->argv[0]));
    return answer;
}

int cmd_discover(const struct cli *cli)
{
    if (cli_has(cli, OPT_discover_now))
        return judge_now(cli);
    if (!cli->argc)
        usage_error("discover: no program given");
    if (cli_has(cli, OPT_discover_static))
        return become_static(cli);
    return discover_run(cli);
}
