/*
 * What was found, as a configuration file that `baton run --config` takes, with comments, or as JSON.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "facts.h"
#include "write.h"

enum { SHOWN_FRAMES = 8, TIMES_MIN = 2 };

static const char *const by_names[] = {
    [BY_COND] = "a condition",   [BY_SEM] = "a semaphore", [BY_FUTEX] = "a futex",
    [BY_EVENTFD] = "an eventfd", [BY_PIPE] = "a pipe",     [BY_THREAD] = "a thread's start",
    [BY_SOCKET] = "a socket",
};

static const char *by_name(uint32_t by)
{
    return by < sizeof by_names / sizeof *by_names && by_names[by] ? by_names[by] : "something";
}

/* The channel that speaks for it most. */
static const struct seen *best_seen(unsigned subject)
{
    const struct seen *best = NULL;

    for (unsigned i = 0; i < channels_count; i++) {
        const struct seen *seen = &channels[i].seen[subject];

        if (channels[i].is_pool && (!best || seen->pairs > best->pairs))
            best = seen;
    }
    return best;
}

static bool is_repeated(unsigned channel)
{
    for (unsigned i = 0; i < channel; i++) {
        if (!strcmp(channels[i].item, channels[channel].item))
            return true;
    }
    return false;
}

static bool is_preset_repeated(unsigned channel)
{
    for (unsigned i = 0; i < channel; i++) {
        if (channels[i].preset && !channels[i].family &&
            !strcmp(channels[i].preset, channels[channel].preset))
            return true;
    }
    return false;
}

/* Pools that nobody hooks. */
static bool is_open(const struct channel *channel)
{
    return channel->is_pool && !channel->family && !channel->preset;
}

static bool is_same_place(const struct place *one, const struct place *other)
{
    return one->names == other->names && one->function == other->function;
}

/* The pool that waits there is known already, by another function that wakes it: one that is to be named, or hooked. */
static bool is_explained(const struct channel *channel)
{
    for (unsigned i = 0; i < channels_count; i++) {
        const struct channel *other = &channels[i];

        if (is_same_place(&other->waiter, &channel->waiter) && other->is_pool &&
            other->by != BY_THREAD && (other->item[0] || other->family || other->preset))
            return true;
    }
    return false;
}

/* Another function wakes those that wait there more often: that one is told with its stacks. */
static bool is_minor(unsigned number)
{
    const struct channel *channel = &channels[number];

    for (unsigned i = 0; i < channels_count; i++) {
        const struct channel *other = &channels[i];

        if (i != number && is_open(other) && !other->item[0] &&
            is_same_place(&other->waiter, &channel->waiter) &&
            (other->pairs > channel->pairs || (other->pairs == channel->pairs && i < number)))
            return true;
    }
    return false;
}

static void print_minor(FILE *out, unsigned number)
{
    for (unsigned i = 0; i < channels_count; i++) {
        const struct channel *other = &channels[i];

        if (i != number && is_open(other) && !other->item[0] &&
            is_same_place(&other->waiter, &channels[number].waiter))
            fprintf(out, "#   %u times also from %s by %s\n", other->pairs,
                    facts_shown(&other->waker), by_name(other->by));
    }
}

static void conf_presets(FILE *out)
{
    for (unsigned i = 0; i < channels_count; i++) {
        const struct channel *channel = &channels[i];
        unsigned times = 0;

        if (!channel->preset || channel->family || is_preset_repeated(i))
            continue;
        for (unsigned j = i; j < channels_count; j++) {
            if (channels[j].preset && !strcmp(channels[j].preset, channel->preset))
                times += channels[j].pairs;
        }
        fprintf(out, "#   %u times %s was woken from %s by %s, which a preset knows\n%s\n", times,
                facts_shown(&channel->waiter), facts_shown(&channel->waker), by_name(channel->by),
                channel->preset);
    }
}

static unsigned count_context(void)
{
    unsigned count = 0;

    for (unsigned i = 0; i < subjects_count; i++)
        count += subjects[i].is_context;
    return count;
}

static void conf_subjects(FILE *out)
{
    fprintf(out,
            "# Context: differs with the request, set before handing over, read in the task.\n");
    for (unsigned i = 0; i < subjects_count; i++) {
        const struct subject *subject = &subjects[i];
        const struct seen *seen = best_seen(i);

        if (!subject->is_context)
            continue;
        if (seen)
            fprintf(out, "#   %u of %u handoffs: the worker had another value\n", seen->differs,
                    seen->pairs);
        if (subject->note)
            fprintf(out, "#   %s\n", subject->note);
        fprintf(out, "%s%s\n", subject->is_unfinished ? "#" : "", subject->item);
    }
    if (!count_context())
        fprintf(out, "#   nothing was found; what was seen and left alone stands below\n");
}

