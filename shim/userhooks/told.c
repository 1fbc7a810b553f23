/*
 * What the user is told of named hooks: in the report, at exit, and when one turns out to be wrong.
 *
 * Of a preset's functions no program uses all: it is told only when none of them was there, or fired.
 */
#include <string.h>

#include "base/log.h"
#include "userhooks/named.h"
#include "userhooks/tally.h"

static const char run_again[] =
    "a callback ran more than once for one call of it: the option repeat is for such";

static const char record_nowhere[] =
    "a callback got its data in no register: arg= or fn= is wrong; it was not called";
static const char record_elsewhere[] =
    "a callback got its data as another argument than cbarg= says";

void named_record_missing(struct named_hook *hook, unsigned position)
{
    if (atomic_exchange(&hook->missing_record, 1 + position))
        return;
    if (position)
        atomic_store(&hook->callback_at, (uint8_t)position);
    if (position)
        log_msg(LOG_LEVEL_ERROR,
                "BATON_HOOKS=\"%s\": a callback got its data as argument %u, expected cbarg=%u",
                hook->spec.item, position, position);
    else
        log_msg(LOG_LEVEL_ERROR, "BATON_HOOKS=\"%s\": %s", hook->spec.item, record_nowhere);
}

static const char *const faults[] = {
    [FAULT_FUNCTION] = "what fn= names is no function: nothing was handed over",
    [FAULT_FIELD] = "what off= names in the object is no function: nothing was handed over",
    [FAULT_OBJECT] = "what obj= names is no object: nothing was handed over",
    [FAULT_CALLABLE] = "what obj= names is no std::function: nothing was handed over",
    [FAULT_VIRTUAL] =
        "what obj= names is no object with a function at slot= in its vtable: nothing was handed "
        "over",
    [FAULT_POINTER] =
        "what it names is nothing that data=, next= or *N can be read from: nothing was handed "
        "over",
    [FAULT_DATA] =
        "the callback of fn= does not get what arg= names, or not as argument cbarg=: nothing more "
        "is handed over",
};

static const char never_met[] =
    "its calls met nothing of what was handed over: obj=, item=, queue=, from=, to= or data= of it "
    "or of its partner is wrong";
static const char empty_always[] = "what it names was empty in every call: nothing was handed over";
static const char callback_never_met[] =
    "its callbacks met nothing of what was handed over: cbarg= or data= is wrong";

bool named_is_strict;

void named_say_fault(struct thunk *thunk, enum named_fault fault)
{
    bool is_named = thunk->name && thunk->hook->functions > 1;
    struct named_hook *hook = thunk->hook;
    uint8_t none = FAULT_NONE;

    if (!atomic_compare_exchange_strong(&thunk->fault, &none, (uint8_t)fault))
        return;
    log_msg(LOG_LEVEL_ERROR, "BATON_HOOKS=\"%s\": %s%s%s", hook->spec.item,
            is_named ? thunk->name : "", is_named ? ": " : "", faults[fault]);
}

void named_found_fault(struct thunk *thunk, enum named_fault fault)
{
    named_unmet(thunk->hook);
    named_say_fault(thunk, fault);
}

void named_data_missing(struct thunk *of)
{
    named_found_fault(of, FAULT_DATA);
    atomic_store(&of->fault, FAULT_DATA); /* whatever was wrong before */
}

/* Of the first of its functions that has none of what the item names; NULL: there is none like that. */
static const char *fault_of(const struct named_hook *hook)
{
    unsigned used = atomic_load(&thunks_used);

    for (unsigned i = 0; i < used; i++) {
        unsigned fault = atomic_load(&thunks[i].fault);

        if (fault && thunks[i].hook == hook && !named_is_right(hook, &thunks[i]))
            return faults[fault];
    }
    return NULL;
}

/* What was handed over by the hooks that go with it: by all of those of these kinds. */
static uint64_t carried_by(const struct named_hook *hook, enum named_kind one,
                           enum named_kind other)
{
    uint64_t carried = 0;

    for (unsigned i = 0; i < named_count; i++) {
        const struct named_hook *by = &named_hooks[i];
        struct named_tally sum;

        if (by->spec.pair_id != hook->spec.pair_id ||
            (by->spec.kind != one && by->spec.kind != other))
            continue;
        tally_sum(by, &sum);
        carried += sum.carried;
    }
    return carried;
}

enum { ENOUGH_CALLS = 16 };

/* A fault that is known only when all is done. */
static const char *met_nothing(const struct named_hook *hook, const struct named_tally *sum)
{
    const char *empty = !sum->carried && atomic_load(&hook->unmet) >= sum->fired ? empty_always
                                                                                 : NULL;
    uint64_t carried;

    switch (hook->spec.kind) {
    case NAMED_RUN:
    case NAMED_GET:
        /* In a few calls, fewer than there were objects, others may have come by, and those that were handed over wait. */
        carried = carried_by(hook, NAMED_SUBMIT, NAMED_PUT);
        if (!carried || (sum->fired < carried && sum->fired < ENOUGH_CALLS) ||
            carried_by(hook, NAMED_RUN, NAMED_GET))
            return NULL;
        return empty ? empty : never_met;
    case NAMED_RELAY:
        return !sum->carried && carried_by(hook, NAMED_SUBMIT, NAMED_PUT) && !empty ? never_met
                                                                                    : empty;
    case NAMED_FIELD:
    case NAMED_VIRTUAL:
        return sum->carried && atomic_load(&hook->has_missed) && !atomic_load(&hook->has_met)
                   ? callback_never_met
                   : empty;
    default:
        return empty;
    }
}

