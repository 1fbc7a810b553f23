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
#include "userhooks/data.h"
#include "userhooks/preset.h"
#include "userhooks/spec.h"

static const char prefix[] = "preset:";

enum { PREFIX_LEN = sizeof prefix - 1 };

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
    for (unsigned i = 0; i < DATA_FOLDERS && is_name(name); i++) {
        size_t len;
        int fd;

        if (!data_folder(i, "presets/", environment, path))
            continue;
        len = strlen(path);
        fmt_buf(path + len, DATA_PATH - len, "%s.conf", name);
        fd = sys_open(path, O_RDONLY | O_NONBLOCK, 0);
        if (fd >= 0)
            return fd;
    }
    return -1;
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
    char path[DATA_PATH];

    for (unsigned i = 0; names && i < DATA_FOLDERS; i++) {
        if (data_folder(i, "presets/", environment, path))
            list_folder(names, path);
    }
    return names;
}

/* ---- what is in one ---- */

struct reading {
    struct config *config;
    struct data_list hooks, carry, pools;
    const char *file, *preset;
};

static bool take_line(struct reading *reading, struct place *line)
{
    struct config_item item = {
        .file = line->file, .line = line->line, .column = line->column, .preset = reading->preset};
    char *pool;

    line->text[line->len] = '\0';
    if (data_value(line->text, "about") || data_value(line->text, "tried"))
        return true;
    pool = data_value(line->text, "pool");
    item.text = pool ? pool : line->text;
    item.len = (uint32_t)strlen(item.text);
    item.column += pool ? 5 : 0;
    if (pool) {
        item.name = "pool";
        return data_add(&reading->pools, &item);
    }
    if (strstr(item.text, "(kind=")) {
        item.name = "BATON_HOOKS";
        return data_add(&reading->hooks, &item);
    }
    item.name = "BATON_CARRY";
    return data_add(&reading->carry, &item);
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
    struct names *names;
    char text[400] = "";
    size_t len = 0;

    if (spec_is_carried(from->text + PREFIX_LEN)) {
        config_item_error(
            config, from, PREFIX_LEN,
            "expected the name of a preset; what is to be carried is for BATON_CARRY, "
            "or --carry");
        return;
    }
    names = list_names(environment);

    for (unsigned i = 0; names && i < names->count && len < sizeof text; i++)
        len += (size_t)fmt_buf(text + len, sizeof text - len, "%s%s", i ? ", " : "", names->at[i]);
    config_item_error(config, from, PREFIX_LEN, "expected a preset: %s", text);
    mem_free(names, sizeof *names);
}

/* False: there is no memory. */
static bool read_preset(struct reading *reading, const struct config_item *from, char **environment)
{
    const char *name = from->text + PREFIX_LEN;
    char path[DATA_PATH], *text, *file;
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
    text = data_read(fd, &size);
    sys_close(fd);
    file = mem_alloc(strlen(path) + 1);
    if (!text || !file) {
        config_item_error(reading->config, from, PREFIX_LEN, "%s cannot be read", path);
        return true;
    }
    memcpy(file, path, strlen(path) + 1);
    line.file = file;
    reading->preset = name;
    while (data_line(&text, &line)) {
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
        is_fine &= data_add(&reading.carry, &config->carry.items[i]);
    for (size_t i = 0; i < config->hooks.count && is_fine; i++) {
        const struct config_item *item = &config->hooks.items[i];

        if (is_preset(item))
            config_expect_once(config, &config->hooks, i);
        is_fine = is_preset(item) ? read_preset(&reading, item, environment)
                                  : data_add(&reading.hooks, item);
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
        char path[DATA_PATH], *text, *rest, *found = NULL;
        struct place line = {.line = 0};
        int fd = open_preset(names->at[i], environment, path);
        size_t size;

        text = fd < 0 ? NULL : data_read(fd, &size);
        if (fd >= 0)
            sys_close(fd);
        if (!text)
            continue;
        for (rest = text; !found && data_line(&rest, &line);) {
            line.text[line.len] = '\0';
            found = data_value(line.text, key);
        }
        show(names->at[i], path, found ? found : "");
        mem_free(text, size);
    }
    mem_free(names, sizeof *names);
}
