/* The grammar of items: KIND[:WHAT][,OPTION]...
 *
 * Promise: what passes here has one meaning. Every name is a name, every option is one that the kind
 * has, stands once and contradicts no other, and whatever is wrong is said with its place and with what to
 * type instead. That the names exist is not asked: they may come with a library.
 * A new option is a bit of form.h, a row of `options`, and that bit in the forms of the kinds that have it.
 */
#include "slots/grammar.h"

#include <stddef.h>
#include <string.h>

#include "base/config.h"
#include "base/log.h"
#include "base/text.h"
#include "slots/kind.h"
#include "slots/slots.h"

enum { COPY_MOST = 1 << 20, SIZE_MOST = 1 << 16, HINT_DISTANCE = 2 };

enum {
    EXCLUSIVE = O_POLICIES | O_MOVE | O_CODEC,
    BEFORE_POLICY = O_NATIVE | O_DUP | O_GET | O_SET | O_FILL | O_PUT | O_AT | O_SIZE,
};

enum value { VALUE_NONE, VALUE_FUNCTION, VALUE_COUNT, VALUE_SIZE, VALUE_FILE };

static const struct option {
    char word[8];
    enum value value;
    unsigned bit;
} options[] = {
    {"share", VALUE_NONE, O_SHARE},     {"copy", VALUE_COUNT, O_COPY},
    {"string", VALUE_NONE, O_STRING},   {"clone", VALUE_FUNCTION, O_CLONE},
    {"free", VALUE_FUNCTION, O_FREE},   {"ref", VALUE_FUNCTION, O_REF},
    {"unref", VALUE_FUNCTION, O_UNREF}, {"weak", VALUE_NONE, O_WEAK},
    {"move", VALUE_NONE, O_MOVE},       {"native", VALUE_NONE, O_NATIVE},
    {"dup", VALUE_NONE, O_DUP},         {"get", VALUE_FUNCTION, O_GET},
    {"set", VALUE_FUNCTION, O_SET},     {"codec", VALUE_FILE, O_CODEC},
    {"fill", VALUE_FUNCTION, O_FILL},   {"put", VALUE_FUNCTION, O_PUT},
    {"at", VALUE_FUNCTION, O_AT},       {"size", VALUE_SIZE, O_SIZE},
};
enum { OPTIONS = sizeof options / sizeof *options };

static char hint[200]; /* what was expected, where that depends: items are read in one thread */

static bool (*is_adapter)(const char *name);

static bool is_word(const char *text, size_t len, const char *word)
{
    return strlen(word) == len && !memcmp(text, word, len);
}

static char to_lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c | 32 : c);
}

/* ---- options ---- */

static bool check_number(const char *at, size_t len, size_t most, const char *expected,
                         struct slot_error *error)
{
    size_t value = 0;

    for (size_t i = 0; i < len; i++) {
        if (!form_is_digit(at[i]) || value > most)
            return form_bad(error, at, expected);
        value = value * 10 + (size_t)(at[i] - '0');
    }
    return (value && value <= most) || form_bad(error, at, expected);
}

/* "fenv,locale" and "key:a,key:b": the next item stands where an option would. */
static bool is_item(const char *at, size_t len)
{
    size_t kind_len = strcspn(at, ":,");
    char name[64];

    if (slot_kind_find(at, kind_len < len ? kind_len : len))
        return true;
    if (!len || len >= sizeof name)
        return false;
    memcpy(name, at, len);
    name[len] = '\0';
    return is_adapter(name);
}

static bool unknown_option(const struct slot_form *form, const char *at, size_t len,
                           struct slot_error *error)
{
    size_t word_len = len;
    char word[16];

    if (is_item(at, len))
        return form_bad(error, at, "an option: the next item stands after a ';', not after a ','");
    for (size_t i = 0; i < len; i++)
        if (at[i] == '=' && word_len == len)
            word_len = i;
    for (unsigned i = 0; i < OPTIONS && word_len < sizeof word; i++) {
        for (size_t j = 0; j < word_len; j++)
            word[j] = to_lower(at[j]);
        word[word_len] = '\0';
        if (!(options[i].bit & form->options) || word_len < 2 ||
            config_name_distance(word, options[i].word) > HINT_DISTANCE - (word_len < 4))
            continue;
        fmt_buf(hint, sizeof hint, "%s%s? Options: %s", options[i].word,
                options[i].value == VALUE_NONE ? "" : "=", form->extra);
        return form_bad(error, at, hint);
    }
    return form_bad(error, at, form->extra);
}

