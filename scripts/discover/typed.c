/*
 * Pools of one kind of work. Their worker calls no function that it was given: it takes an object and does always the
 * same with it, `handle(take_job())`. So does a thread that waits for an answer, or writes a log, and where a pool of
 * given functions was seen, such threads are taken for that. Where none was, a way between two threads is such a pool if
 * something turns out to be context there (judge.c), and its items name two functions: the one that hands over, and the
 * one that works on the same struct.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "facts.h"
#include "wakings.h"

enum { TIMES_MIN = 4, WORKER_FRAMES = 4 };

void typed_look(void)
{
    for (unsigned i = 0; i < channels_count; i++) {
        if (channels[i].is_pool && channels[i].by != BY_THREAD)
            return;
    }
    for (unsigned i = 0; i < channels_count; i++) {
        struct channel *channel = &channels[i];

        if (channel->is_pool || channel->is_answer || channel->pairs < TIMES_MIN ||
            !pool_may_be(channel) || channel->waiter.names != channel->waker.names ||
            channel->has_first || pool_waits_in_main(channel))
            continue;
        channel->is_pool = channel->is_guess = channel->is_typed = true;
        for (uint32_t j = 0; j < channel->workers_count; j++)
            is_worker[channel->workers[j]] = true;
    }
}

/* ---- what the worker does ---- */

static unsigned index_of(const struct place *place)
{
    return (unsigned)(place->function - place->names->functions);
}

static bool reads(const struct use *use, const struct subject *subject)
{
    const struct variable *variable = subject->variable;

    return variable && subject->of == use->of && use->access & ACCESS_READ &&
           use->offset >= variable->offset &&
           use->offset < variable->offset + (variable->size ? variable->size : 1);
}

/* Is a reader of the subject, of NULL: of any that is context, among the functions that can be reached from these? */
static bool reaches_reader(struct names *names, bool *reached, const struct subject *subject)
{
    const struct code *code = code_of(names);

    code_close(names, reached);
    for (unsigned i = 0; i < code->uses_count; i++) {
        for (unsigned j = 0; reached[code->uses[i].function] && j < subjects_count; j++) {
            if ((subject ? subject == &subjects[j] : subjects[j].is_context) &&
                reads(&code->uses[i], &subjects[j]))
                return true;
        }
    }
    return false;
}

bool typed_reads(const struct channel *channel, const struct subject *subject)
{
    struct names *names = channel->waiter.names;
    bool *reached = allocated(calloc(names->functions_count + 1, 1)), is_any;
    uint32_t first = facts_inner(channel->waiter_stack);

    for (uint32_t i = first; i < first + WORKER_FRAMES; i++) {
        struct place place = place_in(channel->waiter_stack, i);

        if (place.function && place.names == names)
            reached[index_of(&place)] = true;
    }
    is_any = reaches_reader(names, reached, subject);
    free(reached);
    return is_any;
}

/* ---- the two functions ---- */

/* Which argument of a function is a pointer to that struct, from 1; 0: none. */
static unsigned argument_of(struct names *names, const struct function *function, const char *type)
{
    struct signature signature;

    if (!dwarf_signature(names, function, &signature))
        return 0;
    for (unsigned i = 0; i < signature.count; i++) {
        if (signature.parameter[i].points_to && !strcmp(signature.parameter[i].points_to, type))
            return i + 1;
    }
    return 0;
}

/* What the waiting thread is in has one: it is the queue's struct, and no work. */
static bool is_of_waiter(const struct channel *channel, const char *type)
{
    uint32_t first = facts_inner(channel->waiter_stack);

    for (uint32_t i = first; i < first + WORKER_FRAMES; i++) {
        struct place place = place_in(channel->waiter_stack, i);

        if (place.function && argument_of(place.names, place.function, type))
            return true;
    }
    return false;
}

static bool leads_to_reader(struct names *names, unsigned function)
{
    bool *reached = allocated(calloc(names->functions_count + 1, 1)), is_any;

    reached[function] = true;
    is_any = reaches_reader(names, reached, NULL);
    free(reached);
    return is_any;
}

/* Of the functions that the worker calls, the first that takes such a struct and reads what is context, else the first
 * that takes one. */
static const struct function *find_run(const struct channel *channel, struct names *names,
                                       const char *type)
{
    const struct code *code = code_of(names);
    const struct function *found = NULL;
    uint32_t first = facts_inner(channel->waiter_stack);

    for (uint32_t i = first; i < first + WORKER_FRAMES; i++) {
        struct place place = place_in(channel->waiter_stack, i);

        for (unsigned j = 0; place.names == names && place.function && j < code->edges_count; j++) {
            const struct function *callee = &names->functions[code->edges[j][1]];

            if (code->edges[j][0] != index_of(&place) || !argument_of(names, callee, type))
                continue;
            if (leads_to_reader(names, code->edges[j][1]))
                return callee;
            found = found ? found : callee;
        }
    }
    return found;
}

static bool pair_fits(struct channel *channel, const struct place *submit, void *unused)
{
    struct signature signature;

    if (!submit->function || !dwarf_signature(submit->names, submit->function, &signature))
        return false;
    for (unsigned i = signature.count; i-- > 0;) {
        const char *type = signature.parameter[i].points_to;
        const struct function *run =
            type && !is_of_waiter(channel, type) ? find_run(channel, submit->names, type) : NULL;

        if (!run)
            continue;
        snprintf(channel->item, sizeof channel->item, "%s(kind=submit,obj=%u)",
                 names_shown(submit->names, submit->function), i + 1);
        snprintf(channel->run_item, sizeof channel->run_item, "%s(kind=run,obj=%u)",
                 names_shown(submit->names, run), argument_of(submit->names, run, type));
        channel->is_static = submit->function->is_local || run->is_local;
        return true;
    }
    return false;
}

void typed_name(void)
{
    for (unsigned i = 0; i < channels_count; i++) {
        if (channels[i].is_typed && channels[i].is_pool)
            pool_look_outwards(&channels[i], pair_fits, NULL);
    }
}
