/*
 * Context, or something else? The evidence, for each thread-local variable and key, on each way
 * from a thread that wakes to one that is woken and works:
 *
 * - Differs with the request: at the moments when work changed hands, the thread that handed over
 *   held different values. Identities (a thread's number, its arena, its buffer) are constant a
 *   thread.
 * - Lost on the way: the worker then held another value, so there is something to carry.
 * - Not the worker's own: the worker's value does not change while it works. Caches, counters,
 *   random states and error numbers are written by whoever uses them, tasks too.
 * - Read in the task. Of a key: the task asked for it before it set it (exact, every read is
 *   seen). Of a variable: a function that reads it and does not write it can be reached from what
 *   workers call. A counter, a cache, a random state is read only where it is also written.
 * - Set before handing over. Of a key: by who had not asked for it. Who asks, changes and stores
 *   keeps a state.
 *
 * Only what has all of it is written as an item; what lacks one is listed with the reason. Nothing
 * is known of values that no request has changed while we looked.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "facts.h"
#include "slots/slots.h"
#include "write.h"

enum { PAIRS_MIN = 2, REQUESTS_MIN = 4 };

/* ---- what the code says of a variable ---- */

struct uses {
    bool is_known;
    bool has_reader;   /* a function reads it and does not write it */
    bool is_reachable; /* such a one can be reached from a task */
    bool has_writer;
    bool is_address_only; /* its address is taken, and that is all that is known */
};

/* What threads run that are no workers is not what tasks are. */
static bool is_others_start(const struct names *names, const struct function *function)
{
    bool is_others = false;

    for (uint32_t i = 0; i < facts->threads && i < DISCOVER_THREADS; i++) {
        struct place start = facts_place(facts->thread[i].start_routine, false);

        if (!facts->thread[i].start_routine || start.names != names || start.function != function)
            continue;
        if (is_worker[i])
            return false;
        is_others = true;
    }
    return is_others;
}

/* The functions that a task may be in: what is called through pointers, and
 * what that calls. */
static bool *reached_in(struct names *names)
{
    static struct {
        const struct names *names;
        bool *reached;
    } known[64];
    const struct code *code = code_of(names);
    bool *reached;
    unsigned slot;

    for (slot = 0; slot < 63 && known[slot].names; slot++) {
        if (known[slot].names == names)
            return known[slot].reached;
    }
    reached = allocated(calloc(names->functions_count + 1, 1));
    for (unsigned i = 0; i < names->functions_count; i++) {
        const struct function *function = &names->functions[i];
        bool is_main = function->name &&
                       (!strcmp(function->name, "main") || !strcmp(function->name, "_start"));

        if (!names->module->elf.is_main)
            reached[i] = function->is_exported;
        if (code->is_taken[i] && !is_main && !is_others_start(names, function))
            reached[i] = true;
    }
    code_close(names, reached);
    known[slot].names = names;
    known[slot].reached = reached;
    return reached;
}

static bool is_of(const struct use *use, const struct subject *subject)
{
    const struct variable *variable = subject->variable;

    return use->of == subject->of && use->offset >= variable->offset &&
           use->offset < variable->offset + (variable->size ? variable->size : 1);
}

static void look_in_module(struct names *names, const struct subject *subject, struct uses *uses)
{
    const struct code *code = code_of(names);
    unsigned char *access = allocated(calloc(names->functions_count + 1, 1));
    bool *reached = NULL;

    for (unsigned i = 0; i < code->uses_count; i++) {
        if (is_of(&code->uses[i], subject))
            access[code->uses[i].function] |= (unsigned char)code->uses[i].access;
    }
    for (unsigned i = 0; i < names->functions_count; i++) {
        if (!access[i])
            continue;
        uses->is_known = true;
        if (access[i] & ACCESS_WRITE)
            uses->has_writer = true;
        if ((access[i] & (ACCESS_READ | ACCESS_WRITE)) == ACCESS_READ) {
            uses->has_reader = true;
            if (!reached)
                reached = reached_in(names);
            uses->is_reachable |= reached[i];
        }
        if (access[i] == ACCESS_ADDRESS)
            uses->is_address_only = true;
    }
    free(access);
}