/* From the innermost of the program's own on; what is below a thread's or the program's main function tells
 * nobody anything. */
static void print_stack(FILE *out, uint32_t number)
{
    const struct discover_stack *stack = number < DISCOVER_STACKS ? &facts->stack[number] : NULL;

    for (uint32_t i = facts_inner(number), said = 0;
         stack && i < stack->count && i < DISCOVER_FRAMES && said < SHOWN_FRAMES; i++, said++) {
        struct place place = facts_place(stack->frames[i], true);

        if (place.names && said && facts_is_runtime(place.names))
            break;
        fprintf(out, "#     %s in %s\n", facts_shown(&place),
                place.names ? facts_called(place.names) : "no module");
    }
}

static void conf_pools(FILE *out)
{
    unsigned open = 0;
    bool is_help_wanted = false, is_idle = !count_context() && !known_is_any();

    fprintf(out, "\n# Handoffs that baton hooks by itself:");
    for (unsigned i = 0; i < channels_count; i++) {
        bool is_said = !channels[i].family;

        for (unsigned j = 0; j < i && !is_said; j++)
            is_said = channels[j].family == channels[i].family;
        if (!is_said)
            fprintf(out, " %s", channels[i].family);
    }
    fprintf(out, "\n# Pools of the program's own, which BATON_HOOKS has to name:\n");
    for (unsigned i = 0; i < channels_count; i++)
        open += channels[i].preset && !channels[i].family;
    conf_presets(out);
    for (unsigned i = 0; i < channels_count; i++) {
        const struct channel *channel = &channels[i];

        if (!is_open(channel) ||
            (channel->item[0] ? is_repeated(i) : is_explained(channel) || is_minor(i)))
            continue;
        open++;
        if (!channel->item[0] && channel->pairs < TIMES_MIN) {
            fprintf(out, "#   once, which is no pool yet: %s was woken from %s by %s\n",
                    facts_shown(&channel->waiter), facts_shown(&channel->waker),
                    by_name(channel->by));
            continue;
        }
        fprintf(out, "#   %u times %s was woken from %s by %s\n", channel->pairs,
                facts_shown(&channel->waiter), facts_shown(&channel->waker), by_name(channel->by));
        if (channel->item[0]) {
            if (channel->is_static)
                fprintf(
                    out,
                    "#   It is static: where baton check refuses it, as compilers may change the "
                    "arguments of such\n#   a function, the option unsafe hooks it all the same, "
                    "as in "
                    "(kind=call,fn=1,unsafe)\n");
            fprintf(out, is_idle ? "#   nothing was found that it would carry; else: %s\n" : "%s\n",
                    channel->item);
            if (channel->run_item[0])
                fprintf(out, is_idle ? "#   and: %s\n" : "%s\n", channel->run_item);
            continue;
        }
        is_help_wanted |= !channel->is_typed;
        fprintf(out, "#   which function hands the work over could not be told; who woke:\n");
        print_stack(out, channel->waker_stack);
        fprintf(out, "#   who waited:\n");
        print_stack(out, channel->waiter_stack);
        print_minor(out, i);
        if (channel->is_typed)
            fprintf(out,
                    "#   It calls no function that it was given: it does always the same with "
                    "what it takes. Name, by hand, the\n"
                    "#   function that puts it there and the one that works on it, and which "
                    "argument of each it is:\n"
                    "#   FUNCTION(kind=submit,obj=1), FUNCTION(kind=run,obj=1), without a name "
                    "main+0xOFFSET: man 7 baton-hooks.\n");
    }
    if (!open)
        fprintf(out, "#   none was seen\n");
    if (!open && threads_that_never_wait())
        fprintf(out,
                "#   %u of %u threads never waited: one that spins until there is work is not seen "
                "to be given any.\n"
                "#   Functions that look as if they handed over: baton discover --static %s\n",
                threads_that_never_wait(), facts->threads, facts_program());
    for (unsigned i = 0; i < channels_count; i++) {
        if (channels[i].is_awaited)
            fprintf(out,
                    "#   %u times %s was woken from %s by %s: the answer to what it had handed "
                    "over, for "
                    "which it waits\n#   with its context: nothing is to be carried back\n",
                    channels[i].pairs, facts_shown(&channels[i].waiter),
                    facts_shown(&channels[i].waker), by_name(channels[i].by));
    }
    if (is_help_wanted)
        fprintf(out, "#   If one of these functions takes a callback and its data, name it by "
                     "hand, by its offset if it\n"
                     "#   has no name: FUNCTION(kind=call,fn=1,arg=2), "
                     "main+0xOFFSET(kind=call,fn=1,arg=2); other\n"
                     "#   forms, and what to do where the callback is given once: man 7 "
                     "baton-hooks. Debug information\n"
                     "#   of the program (a -dbgsym package) tells more.\n");
}