static bool check_conflicts(unsigned seen, unsigned bit, const char *at, struct slot_error *error)
{
    if (seen & bit)
        return form_bad(error, at, "each option once");
    if (bit & EXCLUSIVE && seen & EXCLUSIVE)
        return form_bad(error, at,
                        "one policy only: this and the one before contradict each other");
    if (bit & BEFORE_POLICY && seen & (O_POLICIES | O_MOVE | O_UNREF))
        return form_bad(error, at, "this option before the policy");
    if (bit == O_WEAK && seen & O_NATIVE)
        return form_bad(error, at, "another policy: weak is not for native");
    if ((bit == O_UNREF && !(seen & O_REF)) ||
        (bit == O_FREE && seen & (O_POLICIES | O_MOVE) && !(seen & O_CLONE)))
        return form_bad(error, at,
                        "free= after clone=, unref= after ref=: clone=F,free=F or ref=F,unref=F");
    if ((bit & O_POLICIES & ~O_SHARE) && seen & O_FREE)
        return form_bad(error, at, "either free=FUNCTION (the getter makes copies) or a policy");
    return true;
}

/* One option at AT; its bit goes to *seen. */
static bool check_option(const struct slot_form *form, const char *at, size_t len, unsigned *seen,
                         struct slot_error *error)
{
    const char *value = memchr(at, '=', len);
    size_t word_len = value ? (size_t)(value - at) : len;
    const struct option *option = NULL;

    if (!len)
        return form_bad(error, at, "an option after the comma, or no comma");
    for (unsigned i = 0; i < OPTIONS; i++)
        if (is_word(at, word_len, options[i].word) && options[i].bit & form->options &&
            (options[i].value != VALUE_NONE) == (value != NULL))
            option = &options[i];
    if (!option && is_word(at, word_len, "move") && !value)
        return form_bad(error, at, "another policy: move is for fn: only");
    if (!option)
        return unknown_option(form, at, len, error);
    if (!check_conflicts(*seen, option->bit, at, error))
        return false;
    *seen |= option->bit;
    if (!value)
        return true;
    value++;
    len -= word_len + 1;
    if (option->value == VALUE_FILE) /* whether it can be loaded is looked at by its kind */
        return len ? true
                   : form_bad(error, value,
                              "codec=string, shared_ptr, map-string-string or /FILE.so[:PREFIX]");
    if (option->value == VALUE_COUNT)
        return check_number(value, len, COPY_MOST,
                            "a number of bytes from 1 to 1048576, as in copy=64", error);
    return option->value == VALUE_SIZE
               ? check_number(value, len, SIZE_MOST,
                              "a number of bytes from 1 to 65536, as in size=4", error)
               : form_check_symbol(value, len, "the name of a function, FUNCTION[@MODULE]", error);
}

static bool check_whole(const struct slot_form *form, unsigned seen, const char *end,
                        struct slot_error *error)
{
    if (seen & O_CLONE && !(seen & O_FREE))
        return form_bad(error, end, "free=FUNCTION too: clone=F,free=F");
    if (seen & O_REF && !(seen & O_UNREF))
        return form_bad(error, end, "unref=FUNCTION too: ref=F,unref=F");
    if (form->shape != SHAPE_OPTIONS && seen & O_FREE && !(seen & O_CLONE))
        return form_bad(error, end, "clone=FUNCTION before free=: clone=F,free=F");
    return true;
}

/* ---- the item ---- */

static const char *colon_of(const struct slot_form *form)
{
    return form->shape == SHAPE_ALONE ? "" : ":";
}

/* "auto, key:, tls: ... or adapter:" */
static void list_kinds(char *buf, size_t n)
{
    fmt_buf(buf, n, "auto");
    for (unsigned i = 0; i < SLOT_KINDS; i++) {
        const char *before = i + 1 < SLOT_KINDS ? ", " : " or ";
        size_t used = strlen(buf);

        fmt_buf(buf + used, n - used, "%s%s%s", before, slot_kinds[i]->form->name,
                colon_of(slot_kinds[i]->form));
    }
}

