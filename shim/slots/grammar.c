/* The grammar of items: KIND[:WHAT][,OPTION]...
 *
 * Promise: what passes here has one meaning. Every name is a name, every option is one that the kind
 * has, stands once and contradicts no other, and whatever is wrong is said with its place and with what to
 * type instead. That the names exist is not asked: they may come with a library.
 * A new option is a row of `options` and its bit in the rows of `kinds`.
 */
#include "slots/grammar.h"

#include <stddef.h>
#include <string.h>

#include "base/config.h"
#include "base/log.h"
#include "base/text.h"
#include "slots/slots.h"

enum { NAME_LONGEST = 4095, COPY_MOST = 1 << 20, HINT_DISTANCE = 2 };

enum option_bit {
    O_SHARE = 1 << 0,
    O_COPY = 1 << 1,
    O_STRING = 1 << 2,
    O_CLONE = 1 << 3,
    O_REF = 1 << 4,
    O_WEAK = 1 << 5,
    O_MOVE = 1 << 6,
    O_FREE = 1 << 7,
    O_UNREF = 1 << 8,
    O_NATIVE = 1 << 9,
    O_DUP = 1 << 10,
    O_GET = 1 << 11,
    O_SET = 1 << 12,
    O_CODEC = 1 << 13,
};
enum {
    POLICIES = O_SHARE | O_COPY | O_STRING | O_CLONE | O_REF | O_WEAK, /* one of them, and O_MOVE */
    ENDERS = O_FREE | O_UNREF,
    EXCLUSIVE = POLICIES | O_MOVE | O_CODEC,
    OWN = O_NATIVE | O_DUP | O_GET | O_SET, /* of one kind, before the policy */
};

enum value { VALUE_NONE, VALUE_FUNCTION, VALUE_COUNT, VALUE_FILE };

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
};
enum { OPTIONS = sizeof options / sizeof *options };

enum body { BODY_KEY, BODY_TLS, BODY_FUNCTION, BODY_OPTIONS, BODY_FILE, BODY_NONE };

#define POLICY_WORDS "share, copy=N, string, clone=F,free=F, ref=F,unref=F or weak"
static const struct grammar {
    char kind[8];
    enum body body;
    unsigned allowed;
    char form[112];  /* what to type */
    char extra[100]; /* the options that there are */
} grammars[] = {
    {"key", BODY_KEY, POLICIES | ENDERS | O_NATIVE,
     "the name of the variable that holds the key, key:NAME[@MODULE]; or key:by=FUNCTION, key:n=N",
     "native, " POLICY_WORDS},
    {"tls", BODY_TLS, POLICIES | ENDERS | O_CODEC,
     "the name of a variable, tls:NAME[@MODULE][#FILE.c]; or tls:MODULE+0xOFFSET:SIZE",
     "codec=/FILE.so[:PREFIX], " POLICY_WORDS},
    {"fn", BODY_OPTIONS, POLICIES | ENDERS | O_MOVE | O_GET | O_SET,
     "both functions, fn:get=FUNCTION,set=FUNCTION[,free=FUNCTION]",
     "get=F, set=F, free=F, move, " POLICY_WORDS},
    {"swap", BODY_FUNCTION, POLICIES | ENDERS,
     "a function that sets a value and returns the old one, swap:FUNCTION[@MODULE]", POLICY_WORDS},
    {"adapter", BODY_FILE, 0,
     "adapter:NAME (a file in lib/baton/adapters, without .so) or adapter:/path/to/file.so",
     "no option: adapters have none"},
    {"locale", BODY_NONE, O_DUP, "locale or locale,dup", "dup"},
    {"fenv", BODY_NONE, 0, "fenv alone", "no option: fenv stands alone"},
    {"name", BODY_NONE, 0, "name alone", "no option: name stands alone"},
    {"ioprio", BODY_NONE, 0, "ioprio alone", "no option: ioprio stands alone"},
};
enum { KINDS = sizeof grammars / sizeof *grammars };

static char hint[200]; /* what was expected, where that depends: items are read in one thread */

static bool (*is_adapter)(const char *name);

static bool bad(struct slot_error *error, const char *at, const char *expected)
{
    error->at = at;
    error->expected = expected;
    return false;
}

static bool is_word(const char *text, size_t len, const char *word)
{
    return strlen(word) == len && !memcmp(text, word, len);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return is_digit(c) || ((c | 32) >= 'a' && (c | 32) <= 'f');
}

static char to_lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c | 32 : c);
}

