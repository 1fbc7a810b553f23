/*
 * The verdict. What went wrong is said once each, the worst first, with the command that helps; what a user
 * chose (a family switched off, a limit of hops) is not wrong.
 *
 * "Saw" is said where it is known: of pthread keys each read is seen. Where there is anything else besides, whose
 * reads nobody sees, tasks "ran with" their submitter's values, which is what can be counted then; where what runs
 * a preset's work was never called, they "were handed over with" them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/waits.h"
#include "cli.h"
#include "verdict_parts.h"

struct sums {
    long long with_value, empty,
        bare;         /* handoffs; `bare` without those that are as was asked for */
    long long starts; /* of `empty`: threads that were started */
    long long read;   /* of those with a value: whose task read one; -1: not known */
    char why[64];     /* of most of those that ran bare */
    long long why_count;
    size_t items, hooks;
    bool has_auto;
    const json_t
        *waited; /* where most threads waited and were woken, of all processes; NULL: not known */
    const json_t
        *held; /* the same of those that were woken by threads that had values, and saw none */
    const json_t *idle; /* the same of a process in which nothing was carried at all */
    const char *keeper; /* a library whose threads keep what they began with, and wait; or NULL */
    size_t idle_count, process_count; /* such processes; all that handed over, or should have */
};

static const char *tasks(long long number)
{
    return number == 1 ? "task" : "tasks";
}

static bool is_chosen(const char *reason)
{
    static const char *const chosen[] = {"inherit",  "suppressed", "limit",
                                         "periodic", "teardown",   NULL};

    for (unsigned i = 0; chosen[i]; i++) {
        if (!strcmp(chosen[i], reason))
            return true;
    }
    return false;
}

static bool is_start(const char *family)
{
    const char *dot = strrchr(family, '.');

    return !strcmp(family, "pthread") || (dot && !strcmp(dot, ".thread"));
}

static void sum_families(const json_t *report, struct sums *sums)
{
    const char *family, *reason;
    json_t *counts, *number;

    json_object_foreach(json_object_get(report, "families"), family, counts)
    {
        sums->with_value += report_number(counts, "carried") - report_number(counts, "empty");
        sums->empty += report_number(counts, "empty");
        sums->starts += is_start(family) ? report_number(counts, "empty") : 0;
        json_object_foreach(json_object_get(counts, "bare"), reason, number)
        {
            if (is_chosen(reason))
                continue;
            sums->bare += report_value(number);
            if (report_value(number) > sums->why_count) {
                sums->why_count = report_value(number);
                snprintf(sums->why, sizeof sums->why, "%s", reason);
            }
        }
    }
}

/* A handoff that runs more than once may have read as often: then all of those that had a value count. */
static void sum_reads(const struct reports *reports, struct sums *sums)
{
    for (size_t i = 0; i < reports->count; i++) {
        struct sums one = {0};
        long long read = report_number(reports->at[i], "read");

        sum_families(reports->at[i], &one);
        if (!one.with_value)
            continue;
        if (!json_object_get(reports->at[i], "read")) {
            sums->read = -1;
            return;
        }
        sums->read += read < one.with_value ? read : one.with_value;
    }
}

/* The program that handed work over, or the first. */
static const char *program_of(const struct reports *reports)
{
    for (size_t i = 0; i < reports->count; i++) {
        if (report_was_used(reports->at[i]))
            return report_text(reports->at[i], "program");
    }
    return reports->count ? report_text(reports->at[0], "program") : "PROGRAM";
}

static void sum_waited(const json_t *report, struct sums *sums)
{
    const json_t *waited = json_object_get(report, "waited");

    if (waited && report_number(waited, "held") > 0 &&
        (!sums->held || report_number(waited, "held") > report_number(sums->held, "held")))
        sums->held = waited;
    if (waited &&
        (!sums->waited || report_number(waited, "wakes") > report_number(sums->waited, "wakes")))
        sums->waited = waited;
}

/* Threads of one's own wait, too; most that serve others do it more than anybody else. */
static void sum_keeping(const json_t *report, struct sums *sums)
{
    const json_t *waited = json_object_get(report, "waited"), *name;
    const char *at = waited ? report_text(waited, "at") : "";
    size_t i;

    json_array_foreach(json_object_get(report, "keeping"), i, name)
    {
        const char *library = json_string_value(name);
        size_t length = library ? strlen(library) : 0;

        if (length && !strncmp(at, library, length) && at[length] == '+')
            sums->keeper = library;
    }
}

