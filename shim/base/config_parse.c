/* Parsers of setting values, and what they say.
 *
 * Promise: strict, and exact about the place. No locale, no libc number parser: those accept what
 * nobody meant (spaces, signs, hexadecimal), and some of them set errno.
 */
#include "base/config_parse.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"

#define SHOWN_MAX 80 /* bytes of a wrong value that a message repeats */

static void config_complain(struct config *config, const struct place *place, size_t offset,
                            const char *fmt, va_list args)
{
    char shown[SHOWN_MAX + 4], why[LOG_MAX / 2];
    size_t n = place->len < SHOWN_MAX ? place->len : SHOWN_MAX;
    unsigned column = place->column + (unsigned)offset;

    memcpy(shown, place->text, n); /* log_msg cleans it */
    strcpy(shown + n, n < place->len ? "..." : "");
    fmt_vbuf(why, sizeof why, fmt, args);
    if (place->file)
        log_msg(LOG_LEVEL_ERROR, "%.200s:%u:%u: %.60s=\"%s\": %s", place->file, place->line, column,
                place->name, shown, why);
    else
        log_msg(LOG_LEVEL_ERROR, "%.60s=\"%s\": column %u: %s", place->name, shown, column, why);
    config->errors++;
}

void config_expect(struct config *config, const struct place *place, size_t offset, const char *fmt,
                   ...)
{
    va_list args;

    va_start(args, fmt);
    config_complain(config, place, offset, fmt, args);
    va_end(args);
}

void config_item_error(struct config *config, const struct config_item *item, size_t offset,
                       const char *fmt, ...)
{
    struct place place = {.name = item->name,
                          .file = item->file,
                          .text = (char *)item->text,
                          .len = item->len,
                          .line = item->line,
                          .column = item->column};
    va_list args;

    va_start(args, fmt);
    config_complain(config, &place, offset, fmt, args);
    va_end(args);
}

void config_expect_once(struct config *config, const struct config_list *list, size_t number)
{
    const struct config_item *item = &list->items[number];

    for (size_t i = 0; i < number; i++) {
        const struct config_item *before = &list->items[i];

        if (strcmp(before->text, item->text) != 0 || !before->file != !item->file)
            continue;
        config_item_error(config, item, 0, "given before, expected once");
        return;
    }
}

unsigned config_name_distance(const char *a, const char *b)
{
    unsigned row[128];
    size_t a_len, b_len;

    /* Where they begin or end alike nothing differs, and most have a prefix in common. */
    while (*a && *a == *b)
        a++, b++;
    a_len = strlen(a);
    b_len = strlen(b);
    while (a_len && b_len && a[a_len - 1] == b[b_len - 1])
        a_len--, b_len--;
    if (a_len >= 128 || b_len >= 128)
        return UINT32_MAX;
    for (size_t j = 0; j <= b_len; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= a_len; i++) {
        unsigned diagonal = row[0];

        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_len; j++) {
            unsigned best = diagonal + (a[i - 1] != b[j - 1]);

            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[b_len];
}

const char *config_errno_text(int error)
{
    switch (error) {
    case ENOENT:
        return "no such file";
    case EACCES:
    case EPERM:
        return "permission denied";
    case ENOTDIR:
        return "a part of the path is no directory";
    case ELOOP:
        return "too many symbolic links";
    case EMFILE:
    case ENFILE:
        return "too many open files";
    case EIO:
        return "input/output error";
    case EISDIR:
        return "a folder";
    case EEXIST:
        return "something of this name is in its place";
    case ENAMETOOLONG:
        return "too long for a path";
    case EFBIG:
        return "larger than a file may be";
    case ENOSPC:
    case EDQUOT:
        return "no space left";
    case EROFS:
        return "a file system that is only read";
    case ENOMEM:
        return "no memory";
    case EPIPE:
        return "its reader has gone";
    case EAGAIN:
        return "nobody reads it";
    default:
        return "system error";
    }
}

bool config_is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

void config_trim(struct place *p)
{
    while (p->len && config_is_space(*p->text))
        p->text++, p->len--, p->column++;
    while (p->len && config_is_space(p->text[p->len - 1]))
        p->len--;
}

static bool config_is_word(const struct place *p, const char *word, size_t len)
{
    return p->len == len && memcmp(p->text, word, len) == 0;
}

void config_parse_flag(struct config *c, const struct place *p, bool *into)
{
    if (config_is_word(p, "on", 2) || config_is_word(p, "1", 1))
        *into = true;
    else if (config_is_word(p, "off", 3) || config_is_word(p, "0", 1))
        *into = false;
    else
        config_expect(c, p, 0, "expected on, off, 1 or 0, as in %s=on", p->name);
}

void config_parse_choice(struct config *c, const struct place *p, const char *words, unsigned *into)
{
    bool is_switch = strncmp(words, "off|on", 6) == 0;
    unsigned i = 0;

    if (is_switch && p->len == 1 && (*p->text == '0' || *p->text == '1')) {
        *into = (unsigned)(*p->text - '0');
        return;
    }
    for (const char *word = words;; i++) {
        size_t len = strcspn(word, "|");

        if (config_is_word(p, word, len)) {
            *into = i;
            return;
        }
        if (!word[len])
            break;
        word += len + 1;
    }
    i = is_switch ? 4 : 0; /* who has set it wants it on */
    config_expect(c, p, 0, "expected one of %s, as in %s=%.*s", words, p->name,
                  (int)strcspn(words + i, "|"), words + i);
}

/* Read a whole number up to MAX at *AT; moves *AT behind it. */
static bool config_parse_digits(struct config *c, const struct place *p, size_t *at, uint64_t max,
                                uint64_t *into)
{
    size_t start = *at;
    uint64_t value = 0;

    for (; *at < p->len && p->text[*at] >= '0' && p->text[*at] <= '9'; ++*at) {
        value = value * 10 + (uint64_t)(p->text[*at] - '0');
        if (value > max) {
            config_expect(c, p, start, "expected a number up to %lu", (unsigned long)max);
            return false;
        }
    }
    *into = value;
    return *at > start;
}

void config_parse_count(struct config *c, const struct place *p, uint32_t most, uint32_t *into)
{
    unsigned errors = c->errors;
    uint64_t value;
    size_t at = 0;

    if (config_parse_digits(c, p, &at, most, &value) && at == p->len)
        *into = (uint32_t)value;
    else if (c->errors == errors)
        config_expect(c, p, at, "expected a whole number, as in 16");
}

/* 10s, 5min: what to type instead. */
static bool config_say_unit(struct config *c, const struct place *p, size_t at,
                            uint64_t nanoseconds)
{
    static const struct {
        char name[4];
        uint64_t milliseconds;
    } units[] = {{"s", 1000},    {"ms", 1},      {"m", 60000},
                 {"min", 60000}, {"h", 3600000}, {"d", 86400000}};
    uint64_t thousandths;

    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (!config_is_word(&(struct place){.text = p->text + at, .len = p->len - at},
                            units[i].name, strlen(units[i].name)))
            continue;
        thousandths = nanoseconds / 1000000000 * units[i].milliseconds +
                      nanoseconds % 1000000000 * units[i].milliseconds / 1000000000;
        if (thousandths % 1000)
            config_expect(c, p, at, "expected seconds without a unit: %lu.%03lu",
                          (unsigned long)(thousandths / 1000), (unsigned long)(thousandths % 1000));
        else
            config_expect(c, p, at, "expected seconds without a unit: %lu",
                          (unsigned long)(thousandths / 1000));
        return true;
    }
    return false;
}

