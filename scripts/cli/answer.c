/*
 * What baton-plan has answered before for this program with these settings, if everything that it looked at is as
 * it was (scripts/plan/kept.h): then no process has to be started to ask again.
 *
 * Rule: what others could have written is not read; any doubt is no answer, and baton-plan is asked.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "kept.h"
#include "userhooks/plan.h"

extern char **environ;

enum { ANSWER_MAX = 1 << 18 };

static bool begins(const char *text, const char *with)
{
    return !strncmp(text, with, strlen(with));
}

/* What baton-plan may read of the environment. Where a report goes is not in it. */
static bool matters(const char *variable)
{
    return (begins(variable, "BATON_") && !begins(variable, "BATON_REPORT=")) ||
           begins(variable, "LD_LIBRARY_PATH=") || begins(variable, "HOME=") ||
           begins(variable, "XDG_CONFIG_HOME=") || begins(variable, "XDG_RUNTIME_DIR=");
}

void answer_key(const char *program, char *key)
{
    uint64_t hash = plan_hash(0, BATON_VERSION);
    char folder[PATH_MAX];

    for (char **variable = environ; *variable; variable++) {
        if (matters(*variable))
            hash = plan_hash(hash, *variable);
    }
    hash = plan_hash(hash, our_folder());
    hash = plan_hash(hash, program);
    /* Of names that are not whole; also in LD_LIBRARY_PATH. */
    if ((*program != '/' || getenv("LD_LIBRARY_PATH")) && getcwd(folder, sizeof folder))
        hash = plan_hash(hash, folder);
    snprintf(key, KEPT_KEY + 1, "%016llx", (unsigned long long)hash);
}

/* A file of this user's alone, whole and terminated; NULL. Used today, so that it is not removed as old. */
static char *read_own(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat status;
    char *text = NULL;

    if (fd < 0)
        return NULL;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == geteuid() &&
        !(status.st_mode & 022) && status.st_size > 0 && status.st_size <= ANSWER_MAX) {
        text = allocated(calloc(1, (size_t)status.st_size + 1));
        if (read(fd, text, (size_t)status.st_size) != status.st_size) {
            free(text);
            text = NULL;
        }
        futimens(fd, NULL);
    }
    close(fd);
    return text;
}

/* The object is still there, for those who can read the library, and code can be mapped from it. */
static bool is_usable(const char *object)
{
    int fd = open(object, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat status;
    void *code = MAP_FAILED;

    if (fd < 0)
        return false;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == geteuid() &&
        !(status.st_mode & 022) && status.st_size > 0 &&
        (status.st_mode & 0777) == kept_object_mode(our_folder()))
        code = mmap(NULL, 1, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
    if (code != MAP_FAILED) {
        munmap(code, 1);
        futimens(fd, NULL);
    }
    close(fd);
    return code != MAP_FAILED;
}

/* Is the file of a line "seen STAMP PATH" as it was? */
static bool is_as_seen(const char *line)
{
    const char *path = line;
    char now[KEPT_LINE];

    for (unsigned words = 0; words < 5 && path; words++) {
        path = strchr(path, ' ');
        path = path ? path + 1 : NULL;
    }
    if (!path)
        return false;
    kept_stamp(path, now, sizeof now, NULL);
    return !strcmp(now, line);
}

static bool holds(char *text, int *status, char **object)
{
    char *state, *line = strtok_r(text, "\n", &state);
    int skipped = 0;

    if (!line || sscanf(line, "answer %d %n", status, &skipped) != 1 || !skipped)
        return false;
    *object = line + skipped;
    while ((line = strtok_r(NULL, "\n", &state)) && strcmp(line, "end") != 0) {
        if (!is_as_seen(line))
            return false;
    }
    return line && (!**object || is_usable(*object));
}

int answer_find(const char *key, char **object)
{
    char folder[KEPT_PATH];
    int status;

    for (unsigned i = 0; i < KEPT_PLACES; i++) {
        char *text;

        if (!kept_place(i, folder, sizeof folder) || !kept_is_ours(folder))
            continue;
        text = read_own(joined("%s/%s.known", folder, key));
        if (text && holds(text, &status, object))
            return status;
    }
    return -1;
}