static struct uses uses_of(const struct subject *subject)
{
    struct uses uses = {false, false, false, false, false};

    if (!code_is_known())
        return uses;
    for (unsigned i = 0; i < modules_count; i++) {
        struct names *names = names_of(&modules[i]);

        if (!facts_is_runtime(names))
            look_in_module(names, subject, &uses);
    }
    return uses;
}

/* ---- the verdict ---- */

/* How far a subject got on a channel, and why not further; NULL: all the way.
 */
static const char *lacking(const struct subject *subject, const struct channel *channel,
                           const struct seen *seen, unsigned *rank)
{
    bool is_key = !subject->variable;

    *rank = 0;
    if (!channel->is_pool || seen->pairs < PAIRS_MIN)
        return "was not seen where work was handed over";
    *rank = 1;
    if (seen->values_count < 2)
        return "the same at every handoff";
    *rank = 2;
    /* One value a thread is an identity, unless those who work have none and many
   * hand over, one request each. */
    if (!seen->varied && (seen->worker_own || seen->values_count < REQUESTS_MIN))
        return "one value a thread: an identity";
    *rank = 3;
    if (seen->differs * 2 < seen->pairs)
        return "workers have the same value already";
    *rank = 4;
    if (is_key) {
        if (!seen->got_first && !seen->set_first)
            return "no task reads it";
        *rank = 5;
        if (seen->set_first > seen->got_first)
            return "tasks set it before they read it";
        *rank = 6;
        if (!seen->set_blindly && seen->set_looking && seen->changed * 2 >= seen->got_first)
            return "read, changed and stored by whoever uses it, as a counter or a "
                   "cache is";
        return NULL;
    }
    if (seen->tasks && seen->changed * 4 > seen->tasks)
        return "workers write it themselves";
    *rank = 5;
    return NULL;
}

static const char *lacking_in_code(const struct subject *subject)
{
    struct uses uses;

    if (!subject->variable)
        return NULL;
    uses = uses_of(subject);
    if (!uses.is_known)
        return code_is_known() ? "no code that uses it was found" : NULL;
    if (!uses.has_reader && uses.is_address_only)
        return NULL; /* through a pointer: not known */
    if (!uses.has_reader)
        return "read only where it is also written, as a counter or a cache is";
    if (!uses.is_reachable)
        return "no task reads it";
    return NULL;
}

void judge(void)
{
    for (unsigned i = 0; i < subjects_count; i++) {
        struct subject *subject = &subjects[i];
        unsigned best = 0;
        bool is_in_stack = false;

        subject->verdict = "was not seen where work was handed over";
        if (!subject->of || facts_is_runtime(subject->of)) {
            subject->verdict = "the run time's own";
            continue;
        }
        if (facts_is_allocator(subject->of)) {
            subject->verdict = "the allocator's own";
            continue;
        }
        if (subject->variable && subject->variable->name &&
            slot_deny_reason(subject->variable->name, subject->of->module->elf.name)) {
            subject->verdict =
                slot_deny_reason(subject->variable->name, subject->of->module->elf.name);
            continue;
        }
        for (unsigned j = 0; j < channels_count; j++) {
            const struct channel *channel = &channels[j];
            const struct seen *seen = &channel->seen[i];
            unsigned rank;
            const char *why = lacking(subject, channel, seen, &rank);

            if (!why) {
                subject->verdict = NULL;
                is_in_stack |= seen->in_stack * 2 > seen->pairs;
                break;
            }
            if (rank > best) {
                best = rank;
                subject->verdict = why;
            }
        }
        if (!subject->verdict)
            subject->verdict = lacking_in_code(subject);
        subject->is_context = !subject->verdict;
        if (subject->is_context && is_in_stack)
            subject->note = "it points into the stack of who hands over: right only "
                            "where that one "
                            "waits for the task";
        if (subject->is_context && subject->variable && !code_is_known())
            subject->note = "whether tasks read it is not known: baton was built without Zydis";
    }
}
