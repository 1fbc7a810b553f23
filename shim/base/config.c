/* Reading the settings: the environment, then the file (config_file.c).
 *
 * Promise: strict. What is not understood is said in one message that names the variable, its
 * value, the place and what was expected, and then it is as if it had not been given; everything
 * else still counts. The code runs before libc may be ready: no getenv, no malloc, no stdio, no
 * locale (isdigit). One mapping holds every text, so that the program may do what it likes with
 * its environment. An empty value is the same as none.
 */
#include "base/arch.h"
#include "base/auxv.h"
#include "base/config.h"

#include <stdatomic.h>
#include <string.h>

#include "base/config_reader.h"
#include "base/log.h"
#include "base/said.h"
#include "base/sys.h"

/* The value of a BATON_ variable, NULL for anything else and for the tests' own. */
static char *config_value(char *entry, size_t *name_len)
{
    char *equals;

    if (*entry != *CONFIG_PREFIX || strncmp(entry, CONFIG_PREFIX, CONFIG_PREFIX_LEN) != 0 ||
        (entry[CONFIG_PREFIX_LEN] == 'T' && strncmp(entry, CONFIG_PREFIX "TEST_", 11) == 0))
        return NULL;
    equals = strchr(entry, '=');
    *name_len = equals ? (size_t)(equals - entry) : 0;
    return equals ? equals + 1 : NULL;
}

static void config_read_entry(struct reader *r, char *entry)
{
    struct place p = {.column = 1};
    char name[64];
    size_t name_len, setting;
    char *value = config_value(entry, &name_len);

    if (!value)
        return;
    setting = config_find(entry, name_len);
    if (r->out->is_secure && (setting == SETTING_COUNT || !config_settings[setting].is_secure_ok))
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
    p.name = config_settings[setting].name;
    p.text = r->text;
    memcpy(p.text, value, p.len + 1);
    r->text += p.len + 1;
    config_take(r, setting, &p);
}

static APART void config_set_default(struct reader *r, size_t i)
{
    char text[sizeof config_settings[i].def];
    struct place p = {
        .name = config_settings[i].name, .text = text, .len = config_settings[i].def_len};

    memcpy(text, config_settings[i].def, sizeof text);
    config_parse(r, i, &p, (char *)r->out + config_settings[i].offset);
}

static void config_set_defaults(struct reader *r)
{
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        if (config_settings[i].def[0]) /* else the zeroes are right */
            config_set_default(r, i);
    }
}

/* What most need: a mapping costs more than reading the settings. */
static _Alignas(16) char small_memory[2048];
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

static void config_expect_partner(struct reader *r, size_t setting, bool is_there,
                                  const char *partner)
{
    if (!r->given_at[setting] || is_there)
        return;
    log_msg(LOG_LEVEL_ERROR, "%s: does nothing without %s", config_settings[setting].name, partner);
    r->out->errors++;
}

/* A thread begins with its creator's context or empty: not both. */
static void config_check_contradictions(struct config *c)
{
    for (size_t i = 0; i < c->pools.count; i++) {
        for (size_t j = 0; j < c->own.count; j++) {
            if (!strcmp(c->pools.items[i].text, c->own.items[j].text))
                config_item_error(c, &c->pools.items[i], 0,
                                  "in BATON_OWN, too, expected in one of them");
        }
    }
}

/* Settings that mean nothing by themselves. */
static void config_check_partners(struct reader *r)
{
    const struct config *c = r->out;

    config_expect_partner(r, SETTING_leak_age_ns, c->strict || !c->leak_age_ns, "BATON_STRICT=on");
    config_expect_partner(r, SETTING_crash, c->stacks, "BATON_STACKS=N");
    config_expect_partner(r, SETTING_trace_size, c->trace, "BATON_TRACE");
    config_expect_partner(r, SETTING_trace_values, c->trace, "BATON_TRACE");
}

static size_t config_count_separators(const char *text)
{
    size_t n = 1;

    for (; *text; text++)
        n += *text == ';' || *text == ',';
    return n;
}

/* The entries that stay move up: their texts are others', and whoever holds a pointer to one keeps it. */
void config_scrub(char **envp)
{
    char **kept = envp;
    size_t name_len;

    for (; envp && *envp; envp++) {
        size_t setting = SETTING_COUNT;
        bool is_ours = strncmp(*envp, CONFIG_PREFIX, CONFIG_PREFIX_LEN) == 0 ||
                       strncmp(*envp, SAID_VARIABLE "=", sizeof SAID_VARIABLE) == 0;

        if (is_ours && config_value(*envp, &name_len))
            setting = config_find(*envp, name_len);
        if (!is_ours || (setting < SETTING_COUNT && config_settings[setting].is_secure_ok))
            *kept++ = *envp;
    }
    while (kept && *kept)
        *kept++ = NULL;
}

/* What somebody writes who takes it for the switch. Another value may be anybody's variable: early.c asks, too. */
static bool config_is_bare(const char *entry)
{
    return !strncmp(entry, "BATON=1", 7) || !strncmp(entry, "BATON=on", 8);
}

bool config_is_any(char **envp)
{
    size_t name_len;

    while (envp && *envp && !config_value(*envp, &name_len) && !config_is_bare(*envp))
        envp++;
    return envp && *envp;
}

void config_read_as(bool is_secure, char **envp, struct config *out)
{
    struct reader r = {.out = out};
    static const char off[] = "BATON_DISABLE";
    struct place file = {.name = "BATON_CONFIG", .column = 1};
    size_t text_len = 0, item_max = 0, file_len = 0, name_len;
    const char *bare = NULL;
    int fd = -1;

    memset(out, 0, sizeof *out);
    out->is_secure = is_secure;
    config_set_defaults(&r);
    for (char **e = envp; e && *e; e++) {
        char *value = config_value(*e, &name_len);

        bare = config_is_bare(*e) ? *e : bare;
        if (!value)
            continue;
        if (name_len == sizeof off - 1 && !memcmp(*e, off, name_len) && !strcmp(value, "all")) {
            out->is_off = true;
            return;
        }
        text_len += strlen(value) + 2;
        item_max += config_count_separators(value);
        if (!is_secure && !file.len && name_len == 12 && memcmp(*e, file.name, 12) == 0) {
            file.text = value;
            file.len = strlen(value);
        }
    }
    if (bare && !is_secure) {
        log_msg(LOG_LEVEL_ERROR, "%.20s: no such setting, BATON_HELP=1 lists them", bare);
        out->errors++;
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
        config_check_partners(&r);
        config_check_contradictions(out);
    }
    if (fd >= 0)
        sys_close(fd);
}

void config_read(char **envp, struct config *out)
{
    config_read_as(auxv_get(AT_SECURE) != 0, envp, out);
    if (out->is_secure)
        config_scrub(envp);
}