/* ---- names ---- */

/* What a linker's name is made of: letters of any script, digits, and few marks. */
static bool check_name(const char *at, size_t len, const char *form, struct slot_error *error)
{
    if (!len)
        return bad(error, at, form);
    if (len > NAME_LONGEST)
        return bad(error, at, "a name of at most 4095 bytes");
    for (size_t i = 0; i < len;) {
        size_t n = text_shown(at + i, len - i);

        if (!n)
            return bad(error, at + i, "letters and digits in UTF-8, no control character");
        if (at[i] == ' ')
            return bad(error, at + i, "no space in an item; between items stands a ';'");
        if (at[i] == '"' || at[i] == '\'')
            return bad(error, at + i, "a name without quotes");
        if (n == 1 && strchr("!&()*,/:;<=>?[\\]^`{|}~#@", at[i]))
            return bad(error, at + i,
                       "a name as the linker has it (nm shows it); between items stands a ';'");
        i += n;
    }
    return true;
}

/* NAME[@MODULE]. A module's file name may have marks that a name has not (libstdc++.so.6). */
static bool check_symbol(const char *at, size_t len, const char *form, struct slot_error *error)
{
    const char *module = memchr(at, '@', len), *end = at + len;

    if (!check_name(at, module ? (size_t)(module - at) : len, form, error))
        return false;
    if (!module)
        return true;
    if (++module == end)
        return bad(error, module,
                   "main or the beginning of a library's file name after @, as in @libcurl");
    if (*module == '@')
        return bad(error, module, "one @ only: the name of a module after it, as in @main");
    return check_name(module, (size_t)(end - module), form, error);
}

/* Behind the last '+', if that is an offset. NULL: it is a name. */
static const char *find_offset(const char *at, size_t len)
{
    const char *plus = memrchr(at, '+', len), *module = memchr(at, '@', len);

    return plus && (!module || plus < module) ? plus + 1 : NULL;
}

static bool check_offset(const char *at, const char *offset, const char *end, bool has_size,
                         struct slot_error *error)
{
    const char *form = has_size
                           ? "MODULE+0xOFFSET:SIZE, the size from 1 to 65536, as in main+0x10:8"
                           : "MODULE+0xOFFSET, as in main+0x4010";
    const char *digit = offset;

    if (offset - 1 == at)
        return bad(error, at, form);
    if (!check_name(at, (size_t)(offset - 1 - at), form, error))
        return false;
    if (end - digit < 3 || digit[0] != '0' || (digit[1] | 32) != 'x' || !is_hex(digit[2]))
        return bad(error, offset, form);
    for (digit += 2; digit < end && is_hex(*digit);)
        digit++;
    if (digit - offset > 18)
        return bad(error, offset, "an offset of at most 16 hexadecimal digits");
    if (digit == end)
        return !has_size || bad(error, digit, form);
    if (!has_size || *digit != ':')
        return bad(error, digit, form);
    return true; /* the size: the kind reads it */
}

static bool check_key(const char *at, size_t len, const char *form, struct slot_error *error)
{
    const char *offset = find_offset(at, len);

    if (len >= 2 && !memcmp(at, "n=", 2)) {
        for (size_t i = 2; i < len; i++)
            if (!is_digit(at[i]))
                return bad(error, at + 2,
                           "a number from 1 to 1024, the order of creation, as in n=3");
        return true; /* whether it is too large: the kind reads it */
    }
    if (len >= 3 && !memcmp(at, "by=", 3))
        return check_symbol(at + 3, len - 3, "a function that makes the key, as in by=make_key",
                            error);
    if (offset)
        return check_offset(at, offset, at + len, false, error);
    return check_symbol(at, len, form, error);
}

static bool check_tls(const char *at, size_t len, const char *form, struct slot_error *error)
{
    const char *file = memchr(at, '#', len), *end = at + len;
    const char *offset = find_offset(at, file ? (size_t)(file - at) : len);

    if (offset)
        return check_offset(at, offset, end, true, error);
    if (!check_symbol(at, file ? (size_t)(file - at) : len, form, error))
        return false;
    if (!file)
        return true;
    if (++file == end)
        return bad(error, file, "the name of a source file after #, as in #pool.c");
    for (const char *c = file; c < end;) {
        size_t n = text_shown(c, (size_t)(end - c));

        if (*c == '@')
            return bad(error, c, "@MODULE before #FILE.c, as in tls:x@main#pool.c");
        if (!n || *c == '#')
            return bad(error, c, "the name of a source file after #, as in #pool.c");
        c += n;
    }
    return true;
}

