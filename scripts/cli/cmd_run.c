/*
 * baton run: sets the environment and becomes the program, so that its process is the one that was
 * started: same number, same status, same signals.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"

static void take_settings(const struct cli *cli)
{
    for (unsigned i = 0; i < cli->given_count; i++) {
        const char *value = cli->given[i].value;

        switch (cli->given[i].option) {
        case OPT_run_carry:
            setting_add("BATON_CARRY", value);
            break;
        case OPT_run_hook:
            setting_add("BATON_HOOKS", value);
            break;
        case OPT_run_preset:
            setting_add("BATON_HOOKS", joined("preset:%s", value));
            break;
        case OPT_run_config:
            setting_config(value);
            break;
        case OPT_run_report:
            setting_report(value);
            break;
        default:
            break;
        }
    }
}

/* musl's loader ends a program whose preload needs glibc. The loader's name stands behind the headers. */
static bool is_musl(const char *program)
{
    char head[4096];
    int fd = open(program, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? 0 : read(fd, head, sizeof head);

    if (fd >= 0)
        close(fd);
    return len > 0 && memmem(head, (size_t)len, "/ld-musl-", 9);
}

static bool is_set(const char *name)
{
    const char *value = getenv(name);

    return value && *value;
}

/* Is there anything that has to be planned before the program starts? weak: a setter may have to be watched. */
static bool needs_plan(void)
{
    const char *carry = getenv("BATON_CARRY");

    return is_set("BATON_HOOKS") || is_set("BATON_CONFIG") || (carry && strstr(carry, ",weak"));
}

/* The object for functions that the user names; NULL: none is needed. baton-plan says what cannot be hooked;
 * it is a process of its own, so that no file can harm this one. */
static char *plan_object(const char *program)
{
    char *planner = our_file("baton-plan"), line[4200] = "";
    int ends[2], status;
    pid_t child;
    FILE *in;

    if (access(planner, X_OK) != 0 || pipe2(ends, O_CLOEXEC) != 0)
        return NULL;
    child = fork();
    if (child == 0) {
        setenv("LD_PRELOAD", "", 1);
        dup2(ends[1], 1);
        execl(planner, planner, "object", program, (char *)NULL);
        _exit(EXIT_NOT_FOUND);
    }
    close(ends[1]);
    in = fdopen(ends[0], "r");
    if (in && !fgets(line, sizeof line, in))
        line[0] = '\0';
    if (in)
        fclose(in);
    line[strcspn(line, "\n")] = '\0';
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0 || !line[0])
        return NULL;
    return allocated(strdup(line));
}

static int become(char **argv)
{
    int error;

    /* The name as typed, so that the program's argv[0] is what it would be without us. */
    execvp(argv[0], argv);
    error = errno;
    say("%s: cannot be run: %s", clean(argv[0]), strerror(error));
    return error == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN;
}

int cmd_run(const struct cli *cli)
{
    char *library = our_file("libbaton.so"), *object = NULL, *program;

    take_settings(cli);
    if (!cli->argc)
        usage_error("run: no program given");
    program = program_find(cli->argv[0]);
    if (access(library, R_OK) != 0)
        fail(EXIT_FAILED, "cannot find %s (in the source tree, run make first)", clean(library));
    if (strpbrk(library, ": "))
        fail(EXIT_FAILED,
             "cannot preload %s: LD_PRELOAD has no way to write a space or colon in a path",
             clean(library));
    if (is_musl(program)) {
        say("%s: made for musl, another C library; it runs without baton", clean(program));
        return become(cli->argv);
    }
    if (needs_plan())
        object = plan_object(program);
    if (setenv("LD_PRELOAD", preload_list(program, object, library), 1) != 0)
        fail(EXIT_FAILED, "out of memory");
    return become(cli->argv);
}
