/*
 * Reading known.conf and choosing from it (known.h).
 *
 * The rules of config.c hold: no getenv, no allocation but our own, each mistake is one message with its
 * place. What is chosen depends on the modules that are loaded, and on nothing that would have to be run.
 */
#include "userhooks/known.h"

#include <fcntl.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/sys.h"
#include "slots/slots.h"
#include "userhooks/data.h"

enum { KNOWN_MAX = 128, LINES_MAX = 512 };

static const char word[] = "auto", preset[] = "preset:", lib[] = "$LIB/";

bool known_is_waiting;

/* An item of an entry. */
struct line {
    struct config_item item;
    struct known *known;
};
static struct line *lines;
static unsigned lines_count;

struct reading {
    struct config *config;
    struct known *known; /* the entry that lines belong to; NULL: to none */
    const char *file;
    bool is_skipped;    /* its name was there before */
    unsigned from_here; /* entries from this one on are of this file */
};

static bool is_preset(const struct config_item *item)
{
    return !strncmp(item->text, preset, sizeof preset - 1);
}

/* ---- the file ---- */

static void complain(struct reading *reading, const struct config_item *item, const char *expected)
{
    config_item_error(reading->config, item, 0, "expected %s", expected);
}

static void begin_entry(struct reading *reading, const struct config_item *item, const char *name)
{
    reading->known = NULL;
    reading->is_skipped = false;
    for (unsigned i = 0; i < known_count; i++) {
        if (strcmp(known_all[i].name, name) != 0)
            continue;
        reading->is_skipped = i < reading->from_here;
        if (!reading->is_skipped)
            complain(reading, item, "each name once");
        return;
    }
    if (!*name || known_count == KNOWN_MAX) {
        complain(reading, item, *name ? "at most 128 entries" : "a name after known=");
        return;
    }
    reading->known = &known_all[known_count++];
    *reading->known = (struct known){.name = name, .about = "", .file = reading->file};
}

static void take_condition(struct reading *reading, const struct config_item *item,
                           const char *condition)
{
    struct known *known = reading->known;
    const char *expected;

    if (!known_condition_is_right(condition, &expected))
        complain(reading, item, expected);
    else if (known->condition_count == KNOWN_CONDITIONS)
        complain(reading, item, "at most 4 conditions");
    else
        known->condition[known->condition_count++] = condition;
}

/* "...codec=$LIB/FILE" with where this library is. NULL: no memory, or FILE was not built here. */
static const char *place_in_folder(const char *text, const char *mark)
{
    const char *file = mark + sizeof lib - 1;
    char path[DATA_PATH], *whole;
    size_t size;

    if (!data_folder(DATA_INSTALLED, file, NULL, path) ||
        SYS_CALL(faccessat, AT_FDCWD, path, R_OK) != 0)
        return NULL;
    size = (size_t)(mark - text) + strlen(path) + 1;
    whole = mem_alloc(size);
    if (whole)
        fmt_buf(whole, size, "%.*s%s", (int)(mark - text), text, path);
    return whole;
}

static void take_item(struct reading *reading, struct config_item *item)
{
    const char *mark = strstr(item->text, lib);

    if (lines_count == LINES_MAX) {
        complain(reading, item, "at most 512 items");
        return;
    }
    if (mark) {
        item->text = place_in_folder(item->text, mark);
        if (!item->text)
            return;
        item->len = (uint32_t)strlen(item->text);
    }
    item->known = reading->known;
    if (is_preset(item))
        item->name = "BATON_HOOKS";
    lines[lines_count++] = (struct line){*item, reading->known};
}

static void take_line(struct reading *reading, const struct place *line)
{
    char *text = line->text, *value;
    struct config_item item = {.name = "BATON_CARRY",
                               .file = reading->file,
                               .line = line->line,
                               .column = line->column,
                               .text = text};

    text[line->len] = '\0';
    item.len = (uint32_t)line->len;
    if ((value = data_value(text, "known"))) {
        begin_entry(reading, &item, value);
    } else if (reading->is_skipped || data_value(text, "tried")) {
        return;
    } else if (!reading->known) {
        complain(reading, &item, "known=NAME before it");
    } else if ((value = data_value(text, "about"))) {
        reading->known->about = value;
    } else if ((value = data_value(text, "when"))) {
        take_condition(reading, &item, value);
    } else {
        take_item(reading, &item);
    }
}

static void read_file(struct config *config, const char *path, int fd)
{
    struct reading reading = {.config = config, .from_here = known_count};
    struct place line = {.line = 0};
    size_t size, len = strlen(path) + 1;
    char *text = data_read(fd, &size), *file = mem_alloc(len);

    if (!text || !file) {
        log_msg(LOG_LEVEL_ERROR, "%s: cannot be read", path);
        config->errors++;
        return;
    }
    memcpy(file, path, len);
    reading.file = line.file = file;
    while (data_line(&text, &line))
        take_line(&reading, &line);
}