/* What an interpreter's threads give each other. */
static void conf_pythons(FILE *out)
{
    unsigned times = 0;

    for (unsigned i = 0; i < channels_count; i++)
        times += channels[i].is_pythons ? channels[i].pairs : 0;
    if (times)
        fprintf(out,
                "# %u times Python's own code woke another thread of Python: what it hands over "
                "are objects of its\n"
                "# own, which baton does not carry; Python's contextvars do.\n",
                times);
}

static bool is_worth_telling(unsigned subject)
{
    const struct seen *seen = best_seen(subject);

    return !subjects[subject].is_context && subjects[subject].item[0] &&
           (!subjects[subject].of || !facts_is_runtime(subjects[subject].of)) && seen;
}

static void conf_rest(FILE *out)
{
    enum { TOLD_MAX = 64 };
    unsigned told = 0, allocators = 0;

    fprintf(out, "\n# Left alone:\n");
    for (unsigned i = 0; i < subjects_count; i++) {
        if (!is_worth_telling(i))
            continue;
        if (subjects[i].of && facts_is_allocator(subjects[i].of))
            allocators++;
        else if (told++ < TOLD_MAX)
            fprintf(out, "#   %s: %s\n", subjects[i].item, subjects[i].verdict);
    }
    if (told > TOLD_MAX)
        fprintf(out, "#   and %u more\n", told - TOLD_MAX);
    if (allocators)
        fprintf(out, "#   %u that the allocator keeps for each thread\n", allocators);
    if (!told && !allocators)
        fprintf(out, "#   nothing\n");
    if (facts->events_lost)
        fprintf(out, "# %u events did not fit and were not looked at.\n", facts->events_lost);
    if (!facts->has_unwinder)
        fprintf(out, "# libunwind.so.8 was not there: of stacks only the first frame is known.\n");
}

void write_conf(FILE *out)
{
    fprintf(out, "# Found by baton discover in %s (process %u): %u threads, %u events.\n",
            facts_program(), facts->pid, facts->threads, facts_events);
    fprintf(out, "# Use it: baton run --config FILE -- PROGRAM. Read it first: it was found by "
                 "watching one run.\n\n");
    conf_subjects(out);
    known_print(out);
    conf_pools(out);
    conf_pythons(out);
    conf_rest(out);
}

void write_json(void)
{
    unsigned told = 0;

    printf("{\"program\":");
    print_json(facts_program());
    printf(",\"pid\":%u,\"threads\":%u,\"events\":%u,\"lost\":%u,\"carry\":[", facts->pid,
           facts->threads, facts_events, facts->events_lost);
    for (unsigned i = 0; i < subjects_count; i++) {
        if (subjects[i].is_context && !subjects[i].is_unfinished) {
            fputs(told++ ? "," : "", stdout);
            print_json(subjects[i].item);
        }
    }
    fputs("],\"hooks\":[", stdout);
    told = 0;
    for (unsigned i = 0; i < channels_count; i++) {
        if (is_open(&channels[i]) && channels[i].item[0] && !is_repeated(i)) {
            fputs(told++ ? "," : "", stdout);
            print_json(channels[i].item);
            if (channels[i].run_item[0]) {
                fputs(",", stdout);
                print_json(channels[i].run_item);
            }
        } else if (channels[i].preset && !channels[i].family && !is_preset_repeated(i)) {
            fputs(told++ ? "," : "", stdout);
            print_json(channels[i].preset);
        }
    }
    fputs("],\"known\":[", stdout);
    known_print_json();
    fputs("],\"handoffs\":[", stdout);
    for (unsigned i = 0; i < channels_count; i++) {
        fputs(i ? ",{\"from\":" : "{\"from\":", stdout);
        print_json(facts_name(&channels[i].waker));
        fputs(",\"to\":", stdout);
        print_json(facts_name(&channels[i].waiter));
        fputs(",\"by\":", stdout);
        print_json(by_name(channels[i].by));
        printf(",\"times\":%u,\"is_pool\":%s,\"family\":", channels[i].pairs,
               channels[i].is_pool ? "true" : "false");
        print_json(channels[i].family ? channels[i].family : "");
        fputs(",\"preset\":", stdout);
        print_json(channels[i].preset ? channels[i].preset : "");
        fputs("}", stdout);
    }
    fputs("],\"left\":[", stdout);
    told = 0;
    for (unsigned i = 0; i < subjects_count; i++) {
        if (!is_worth_telling(i))
            continue;
        fputs(told++ ? ",{\"item\":" : "{\"item\":", stdout);
        print_json(subjects[i].item);
        fputs(",\"why\":", stdout);
        print_json(subjects[i].verdict);
        fputs("}", stdout);
    }
    fputs("]}\n", stdout);
}
