/*
 * The settings: the table that config.def makes, and what a value of each type means.
 *
 * Promise: a value that is not understood is said in one message, and is as if it had not been given. A
 * new setting is a row of config.def; a new type, a kind here and a line of each CONFIG_..._TYPE.
 */
#include <string.h>
#include <unistd.h>

#include "base/config_reader.h"
#include "base/log.h"

/* Frames that are kept (observe/watch.h: WATCH_FRAMES); a TiB. */
enum { STACKS_MOST = 64, TRACE_MIB_MOST = 1 << 20 };

/* What each TYPE of config.def is here: kind, and the words of a choice. */
#define CONFIG_ROW_FLAG KIND_FLAG, ""
#define CONFIG_ROW_CHOICE(words) KIND_CHOICE, words
#define CONFIG_ROW_COUNT KIND_COUNT, ""
#define CONFIG_ROW_SECONDS KIND_SECONDS, ""
#define CONFIG_ROW_PATH KIND_PATH, ""
#define CONFIG_ROW_TARGET KIND_TARGET, ""
#define CONFIG_ROW_LIST KIND_LIST, ""
#define CONFIG_ROW_NAMES KIND_NAMES, ""

const struct setting config_settings[SETTING_COUNT] = {
#define ROW(field, name, kind, words, def, secure_ok, help) \
    {name, words, def, help, kind, offsetof(struct config, field), sizeof(def) - 1, secure_ok},
#define ROW_EXPANDED(...) ROW(__VA_ARGS__)
#define SETTING(field, name, type, def, secure_ok, help) \
    ROW_EXPANDED(field, name, CONFIG_ROW_##type, def, secure_ok, help)
#include "base/config.def"
#undef SETTING
};

/* A text may fill its room but for the terminator, which is not the compiler's to complain of. */
#define HAS_ROOM(text, member, what) \
    _Static_assert(sizeof(text) <= sizeof config_settings[0].member, "config.def: " what);
#define WORDS_OF(kind, words) words
#define WORDS_EXPANDED(...) WORDS_OF(__VA_ARGS__)
#define SETTING(field, variable, type, preset, secure_ok, text)                  \
    HAS_ROOM(variable, name, "the name " variable " has more than 15 letters")   \
    HAS_ROOM(WORDS_EXPANDED(CONFIG_ROW_##type), words,                           \
             "the words of " variable " have more than 23 letters")              \
    HAS_ROOM(preset, def, "the default of " variable " has more than 7 letters") \
    HAS_ROOM(text, help, "the help of " variable " has more than 95 letters")
#include "base/config.def"
#undef SETTING

size_t config_find(const char *name, size_t len)
{
    size_t i;

    for (i = 0; i < SETTING_COUNT; i++) {
        const char *known = config_settings[i].name;

        if (len < sizeof config_settings[i].name && !known[len] && !memcmp(known, name, len))
            break;
    }
    return i;
}

void config_upper(const char *from, char *into, size_t n)
{
    size_t i = 0;

    for (; from[i] && i + 1 < n; i++)
        into[i] = (char)(from[i] >= 'a' && from[i] <= 'z' ? from[i] - 32 : from[i]);
    into[i] = '\0';
}

void config_unknown(struct reader *r, const struct place *place)
{
    unsigned best = UINT32_MAX, length;
    const char *nearest = NULL;
    char name[64];

    config_upper(place->name, name, sizeof name);
    length = (unsigned)(strlen(name) > CONFIG_PREFIX_LEN ? strlen(name) - CONFIG_PREFIX_LEN : 0);
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        size_t other = strlen(config_settings[i].name) - CONFIG_PREFIX_LEN;
        unsigned d = (unsigned)(length > other ? length - other : other - length);

        if (d < best) /* as many letters are too many or missing */
            d = config_name_distance(name, config_settings[i].name);
        if (d < best) {
            best = d;
            nearest = config_settings[i].name;
        }
    }
    if (best <= length / 3 || best == 0)
        config_expect(r->out, place, 0, "no such setting, expected %s?", nearest);
    else
        config_expect(r->out, place, 0, "no such setting, BATON_HELP=1 lists them");
}

size_t config_list_number(size_t setting)
{
    size_t number = 0;

    for (size_t i = 0; i < setting; i++)
        number += config_settings[i].kind == KIND_LIST || config_settings[i].kind == KIND_NAMES;
    return number;
}

static bool config_is(const struct place *p, const char *word)
{
    char upper[8];

    if (strlen(word) != p->len)
        return false;
    for (size_t i = 0; i <= p->len; i++)
        upper[i] = (char)(word[i] >= 'a' && word[i] <= 'z' ? word[i] - 32 : word[i]);
    for (size_t i = 0; i < p->len; i++) {
        if ((p->text[i] >= 'a' && p->text[i] <= 'z' ? p->text[i] - 32 : p->text[i]) != upper[i])
            return false;
    }
    return true;
}

/* on, yes, 1: by who takes the setting for a switch. */
static bool config_is_switch(const struct place *p)
{
    static const char words[][6] = {"on", "off", "yes", "no", "true", "false", "0", "1"};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (config_is(p, words[i]))
            return true;
    }
    return false;
}