static bool carried(const json_t *report)
{
    struct sums sums = {0};

    sum_families(report, &sums);
    return sums.with_value > 0;
}

/* Another process of the same program did. */
static bool others_carried(const struct reports *reports, const json_t *report)
{
    for (size_t i = 0; i < reports->count; i++) {
        if (carried(reports->at[i]) &&
            !strcmp(report_text(reports->at[i], "program"), report_text(report, "program")))
            return true;
    }
    return false;
}

/* Threads that wait there have no values in a process that is right, either, as those that write a log. */
static bool waits_elsewhere(const struct reports *reports, const json_t *waited)
{
    for (size_t i = 0; i < reports->count; i++) {
        const json_t *other = json_object_get(reports->at[i], "waited");

        if (other && other != waited && carried(reports->at[i]) &&
            report_number(other, "held") > 0 &&
            !strcmp(report_text(other, "at"), report_text(waited, "at")))
            return true;
    }
    return false;
}

/* Of several processes, as a server forks them, each is to be right by itself: what one carries makes up for nobody. */
static void sum_processes(const struct reports *reports, struct sums *sums)
{
    for (size_t i = 0; i < reports->count; i++) {
        const json_t *waited = json_object_get(reports->at[i], "waited");
        bool is_idle = waited && report_number(waited, "held") > 0 && !carried(reports->at[i]) &&
                       others_carried(reports, reports->at[i]) && !waits_elsewhere(reports, waited);

        sums->process_count += is_idle || carried(reports->at[i]);
        sums->idle_count += is_idle;
        if (is_idle &&
            (!sums->idle || report_number(waited, "held") > report_number(sums->idle, "held")))
            sums->idle = waited;
    }
}

/* The waiting threads are a pool's, of which nobody has told us. */
static char *say_pool(const struct sums *sums)
{
    long long threads = sums->waited ? report_number(sums->waited, "threads") : 0;

    if (threads < 1)
        return joined(
            "likely a pool of the program's own; which function, and who is woken by whom");
    return joined("%s%s %s waited at %s and %s woken from %s: likely a pool of the program's own; "
                  "which function",
                  grouped(threads), threads == WAITS_THREADS ? " or more" : "",
                  threads == 1 ? "thread" : "threads", clean(report_text(sums->waited, "at")),
                  threads == 1 ? "was" : "were", clean(report_text(sums->waited, "from")));
}

static char *say_nothing(const struct sums *sums, const struct problems *problems, const char *pool,
                         const char *program)
{
    if (!sums->items && sums->has_auto)
        return joined("NOTHING CARRIED: auto knows no library of the program; what else it has: "
                      "baton discover -- %s",
                      program);
    if (!sums->items && sums->hooks)
        return joined("NOTHING CARRIED: hooks are named, and no item that they would carry "
                      "(BATON_CARRY); what there is to carry: baton discover -- %s",
                      program);
    if (!sums->items)
        return joined(
            "NOTHING CARRIED: nothing was asked for; what there is to carry: baton discover -- %s",
            program);
    if (sums->with_value)
        return joined("NOTHING CARRIED: no task saw a value: %s %s with one and read none%s%s%s%s; "
                      "what tasks read: baton discover -- %s",
                      grouped(sums->with_value), sums->with_value == 1 ? "task ran" : "tasks ran",
                      problems->wrong ? "; " : "", problems->wrong ? clean(problems->wrong) : "",
                      problems->wrong ? ": " : "", problems->wrong ? clean(problems->why) : "",
                      program);
    if (problems->count && problems->count >= sums->items)
        return joined("NOTHING CARRIED: %s; what there is: baton check %s %s", problems->text,
                      quoted(problems->item), program);
    /* Threads that live from before the first request, and are given work past us. */
    if (sums->empty && sums->empty == sums->starts && !sums->bare)
        return joined("NOTHING CARRIED: no task saw a value: %s %s started before any item had "
                      "one, and nothing was handed to a thread by a way that baton knows%s%s; %s: "
                      "baton discover -- %s",
                      grouped(sums->empty), sums->empty == 1 ? "thread was" : "threads were",
                      problems->count ? "; " : "", problems->count ? problems->text : "", pool,
                      program);
    if (sums->empty)
        return joined(
            "NOTHING CARRIED: %s %s handed over, but no item had a value where that was done%s%s; "
            "what has one: baton discover -- %s",
            grouped(sums->empty), sums->empty == 1 ? "task was" : "tasks were",
            problems->count ? "; " : "", problems->count ? problems->text : "", program);
    if (sums->bare)
        return joined("NOTHING CARRIED: %s %s ran without a context (%s); why: man 7 baton, REPORT",
                      grouped(sums->bare), tasks(sums->bare), clean(sums->why));
    if (sums->waited)
        return joined("NOTHING CARRIED: no handoff was seen%s%s; %s: baton discover -- %s",
                      problems->count ? "; " : "", problems->count ? problems->text : "", pool,
                      program);
    return joined("NOTHING CARRIED: no handoff was seen%s%s: the program hands nothing over, or by "
                  "a queue of its "
                  "own; which: baton discover -- %s",
                  problems->count ? "; " : "", problems->count ? problems->text : "", program);
}

