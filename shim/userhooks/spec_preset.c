/*
 * Reading presets (preset.h): the files are found, taken apart line by line, and put in the place of the
 * item that named them.
 *
 * The rules of config.c hold: no getenv, no allocation but our own, each mistake is one message with its
 * place. A privileged program never comes here, because it reads no BATON_HOOKS.
 */
#include <string.h>

#include "base/config_parse.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sys.h"
#include "elf/elf.h"
#include "userhooks/preset.h"

static const char prefix[] = "preset:";

enum { PREFIX_LEN = sizeof prefix - 1, FOLDERS = 4, PATH_SIZE = 4096, FILE_SIZE_MAX = 1 << 20 };

/* A list that grows; what it was before stays where it is. */
struct growing {
    struct config_item *items;
    size_t count, capacity;
};

static bool grow(struct growing *list, const struct config_item *item)
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

/* ---- where presets are ---- */

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
        long got = sys_readlink("/proc/self/exe", path, PATH_SIZE - 1);

        path[got > 0 ? got : 0] = '\0';
    } else {
        fmt_buf(path, PATH_SIZE, "%s", module.path);
    }
    slash = strrchr(path, '/');
    len = slash ? (size_t)(slash - path) + 1 : 0;
    fmt_buf(path + len, PATH_SIZE - len, "%s", below);
}

/* The user's, the machine's, those of the installation, those of the source tree. False: no such. */
static bool folder(unsigned number, char **environment, char *path)
{
    const char *config = variable(environment, "XDG_CONFIG_HOME"), *home;

    switch (number) {
    case 0:
        home = variable(environment, "HOME");
        if (*config == '/')
            fmt_buf(path, PATH_SIZE, "%s/baton/presets/", config);
        else
            fmt_buf(path, PATH_SIZE, "%s/.config/baton/presets/", home);
        return *config == '/' || *home == '/';
    case 1:
        fmt_buf(path, PATH_SIZE, "/etc/baton/presets/");
        return true;
    case 2:
        own_folder(path, "presets/");
        return true;
    default:
        own_folder(path, "../shim/userhooks/presets/");
        return true;
    }
}

static bool is_name(const char *name)
{
    size_t len = 0;

    for (; name[len]; len++) {
        char c = name[len];

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
              (len && (c == '-' || c == '.' || c == '+'))))
            return false;
    }
    return len > 0 && len < 64;
}

/* -1: there is none of that name; else its file, and PATH. */
static int open_preset(const char *name, char **environment, char *path)
{
    for (unsigned i = 0; i < FOLDERS && is_name(name); i++) {
        size_t len;
        int fd;

        if (!folder(i, environment, path))
            continue;
        len = strlen(path);
        fmt_buf(path + len, PATH_SIZE - len, "%s.conf", name);
        fd = sys_open(path, O_RDONLY | O_NONBLOCK, 0);
        if (fd >= 0)
            return fd;
    }
    return -1;
}

/* Terminated; NULL: it cannot be read. SIZE is what to give back. */
static char *read_whole(int fd, size_t *size)
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

/* ---- all presets that there are ---- */

struct entry {
    uint64_t inode, offset;
    uint16_t size;
    uint8_t type;
    char name[];
};

enum { NAMES_MAX = 256, NAME_SIZE = 64 };

struct names {
    char at[NAMES_MAX][NAME_SIZE];
    unsigned count;
};

static void note_name(struct names *names, const char *file)
{
    size_t len = strlen(file);
    unsigned place = 0;
    char name[NAME_SIZE];

    if (len < 6 || len - 5 >= sizeof name || strcmp(file + len - 5, ".conf") != 0)
        return;
    fmt_buf(name, sizeof name, "%.*s", (int)(len - 5), file);
    while (place < names->count && strcmp(names->at[place], name) < 0)
        place++;
    if (names->count == NAMES_MAX || !is_name(name) ||
        (place < names->count && !strcmp(names->at[place], name)))
        return;
    for (unsigned i = names->count++; i > place; i--)
        memcpy(names->at[i], names->at[i - 1], NAME_SIZE);
    memcpy(names->at[place], name, NAME_SIZE);
}

static void list_folder(struct names *names, const char *path)
{
    _Alignas(struct entry) char buffer[2048];
    int fd = sys_open(path, O_RDONLY | O_DIRECTORY, 0);
    long got;

    if (fd < 0)
        return;
    while ((got = SYS_CALL(getdents64, fd, buffer, sizeof buffer)) > 0) {
        for (long at = 0; at < got;) {
            const struct entry *entry = (const struct entry *)(const void *)(buffer + at);

            note_name(names, entry->name);
            at += entry->size;
        }
    }
    sys_close(fd);
}

static struct names *list_names(char **environment)
{
    struct names *names = mem_alloc(sizeof *names);
    char path[PATH_SIZE];

    for (unsigned i = 0; names && i < FOLDERS; i++) {
        if (folder(i, environment, path))
            list_folder(names, path);
    }
    return names;
}

/* ---- what is in one ---- */

struct reading {
    struct config *config;
    struct growing hooks, carry, pools;
    const char *file, *preset;
};