/* ---- options ---- */

static bool check_count(const char *at, size_t len, struct slot_error *error)
{
    static const char expected[] = "a number of bytes from 1 to 1048576, as in copy=64";
    size_t value = 0;

    for (size_t i = 0; i < len; i++) {
        if (!is_digit(at[i]) || value > COPY_MOST)
            return bad(error, at, expected);
        value = value * 10 + (size_t)(at[i] - '0');
    }
    return (value && value <= COPY_MOST) || bad(error, at, expected);
}

/* "fenv,locale" and "key:a,key:b": the next item stands where an option would. */
static bool is_item(const char *at, size_t len)
{
    size_t kind_len = strcspn(at, ":,");
    char name[64];

    for (unsigned i = 0; i < KINDS; i++)
        if (is_word(at, kind_len < len ? kind_len : len, grammars[i].kind))
            return true;
    if (!len || len >= sizeof name)
        return false;
    memcpy(name, at, len);
    name[len] = '\0';
    return is_adapter(name);
}

static bool unknown_option(const struct grammar *grammar, const char *at, size_t len,
                           struct slot_error *error)
{
    size_t word_len = len;
    char word[16];

    if (is_item(at, len))
        return bad(error, at, "an option: the next item stands after a ';', not after a ','");
    for (size_t i = 0; i < len; i++)
        if (at[i] == '=' && word_len == len)
            word_len = i;
    for (unsigned i = 0; i < OPTIONS && word_len < sizeof word; i++) {
        for (size_t j = 0; j < word_len; j++)
            word[j] = to_lower(at[j]);
        word[word_len] = '\0';
        if (!(options[i].bit & grammar->allowed) ||
            config_name_distance(word, options[i].word) > HINT_DISTANCE - (word_len < 4))
            continue;
        fmt_buf(hint, sizeof hint, "%s%s? Options: %s", options[i].word,
                options[i].value == VALUE_NONE ? "" : "=", grammar->extra);
        return bad(error, at, hint);
    }
    return bad(error, at, grammar->extra);
}

static bool check_conflicts(unsigned seen, unsigned bit, const char *at, struct slot_error *error)
{
    if (seen & bit)
        return bad(error, at, "each option once");
    if (bit & EXCLUSIVE && seen & EXCLUSIVE)
        return bad(error, at, "one policy only: this and the one before contradict each other");
    if (bit & OWN && seen & (POLICIES | O_MOVE | O_UNREF))
        return bad(error, at, "this option before the policy");
    if (bit == O_WEAK && seen & O_NATIVE)
        return bad(error, at, "another policy: weak is not for native");
    if ((bit == O_UNREF && !(seen & O_REF)) ||
        (bit == O_FREE && seen & (POLICIES | O_MOVE) && !(seen & O_CLONE)))
        return bad(error, at,
                   "free= after clone=, unref= after ref=: clone=F,free=F or ref=F,unref=F");
    if ((bit & POLICIES & ~O_SHARE) && seen & O_FREE)
        return bad(error, at, "either free=FUNCTION (the getter makes copies) or a policy");
    return true;
}

/* One option at AT; its bit goes to *seen. */
static bool check_option(const struct grammar *grammar, const char *at, size_t len, unsigned *seen,
                         struct slot_error *error)
{
    const char *value = memchr(at, '=', len);
    size_t word_len = value ? (size_t)(value - at) : len;
    const struct option *option = NULL;

    if (!len)
        return bad(error, at, "an option after the comma, or no comma");
    for (unsigned i = 0; i < OPTIONS; i++)
        if (is_word(at, word_len, options[i].word) && options[i].bit & grammar->allowed &&
            (options[i].value != VALUE_NONE) == (value != NULL))
            option = &options[i];
    if (!option && is_word(at, word_len, "move") && !value)
        return bad(error, at, "another policy: move is for fn: only");
    if (!option)
        return unknown_option(grammar, at, len, error);
    if (!check_conflicts(*seen, option->bit, at, error))
        return false;
    *seen |= option->bit;
    if (!value)
        return true;
    value++;
    len -= word_len + 1;
    if (option->value == VALUE_FILE) /* whether it can be loaded is looked at by its kind */
        return len ? true : bad(error, value, "a codec: codec=/FILE.so[:PREFIX]");
    return option->value == VALUE_COUNT
               ? check_count(value, len, error)
               : check_symbol(value, len, "the name of a function, FUNCTION[@MODULE]", error);
}

