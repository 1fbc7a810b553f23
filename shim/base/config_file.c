/*
 * The settings that stand in the file of BATON_CONFIG: NAME=VALUE and items, a line each.
 *
 * Promise: as strict as with the environment. Lines of other formats, which would be taken for items, are
 * refused with what to type instead. A file that is no text, or too long, is not read at all.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/config_reader.h"
#include "base/log.h"
#include "base/sys.h"

#define FILE_MAX ((size_t)256 << 10)

static bool config_begins(const struct place *p, const char *word)
{
    size_t len = strlen(word);

    return p->len >= len && !memcmp(p->text, word, len);
}

/* Lines of other formats, which would be taken for items: what they are, and what to type. */
static bool config_refuse_line(struct reader *r, struct place *p)
{
    char name[64] = CONFIG_PREFIX, shown[64];
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
    config_upper(shown, name + CONFIG_PREFIX_LEN, sizeof name - CONFIG_PREFIX_LEN);
    skip = strncmp(name + CONFIG_PREFIX_LEN, CONFIG_PREFIX, CONFIG_PREFIX_LEN) == 0
               ? CONFIG_PREFIX_LEN
               : 0;
    memmove(name, name + skip, strlen(name + skip) + 1);
    for (skip = len; skip < p->len && config_is_space(p->text[skip]);)
        skip++;
    if (skip < p->len && p->text[skip] == '=' && !is_lower)
        return false;
    if (strlen(name) <= CONFIG_PREFIX_LEN || config_find(name, strlen(name)) == SETTING_COUNT)
        return false;
    config_expect(r->out, p, 0, "expected %s=VALUE, in capitals and with '='",
                  name + CONFIG_PREFIX_LEN);
    return true;
}

static void config_read_line(struct reader *r, const char *file, uint32_t number, char *line,
                             size_t len)
{
    struct place p = {.file = file, .text = line, .len = len, .line = number, .column = 1};
    char name[64] = CONFIG_PREFIX;
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
        p.name = config_settings[setting].name;
        config_take(r, setting, &p);
        return;
    }
    skip = name_len >= CONFIG_PREFIX_LEN && memcmp(p.text, CONFIG_PREFIX, CONFIG_PREFIX_LEN) == 0
               ? CONFIG_PREFIX_LEN
               : 0;
    name_len = name_len - skip < sizeof name - CONFIG_PREFIX_LEN
                   ? name_len - skip
                   : sizeof name - CONFIG_PREFIX_LEN - 1;
    memcpy(name + CONFIG_PREFIX_LEN, p.text + skip, name_len);
    setting = config_find(name, CONFIG_PREFIX_LEN + name_len);
    p.name = setting < SETTING_COUNT ? config_settings[setting].name : name;
    p.text += end + 1;
    p.len -= end + 1;
    p.column += (uint32_t)end + 1;
    if (setting == SETTING_COUNT)
        config_unknown(r, &p);
    else if (config_settings[setting].offset == offsetof(struct config, config))
        config_expect(r->out, &p, 0, "expected in the environment only, not in a file");
    else
        config_take(r, setting, &p);
}

static void config_read_text(struct reader *r, const char *file, char *text, size_t len)
{
    static const unsigned char mark[] = {0xef, 0xbb, 0xbf}; /* of Windows editors */
    uint32_t number = 1;
    size_t at = 0;

    if (len >= sizeof mark && !memcmp(text, mark, sizeof mark)) {
        struct place p = {
            .name = "BATON_CONFIG", .file = file, .text = text, .line = 1, .column = 1};

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

int config_open_file(struct config *out, struct place *p, size_t *len)
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

void config_read_file(struct reader *r, const struct place *p, int fd, size_t len)
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
