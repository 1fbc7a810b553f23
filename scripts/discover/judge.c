/*
 * Which subjects are context: what was seen of each on each way, and what the code says of it, put before
 * evidence.c. Here is what it takes to know the code's part: which functions tasks may be in, and which of
 * them read or write a variable.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "facts.h"
#include "slots/kind.h"
#include "slots/slots.h"
#include "write.h"

/* ---- what the code says of a variable ---- */

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
    struct uses uses = {.is_known = false};

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

static const char *lacks_in_code(const struct subject *subject)
{
    struct uses uses;

    if (!subject->variable)
        return NULL;
    uses = uses_of(subject);
    return evidence_lacks_in_code(&uses, code_is_known());
}

/* The way on which it was seen most to be an identity: one value a thread. */
static void note_identity(const struct seen *seen, unsigned rank, const char *why,
                          const struct seen **most, const char **most_why)
{
    enum { IDENTITY = 2 };

    if (why && rank == IDENTITY && (!*most || seen->pairs > (*most)->pairs)) {
        *most = seen;
        *most_why = why;
    }
}

/* What it lacks on one way. Whoever does always the same must read it in that. */
static const char *lacks_on(const struct channel *channel, unsigned number, unsigned *rank)
{
    const struct subject *subject = &subjects[number];
    const char *why =
        evidence_lacks(&channel->seen[number], !subject->variable, channel->is_pool, rank);

    return !why && channel->is_typed && subject->variable && !typed_reads(channel, subject)
               ? "no task reads it"
               : why;
}

/* By all ways. What a few handoffs speak for, and many more against, is an identity that was seen late. */
static void judge_by_evidence(struct subject *subject, unsigned number, bool *is_in_stack)
{
    const struct seen *found = NULL, *identity = NULL;
    const char *identity_why = NULL;
    unsigned best = 0;

    for (unsigned j = 0; j < channels_count; j++) {
        const struct channel *channel = &channels[j];
        const struct seen *seen = &channel->seen[number];
        unsigned rank;
        const char *why = lacks_on(channel, number, &rank);

        note_identity(seen, rank, why, &identity, &identity_why);
        if (!why && (!found || seen->pairs > found->pairs)) {
            found = seen;
            *is_in_stack = seen->in_stack * 2 > seen->pairs;
        } else if (why && rank > best && !found) {
            best = rank;
            subject->verdict = why;
        }
    }
    if (found)
        subject->verdict = identity && identity->pairs > found->pairs ? identity_why : NULL;
}

/* A way that was guessed, on which nothing is context, is none: those who never waited do something else. */
static void drop_guesses(void)
{
    for (unsigned i = 0; i < channels_count; i++) {
        struct channel *channel = &channels[i];
        bool is_used = false;
        unsigned rank;

        for (unsigned j = 0; channel->is_guess && j < subjects_count; j++)
            is_used |= subjects[j].is_context && !lacks_on(channel, j, &rank);
        channel->is_pool &= !channel->is_guess || is_used;
    }
}

/*
 * A way that ends in the thread that had handed the work over, and waits for it with the context that it had then, is
 * the answer, whatever that thread calls afterwards. (One that has another by now, as an event loop has, needs it
 * handed over.)
 */
static bool is_answer(const struct channel *channel)
{
    bool is_any = false;

    for (unsigned i = 0; i < subjects_count; i++) {
        const struct seen *seen = &channel->seen[i];

        if (subjects[i].is_context && seen->unanswered * 4 > seen->answered)
            return false;
        is_any |= subjects[i].is_context && seen->answered * 2 > channel->pairs;
    }
    return is_any;
}

static void drop_answers(void)
{
    for (unsigned i = 0; i < channels_count; i++) {
        struct channel *channel = &channels[i];

        if (channel->is_pool && !channel->family && !channel->preset && is_answer(channel)) {
            channel->is_pool = false;
            channel->is_awaited = true;
        }
    }
}

void judge(void)
{
    for (unsigned i = 0; i < subjects_count; i++) {
        struct subject *subject = &subjects[i];
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
        judge_by_evidence(subject, i, &is_in_stack);
        if (!subject->verdict)
            subject->verdict = lacks_in_code(subject);
        subject->is_context = !subject->verdict;
        if (subject->is_context && is_in_stack)
            subject->note = "it points into the submitter's stack: right only "
                            "where that one "
                            "waits for the task";
        if (subject->is_context && subject->variable && !code_is_known())
            subject->note = "whether tasks read it is not known: baton was built without Zydis";
    }
    drop_guesses();
    drop_answers();
}