/* 1,200 tasks saw their submitter's values. */
static char *say_tasks(const struct sums *sums, const struct problems *problems)
{
    if (sums->read < 0 && problems->is_lost)
        return joined(sums->with_value == 1
                          ? "%s %s was handed over with its submitter's values"
                          : "%s %s were handed over with their submitter's values",
                      grouped(sums->with_value), tasks(sums->with_value));
    if (sums->read < 0)
        return joined("%s %s ran with their submitter's values", grouped(sums->with_value),
                      tasks(sums->with_value));
    return joined("%s %s saw their submitter's values", grouped(sums->read), tasks(sums->read));
}

static char *say_partial(const struct sums *sums, const struct problems *problems,
                         const char *program)
{
    char more[64] = "", bare[128] = "", *ran = say_tasks(sums, problems), *text;

    if (problems->count > PROBLEMS_SAID)
        snprintf(more, sizeof more, "; and %zu more", problems->count - PROBLEMS_SAID);
    if (sums->bare)
        snprintf(bare, sizeof bare, "%s%s %s ran without a context (%s)",
                 problems->count ? "; " : "", grouped(sums->bare), tasks(sums->bare),
                 clean(sums->why));
    if (!problems->count)
        text = joined("PARTIAL: %s; %s; why: man 7 baton, REPORT", ran, bare);
    else if (!problems->item)
        text = joined("PARTIAL: %s, but %s%s; which function: baton discover -- %s", ran,
                      problems->text, bare, program);
    else
        text = joined("PARTIAL: %s, but %s%s%s; next: baton check %s %s", ran, problems->text, more,
                      bare, quoted(problems->item), program);
    free(ran);
    return text;
}

/* The same beside what was carried, woken by threads that had values: "3 threads waited at A, woken from B by ..." */
static char *say_held(const json_t *waited)
{
    long long threads = report_number(waited, "threads");

    return joined("%s%s %s waited at %s, woken from %s by threads that had values,",
                  grouped(threads), threads == WAITS_THREADS ? " or more" : "",
                  threads == 1 ? "thread" : "threads", clean(report_text(waited, "at")),
                  clean(report_text(waited, "from")));
}

/* What they looked for was not there: their tasks are wrong. */
static void add_missed(const struct sums *sums, struct problems *problems)
{
    char *held;

    if (!sums->held || report_number(sums->held, "missed") < 1)
        return;
    held = say_held(sums->held);
    problems_add(problems, NULL, false,
                 "%s looked for one and had none: likely a pool of the program's own", held);
    free(held);
}

/* Nothing came to anybody there. That process by itself would be told so. */
static void add_idle(const struct sums *sums, struct problems *problems)
{
    char *held;

    if (!sums->idle || (sums->idle == sums->held && report_number(sums->held, "missed") > 0))
        return;
    held = say_held(sums->idle);
    problems_add(problems, NULL, false,
                 "%zu of %zu processes carried nothing: %s and had none: likely a pool of the "
                 "program's own",
                 sums->idle_count, sums->process_count, held);
    free(held);
}

/* Not wrong as far as is known: they may have no use for the values, or be given them by hand. */
static char *say_unhelped(const struct sums *sums, const char *program)
{
    char *held, *text;

    if (!sums->held)
        return allocated(strdup(""));
    held = say_held(sums->held);
    text =
        joined("; %s and had none when they waited: if they work for these, baton discover -- %s",
               held, program);
    free(held);
    return text;
}

