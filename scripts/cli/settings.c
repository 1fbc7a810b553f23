/*
 * The environment that the library reads: options add to what is there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"

static void setting_set(const char *name, const char *value)
{
    if (setenv(name, value, 1) != 0)
        fail(EXIT_FAILED, "out of memory");
}

void setting_add(const char *name, const char *item)
{
    const char *before = getenv(name);

    setting_set(name, before && *before ? joined("%s;%s", before, item) : item);
}

bool setting_has(const char *list, const char *item)
{
    size_t len = strlen(item);

    for (;;) {
        const char *start = list + strspn(list, " \t"), *end = start + strcspn(start, ";");
        const char *last = end;

        while (last > start && (last[-1] == ' ' || last[-1] == '\t'))
            last--;
        if ((size_t)(last - start) == len && !strncmp(start, item, len))
            return true;
        if (!*end)
            return false;
        list = end + 1;
    }
}

void setting_config(const char *file)
{
    struct stat status;

    if (!strcmp(file, "-"))
        usage_error(
            "--config -: expected a file, which the program itself reads; one of this name is ./-");
    if (stat(file, &status) != 0 || !S_ISREG(status.st_mode) || access(file, R_OK) != 0)
        usage_error("--config %s: cannot read this file", clean(file));
    setting_set("BATON_CONFIG", absolute(file));
}

void setting_report(const char *file)
{
    bool is_stream = !strcmp(file, "-") || !strcmp(file, "stdout") || !strcmp(file, "stderr");

    setting_set("BATON_REPORT", !is_stream ? absolute(file) : file[0] == '-' ? "stdout" : file);
}
