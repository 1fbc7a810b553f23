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

static void add(struct reports *reports, json_t *report)
{
    reports->at = allocated(realloc(reports->at, (reports->count + 1) * sizeof(json_t *)));
    reports->at[reports->count++] = report;
}

void reports_read(struct reports *reports, const char *file)
{
    bool is_stdin = !strcmp(file, "-");
    FILE *in = is_stdin ? stdin : fopen(file, "re");
    const char *name = is_stdin ? "standard input" : clean(file);
    size_t len, at = 0, before = reports->count;
    char *text;

    if (!in)
        fail(EXIT_FAILED, "%s: cannot read this file: %s", name, strerror(errno));
    text = read_all(in, &len);
    if (ferror(in))
        fail(EXIT_FAILED, "%s: cannot read this file: %s", name, strerror(errno));
    if (!is_stdin)
        fclose(in);
    for (;;) {
        json_error_t error;
        json_t *report;

        while (at < len && strchr(" \t\r\n", text[at]) && text[at])
            at++;
        if (at == len)
            break;
        report = json_loadb(text + at, len - at, JSON_DISABLE_EOF_CHECK | JSON_ALLOW_NUL, &error);
        if (!json_is_object(report) || !json_is_integer(json_object_get(report, "schema")))
            fail(EXIT_FAILED, "%s: not a report of baton", name);
        if (report_number(report, "schema") != 1)
            fail(EXIT_FAILED, "%s: a report of another version of baton (schema %lld)", name,
                 report_number(report, "schema"));
        at += (size_t)error.position;
        add(reports, report);
    }
    if (reports->count == before)
        fail(EXIT_FAILED, "%s: not a report of baton%s", name, len ? "" : " (it is empty)");
    free(text);
}

const char *report_text(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : "";
}

long long report_number(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}
