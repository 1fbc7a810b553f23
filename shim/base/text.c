/* Showing text of strangers.
 *
 * Promise: whoever reads a message on a terminal, or a report with a parser of JSON, is not steered by
 * what stands in a setting or in a file: no control character, no byte outside of UTF-8, nothing that
 * reorders the line. A signal handler may call this: no memory but the caller's.
 */
#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Left-to-right marks, embeddings, overrides, isolates; line and paragraph separators; byte order mark. */
static bool is_steering(uint32_t c)
{
    return c == 0x061c || (c >= 0x200e && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

/* One character, or 0. Overlong forms, surrogates and what is beyond Unicode are none. */
static size_t text_decode(const unsigned char *at, size_t n, uint32_t *into)
{
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = *at < 0x80   ? 1
                 : *at < 0xc2 ? 0
                 : *at < 0xe0 ? 2
                 : *at < 0xf0 ? 3
                 : *at < 0xf5 ? 4
                              : 0;
    uint32_t c;

    if (!len || len > n)
        return 0;
    c = len == 1 ? *at : *at & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (at[i] & 0x3fu);
    }
    if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return 0;
    *into = c;
    return len;
}

size_t text_shown(const char *at, size_t n)
{
    uint32_t c = 0;
    size_t len = n ? text_decode((const unsigned char *)at, n, &c) : 0;

    return c < ' ' || (c >= 0x7f && c < 0xa0) || is_steering(c) ? 0 : len;
}

bool text_is_blank(const char *at, size_t n)
{
    uint32_t c = 0;

    return n && text_decode((const unsigned char *)at, n, &c) &&
           (c == 0xa0 || (c >= 0x2000 && c <= 0x200b) || c == 0x202f || c == 0x205f ||
            c == 0x2060 || c == 0x3000);
}

void text_clean(char *text, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t n = text_shown(text + i, len - i);

        if (!n)
            text[i] = '?';
        i += n ? n : 1;
    }
}

struct json_out {
    char *into;
    size_t capacity, len;
};

static void json_put(struct json_out *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++, out->len++)
        if (out->len < out->capacity)
            out->into[out->len] = text[i];
}

/* Written out: HEAD and four or two hexadecimal digits. */
static void json_put_code(struct json_out *out, const char *head, unsigned code, unsigned digits)
{
    char text[12];
    size_t len = strlen(head);

    memcpy(text, head, len);
    for (unsigned i = digits; i-- > 0;)
        text[len++] = "0123456789abcdef"[code >> (4 * i) & 15];
    json_put(out, text, len);
}

size_t text_json(char *into, size_t n, const char *string, size_t len)
{
    struct json_out out = {into, n ? n - 1 : 0, 0};

    json_put(&out, "\"", 1);
    for (size_t i = 0; i < len;) {
        unsigned char byte = (unsigned char)string[i];
        size_t shown = text_shown(string + i, len - i);
        uint32_t c = 0;

        if (shown) {
            if (byte == '"' || byte == '\\')
                json_put(&out, "\\", 1);
            json_put(&out, string + i, shown);
        } else if ((shown = text_decode((const unsigned char *)string + i, len - i, &c)) > 0) {
            json_put_code(&out, "\\u", c, 4);
        } else {
            json_put_code(&out, "\\\\x", byte, 2);
        }
        i += shown ? shown : 1;
    }
    json_put(&out, "\"", 1);
    if (n)
        into[out.len < out.capacity ? out.len : out.capacity] = '\0';
    return out.len;
}

bool text_glob(const char *pattern, const char *text)
{
    const char *star = NULL, *again = NULL;

    while (*text) {
        if (*pattern == '*') {
            star = ++pattern;
            again = text;
        } else if (*pattern == *text) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star;
            text = ++again;
        } else {
            return false;
        }
    }
    pattern += strspn(pattern, "*");
    return !*pattern;
}
