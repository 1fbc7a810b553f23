/*
 * A report as tables: what was handed over, and what became of each item.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "report.h"

/* A line without spaces at its end. */
static void print_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void print_line(const char *format, ...)
{
    char line[2048];
    va_list args;
    size_t len;

    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    for (len = strlen(line); len && line[len - 1] == ' '; len--)
        ;
    line[len] = '\0';
    puts(line);
}

static void print_families(json_t *families)
{
    const char *family, *reason;
    json_t *counts, *number;

    if (!json_object_size(families))
        return;
    print_line("\n%-16s %10s %10s %10s  %s", "handoffs", "carried", "empty", "bare", "why bare");
    json_object_foreach(families, family, counts)
    {
        long long total = 0;
        char why[512] = "";
        size_t len = 0;

        json_object_foreach(json_object_get(counts, "bare"), reason, number)
        {
            if (!report_value(number) || len >= sizeof why)
                continue;
            total += report_value(number);
            len += (size_t)snprintf(why + len, sizeof why - len, "%s%s %lld", len ? ", " : "",
                                    clean(reason), report_value(number));
        }
        print_line("%-16s %10lld %10lld %10lld  %s", clean(family),
                   report_number(counts, "carried"), report_number(counts, "empty"), total, why);
    }
}

/* Nanoseconds, as a reader wants them. */
static const char *shown_time(long long ns, char text[24])
{
    if (ns < 10 * 1000)
        snprintf(text, 24, "%lld ns", ns);
    else if (ns < 10 * 1000 * 1000)
        snprintf(text, 24, "%lld us", ns / 1000);
    else if (ns < 10LL * 1000 * 1000 * 1000)
        snprintf(text, 24, "%lld ms", ns / 1000000);
    else
        snprintf(text, 24, "%lld s", ns / 1000000000);
    return text;
}

static void print_times(const char *of, const json_t *times)
{
    char half[24], most[24], nearly[24], max[24];

    print_line("%10lld %10s %10s %10s %10s  %s", report_number(times, "count"),
               shown_time(report_number(times, "p50_ns"), half),
               shown_time(report_number(times, "p90_ns"), most),
               shown_time(report_number(times, "p99_ns"), nearly),
               shown_time(report_number(times, "max_ns"), max), clean(of));
}

/* How long work waited between being handed over and running, where it was asked for (BATON_LATENCY). */
static void print_latency(const json_t *report)
{
    json_t *families = json_object_get(report, "latency"), *times, *hook;
    const char *family;
    size_t i;

    if (!json_object_size(families))
        return;
    print_line("\n%10s %10s %10s %10s %10s  %s", "waited", "p50", "p90", "p99", "max",
               "handed over by");
    json_object_foreach(families, family, times) print_times(family, times);
    json_array_foreach(json_object_get(report, "hooks"), i, hook)
    {
        times = json_object_get(hook, "latency");
        if (times)
            print_times(report_text(hook, "item"), times);
    }
}

/* Of how many handoffs it had a value, and in how many runs; nothing where that was not counted. */
static void print_counts(const json_t *counts, char *columns, size_t size)
{
    static const char *const names[] = {"captured", "empty", "attached"};
    size_t len = 0;

    for (unsigned i = 0; i < 3; i++) {
        if (counts)
            len += (size_t)snprintf(columns + len, size - len, " %10lld",
                                    report_number(counts, names[i]));
        else
            len += (size_t)snprintf(columns + len, size - len, " %10s", "");
    }
}

/* One line an element: its name, its state, then whatever else it says that its name does not, without the
 * empty fields. */
static void print_list(const json_t *report, const char *list)
{
    size_t i;
    json_t *element, *value;
    const char *field;
    bool has_counts = false;

    json_array_foreach(json_object_get(report, list), i, element)
        has_counts |= json_object_get(element, "counts") != NULL;
    json_array_foreach(json_object_get(report, list), i, element)
    {
        char rest[1536] = "", columns[64] = "";
        size_t len = 0;

        if (i == 0 && has_counts)
            print_line("\n%-32s %-10s %10s %10s %10s", list, "state", "captured", "empty",
                       "attached");
        else if (i == 0)
            print_line("\n%-32s state", list);
        if (has_counts)
            print_counts(json_object_get(element, "counts"), columns, sizeof columns);
        json_object_foreach(element, field, value)
        {
            if (!strcmp(field, "item") || !strcmp(field, "state") || !strcmp(field, "kind") ||
                len >= sizeof rest)
                continue;
            if (json_is_integer(value))
                len += (size_t)snprintf(rest + len, sizeof rest - len, "  %s: %lld", clean(field),
                                        report_value(value));
            else if (json_is_string(value) && *json_string_value(value))
                len += (size_t)snprintf(rest + len, sizeof rest - len, "  %s: %s", clean(field),
                                        clean(json_string_value(value)));
            else if (json_is_true(value))
                len += (size_t)snprintf(rest + len, sizeof rest - len, "  %s: yes", clean(field));
        }
        print_line("%-32s %-10s%s%s", clean(report_text(element, "item")),
                   clean(report_text(element, "state")), columns, rest);
    }
}

/* What `auto` chose, and why. */
static void print_chosen(const json_t *report)
{
    const json_t *list = json_object_get(report, "chosen");
    size_t i;
    json_t *chosen;

    if (!list)
        return;
    print_line("\n%-32s why", "chosen by auto");
    if (!json_array_size(list))
        print_line("%-32s no library that baton knows was in the process", "nothing");
    json_array_foreach(list, i, chosen)
    {
        print_line("%-32s %s (%s)", clean(report_text(chosen, "items")),
                   clean(report_text(chosen, "because")), clean(report_text(chosen, "about")));
    }
}

void report_print_tables(const struct reports *reports)
{
    for (size_t i = 0; i < reports->count; i++) {
        const json_t *report = reports->at[i];

        if (i)
            puts("");
        printf("program  %s (pid %lld, baton %s)%s%s\n", clean(report_text(report, "program")),
               report_number(report, "pid"), clean(report_text(report, "baton")),
               *report_text(report, "ended") ? ", " : "", clean(report_text(report, "ended")));
        if (json_object_get(report, "contexts_alive"))
            printf("alive    %lld contexts, %lld records, %lld values\n",
                   report_number(report, "contexts_alive"), report_number(report, "records_alive"),
                   report_number(report, "values_alive"));
        print_families(json_object_get(report, "families"));
        print_chosen(report);
        print_list(report, "slots");
        print_list(report, "hooks");
        print_latency(report);
    }
}