/* What would be a file in the program's folder, of a name that nobody means. */
static bool config_is_no_file(struct config *out, const struct place *p, bool has_streams)
{
    bool is_out = config_is(p, "stdout") || config_is(p, "-"), is_err = config_is(p, "stderr");
    int len = (int)p->len;

    if (config_is_switch(p) || config_is(p, "2"))
        config_expect(out, p, 0, "expected the path of a file; one of this name is ./%.*s", len,
                      p->text);
    else if ((is_out || is_err) && !has_streams)
        config_expect(out, p, 0,
                      "expected the path of a file, for it is not text; one of this name is ./%.*s",
                      len, p->text);
    else if ((is_out || is_err) && memcmp(p->text, is_out ? "stdout" : "stderr", p->len) != 0)
        config_expect(out, p, 0, "expected %s? A file of this name is ./%.*s",
                      is_out ? "stdout" : "stderr", len, p->text);
    else if (p->len > 1 && !memcmp(p->text, "~/", 2))
        config_expect(out, p, 0, "expected a path without ~, which no shell has replaced here");
    else if (p->len > 6 && !memcmp(p->text, "file:/", 6))
        config_expect(out, p, 0, "expected a path, without file:");
    else
        return false;
    return true;
}

/* A shell's number of the process, which it has not replaced. */
static bool config_has_shells_pid(const struct place *p, size_t at)
{
    static const char *const texts[] = {"$$", "$PID", "${PID}"};

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        size_t len = strlen(texts[i]);

        if (p->len - at >= len && !memcmp(p->text + at, texts[i], len))
            return true;
    }
    return false;
}

/* What outfile.c will make of it. */
static bool config_check_target(struct config *out, const struct place *p, bool has_streams)
{
    if (config_is_no_file(out, p, has_streams))
        return false;
    for (size_t i = 0; i < p->len; i++) {
        if (config_has_shells_pid(p, i)) {
            config_expect(out, p, i, "expected %%p for the process id");
            return false;
        }
        if (p->text[i] != '%')
            continue;
        i++;
        if (i == p->len || (p->text[i] != 'p' && p->text[i] != '%')) {
            config_expect(out, p, i - 1, "expected %%p (the process id) or %%%% after this");
            return false;
        }
    }
    if (p->len < 4000)
        return true;
    config_expect(out, p, 0, "expected the path of a file, this is too long for one");
    return false;
}

/* None of them is what elf_module_match compares. */
static void config_check_modules(struct config *out, const struct config_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct config_item *item = &list->items[i];
        struct place place = {.text = (char *)item->text, .len = item->len};
        size_t at = strcspn(item->text, "/*?=:@\"' ");

        if (item->text[at] || config_is_switch(&place))
            config_item_error(out, item, item->text[at] ? at : 0,
                              "expected the beginning of a library's file name, as in libcurl");
        else
            config_expect_once(out, list, i);
    }
}

void config_parse(struct reader *r, size_t setting, struct place *p, void *into)
{
    const struct setting *s = &config_settings[setting];

    switch (s->kind) {
    case KIND_FLAG:
        config_parse_flag(r->out, p, into);
        break;
    case KIND_CHOICE:
        config_parse_choice(r->out, p, s->words, into);
        break;
    case KIND_COUNT:
        config_parse_count(r->out, p,
                           setting == SETTING_stacks       ? STACKS_MOST
                           : setting == SETTING_trace_size ? TRACE_MIB_MOST
                                                           : UINT32_MAX,
                           into);
        if (setting == SETTING_trace_size && !*(uint32_t *)into) {
            config_expect(r->out, p, 0, "expected at least 1: a trace needs room");
            *(uint32_t *)into = 1;
        }
        break;
    case KIND_SECONDS:
        config_parse_seconds(r->out, p, into);
        break;
    case KIND_TARGET:
        if (!config_check_target(r->out, p, setting == SETTING_report || setting == SETTING_crash))
            break;
        p->text[p->len] = '\0';
        *(const char **)into = p->text;
        break;
    case KIND_PATH:
        p->text[p->len] = '\0';
        *(const char **)into = p->text;
        break;
    case KIND_LIST:
    case KIND_NAMES:
        config_parse_list(r->out, p, s->kind == KIND_LIST ? ";" : ",;",
                          r->items + config_list_number(setting) * r->item_max, r->item_max, into);
        if (setting == SETTING_own || setting == SETTING_pools)
            config_check_modules(r->out, into);
        break;
    }
}

void config_take(struct reader *r, size_t setting, struct place *p)
{
    const struct setting *s = &config_settings[setting];
    bool is_list = s->kind == KIND_LIST || s->kind == KIND_NAMES;
    unsigned errors = r->out->errors;
    uint64_t scratch;
    void *into = (char *)r->out + s->offset;

    config_trim(p);
    if (!p->len)
        return;
    if (!is_list && r->given_at[setting]) {
        if (p->file && r->given_at[setting] != GIVEN_IN_ENVIRONMENT) {
            config_expect(r->out, p, 0, "already given in line %u, expected once",
                          r->given_at[setting]);
            return;
        }
        into = &scratch;
    }
    config_parse(r, setting, p, into);
    if (into != &scratch && r->out->errors == errors)
        r->given_at[setting] = p->file ? p->line : GIVEN_IN_ENVIRONMENT;
}

void config_help(void)
{
    static const char kinds[][12] = {
        [KIND_FLAG] = "on|off",    [KIND_COUNT] = "NUMBER", [KIND_SECONDS] = "SECONDS",
        [KIND_PATH] = "FILE",      [KIND_TARGET] = "FILE",  [KIND_LIST] = "ITEM;...",
        [KIND_NAMES] = "NAME,...",
    };
    char line[256];
    int len;

    len = fmt_buf(line, sizeof line, "baton %s: settings (default in brackets)\n", BATON_VERSION);
    log_write(STDERR_FILENO, line, (size_t)len);
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const struct setting *s = &config_settings[i];

        len = fmt_buf(line, sizeof line, "  %s=%s%s%s%s\n      %s\n", s->name,
                      s->kind == KIND_CHOICE ? s->words : kinds[s->kind], *s->def ? " [" : "",
                      s->def, *s->def ? "]" : "", s->help);
        log_write(STDERR_FILENO, line, (size_t)(len < 256 ? len : 255));
    }
}
