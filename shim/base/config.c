/* Reading the settings: the environment, then the file.
 *
 * Promise: strict. What is not understood is said in one message that names the variable, its
 * value, the place and what was expected, and then it is as if it had not been given; everything
 * else still counts. The code runs before libc may be ready: no getenv, no malloc, no stdio, no
 * locale (isdigit). One mapping holds every text, so that the program may do what it likes with
 * its environment. An empty value is the same as none.
 */
#include "base/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/auxv.h>

#include "base/config_parse.h"
#include "base/log.h"
#include "base/sys.h"

#define PREFIX "BATON_"
#define PREFIX_LEN (sizeof PREFIX - 1)
#define FILE_MAX ((size_t)256 << 10)

enum kind {
    KIND_FLAG,
    KIND_CHOICE,
    KIND_COUNT,
    KIND_SECONDS,
    KIND_PATH,
    KIND_TARGET,
    KIND_LIST,
    KIND_NAMES
};

/* What each TYPE of config.def is here: kind, and the words of a choice. */
#define CONFIG_ROW_FLAG KIND_FLAG, ""
#define CONFIG_ROW_CHOICE(words) KIND_CHOICE, words
#define CONFIG_ROW_COUNT KIND_COUNT, ""
#define CONFIG_ROW_SECONDS KIND_SECONDS, ""
#define CONFIG_ROW_PATH KIND_PATH, ""
#define CONFIG_ROW_TARGET KIND_TARGET, ""
#define CONFIG_ROW_LIST KIND_LIST, ""
#define CONFIG_ROW_NAMES KIND_NAMES, ""

/* Texts, not pointers: the loader would have to write those at every start of every program. */
static const struct setting {
    char name[16];
    char words[24]; /* of a choice */
    char def[8];
    char help[96];
    enum kind kind;
    uint16_t offset; /* in struct config */
    bool is_secure_ok;
} settings[] = {
#define ROW(field, name, kind, words, def, secure_ok, help) \
    {name, words, def, help, kind, offsetof(struct config, field), secure_ok},
#define ROW_EXPANDED(...) ROW(__VA_ARGS__)
#define SETTING(field, name, type, def, secure_ok, help) \
    ROW_EXPANDED(field, name, CONFIG_ROW_##type, def, secure_ok, help)
#include "base/config.def"
#undef SETTING
};

enum { SETTING_COUNT = sizeof settings / sizeof *settings };

/* One that is too long by its terminator alone is not the compiler's to complain of. */
#define ROOM_FOR(text, member) \
    _Static_assert(sizeof(text) <= sizeof settings[0].member, "a text of a setting is too long");
#define SETTING(field, variable, type, preset, secure_ok, text) \
    ROOM_FOR(variable, name) ROOM_FOR(preset, def) ROOM_FOR(text, help)
#include "base/config.def"
#undef SETTING

#define GIVEN_IN_ENVIRONMENT UINT32_MAX

struct reader {
    struct config *out;
    char *text, *text_end;     /* what is left of the memory for texts */
    struct config_item *items; /* a room of item_max for each list */
    size_t item_max;
    uint32_t given_at[SETTING_COUNT]; /* line in the file, GIVEN_IN_ENVIRONMENT, or 0 */
};

static size_t config_find(const char *name, size_t len)
{
    size_t i;

    for (i = 0; i < SETTING_COUNT; i++)
        if (strlen(settings[i].name) == len && memcmp(settings[i].name, name, len) == 0)
            break;
    return i;
}

/* Names are compared as if written in capitals: export baton_carry=... is a mistake of the same kind. */
static void config_upper(const char *from, char *into, size_t n)
{
    size_t i = 0;

    for (; from[i] && i + 1 < n; i++)
        into[i] = (char)(from[i] >= 'a' && from[i] <= 'z' ? from[i] - 32 : from[i]);
    into[i] = '\0';
}

static void config_unknown(struct reader *r, const struct place *place)
{
    unsigned best = UINT32_MAX, length;
    const char *nearest = NULL;
    char name[64];

    config_upper(place->name, name, sizeof name);
    length = (unsigned)(strlen(name) > PREFIX_LEN ? strlen(name) - PREFIX_LEN : 0);
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        unsigned d = config_name_distance(name, settings[i].name);

        if (d < best) {
            best = d;
            nearest = settings[i].name;
        }
    }
    if (best <= length / 3 || best == 0)
        config_expect(r->out, place, 0, "no such setting, expected %s?", nearest);
    else
        config_expect(r->out, place, 0, "no such setting, BATON_HELP=1 lists them");
}