void config_parse_seconds(struct config *c, const struct place *p, uint64_t *into)
{
    unsigned errors = c->errors;
    uint64_t value, unit = 1000000000;
    bool is_zero = true;
    size_t at = 0, first;

    if (config_parse_digits(c, p, &at, 1000000000, &value)) {
        value *= unit;
        if (at < p->len && p->text[at] == '.') {
            for (first = ++at; at < p->len && p->text[at] >= '0' && p->text[at] <= '9'; at++) {
                unit /= 10;
                is_zero &= p->text[at] == '0';
                value += unit * (uint64_t)(p->text[at] - '0');
            }
            if (at == first)
                goto wrong;
        }
        if (at == p->len && !value && !is_zero) {
            config_expect(c, p, 0, "expected 0, or at least 0.000000001 seconds");
            return;
        }
        if (at == p->len) {
            *into = value;
            return;
        }
        if (config_say_unit(c, p, at, value))
            return;
    }
wrong:
    if (c->errors == errors)
        config_expect(c, p, at, "expected a number of seconds, as in 30 or 0.5");
}

/* The end of the piece that begins at AT: at one of one or two separators. */
static size_t config_piece_end(const struct place *p, const char *separators, size_t at)
{
    char one = separators[0], other = separators[1] ? separators[1] : one;

    while (at < p->len && p->text[at] && p->text[at] != one && p->text[at] != other)
        at++;
    return at;
}

static struct place config_piece(const struct place *p, size_t at, size_t end)
{
    struct place piece = *p;

    piece.text += at;
    piece.len = end - at;
    piece.column += (uint32_t)at;
    config_trim(&piece);
    return piece;
}

/* "$ITEMS;" is what shells make; any other gap is a forgotten item. */
void config_parse_list(struct config *c, const struct place *p, const char *separators,
                       struct config_item *buffer, size_t capacity, struct config_list *into)
{
    size_t first = into->count;
    bool is_said = false;
    char behind = '\0';

    /* A message shows the whole text: it is cut into pieces afterwards. */
    for (size_t at = 0, end; at <= p->len; at = end + 1) {
        struct place item;

        end = config_piece_end(p, separators, at);
        item = config_piece(p, at, end);
        behind = end < p->len ? p->text[end] : behind;
        if (!item.len && !is_said && (end < p->len || !at || *separators != ';')) {
            config_expect(c, p, at, "expected %s here, or no '%c'",
                          *separators == ';' ? "an item" : "a name", behind);
            is_said = true;
        }
        if (!item.len || into->count >= capacity)
            continue;
        buffer[into->count++] = (struct config_item){.text = item.text,
                                                     .name = p->name,
                                                     .file = p->file,
                                                     .len = (uint32_t)item.len,
                                                     .line = p->line,
                                                     .column = item.column};
        into->items = buffer;
    }
    for (; first < into->count; first++)
        p->text[buffer[first].text - p->text + (ptrdiff_t)buffer[first].len] = '\0';
}