static bool check_whole(const struct grammar *grammar, unsigned seen, const char *text,
                        const char *end, struct slot_error *error)
{
    if (grammar->body == BODY_OPTIONS && (seen & (O_GET | O_SET)) != (O_GET | O_SET))
        return bad(error, seen & (O_GET | O_SET) ? end : text, grammar->form);
    if (seen & O_CLONE && !(seen & O_FREE))
        return bad(error, end, "free=FUNCTION too: clone=F,free=F");
    if (seen & O_REF && !(seen & O_UNREF))
        return bad(error, end, "unref=FUNCTION too: ref=F,unref=F");
    if (grammar->body != BODY_OPTIONS && seen & O_FREE && !(seen & O_CLONE))
        return bad(error, end, "clone=FUNCTION before free=: clone=F,free=F");
    return true;
}

/* ---- the item ---- */

static bool unknown_kind(const char *text, size_t len, struct slot_error *error)
{
    static const char kinds[] = "key:, tls:, fn:, swap:, locale, fenv, name, ioprio or adapter:";
    char word[16];

    if (*text == '"' || *text == '\'')
        return bad(error, text, "an item without quotes, as in key:request_key");
    if (!strchr(text, ':') && !strchr(text, '/') && is_adapter(text)) {
        fmt_buf(hint, sizeof hint, "adapter:%s, for it is an adapter", text);
        return bad(error, text, hint);
    }
    for (unsigned i = 0; i < KINDS && len && len < sizeof word; i++) {
        for (size_t j = 0; j < len; j++)
            word[j] = to_lower(text[j]);
        word[len] = '\0';
        if (config_name_distance(word, grammars[i].kind) > (len < 5 ? 1 : HINT_DISTANCE))
            continue;
        fmt_buf(hint, sizeof hint, "%s%s? Kinds: %s", grammars[i].kind,
                grammars[i].body == BODY_NONE ? "" : ":", kinds);
        return bad(error, text, hint);
    }
    return bad(error, text, kinds);
}

static bool check_body(const struct grammar *grammar, const char *at, size_t len,
                       struct slot_error *error)
{
    switch (grammar->body) {
    case BODY_KEY:
        return check_key(at, len, grammar->form, error);
    case BODY_TLS:
        return check_tls(at, len, grammar->form, error);
    case BODY_FUNCTION:
        return check_symbol(at, len, grammar->form, error);
    case BODY_FILE:
        for (size_t i = 0, n; i < len; i += n) {
            n = text_shown(at + i, len - i);
            if (!n)
                return bad(error, at + i, "a path in UTF-8, no control character");
        }
        return len ? true : bad(error, at, grammar->form);
    default:
        return !len || bad(error, at, grammar->form);
    }
}

bool grammar_check(const char *text, bool (*adapter_exists)(const char *name),
                   struct slot_error *error)
{
    size_t kind_len = strcspn(text, ":,"), len;
    const struct grammar *grammar = NULL;
    const char *at = text + kind_len;
    unsigned seen = 0;

    is_adapter = adapter_exists;
    for (unsigned i = 0; i < KINDS; i++)
        if (is_word(text, kind_len, grammars[i].kind))
            grammar = &grammars[i];
    if (!grammar)
        return unknown_kind(text, kind_len, error);
    if (grammar->body == BODY_NONE && *at == ':')
        return bad(error, at, grammar->form);
    if (grammar->body != BODY_NONE && *at != ':')
        return bad(error, at, grammar->form);
    at += *at == ':';
    if (grammar->body != BODY_OPTIONS) {
        len = strcspn(at, ",");
        if (!check_body(grammar, at, len, error))
            return false;
        at += len;
    } else if (!*at || strchr(",", *at)) {
        return bad(error, at, grammar->form);
    } else {
        at--; /* the first option stands behind the colon */
    }
    while (*at) {
        at++;
        len = strcspn(at, ",");
        if (!check_option(grammar, at, len, &seen, error))
            return false;
        at += len;
    }
    return check_whole(grammar, seen, text, at, error);
}

/* KIND:WHAT, and of functions those that are called to read and to write. */
static size_t subject_length(const char *text)
{
    size_t len = strcspn(text, ",");

    return !strncmp(text, "fn:", 3) && text[len] ? len + 1 + strcspn(text + len + 1, ",") : len;
}

bool grammar_same_subject(const char *one, const char *other)
{
    size_t len = subject_length(one);

    return subject_length(other) == len && !memcmp(one, other, len);
}
