/*
 * baton-plan, which looks into programs: a process of its own, so that no file can harm this one. What it says has
 * names of the file in it, and is printed cleaned; when it takes long, a terminal sees that something goes on.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"

extern char **environ;

static char *read_all(int fd, const char *program)
{
    size_t room = 4096, len = 0;
    char *text = allocated(malloc(room));

    progress_begin(joined("looking at %s", clean(program)));
    for (;;) {
        ssize_t got = read(fd, text + len, room - len - 1);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        len += (size_t)got;
        if (len + 1 == room)
            text = allocated(realloc(text, room *= 2));
    }
    progress_end();
    text[len] = '\0';
    return text;
}

/* Line by line: an end of line is none of the characters that are cleaned away. */
static void print_clean(FILE *out, const char *text)
{
    while (*text) {
        size_t len = strcspn(text, "\n");
        char *line = allocated(strndup(text, len));

        fprintf(out, "%s\n", clean(line));
        free(line);
        text += len + (text[len] == '\n');
    }
    fflush(out);
}

static void print_errors(int fd)
{
    size_t len = (size_t)lseek(fd, 0, SEEK_END);
    char *text = allocated(calloc(1, len + 1));

    if (pread(fd, text, len, 0) == (ssize_t)len)
        print_clean(stderr, text);
    free(text);
}

/* Nothing is preloaded into it. */
static char **environment(void)
{
    size_t count = 0, kept = 0;
    char **copy;

    while (environ[count])
        count++;
    copy = allocated(calloc(count + 2, sizeof *copy));
    for (size_t i = 0; i < count; i++) {
        if (strncmp(environ[i], "LD_PRELOAD=", 11) != 0)
            copy[kept++] = environ[i];
    }
    copy[kept] = allocated(strdup("LD_PRELOAD="));
    return copy;
}

/* By way of posix_spawn, which copies nothing of this process. Its number; 0: there is none, errno says why. */
static pid_t spawn(char *const *arguments, int out, int errors)
{
    posix_spawn_file_actions_t actions;
    pid_t child = 0;
    int error = posix_spawn_file_actions_init(&actions);

    if (!error) {
        error = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
        if (!error)
            error = posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO);
        if (!error)
            error = posix_spawn(&child, arguments[0], &actions, NULL, arguments, environment());
        posix_spawn_file_actions_destroy(&actions);
    }
    errno = error;
    return error ? 0 : child;
}

int planner_run(const char *verb, const char *program, const char *key, char **answer)
{
    char *planner = our_file("baton-plan");
    char *const arguments[] = {planner, (char *)(uintptr_t)verb, (char *)(uintptr_t)program,
                               (char *)(uintptr_t)key, NULL};
    int ends[2], errors = memfd_create("baton-plan", MFD_CLOEXEC), status = 0, error;
    pid_t child;

    *answer = NULL;
    if (access(planner, X_OK) != 0 || errors < 0 || pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    child = spawn(arguments, ends[1], errors);
    error = errno;
    close(ends[1]);
    if (child > 0)
        *answer = read_all(ends[0], program);
    close(ends[0]);
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    print_errors(errors);
    close(errors);
    if (child > 0 && WIFSIGNALED(status))
        say("baton-plan was ended by signal %d while it looked at %s: what it was to plan is not "
            "hooked",
            WTERMSIG(status), clean(program));
    errno = error;
    return child > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void planner_print(const char *answer)
{
    print_clean(stdout, answer);
}
