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
        log_msg(LOG_LEVEL_ERROR,
                "BATON_HOOKS=\"%s\": a callback got its data as argument %u, expected cbarg=%u",
                hook->spec.item, position, position);
    else
        log_msg(LOG_LEVEL_ERROR, "BATON_HOOKS=\"%s\": %s", hook->spec.item, record_nowhere);
}

void named_ran_again(struct named_hook *hook)
{
    if (!atomic_exchange(&hook->has_run_again, true))
        log_msg(LOG_LEVEL_ERROR, "BATON_HOOKS=\"%s\": %s", hook->spec.item, run_again);
}

const char *named_reason(const struct named_hook *hook)
{
    struct named_tally sum;

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
    tally_sum(hook, &sum);
    if (!sum.fired)
        return hook->by == HOW_GOT
                   ? "never fired: no call went through the pointers that were hooked (calls "
                     "inside one module, inlined calls and constructors do not)"
                   : "never fired: it was not called, or its calls were inlined";
    return "";
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
    if (log_level < LOG_LEVEL_WARN)
        return;
    for (unsigned i = 0; i < named_count; i++) {
        const struct named_hook *hook = &named_hooks[i];
        const char *reason = named_reason(hook);

        if (hook->state == HOOK_REFUSED || !*reason)
            continue;
        if (!hook->spec.preset)
            log_msg(LOG_LEVEL_WARN, "%s=\"%s\": %s%s", spec_setting(&hook->spec), hook->spec.item,
                    hook->state == HOOK_UNMATCHED ? "matched nothing: " : "", reason);
        else if (is_first_of_preset(i) && !is_alive(hook->spec.preset))
            log_msg(LOG_LEVEL_WARN, "BATON_HOOKS=\"preset:%s\": none of its functions was called",
                    hook->spec.preset);
    }
}
