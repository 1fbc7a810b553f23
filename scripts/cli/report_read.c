/*
 * Reading reports: any number of JSON objects in a file, one after the other.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "report.h"

static char *read_all(FILE *in, size_t *len)
{
    size_t room = 1 << 16, got;
    char *text = allocated(malloc(room));

    *len = 0;
    while ((got = fread(text + *len, 1, room - *len, in)) > 0) {
        *len += got;
        if (*len == room)
            text = allocated(realloc(text, room *= 2));
    }
    return text;
}

void reports_add(struct reports *reports, json_t *report)
{
    reports->at = allocated(realloc(reports->at, (reports->count + 1) * sizeof(json_t *)));
    reports->at[reports->count++] = report;
}

/* How TEXT is no report; NULL: it was added. */
static const char *add_all(struct reports *reports, const char *text, size_t len)
{
    size_t at = 0, before = reports->count;

    for (;;) {
        json_error_t error;
        json_t *report;

        while (at < len && text[at] && strchr(" \t\r\n", text[at]))
            at++;
        if (at == len)
            break;
        report = json_loadb(text + at, len - at, JSON_DISABLE_EOF_CHECK | JSON_ALLOW_NUL, &error);
        if (!json_is_object(report) || !json_is_integer(json_object_get(report, "schema"))) {
            json_decref(report);
            return "not a report of baton";
        }
        if (report_number(report, "schema") != 1) {
            json_decref(report);
            return "a report of another version of baton";
        }
        at += (size_t)error.position;
        reports_add(reports, report);
    }
    return reports->count > before ? NULL : "not a report of baton (it is empty)";
}

void reports_read(struct reports *reports, const char *file)
{
    bool is_stdin = !strcmp(file, "-");
    FILE *in = is_stdin ? stdin : fopen(file, "re");
    const char *name = is_stdin ? "standard input" : clean(file), *problem;
    size_t len;
    char *text;

    int error = errno;

    if (!is_stdin && reports_read_live(reports, file, false) && !in && error == ENOENT)
        return;
    if (!in)
        fail(EXIT_FAILED, "%s: cannot read this file: %s", name, strerror(error));
    text = read_all(in, &len);
    if (ferror(in))
        fail(EXIT_FAILED, "%s: cannot read this file: %s", name, strerror(errno));
    if (!is_stdin)
        fclose(in);
    problem = add_all(reports, text, len);
    if (problem && (len || !reports->count))
        fail(EXIT_FAILED, "%s: %s", name, problem);
    free(text);
}

bool reports_read_since(struct reports *reports, const char *file, long long from)
{
    FILE *in = fopen(file, "re");
    bool is_there = false;
    size_t len;
    char *text;

    if (in && fseeko(in, (off_t)from, SEEK_SET) == 0) {
        text = read_all(in, &len);
        is_there = !add_all(reports, text, len);
        free(text);
    }
    if (in)
        fclose(in);
    return is_there;
}

char *report_line(const json_t *report)
{
    char *text = allocated(json_dumps(report, JSON_COMPACT | JSON_ENSURE_ASCII)), *del;

    while ((del = strchr(text, 0x7f))) { /* the one that is ASCII, and no character to show */
        char *more = joined("%.*s\\u007f%s", (int)(del - text), text, del + 1);

        free(text);
        text = more;
    }
    return text;
}

void report_print_json(const struct reports *reports)
{
    for (size_t i = 0; i < reports->count; i++) {
        char *line = report_line(reports->at[i]);

        puts(line);
        free(line);
    }
}

const char *report_text(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : "";
}

long long report_number(const json_t *object, const char *name)
{
    return report_value(json_object_get(object, name));
}

long long report_value(const json_t *number)
{
    const long long most = 1LL << 48;
    long long value = json_integer_value(number);

    return value < 0 ? 0 : value > most ? most : value;
}
