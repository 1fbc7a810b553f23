/*
 * The pieces that items are made of: names as the linker has them, modules, offsets.
 *
 * Promise: what passes is a name; what does not is said with its place and what to type instead.
 * Rules: texts are only read, but for those that parse has a copy of.
 */
#include "slots/form.h"

#include <string.h>

#include "base/text.h"

enum { NAME_LONGEST = 4095 };

bool form_bad(struct slot_error *error, const char *at, const char *expected)
{
    error->at = at;
    error->expected = expected;
    return false;
}

bool form_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return form_is_digit(c) || ((c | 32) >= 'a' && (c | 32) <= 'f');
}

static bool form_is_plain(char c)
{
    return form_is_digit(c) || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '_';
}

/* What a linker's name is made of: letters of any script, digits, and few marks. */
bool form_check_name(const char *at, size_t len, const char *form, struct slot_error *error)
{
    if (!len)
        return form_bad(error, at, form);
    if (len > NAME_LONGEST)
        return form_bad(error, at, "a name of at most 4095 bytes");
    for (size_t i = 0, n; i < len; i += n) {
        n = 1;
        if (form_is_plain(at[i]))
            continue;
        n = text_shown(at + i, len - i);
        if (!n)
            return form_bad(error, at + i, "letters and digits in UTF-8, no control character");
        if (at[i] == ' ' || (n > 1 && text_is_blank(at + i, n)))
            return form_bad(error, at + i, "no space in an item; between items stands a ';'");
        if (at[i] == '"' || at[i] == '\'')
            return form_bad(error, at + i, "a name without quotes");
        if (n == 1 && strchr("!&()*,/:;<=>?[\\]^`{|}~#@", at[i]))
            return form_bad(
                error, at + i,
                "a name as the linker has it (nm shows it); between items stands a ';'");
    }
    return true;
}

/* A module's file name may have marks that a name has not (libstdc++.so.6). */
bool form_check_symbol(const char *at, size_t len, const char *form, struct slot_error *error)
{
    const char *module = memchr(at, '@', len), *end = at + len;

    if (len && form_is_digit(*at))
        return form_bad(error, at, "a name as the linker has it, which begins with no digit");
    if (!form_check_name(at, module ? (size_t)(module - at) : len, form, error))
        return false;
    if (!module)
        return true;
    if (++module == end)
        return form_bad(error, module,
                        "main or the beginning of a library's file name after @, as in @libcurl");
    if (*module == '@')
        return form_bad(error, module, "one @ only: the name of a module after it, as in @main");
    return form_check_name(module, (size_t)(end - module), form, error);
}

const char *form_find_offset(const char *at, size_t len)
{
    const char *plus = memrchr(at, '+', len), *module = memchr(at, '@', len);

    return plus && (!module || plus < module) ? plus + 1 : NULL;
}

bool form_check_offset(const char *at, const char *offset, const char *end, bool has_size,
                       struct slot_error *error)
{
    const char *form = has_size
                           ? "MODULE+0xOFFSET:SIZE, the size from 1 to 65536, as in main+0x10:8"
                           : "MODULE+0xOFFSET, as in main+0x4010";
    const char *digit = offset;

    if (offset - 1 == at)
        return form_bad(error, at, form);
    if (!form_check_name(at, (size_t)(offset - 1 - at), form, error))
        return false;
    if (end - digit < 3 || digit[0] != '0' || (digit[1] | 32) != 'x' || !is_hex(digit[2]))
        return form_bad(error, offset, form);
    for (digit += 2; digit < end && is_hex(*digit);)
        digit++;
    if (digit - offset > 18)
        return form_bad(error, offset, "an offset of at most 16 hexadecimal digits");
    if (digit == end)
        return !has_size || form_bad(error, digit, form);
    if (!has_size || *digit != ':')
        return form_bad(error, digit, form);
    return true; /* the size: the kind reads it */
}

void form_cut_module(char *text, const char **module)
{
    char *at = strrchr(text, '@');

    *module = NULL;
    if (at) {
        *at = '\0';
        *module = at + 1;
    }
}

bool form_read_offset(const char *text, uintptr_t *offset, const char **end)
{
    const char *digit = text + 2;
    uintptr_t value = 0;

    if (text[0] != '0' || (text[1] != 'x' && text[1] != 'X'))
        return false;
    for (;; digit++) {
        unsigned nibble;

        if (*digit >= '0' && *digit <= '9')
            nibble = (unsigned)(*digit - '0');
        else if ((*digit | 32) >= 'a' && (*digit | 32) <= 'f')
            nibble = (unsigned)((*digit | 32) - 'a' + 10);
        else
            break;
        if (value >> (sizeof value * 8 - 4))
            return false;
        value = value << 4 | nibble;
    }
    *offset = value;
    *end = digit;
    return digit != text + 2;
}
