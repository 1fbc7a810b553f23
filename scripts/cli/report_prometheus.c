/*
 * Reports in Prometheus text format: what was handed over, by program and family, summed over processes, and
 * what became of each item.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "report.h"

/* A label's value: no other escapes are known. */
static void print_label(const char *name, const char *value)
{
    printf("%s=\"", name);
    for (value = clean(value); *value; value++) {
        if (*value == '"' || *value == '\\')
            putchar('\\');
        putchar(*value);
    }
    putchar('"');
}

struct sample {
    const char *program, *family, *reason;
    long long value;
};

struct samples {
    struct sample *at;
    size_t count;
};

/* Two processes of one program are one time series. */
static void add(struct samples *samples, const char *program, const char *family,
                const char *reason, long long value)
{
    for (size_t i = 0; i < samples->count; i++) {
        struct sample *sample = &samples->at[i];

        if (!strcmp(sample->program, program) && !strcmp(sample->family, family) &&
            !strcmp(sample->reason, reason)) {
            sample->value += value;
            return;
        }
    }
    samples->at = allocated(realloc(samples->at, (samples->count + 1) * sizeof *samples->at));
    samples->at[samples->count++] = (struct sample){program, family, reason, value};
}

static void print(const struct samples *samples, const char *name, const char *type,
                  const char *help, const char *family_label, const char *reason_label)
{
    printf("# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
    for (size_t i = 0; i < samples->count; i++) {
        const struct sample *sample = &samples->at[i];

        printf("%s{", name);
        print_label("program", sample->program);
        if (family_label) {
            putchar(',');
            print_label(family_label, sample->family);
        }
        if (reason_label) {
            putchar(',');
            print_label(reason_label, sample->reason);
        }
        printf("} %lld\n", sample->value);
    }
}

static void take_families(const json_t *report, struct samples *carried, struct samples *empty,
                          struct samples *bare)
{
    const char *program = report_text(report, "program"), *family, *reason;
    json_t *counts, *number;

    json_object_foreach(json_object_get(report, "families"), family, counts)
    {
        add(carried, program, family, "", report_number(counts, "carried"));
        add(empty, program, family, "", report_number(counts, "empty"));
        json_object_foreach(json_object_get(counts, "bare"), reason, number)
            add(bare, program, family, reason, report_value(number));
    }
}

/* An item's counts, where the report has them. */
static void take_item(const json_t *element, const char *program, struct samples *counted)
{
    const char *name;
    json_t *number;

    json_object_foreach(json_object_get(element, "counts"), name, number)
        add(counted, program, report_text(element, "item"), name, report_value(number));
}

void report_print_prometheus(const struct reports *reports)
{
    struct samples carried = {0}, empty = {0}, bare = {0}, alive = {0}, items = {0}, counted = {0};

    for (size_t i = 0; i < reports->count; i++) {
        const json_t *report = reports->at[i];
        const char *program = report_text(report, "program");
        const char *const lists[] = {"slots", "hooks"};

        take_families(report, &carried, &empty, &bare);
        add(&alive, program, "", "contexts", report_number(report, "contexts_alive"));
        add(&alive, program, "", "records", report_number(report, "records_alive"));
        add(&alive, program, "", "values", report_number(report, "values_alive"));
        for (unsigned list = 0; list < 2; list++) {
            size_t j;
            json_t *element;

            json_array_foreach(json_object_get(report, lists[list]), j, element)
            {
                add(&items, program, report_text(element, "item"), report_text(element, "state"),
                    1);
                take_item(element, program, &counted);
            }
        }
    }
    print(&carried, "baton_handoffs_total", "counter", "Handoffs that took a context along.",
          "family", NULL);
    print(&empty, "baton_handoffs_empty_total", "counter",
          "Those of them whose context had no value set.", "family", NULL);
    print(&bare, "baton_handoffs_bare_total", "counter", "Handoffs that ran without a context.",
          "family", "reason");
    print(&alive, "baton_alive", "gauge", "What is still referenced.", NULL, "what");
    print(&items, "baton_item_processes", "gauge", "Processes in which an item is in this state.",
          "item", "state");
    print(&counted, "baton_item_handoffs_total", "counter",
          "Handoffs that captured a value of an item, or had none of it; runs that it was attached "
          "in.",
          "item", "what");
    free(carried.at);
    free(empty.at);
    free(bare.at);
    free(alive.at);
    free(items.at);
    free(counted.at);
}
