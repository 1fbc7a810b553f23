/*
 * LD_PRELOAD as the program will have it. libasan refuses to work when another library precedes it: it
 * comes first, then we, then what the user put there.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"
#include "dynamic.h"
#include "machine.h"

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static bool is_asan(const char *name)
{
    return !strncmp(name, "libasan.so", 10) || !strncmp(name, "libclang_rt.asan", 16);
}

/* Our own, from a run around this one: the library, or an object for functions that the user names. */
static bool is_ours(const char *entry, const char *library)
{
    const char *name = base_name(entry);

    if (!strcmp(name, base_name(library)))
        return !strcmp(entry, library);
    return strspn(name, "0123456789abcdef") &&
           !strcmp(name + strspn(name, "0123456789abcdef"), ".so") &&
           (strstr(entry, "/baton/") || strstr(entry, "/baton-") || strstr(entry, "/.baton/"));
}

static bool needs_asan(const char *program)
{
    struct dynamic file;
    const char *name;
    bool is_there = false;

    if (!dynamic_open(program, &file))
        return false;
    for (unsigned i = 0; (name = dynamic_needed(&file, i)); i++)
        is_there |= is_asan(name);
    dynamic_close(&file);
    return is_there;
}

/* Which file that is, the loader knows. It is the system's that is asked, never one that the program names. */
static char *find_asan(const char *program)
{
    char line[4096], *found = NULL;
    int ends[2];
    pid_t child;
    FILE *in;

    if (pipe2(ends, O_CLOEXEC) != 0)
        return NULL;
    child = fork();
    if (child == 0) {
        unsetenv("LD_PRELOAD");
        dup2(ends[1], 1);
        close(2);
        execl(MACHINE_LOADER, MACHINE_LOADER, "--list", program, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    in = fdopen(ends[0], "r");
    while (in && fgets(line, sizeof line, in)) {
        char *name = line + strspn(line, " \t"), *path = strstr(line, " => /");

        if (!found && path && is_asan(name)) {
            path += 4;
            path[strcspn(path, " \n")] = '\0';
            found = allocated(strdup(path));
        }
    }
    if (in)
        fclose(in);
    if (child > 0)
        waitpid(child, NULL, 0);
    return found;
}

char *preload_library(const char *name)
{
    char *library = our_file(name);

    if (access(library, R_OK) != 0)
        fail(EXIT_FAILED, "cannot find %s (in the source tree, run make first)", clean(library));
    if (strpbrk(library, ": "))
        fail(EXIT_FAILED,
             "cannot preload %s: LD_PRELOAD has no way to write a space or colon in a path",
             clean(library));
    return library;
}

char *preload_list(const char *program, const char *object, const char *library)
{
    const char *before = getenv("LD_PRELOAD");
    char *rest = allocated(strdup(before ? before : "")), *entry, *state;
    char *first = allocated(strdup("")), *others = allocated(strdup(""));

    for (entry = strtok_r(rest, ": \t\n", &state); entry;
         entry = strtok_r(NULL, ": \t\n", &state)) {
        if (is_asan(base_name(entry)))
            first = joined("%s%s:", first, entry);
        else if (!is_ours(entry, library))
            others = joined("%s:%s", others, entry);
    }
    if (!first[0] && needs_asan(program)) {
        char *asan = find_asan(program);

        if (asan)
            first = joined("%s:", asan);
    }
    return joined("%s%s%s%s%s", first, object ? object : "", object ? ":" : "", library, others);
}

void preload_waits(const struct program *program, const struct program *behind)
{
    char *library = our_file("libbaton-waits.so");

    /* A C library may be too old for this one alone: where sem_post is libpthread's, programs without libpthread
     * would find ours, which has nobody to go on to. */
    if (access(library, R_OK) != 0 || strpbrk(library, ": ") || program_lacks(program, library) ||
        !program_has_threads(program) ||
        (behind && (program_lacks(behind, library) || !program_has_threads(behind))))
        return;
    setenv("LD_PRELOAD", joined("%s:%s", getenv("LD_PRELOAD"), library), 1);
}