/* The text behind "KEY=", when the line is one; else NULL. */
static char *value_of(char *line, const char *key)
{
    size_t len = strlen(key);

    return !strncmp(line, key, len) && line[len] == '=' ? line + len + 1 : NULL;
}

static bool take_line(struct reading *reading, struct place *line)
{
    struct config_item item = {.file = line->file,
                               .line = line->line,
                               .key_index = line->key_index,
                               .preset = reading->preset};
    char *pool;

    line->text[line->len] = '\0';
    if (value_of(line->text, "about") || value_of(line->text, "tried"))
        return true;
    pool = value_of(line->text, "pool");
    item.text = pool ? pool : line->text;
    item.len = (uint32_t)strlen(item.text);
    item.key_index += pool ? 5 : 0;
    if (pool) {
        item.name = "pool";
        return grow(&reading->pools, &item);
    }
    if (strstr(item.text, "(kind=")) {
        item.name = "BATON_HOOKS";
        return grow(&reading->hooks, &item);
    }
    item.name = "BATON_CARRY";
    return grow(&reading->carry, &item);
}

/* The next line that says something, without its comment. False: there are no more. */
static bool next_line(char **text, struct place *line)
{
    while (**text) {
        char *end = *text + strcspn(*text, "\n"), *start = *text;

        *text = *end ? end + 1 : end;
        line->line++;
        line->text = start;
        line->len = (size_t)(end - start);
        line->key_index = 1;
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

static bool is_read_already(const struct reading *reading, const char *name)
{
    for (size_t i = 0; i < reading->hooks.count; i++) {
        if (reading->hooks.items[i].preset && !strcmp(reading->hooks.items[i].preset, name))
            return true;
    }
    return false;
}

static void complain_of_name(struct config *config, const struct config_item *from,
                             char **environment)
{
    struct names *names = list_names(environment);
    char text[400] = "";
    size_t len = 0;

    for (unsigned i = 0; names && i < names->count && len < sizeof text; i++)
        len += (size_t)fmt_buf(text + len, sizeof text - len, "%s%s", i ? ", " : "", names->at[i]);
    config_item_error(config, from, PREFIX_LEN, "expected a preset: %s", text);
    mem_free(names, sizeof *names);
}

/* False: there is no memory. */
static bool read_preset(struct reading *reading, const struct config_item *from, char **environment)
{
    const char *name = from->text + PREFIX_LEN;
    char path[PATH_SIZE], *text, *file;
    struct place line = {.line = 0};
    size_t size;
    int fd;

    if (is_read_already(reading, name))
        return true; /* the environment and the file may both name it */
    fd = open_preset(name, environment, path);
    if (fd < 0) {
        complain_of_name(reading->config, from, environment);
        return true;
    }
    text = read_whole(fd, &size);
    sys_close(fd);
    file = mem_alloc(strlen(path) + 1);
    if (!text || !file) {
        config_item_error(reading->config, from, PREFIX_LEN, "%s cannot be read", path);
        return true;
    }
    memcpy(file, path, strlen(path) + 1);
    line.file = file;
    reading->preset = name;
    while (next_line(&text, &line)) {
        if (!take_line(reading, &line))
            return false;
    }
    return true;
}

static bool is_preset(const struct config_item *item)
{
    return !strncmp(item->text, prefix, PREFIX_LEN);
}

void presets_read(struct config *config, char **environment)
{
    struct reading reading = {.config = config};
    bool is_any = false, is_fine = true;

    for (size_t i = 0; i < config->hooks.count; i++)
        is_any |= is_preset(&config->hooks.items[i]);
    if (!is_any)
        return;
    for (size_t i = 0; i < config->carry.count; i++)
        is_fine &= grow(&reading.carry, &config->carry.items[i]);
    for (size_t i = 0; i < config->hooks.count && is_fine; i++) {
        const struct config_item *item = &config->hooks.items[i];

        is_fine = is_preset(item) ? read_preset(&reading, item, environment)
                                  : grow(&reading.hooks, item);
    }
    if (!is_fine) {
        log_msg(LOG_LEVEL_ERROR, "no memory for the presets of BATON_HOOKS");
        config->errors++;
        return;
    }
    config->hooks = (struct config_list){reading.hooks.items, reading.hooks.count};
    config->carry = (struct config_list){reading.carry.items, reading.carry.count};
    config->preset_pools = (struct config_list){reading.pools.items, reading.pools.count};
}

void presets_each(char **environment, const char *key,
                  void (*show)(const char *name, const char *file, const char *text))
{
    struct names *names = list_names(environment);

    for (unsigned i = 0; names && i < names->count; i++) {
        char path[PATH_SIZE], *text, *rest, *found = NULL;
        struct place line = {.line = 0};
        int fd = open_preset(names->at[i], environment, path);
        size_t size;

        text = fd < 0 ? NULL : read_whole(fd, &size);
        if (fd >= 0)
            sys_close(fd);
        if (!text)
            continue;
        for (rest = text; !found && next_line(&rest, &line);) {
            line.text[line.len] = '\0';
            found = value_of(line.text, key);
        }
        show(names->at[i], path, found ? found : "");
        mem_free(text, size);
    }
    mem_free(names, sizeof *names);
}
