/*
 * Whether a function is what an item takes it for: baton-discover, which lies beside us, knows debug information
 * and is asked for each. Where it is not there, or the program has no debug information, everything fits.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plan.h"
#include "slots/fn.h"

/* What an item asks of the function at this place of it; NULL: nothing that can be compared. */
static const char *role_of(const struct slot *slot, unsigned place)
{
    if (!strncmp(slot->item, "swap:", 5))
        return "swap";
    if (place == FN_FREE)
        return "free";
    if (place == FN_SET)
        return slot->fn.takes_address ? "put" : "set";
    return slot->fn.is_place ? "at" : slot->fn.is_filled ? "fill" : "get";
}

bool fits_helper(char *path, size_t n)
{
    ssize_t len = readlink("/proc/self/exe", path, n - 1);

    if (len <= 0)
        return false;
    path[len] = '\0';
    len = strrchr(path, '/') + 1 - path;
    if ((size_t)len + sizeof "baton-discover" > n)
        return false;
    memcpy(path + len, "baton-discover", sizeof "baton-discover");
    return access(path, X_OK) == 0;
}

int fits_ask(char *const words[], int in, char *buf, size_t n)
{
    int ends[2], status;
    ssize_t got;
    size_t len = 0;
    pid_t child;

    buf[0] = '\0';
    if (pipe(ends) != 0)
        return -1;
    child = fork();
    if (child == 0) {
        if (in >= 0)
            dup2(in, STDIN_FILENO);
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        execv(words[0], words);
        _exit(2);
    }
    close(ends[1]);
    while (child > 0 && len < n - 1 && (got = read(ends[0], buf + len, n - 1 - len)) > 0)
        len += (size_t)got;
    buf[len] = '\0';
    close(ends[0]);
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status)
               ? WEXITSTATUS(status)
               : -1;
}

/* The first function of an item, which comes before the others: what these take is what it answers. */
static struct {
    const struct slot *slot;
    char path[4096], at[32];
} reader;

bool fits_check(const struct slot *slot, const char *name, const struct module *module,
                uintptr_t address, char *why, size_t n)
{
    char helper[4096], at[32], size[16];

    if (strncmp(slot->item, "fn:", 3) != 0 && strncmp(slot->item, "swap:", 5) != 0)
        return true;
    if (!fits_helper(helper, sizeof helper))
        return true;
    snprintf(at, sizeof at, "%lx", (unsigned long)(address - module->elf.base));
    snprintf(size, sizeof size, "%u", strstr(slot->item, "size=") ? (unsigned)slot->size : 0);
    for (unsigned place = FN_GET; place <= FN_FREE; place++) {
        bool has_reader = place != FN_GET && reader.slot == slot;
        char *words[] = {helper,
                         (char *)"fits",
                         (char *)(uintptr_t)module->path,
                         at,
                         (char *)(uintptr_t)role_of(slot, place),
                         size,
                         has_reader ? reader.path : NULL,
                         reader.at,
                         (char *)(uintptr_t)role_of(slot, FN_GET),
                         NULL};

        if (!slot->fn.name[place] || strcmp(slot->fn.name[place], name) != 0)
            continue;
        if (fits_ask(words, -1, why, n) == 1 && *why)
            return false;
        if (place == FN_GET) {
            reader.slot = slot;
            snprintf(reader.path, sizeof reader.path, "%s", module->path);
            snprintf(reader.at, sizeof reader.at, "%s", at);
        }
    }
    return true;
}