static void read_files(struct config *config, char **environment)
{
    bool has_ours = false;

    known_all = mem_alloc(KNOWN_MAX * sizeof *known_all);
    lines = mem_alloc(LINES_MAX * sizeof *lines);
    if (!known_all || !lines) {
        log_msg(LOG_LEVEL_ERROR, "no memory for BATON_CARRY=auto");
        config->errors++;
        return;
    }
    for (unsigned i = 0; i < DATA_FOLDERS && !has_ours; i++) {
        char path[DATA_PATH];
        int fd = data_folder(i, "known.conf", environment, path)
                     ? sys_open(path, O_RDONLY | O_NONBLOCK, 0)
                     : -1;

        if (fd < 0)
            continue;
        read_file(config, path, fd);
        sys_close(fd);
        has_ours = i >= DATA_INSTALLED;
    }
    if (!has_ours) {
        log_msg(LOG_LEVEL_ERROR, "BATON_CARRY=auto: known.conf is not beside the library");
        config->errors++;
    }
}

/* ---- a name that stands in BATON_CARRY without `auto` ---- */

static char **variables; /* where the user's folder is told */

static bool has_entry(int fd, const char *name)
{
    struct place line = {.line = 0};
    bool is_there = false;
    size_t size;
    char *text = data_read(fd, &size), *rest = text;

    while (text && !is_there && data_line(&rest, &line)) {
        const char *value;

        line.text[line.len] = '\0';
        value = data_value(line.text, "known");
        is_there = value && !strcmp(value, name);
    }
    if (text)
        mem_free(text, size);
    return is_there;
}

static bool knows(const char *name)
{
    bool is_there = false;

    for (unsigned i = 0; i < DATA_FOLDERS && !is_there; i++) {
        char path[DATA_PATH];
        int fd = data_folder(i, "known.conf", variables, path)
                     ? sys_open(path, O_RDONLY | O_NONBLOCK, 0)
                     : -1;

        if (fd < 0)
            continue;
        is_there = has_entry(fd, name);
        sys_close(fd);
    }
    return is_there;
}

/* ---- what is chosen ---- */

/* Adds the items of entries that are here, or of those that are not; how many. */
static unsigned add_items(struct data_list *list, bool is_here, bool are_presets)
{
    unsigned count = 0;

    for (unsigned i = 0; i < lines_count; i++) {
        struct known *known = lines[i].known;

        if (known->is_here != is_here || is_preset(&lines[i].item) != are_presets ||
            !data_add(list, &lines[i].item))
            continue;
        known->is_chosen |= is_here;
        count++;
    }
    return count;
}

/* The list without `auto`. False: it was not in it. */
static bool take_word(struct config *config, const struct config_list *from, struct data_list *rest)
{
    bool is_there = false;

    for (size_t i = 0; i < from->count; i++) {
        if (strcmp(from->items[i].text, word) != 0)
            continue;
        is_there = true;
        config_expect_once(config, from, i);
    }
    for (size_t i = 0; is_there && i < from->count; i++) {
        if (strcmp(from->items[i].text, word) != 0)
            data_add(rest, &from->items[i]);
    }
    return is_there;
}

static bool names_preset(const struct data_list *list, const char *text)
{
    for (size_t i = 0; i < list->count; i++) {
        if (!strcmp(list->items[i].text, text))
            return true;
    }
    return false;
}

static void choose_presets(struct config *config)
{
    struct data_list chosen = {NULL, 0, 0}, hooks = {NULL, 0, 0};

    if (!add_items(&chosen, true, true))
        return;
    for (size_t i = 0; i < config->hooks.count; i++)
        data_add(&hooks, &config->hooks.items[i]);
    for (size_t i = 0; i < chosen.count; i++) {
        if (!names_preset(&hooks, chosen.items[i].text))
            data_add(&hooks, &chosen.items[i]);
    }
    config->hooks = (struct config_list){hooks.items, hooks.count};
}

/* PRESETS: also what hands over. */
static bool choose(struct config *config, struct data_list *carry, bool presets)
{
    known_look();
    add_items(carry, true, false);
    if (!carry->count) {
        config->carry = (struct config_list){NULL, 0};
        return false;
    }
    if (presets)
        choose_presets(config);
    add_items(carry, false, false);
    config->carry = (struct config_list){carry->items, carry->count};
    return true;
}

void known_read(struct config *config, char **environment)
{
    struct data_list carry = {NULL, 0, 0};

    variables = environment;
    slots_calls.knows = knows;
    if (!take_word(config, &config->carry, &carry))
        return;
    known_is_on = true;
    read_files(config, environment);
    known_is_waiting = !choose(config, &carry, true);
}

bool known_late(struct config *config)
{
    struct data_list carry = {NULL, 0, 0};

    if (!known_is_waiting || !choose(config, &carry, false))
        return false;
    known_is_waiting = false;
    return true;
}

const char *known_items(const struct known *known)
{
    static char text[512];
    size_t len = 0;

    text[0] = '\0';
    for (unsigned i = 0; i < lines_count; i++) {
        if (lines[i].known == known && len < sizeof text - 1)
            len += (size_t)fmt_buf(text + len, sizeof text - len, "%s%s", len ? "; " : "",
                                   lines[i].item.text);
    }
    return text;
}