/* Which of the settings that are lists this one is. */
static size_t config_list_number(size_t setting)
{
    size_t number = 0;

    for (size_t i = 0; i < setting; i++)
        number += settings[i].kind == KIND_LIST || settings[i].kind == KIND_NAMES;
    return number;
}

/* What outfile.c will make of it. */
static bool config_check_target(struct config *out, const struct place *p)
{
    for (size_t i = 0; i < p->len; i++) {
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

static void config_parse(struct reader *r, size_t setting, struct place *p, void *into)
{
    const struct setting *s = &settings[setting];

    switch (s->kind) {
    case KIND_FLAG:
        config_parse_flag(r->out, p, into);
        break;
    case KIND_CHOICE:
        config_parse_choice(r->out, p, s->words, into);
        break;
    case KIND_COUNT:
        config_parse_count(r->out, p, into);
        break;
    case KIND_SECONDS:
        config_parse_seconds(r->out, p, into);
        break;
    case KIND_TARGET:
        if (!config_check_target(r->out, p))
            break;
        /* fall through */
    case KIND_PATH:
        p->text[p->len] = '\0';
        *(const char **)into = p->text;
        break;
    case KIND_LIST:
    case KIND_NAMES:
        config_parse_list(r->out, p, s->kind == KIND_LIST ? ";" : ",;",
                          r->items + config_list_number(setting) * r->item_max, r->item_max, into);
        break;
    }
}

/* Where a setting's value goes; a value that another one beats is still looked at, in SCRATCH. */
static void config_take(struct reader *r, size_t setting, struct place *p)
{
    const struct setting *s = &settings[setting];
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

/* The file */

static bool config_begins(const struct place *p, const char *word)
{
    size_t len = strlen(word);

    return p->len >= len && !memcmp(p->text, word, len);
}

/* Lines of other formats, which would be taken for items: what they are, and what to type. */
static bool config_refuse_line(struct reader *r, struct place *p)
{
    char name[64] = PREFIX, shown[64];
    size_t len = 0, skip;
    bool is_lower = false;

    p->name = "BATON_CONFIG";
    while (len < p->len && len < sizeof shown - 1 &&
           (((p->text[len] | 32) >= 'a' && (p->text[len] | 32) <= 'z') || p->text[len] == '_'))
        is_lower |= p->text[len++] >= 'a' && p->text[len - 1] != '_';
    if (config_begins(p, "export ") || config_begins(p, "set ")) {
        config_expect(r->out, p, 0, "expected NAME=VALUE without %.*s", (int)len, p->text);
        return true;
    }
    if (*p->text == '[') {
        config_expect(r->out, p, 0, "expected NAME=VALUE or an item: there are no sections");
        return true;
    }
    if (config_begins(p, "include ") || config_begins(p, "@include ")) {
        config_expect(r->out, p, 0, "expected NAME=VALUE or an item: no file includes another");
        return true;
    }
    memcpy(shown, p->text, len);
    shown[len] = '\0';
    config_upper(shown, name + PREFIX_LEN, sizeof name - PREFIX_LEN);
    skip = strncmp(name + PREFIX_LEN, PREFIX, PREFIX_LEN) == 0 ? PREFIX_LEN : 0;
    memmove(name, name + skip, strlen(name + skip) + 1);
    for (skip = len; skip < p->len && config_is_space(p->text[skip]);)
        skip++;
    if (skip < p->len && p->text[skip] == '=' && !is_lower)
        return false;
    if (strlen(name) <= PREFIX_LEN || config_find(name, strlen(name)) == SETTING_COUNT)
        return false;
    config_expect(r->out, p, 0, "expected %s=VALUE, in capitals and with '='", name + PREFIX_LEN);
    return true;
}

static void config_read_line(struct reader *r, const char *file, uint32_t number, char *line,
                             size_t len)
{
    struct place p = {.file = file, .text = line, .len = len, .line = number, .key_index = 1};
    char name[64] = PREFIX;
    size_t name_len = 0, skip, end, setting;

    /* A '#' inside an item is tls:NAME#FILE.c; a comment's has a space before it. */
    for (size_t i = 0; i < len; i++)
        if (line[i] == '#' && (i == 0 || config_is_space(line[i - 1]))) {
            p.len = i;
            break;
        }
    config_trim(&p);
    if (!p.len)
        return;
    if (config_refuse_line(r, &p))
        return;
    while (name_len < p.len &&
           ((p.text[name_len] >= 'A' && p.text[name_len] <= 'Z') ||
            (p.text[name_len] >= '0' && p.text[name_len] <= '9') || p.text[name_len] == '_'))
        name_len++;
    for (end = name_len; end < p.len && config_is_space(p.text[end]);)
        end++;
    if (!name_len || end == p.len || p.text[end] != '=') {
        bool is_hook = false;

        for (size_t i = 0; i + 6 <= p.len && !is_hook; i++)
            is_hook = memcmp(p.text + i, "(kind=", 6) == 0;
        if (p.len > 7 && memcmp(p.text, "preset:", 7) == 0)
            is_hook = true;
        setting = config_find(is_hook ? "BATON_HOOKS" : "BATON_CARRY", 11);
        p.name = settings[setting].name;
        config_take(r, setting, &p);
        return;
    }
    skip = name_len >= PREFIX_LEN && memcmp(p.text, PREFIX, PREFIX_LEN) == 0 ? PREFIX_LEN : 0;
    name_len = name_len - skip < sizeof name - PREFIX_LEN ? name_len - skip
                                                          : sizeof name - PREFIX_LEN - 1;
    memcpy(name + PREFIX_LEN, p.text + skip, name_len);
    setting = config_find(name, PREFIX_LEN + name_len);
    p.name = setting < SETTING_COUNT ? settings[setting].name : name;
    p.text += end + 1;
    p.len -= end + 1;
    p.key_index += (uint32_t)end + 1;
    if (setting == SETTING_COUNT)
        config_unknown(r, &p);
    else if (settings[setting].offset == offsetof(struct config, config))
        config_expect(r->out, &p, 0, "expected in the environment only, not in a file");
    else
        config_take(r, setting, &p);
}

static void config_read_text(struct reader *r, const char *file, char *text, size_t len)
{
    static const char mark[3] = "\xef\xbb\xbf"; /* of Windows editors */
    uint32_t number = 1;
    size_t at = 0;

    if (len >= sizeof mark && !memcmp(text, mark, sizeof mark)) {
        struct place p = {
            .name = "BATON_CONFIG", .file = file, .text = text, .line = 1, .key_index = 1};

        config_expect(r->out, &p, 0,
                      "expected text without a byte order mark: save it as plain UTF-8");
        at = sizeof mark;
    }
    for (; at < len; number++) {
        char *end = memchr(text + at, '\n', len - at);
        size_t line_len = end ? (size_t)(end - (text + at)) : len - at;

        config_read_line(r, file, number, text + at, line_len);
        at += line_len + 1;
    }
}

/* Open the file of BATON_CONFIG and say how long it is. -1: there is none to read. */
static int config_open_file(struct config *out, struct place *p, size_t *len)
{
    char path[4096];
    long size;
    int fd;

    *len = 0;
    config_trim(p);
    if (!p->len)
        return -1;
    if (p->len >= sizeof path) {
        config_expect(out, p, 0, "expected the path of a file, this is too long for one");
        return -1;
    }
    memcpy(path, p->text, p->len);
    path[p->len] = '\0';
    fd = sys_open(path, O_RDONLY | O_NONBLOCK, 0);
    if (fd < 0) {
        config_expect(out, p, 0, "cannot be opened (%s), expected a readable file",
                      config_errno_text(-fd));
        return -1;
    }
    size = sys_file_size(fd);
    /* Files of /proc say that they are empty. */
    if (size == 0 && sys_read(fd, path, 1) != 0)
        size = -EINVAL;
    if (size < 0 || (size_t)size > FILE_MAX) {
        config_expect(out, p, 0, "expected a regular file of at most %zu bytes", FILE_MAX);
        sys_close(fd);
        return -1;
    }
    *len = (size_t)size;
    return fd;
}

static void config_read_file(struct reader *r, const struct place *p, int fd, size_t len)
{
    char *text = r->text, *nul;
    size_t got = 0;
    long n = 0;

    while (got < len && ((n = sys_read(fd, text + got, len - got)) > 0 || n == -EINTR))
        got += n > 0 ? (size_t)n : 0;
    if (n < 0) {
        config_expect(r->out, p, 0, "cannot be read (%s), expected a readable file",
                      config_errno_text((int)-n));
        return;
    }
    nul = memchr(text, '\0', got);
    if (nul)
        config_expect(r->out, p, 0, "expected a text file, byte %zu is a NUL",
                      (size_t)(nul - text));
    else
        config_read_text(r, r->out->config, text, got);
}

/* The environment */

/* The value of a BATON_ variable, NULL for anything else and for the tests' own. */
static char *config_value(char *entry, size_t *name_len)
{
    char *equals;

    if (strncmp(entry, PREFIX, PREFIX_LEN) != 0 || strncmp(entry, PREFIX "TEST_", 11) == 0)
        return NULL;
    equals = strchr(entry, '=');
    *name_len = equals ? (size_t)(equals - entry) : 0;
    return equals ? equals + 1 : NULL;
}

static void config_read_entry(struct reader *r, char *entry)
{
    struct place p = {.key_index = 1};
    char name[64];
    size_t name_len, setting;
    char *value = config_value(entry, &name_len);

    if (!value)
        return;
    setting = config_find(entry, name_len);
    if (r->out->is_secure && (setting == SETTING_COUNT || !settings[setting].is_secure_ok))
        return;
    p.len = strlen(value);
    if (setting == SETTING_COUNT) {
        name_len = name_len < sizeof name ? name_len : sizeof name - 1;
        memcpy(name, entry, name_len);
        name[name_len] = '\0';
        p.name = name;
        p.text = value;
        config_unknown(r, &p);
        return;
    }
    if (r->given_at[setting] || p.len >= (size_t)(r->text_end - r->text))
        return; /* a second entry of one name: getenv would not see it either */
    p.name = settings[setting].name;
    p.text = r->text;
    memcpy(p.text, value, p.len + 1);
    r->text += p.len + 1;
    config_take(r, setting, &p);
}

static void config_set_defaults(struct reader *r)
{
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        char text[64];
        struct place p = {.name = settings[i].name, .text = text, .len = strlen(settings[i].def)};

        if (!p.len)
            continue; /* the zeroes are right */
        memcpy(text, settings[i].def, p.len + 1);
        config_parse(r, i, &p, (char *)r->out + settings[i].offset);
    }
}

/* What most need: a mapping costs more than reading the settings. */
static _Alignas(16) char small_memory[1024];
static atomic_flag small_is_used = ATOMIC_FLAG_INIT;

/* In one piece: the texts, the items, room for the texts again. */
static bool config_map(struct reader *r, size_t text_len, size_t item_max)
{
    size_t items_at = (text_len + 15) & ~(size_t)15;
    size_t items_end = items_at +
                       config_list_number(SETTING_COUNT) * item_max * sizeof(struct config_item);
    size_t len = items_end + text_len;
    bool is_small = len <= sizeof small_memory && !atomic_flag_test_and_set(&small_is_used);
    char *memory = is_small ? small_memory : sys_map(len, -1);

    if (!memory) {
        log_msg(LOG_LEVEL_ERROR, "no memory for the settings, all keep their defaults");
        r->out->errors++;
        return false;
    }
    r->out->memory = memory;
    r->out->memory_len = len;
    r->out->spare = memory + items_end;
    r->out->spare_len = text_len;
    r->text = memory;
    r->text_end = memory + text_len;
    r->items = (struct config_item *)(memory + items_at);
    r->item_max = item_max;
    return true;
}

static size_t config_count_separators(const char *text)
{
    size_t n = 1;

    for (; *text; text++)
        n += *text == ';' || *text == ',';
    return n;
}

/* The entries that stay move up: their texts are others', and who holds a pointer to one keeps it. */
void config_scrub(char **envp)
{
    char **kept = envp;
    size_t name_len;

    for (; envp && *envp; envp++) {
        size_t setting = SETTING_COUNT;
        bool is_ours = strncmp(*envp, PREFIX, PREFIX_LEN) == 0;

        if (is_ours && config_value(*envp, &name_len))
            setting = config_find(*envp, name_len);
        if (!is_ours || (setting < SETTING_COUNT && settings[setting].is_secure_ok))
            *kept++ = *envp;
    }
    while (kept && *kept)
        *kept++ = NULL;
}

bool config_is_any(char **envp)
{
    size_t name_len;

    while (envp && *envp && !config_value(*envp, &name_len))
        envp++;
    return envp && *envp;
}

void config_read_as(bool is_secure, char **envp, struct config *out)
{
    struct reader r = {.out = out};
    struct place file = {.name = "BATON_CONFIG", .key_index = 1};
    size_t text_len = 0, item_max = 0, file_len = 0, name_len;
    int fd = -1;

    memset(out, 0, sizeof *out);
    out->is_secure = is_secure;
    config_set_defaults(&r);
    for (char **e = envp; e && *e; e++) {
        char *value = config_value(*e, &name_len);

        if (!value)
            continue;
        text_len += strlen(value) + 2;
        item_max += config_count_separators(value);
        if (!is_secure && !file.len && name_len == 12 && memcmp(*e, file.name, 12) == 0) {
            file.text = value;
            file.len = strlen(value);
        }
    }
    if (!text_len)
        return;
    if (file.len)
        fd = config_open_file(out, &file, &file_len);
    if (config_map(&r, text_len + file_len + 1, item_max + file_len / 2 + 1)) {
        r.text_end -= file_len;
        for (char **e = envp; *e; e++)
            config_read_entry(&r, *e);
        if (fd >= 0)
            config_read_file(&r, &file, fd, file_len);
    }
    if (fd >= 0)
        sys_close(fd);
}

void config_read(char **envp, struct config *out)
{
    config_read_as(getauxval(AT_SECURE) != 0, envp, out);
    if (out->is_secure)
        config_scrub(envp);
}

void config_free(struct config *config)
{
    if (config->memory == small_memory) {
        memset(small_memory, 0, sizeof small_memory);
        atomic_flag_clear(&small_is_used);
    } else if (config->memory) {
        sys_unmap(config->memory, config->memory_len);
    }
    memset(config, 0, sizeof *config);
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
        const struct setting *s = &settings[i];

        len = fmt_buf(line, sizeof line, "  %s=%s%s%s%s\n      %s\n", s->name,
                      s->kind == KIND_CHOICE ? s->words : kinds[s->kind], *s->def ? " [" : "",
                      s->def, *s->def ? "]" : "", s->help);
        log_write(STDERR_FILENO, line, (size_t)(len < 256 ? len : 255));
    }
}