/* Nobody knows whether they serve others; if so, what they show these is their first one's. */
static char *say_keeping(const struct sums *sums)
{
    if (!sums->keeper)
        return allocated(strdup(""));
    return joined("; threads that %s has started keep the values that they began with: if they "
                  "serve others, too, BATON_POOLS=%s",
                  clean(sums->keeper), quoted(sums->keeper));
}

static char *say_ok(const struct sums *sums, const struct problems *problems, const char *program)
{
    char empty[64] = "", unread[64] = "", *ran = say_tasks(sums, problems);
    char *held = say_unhelped(sums, program), *keeping = say_keeping(sums), *text;

    if (sums->read >= 0 && sums->read < sums->with_value)
        snprintf(unread, sizeof unread, "; %s more did not look at them",
                 grouped(sums->with_value - sums->read));
    if (sums->empty)
        snprintf(empty, sizeof empty, "; %s more had none to see", grouped(sums->empty));
    text = joined("ok: %s%s%s%s%s", ran, unread, empty, held, keeping);
    free(held);
    free(keeping);
    free(ran);
    return text;
}

/* As it was typed, if that is the program that handed work over. */
static char *name_of(const char *program, const char *typed)
{
    char *found = typed ? program_look(typed) : NULL, *real = found ? realpath(found, NULL) : NULL;

    return joined("%s", quoted(real && !strcmp(real, program) ? typed : program));
}

struct verdict verdict_of(const struct reports *reports, const char *typed)
{
    struct sums sums = {0};
    struct problems problems = {.text = allocated(calloc(1, PROBLEMS_TEXT))};
    char *name = name_of(reports->count || !typed ? program_of(reports) : typed, typed);
    struct verdict verdict;
    long long wrong = 0;

    for (size_t i = 0; i < reports->count; i++) {
        sum_families(reports->at[i], &sums);
        sum_waited(reports->at[i], &sums);
        sum_keeping(reports->at[i], &sums);
        sums.has_auto |= json_object_get(reports->at[i], "chosen") != NULL;
    }
    sum_reads(reports, &sums);
    sums.items = problems_find(reports, "slots", sums.with_value > 0, &problems);
    sums.hooks = problems_find(reports, "hooks", sums.with_value > 0, &problems);
    for (size_t i = 0; i < reports->count; i++) {
        if (report_number(reports->at[i], "wrong_settings") > wrong)
            wrong = report_number(reports->at[i], "wrong_settings");
    }
    for (size_t i = 0; i < reports->count; i++) {
        if (report_number(reports->at[i], "stacks_unseen") > 0) {
            problems_add(
                &problems, "ITEM", false,
                "%s %s on stacks that the program switches by code of its own, which is not seen",
                grouped(report_number(reports->at[i], "stacks_unseen")),
                report_number(reports->at[i], "stacks_unseen") == 1 ? "task was" : "tasks were");
            break;
        }
    }
    if (wrong)
        problems_add(&problems, "ITEM", false, "%s %s wrong (said above)", grouped(wrong),
                     wrong == 1 ? "setting is" : "settings are");
    sum_processes(reports, &sums);
    if (sums.with_value && sums.read) {
        add_missed(&sums, &problems);
        add_idle(&sums, &problems);
    }
    if (!sums.with_value || !sums.read) {
        char *pool = say_pool(&sums);

        verdict = (struct verdict){VERDICT_NOTHING, say_nothing(&sums, &problems, pool, name)};
        free(pool);
    } else if (problems.count || sums.bare) {
        verdict = (struct verdict){VERDICT_PARTIAL, say_partial(&sums, &problems, name)};
    } else {
        verdict = (struct verdict){VERDICT_OK, say_ok(&sums, &problems, name)};
    }
    free(problems.text);
    free(name);
    return verdict;
}

void verdict_print(FILE *out, const struct verdict *verdict)
{
    static const char *const colours[] = {"\033[32m", "\033[33m", "\033[31m"};
    bool has_colour = wants_colour(out);

    fprintf(out, "%s%s%s%s\n", out == stderr ? "baton: " : "",
            has_colour ? colours[verdict->word] : "", verdict->text, has_colour ? "\033[0m" : "");
}
