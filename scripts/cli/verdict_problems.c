/*
 * What of a run is not as it was asked for: items and hooks that matched nothing, were refused, never fired, had no value,
 * each once, by the process in which it came furthest.
 */
#include <stdio.h>
#include <string.h>

#include "verdict_parts.h"

/* 1,200 */
const char *grouped(long long number)
{
    static char buffers[4][32];
    static unsigned next;
    char digits[32], *out = buffers[next++ % 4], *to = out;
    int len = snprintf(digits, sizeof digits, "%lld", number);

    for (int i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0 && digits[i - 1] != '-')
            *to++ = ',';
        *to++ = digits[i];
    }
    *to = '\0';
    return out;
}

bool report_was_used(const json_t *report)
{
    return json_object_size(json_object_get(report, "families")) > 0;
}

void problems_add(struct problems *problems, const char *item, bool is_hook, const char *format,
                  ...)
{
    va_list args;
    int len;

    if (!problems->count++) {
        problems->item = item;
        problems->is_hook = is_hook;
    }
    if (problems->count > PROBLEMS_SAID || problems->len >= PROBLEMS_TEXT - 8)
        return;
    if (problems->count > 1)
        problems->len += (size_t)sprintf(problems->text + problems->len, "; ");
    va_start(args, format);
    len = vsnprintf(problems->text + problems->len, PROBLEMS_TEXT - problems->len, format, args);
    va_end(args);
    problems->len += (size_t)len < PROBLEMS_TEXT - problems->len
                         ? (size_t)len
                         : PROBLEMS_TEXT - problems->len - 1;
}

/*
 * The element of that ITEM that came furthest, of all processes: a shell that starts the server has not what
 * the server has.
 */
static const json_t *best_element(const struct reports *reports, const char *list, const char *item)
{
    const json_t *best = NULL;
    int best_rank = -1;

    for (size_t i = 0; i < reports->count; i++) {
        size_t j;
        json_t *element;

        json_array_foreach(json_object_get(reports->at[i], list), j, element)
        {
            const char *state = report_text(element, "state");
            bool is_there = !strcmp(state, "bound") || !strcmp(state, "hooked");
            int rank = 4 * (is_there ? 2 + (report_number(element, "fired") > 0)
                            : !strcmp(state, "unmatched") ? 0
                                                          : 1) +
                       2 * report_was_used(reports->at[i]) + !json_object_get(element, "empty");

            if (!strcmp(report_text(element, "item"), item) && rank > best_rank) {
                best = element;
                best_rank = rank;
            }
        }
    }
    return best;
}

/* Is the hook one of a preset that `auto` chose, in any process? Not all that a library could hand over by is used. */
static bool is_of_auto(const struct reports *reports, const json_t *element)
{
    const char *preset = report_text(element, "preset");

    for (size_t i = 0; *preset && i < reports->count; i++) {
        size_t j;
        json_t *chosen;

        json_array_foreach(json_object_get(reports->at[i], "chosen"), j, chosen)
        {
            const char *items = report_text(chosen, "items"), *at = strstr(items, "preset:");

            if (at && !strcmp(at + strlen("preset:"), preset))
                return true;
        }
    }
    return false;
}

/*
 * A preset is asked for whole, and a program uses some of its library: a function that is not called, or not
 * there, is no fault when another of the preset has handed work over in any process.
 */
static bool is_unused_part(const struct reports *reports, const json_t *element)
{
    const char *preset = report_text(element, "preset");

    if (!*preset || report_number(element, "fired") ||
        !strcmp(report_text(element, "state"), "refused"))
        return false;
    for (size_t i = 0; i < reports->count; i++) {
        size_t j;
        json_t *other;

        json_array_foreach(json_object_get(reports->at[i], "hooks"), j, other)
        {
            if (!strcmp(report_text(other, "preset"), preset) && report_number(other, "fired"))
                return true;
        }
    }
    return false;
}

/* Has a function of that preset, and of that kind, fired in any process? */
static bool has_fired(const struct reports *reports, const char *preset, const char *kind)
{
    for (size_t i = 0; i < reports->count; i++) {
        size_t j;
        json_t *hook;

        json_array_foreach(json_object_get(reports->at[i], "hooks"), j, hook)
        {
            if (!strcmp(report_text(hook, "preset"), preset) &&
                !strcmp(report_text(hook, "kind"), kind) && report_number(hook, "fired"))
                return true;
        }
    }
    return false;
}

/* What runs a preset's work has not been met, though work was handed over: none of it saw anything. */
static bool is_lost(const struct reports *reports, const json_t *element)
{
    const char *preset = report_text(element, "preset");

    return *preset && !strcmp(report_text(element, "kind"), "run") &&
           !strcmp(report_text(element, "state"), "hooked") &&
           has_fired(reports, preset, "submit") && !has_fired(reports, preset, "run");
}

/* has_values: some items were seen by tasks, so that one which was not is worth a word of its own. */
static void look_at_element(const json_t *element, bool is_hook, bool has_values,
                            struct problems *problems)
{
    const char *item = report_text(element, "item"), *state = report_text(element, "state");
    const char *reason = report_text(element, "reason"), *hint = report_text(element, "hint");

    if (!strcmp(state, "unmatched"))
        problems_add(problems, item, is_hook, "%s matched nothing: %s%s%s", clean(item),
                     clean(reason), *hint ? "; " : "", clean(hint));
    else if (!strcmp(state, "refused"))
        problems_add(problems, item, is_hook, "%s was refused: %s", clean(item), clean(reason));
    else if (is_hook && json_object_get(element, "fired") && !report_number(element, "fired"))
        problems_add(problems, item, true, "%s %s", clean(item),
                     *reason ? clean(reason) : "never fired");
    else if (is_hook && *reason) {
        if (!problems->wrong) {
            problems->wrong = item;
            problems->why = reason;
        }
        problems_add(problems, item, true, "%s: %s", clean(item), clean(reason));
    } else if (has_values && json_is_true(json_object_get(element, "empty")))
        problems_add(problems, item, is_hook, "%s had no value where work was handed over",
                     clean(item));
    else if (has_values && json_is_true(json_object_get(element, "unread")))
        problems_add(problems, item, is_hook, "no task read %s", clean(item));
    else if (report_number(element, "failures"))
        problems_add(problems, item, is_hook, "%s could not be copied or attached %s times",
                     clean(item), grouped(report_number(element, "failures")));
}

/* Every item once, whichever processes have it. */
size_t problems_find(const struct reports *reports, const char *list, bool has_values,
                     struct problems *problems)
{
    json_t *seen = json_object();
    size_t count;

    for (size_t i = 0; i < reports->count; i++) {
        size_t j;
        json_t *element;

        json_array_foreach(json_object_get(reports->at[i], list), j, element)
        {
            const char *item = report_text(element, "item");

            if (json_object_get(seen, item) || json_object_set_new(seen, item, json_true()) != 0)
                continue;
            problems->is_lost |= is_lost(reports, element);
            if (!is_lost(reports, element) &&
                (is_of_auto(reports, element) || is_unused_part(reports, element)))
                continue;
            look_at_element(best_element(reports, list, item), list[0] == 'h', has_values,
                            problems);
        }
    }
    count = json_object_size(seen);
    json_decref(seen);
    return count;
}
