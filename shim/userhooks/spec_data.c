/*
 * Files of data (data.h): where they are, and their lines.
 *
 * The rules of config.c hold: no getenv, no allocation but our own. A privileged program reads none.
 */
#include "userhooks/data.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/sys.h"
#include "elf/elf.h"

enum { FILE_SIZE_MAX = 1 << 20 };

bool data_add(struct data_list *list, const struct config_item *item)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 32;
        struct config_item *items = mem_alloc(capacity * sizeof *items);

        if (!items)
            return false;
        memcpy(items, list->items, list->count * sizeof *items);
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = *item;
    return true;
}

static const char *variable(char **environment, const char *name)
{
    size_t len = strlen(name);

    for (; environment && *environment; environment++) {
        if (!strncmp(*environment, name, len) && (*environment)[len] == '=')
            return *environment + len + 1;
    }
    return "";
}

/* The folder that our own file is in, or one beside it; its last '/' is kept. */
static void own_folder(char *path, const char *below)
{
    struct elf_module module;
    size_t len = 0;
    char *slash;

    path[0] = '\0';
    if (!elf_module_at((const void *)own_folder, &module))
        return;
    if (module.is_main) {
        long got = sys_readlink("/proc/self/exe", path, DATA_PATH - 1);

        path[got > 0 ? got : 0] = '\0';
    } else {
        fmt_buf(path, DATA_PATH, "%s", module.path);
    }
    slash = strrchr(path, '/');
    len = slash ? (size_t)(slash - path) + 1 : 0;
    fmt_buf(path + len, DATA_PATH - len, "%s", below);
}

bool data_folder(unsigned number, const char *below, char **environment, char *path)
{
    const char *config = variable(environment, "XDG_CONFIG_HOME"), *home;

    switch (number) {
    case 0:
        home = variable(environment, "HOME");
        if (*config == '/')
            fmt_buf(path, DATA_PATH, "%s/baton/%s", config, below);
        else
            fmt_buf(path, DATA_PATH, "%s/.config/baton/%s", home, below);
        return *config == '/' || *home == '/';
    case 1:
        fmt_buf(path, DATA_PATH, "/etc/baton/%s", below);
        return true;
    case 2:
        own_folder(path, below);
        return true;
    default:
        own_folder(path, "../shim/userhooks/");
        fmt_buf(path + strlen(path), DATA_PATH - strlen(path), "%s", below);
        return true;
    }
}

char *data_read(int fd, size_t *size)
{
    long file_size = sys_file_size(fd);
    size_t len = 0;
    char *text;
    long got;

    if (file_size < 0 || file_size > FILE_SIZE_MAX)
        return NULL;
    *size = (size_t)file_size + 1;
    text = mem_alloc(*size);
    while (text && len < (size_t)file_size &&
           ((got = sys_read(fd, text + len, (size_t)file_size - len)) > 0 || got == -EINTR))
        len += got > 0 ? (size_t)got : 0;
    return text;
}

char *data_value(char *line, const char *key)
{
    size_t len = strlen(key);

    return !strncmp(line, key, len) && line[len] == '=' ? line + len + 1 : NULL;
}

bool data_line(char **text, struct place *line)
{
    while (**text) {
        char *end = *text + strcspn(*text, "\n"), *start = *text;

        *text = *end ? end + 1 : end;
        line->line++;
        line->text = start;
        line->len = (size_t)(end - start);
        line->column = 1;
        for (size_t i = 0; i < line->len; i++) {
            if (start[i] == '#' && (!i || config_is_space(start[i - 1])))
                line->len = i;
        }
        config_trim(line);
        if (line->len)
            return true;
    }
    return false;
}