void named_ran_again(struct named_hook *hook)
{
    if (!atomic_exchange(&hook->has_run_again, true))
        log_msg(LOG_LEVEL_ERROR, "BATON_HOOKS=\"%s\": %s", hook->spec.item, run_again);
}

const char *named_reason(const struct named_hook *hook)
{
    struct named_tally sum;
    const char *why;

    if (hook->state == HOOK_REFUSED)
        return hook->reason;
    if (hook->state == HOOK_UNMATCHED)
        return hook->reason[0] ? hook->reason : "no pointer to such a function was found";
    if (atomic_load(&hook->has_no_place))
        return "more copies of it, or of functions in its field, than there is room for: some are "
               "not "
               "hooked";
    if (atomic_load(&hook->missing_record))
        return atomic_load(&hook->missing_record) == 1 ? record_nowhere : record_elsewhere;
    if (atomic_load(&hook->has_run_again))
        return run_again;
    why = fault_of(hook);
    if (why)
        return why;
    tally_sum(hook, &sum);
    if (sum.fired) {
        why = met_nothing(hook, &sum);
        if (!why && hook->refused && !hook->spec.preset) /* some of its functions */
            why = hook->reason;
        return why ? why : "";
    }
    if ((hook->by == HOW_SYMBOL || hook->refused) && hook->reason[0])
        return hook->reason;
    return hook->by == HOW_GOT
               ? "never fired: no call went through the pointers that were hooked (calls "
                 "inside one module, inlined calls and constructors do not)"
               : "never fired: it was not called, or its calls were inlined";
}

static bool is_of_preset(const struct named_hook *hook, const char *preset)
{
    return hook->spec.preset && !strcmp(hook->spec.preset, preset);
}

/* A preset has functions that not every program uses: one of them is enough. */
static bool is_there(const struct named_hook *hook)
{
    if (hook->state == HOOK_HOOKED)
        return true;
    for (unsigned i = 0; i < named_count && hook->spec.preset; i++) {
        if (named_hooks[i].state == HOOK_HOOKED && is_of_preset(&named_hooks[i], hook->spec.preset))
            return true;
    }
    return false;
}

unsigned named_say_missing(void)
{
    unsigned missing = 0;

    for (unsigned i = 0; i < named_count; i++) {
        const struct named_hook *hook = &named_hooks[i];

        if (is_there(hook) || hook->spec.kind == NAMED_SET)
            continue;
        if (hook->state == HOOK_UNMATCHED)
            log_msg(LOG_LEVEL_ERROR, "%s=\"%s\": matched nothing: %s", spec_setting(&hook->spec),
                    hook->spec.item, named_reason(hook));
        missing++;
    }
    return missing;
}

/* Did any function of the preset fire? No program uses all of them. */
static bool is_alive(const char *preset)
{
    for (unsigned i = 0; i < named_count; i++) {
        struct named_tally sum;

        if (!is_of_preset(&named_hooks[i], preset))
            continue;
        tally_sum(&named_hooks[i], &sum);
        if (sum.fired)
            return true;
    }
    return false;
}

static bool is_first_of_preset(unsigned index)
{
    for (unsigned i = 0; i < index; i++) {
        if (is_of_preset(&named_hooks[i], named_hooks[index].spec.preset))
            return false;
    }
    return true;
}

void named_say_idle(void)
{
    if (log_level < LOG_LEVEL_WARN && !named_is_strict)
        return;
    for (unsigned i = 0; i < named_count; i++) {
        const struct named_hook *hook = &named_hooks[i];
        const char *reason = named_reason(hook);

        if (hook->state == HOOK_REFUSED || !*reason)
            continue;
        if (named_is_strict &&
            (reason == never_met || reason == callback_never_met || reason == empty_always))
            log_msg(LOG_LEVEL_ERROR, "%s=\"%s\": %s", spec_setting(&hook->spec), hook->spec.item,
                    reason);
        else if (log_level < LOG_LEVEL_WARN)
            continue;
        else if (!hook->spec.preset)
            log_msg(LOG_LEVEL_WARN, "%s=\"%s\": %s%s", spec_setting(&hook->spec), hook->spec.item,
                    hook->state == HOOK_UNMATCHED ? "matched nothing: " : "", reason);
        else if (is_first_of_preset(i) && !is_alive(hook->spec.preset))
            log_msg(LOG_LEVEL_WARN, "BATON_HOOKS=\"preset:%s\": none of its functions was called",
                    hook->spec.preset);
    }
}