/* FUNCTION(kind=...), or a piece of one: kind=submit, submit=FUNCTION. What an item's option is called, too, is not asked. */
static bool is_hook(const char *text)
{
    static const char words[][12] = {"kind",        "call", "submit",  "run",  "field",
                                     "stdfunction", "drop", "virtual", "relay"};
    size_t len = strcspn(text, "=");

    for (unsigned i = 0; text[len] && i < sizeof words / sizeof *words; i++)
        if (is_word(text, len, words[i]))
            return true;
    return strstr(text, "(kind=");
}

/* What belongs into another setting, or has another word. NULL: none of these. */
static const char *meant_otherwise(const char *text)
{
    if (is_hook(text))
        return "an item to carry; a hook, FUNCTION(kind=...), is for BATON_HOOKS, or --hook";
    if (!strncmp(text, "preset:", 7))
        fmt_buf(hint, sizeof hint, "an item to carry; a preset is for BATON_HOOKS, or --preset %s",
                text + 7);
    else if (slots_calls.knows && slots_calls.knows(text))
        fmt_buf(hint, sizeof hint, "auto, which knows what %s keeps", text);
    else
        return NULL;
    return hint;
}

static bool unknown_kind(const char *text, size_t len, struct slot_error *error)
{
    char word[16], kinds[100];
    const char *meant;

    if (*text == '"' || *text == '\'')
        return form_bad(error, text, "an item without quotes, as in key:request_key");
    if (!strchr(text, ':') && !strchr(text, '/') && is_adapter(text)) {
        fmt_buf(hint, sizeof hint, "adapter:%s, for it is an adapter", text);
        return form_bad(error, text, hint);
    }
    meant = meant_otherwise(text);
    if (meant)
        return form_bad(error, text, meant);
    for (unsigned i = 0; i < 5; i++) {
        if (i == 4 && !(to_lower(text[i]) >= 'a' && to_lower(text[i]) <= 'z'))
            return form_bad(error, text, "auto, an item of its own: it takes no more");
        if (i < 4 && to_lower(text[i]) != "auto"[i])
            break;
    }
    list_kinds(kinds, sizeof kinds);
    if (memchr(text, '=', len)) /* key=NAME */
        len = strcspn(text, "=");
    for (unsigned i = 0; i < SLOT_KINDS && len && len < sizeof word; i++) {
        const struct slot_form *form = slot_kinds[i]->form;

        for (size_t j = 0; j < len; j++)
            word[j] = to_lower(text[j]);
        word[len] = '\0';
        if (config_name_distance(word, form->name) > (len < 5 ? 1 : HINT_DISTANCE))
            continue;
        fmt_buf(hint, sizeof hint, "%s%s? Kinds: %s", form->name, colon_of(form), kinds);
        return form_bad(error, text, hint);
    }
    fmt_buf(hint, sizeof hint, "%s", kinds);
    return form_bad(error, text, hint);
}

unsigned grammar_option(const char *option)
{
    size_t len = strcspn(option, ",");
    const char *value = memchr(option, '=', len);

    for (unsigned i = 0; i < OPTIONS; i++) {
        if (is_word(option, value ? (size_t)(value - option) : len, options[i].word))
            return options[i].bit;
    }
    return 0;
}

bool grammar_check(const char *text, bool (*adapter_exists)(const char *name),
                   struct slot_error *error)
{
    size_t kind_len = strcspn(text, ":,"), len;
    const struct slot_kind *kind = slot_kind_find(text, kind_len);
    const struct slot_form *form = kind ? kind->form : NULL;
    const char *at = text + kind_len;
    unsigned seen = 0;

    is_adapter = adapter_exists;
    if (!form)
        return unknown_kind(text, kind_len, error);
    if ((*at == ':') != (form->shape != SHAPE_ALONE))
        return form_bad(error, at, form->item);
    at += *at == ':';
    if (form->shape == SHAPE_OPTIONS) {
        if (!*at || *at == ',')
            return form_bad(error, at, form->item);
        at--; /* the first option stands behind the colon */
    } else if (form->shape == SHAPE_WHAT) {
        len = strcspn(at, ",");
        if (!kind->check(at, len, error))
            return false;
        at += len;
    }
    while (*at) {
        at++;
        len = strcspn(at, ",");
        if (!check_option(form, at, len, &seen, error))
            return false;
        at += len;
    }
    if (form->shape == SHAPE_OPTIONS) {
        const char *options_at = text + kind_len + 1;

        if (!kind->check(options_at, (size_t)(at - options_at), error))
            return false;
    }
    return check_whole(form, seen, at, error);
}
