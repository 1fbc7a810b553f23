/* The members of the report's object; their order and meaning: schema 1 in scripts/man/baton.7.in. */
#include "observe/report_parts.h"

#include "context/dangling.h"
#include "context/reads.h"
#include "interpose/hooks.h"
#include "interpose/inherit.h"
#include "interpose/versions.h"
#include "observe/latency.h"
#include "observe/waited.h"
#include "observe/watch.h"
#include "slots/kind.h"
#include "userhooks/known.h"
#include "userhooks/tally.h"

static const char bare_names[BARE_REASONS][12] = {
    [BARE_MEMORY] = "memory", [BARE_TEARDOWN] = "teardown", [BARE_SUPPRESSED] = "suppressed",
    [BARE_LIMIT] = "limit",   [BARE_INHERIT] = "inherit",   [BARE_FULL] = "full",
    [BARE_ERROR] = "error",   [BARE_PERIODIC] = "periodic", [BARE_SIGNAL] = "signal",
    [BARE_LAYOUT] = "layout",
};

const char *report_reason(unsigned reason)
{
    return bare_names[reason];
}

void report_add_families(struct report_text *text, const struct report_totals *totals)
{
    bool is_first = true;

    report_add(text, "\"families\":{");
    for (unsigned family = 0; family < FAMILY_COUNT; family++) {
        uint64_t taken = totals->carried[family] + totals->empty[family], bare = 0;
        bool is_first_reason = true;

        for (unsigned reason = 0; reason < BARE_REASONS; reason++)
            bare += totals->bare[family][reason];
        if (!taken && !bare)
            continue;
        report_add(text, "%s\"%s\":{\"carried\":%lu,\"empty\":%lu,\"bare\":{", is_first ? "" : ",",
                   family_name((enum family)family), (unsigned long)taken,
                   (unsigned long)totals->empty[family]);
        for (unsigned reason = 0; reason < BARE_REASONS; reason++) {
            if (!totals->bare[family][reason])
                continue;
            report_add(text, "%s\"%s\":%lu", is_first_reason ? "" : ",", bare_names[reason],
                       (unsigned long)totals->bare[family][reason]);
            is_first_reason = false;
        }
        report_add(text, "}}");
        is_first = false;
    }
    report_add(text, "}");
}

static void add_times(struct report_text *text, const struct latency *latency)
{
    report_add(text, "{\"count\":%lu,\"p50_ns\":%lu,\"p90_ns\":%lu,\"p99_ns\":%lu,\"max_ns\":%lu}",
               (unsigned long)latency->count, (unsigned long)latency_quantile(latency, 50),
               (unsigned long)latency_quantile(latency, 90),
               (unsigned long)latency_quantile(latency, 99), (unsigned long)watch_ns(latency->max));
}

void report_add_latency(struct report_text *text)
{
    bool is_first = true;

    report_add(text, ",\"latency\":{");
    for (unsigned family = 0; family < FAMILY_COUNT; family++) {
        struct latency latency;

        latency_sum(family, &latency);
        if (!latency.count)
            continue;
        report_add(text, "%s\"%s\":", is_first ? "" : ",", family_name((enum family)family));
        add_times(text, &latency);
        is_first = false;
    }
    report_add(text, "}");
}

/* What `auto` chose, and why. */
static void add_chosen(struct report_text *text)
{
    bool is_first = true;

    report_add(text, ",\"chosen\":[");
    for (unsigned i = 0; i < known_count; i++) {
        const struct known *known = &known_all[i];

        if (!known->is_chosen)
            continue;
        report_add(text, "%s{\"name\":", is_first ? "" : ",");
        report_add_string(text, known->name);
        report_add(text, ",\"items\":");
        report_add_string(text, known_items(known));
        report_add(text, ",\"about\":");
        report_add_string(text, known->about);
        report_add(text, ",\"because\":");
        report_add_string(text, known->because);
        report_add(text, "}");
        is_first = false;
    }
    report_add(text, "]");
}

/* HANDOFFS: all of the process. What is counted of a thread that goes on meanwhile may be more, or less. */
static void add_counts(struct report_text *text, const struct slot_count *counts, uint64_t handoffs)
{
    uint64_t captured = (int64_t)counts->captured < 0 ? 0 : counts->captured;

    report_add(text, ",\"counts\":{\"captured\":%lu,\"empty\":%lu,\"attached\":%lu}",
               (unsigned long)captured,
               (unsigned long)(handoffs > captured ? handoffs - captured : 0),
               (unsigned long)((int64_t)counts->attached < 0 ? 0 : counts->attached));
}

void report_add_slots(struct report_text *text, struct report_totals *totals)
{
    static const char states[][12] = {"unmatched", "bound", "refused"};

    uint64_t handoffs = 0;
    bool is_first = true, has_time = totals != NULL;

    for (unsigned family = 0; totals && family < FAMILY_COUNT; family++)
        handoffs += totals->carried[family] + totals->empty[family];
    if (handoffs)
        slot_counts_sum(totals->slots);
    if (known_is_on)
        add_chosen(text);
    report_add(text, ",\"slots\":[");
    for (unsigned i = 0; i < slots_count; i++) {
        const struct slot *slot = &slots[i];
        enum slot_state state = has_time && slot_is_done(slot) ? SLOT_BOUND : slot->state;
        const char *remark = slot->state != SLOT_BOUND ? slot_reason(slot) : slot->note;
        char hint[384];

        if (slot->is_dormant)
            continue;
        report_add(text, "%s{\"item\":", is_first ? "" : ",");
        is_first = false;
        report_add_string(text, slot->item);
        report_add(text, ",\"kind\":\"%s\",\"state\":\"%s\",\"where\":", slot->kind->form->name,
                   states[state]);
        report_add_string(text, slot->where);
        report_add(text, ",\"reason\":");
        report_add_string(text, remark ? remark : "");
        if (has_time && state == SLOT_WAITING && slot_hint(slot, hint, sizeof hint)) {
            report_add(text, ",\"hint\":");
            report_add_string(text, hint);
        }
        if (has_time && context_was_used() && slot_was_empty(slot))
            report_add(text, ",\"empty\":true");
        if (has_time && reads_missed(slot))
            report_add(text, ",\"unread\":true");
        if (handoffs && state == SLOT_BOUND)
            add_counts(text, &totals->slots[i], handoffs);
        if (slot->failures)
            report_add(text, ",\"failures\":%u", (unsigned)slot->failures);
        if (dangling_on)
            report_add(text, ",\"dangling\":%u", dangling_count(slot));
        if (dangling_on && dangling_changed(slot))
            report_add(text, ",\"changed\":%u", dangling_changed(slot));
        report_add(text, "}");
    }
    report_add(text, "]");
}

void report_add_hooks(struct report_text *text)
{
    static const char states[][12] = {"unmatched", "hooked", "refused"};
    static const char ways[][8] = {"", "symbol", "got", "patch"};

    report_add(text, ",\"hooks\":[");
    for (unsigned i = 0; i < named_count; i++) {
        const struct named_hook *hook = &named_hooks[i];
        struct named_tally counts;

        tally_sum(hook, &counts);
        report_add(text, "%s{\"item\":", i ? "," : "");
        report_add_string(text, hook->spec.item);
        if (hook->spec.preset) {
            report_add(text, ",\"preset\":");
            report_add_string(text, hook->spec.preset);
        }
        report_add(text, ",\"kind\":\"%s\",\"state\":\"%s\",\"by\":\"%s\",\"places\":%u,\"where\":",
                   spec_kind_name(hook->spec.kind), states[hook->state],
                   ways[hook->state == HOOK_HOOKED ? hook->by : 0], hook->places);
        report_add_string(text, hook->where);
        report_add(text, ",\"reason\":");
        report_add_string(text, named_reason(hook));
        report_add(text, ",\"fired\":%lu,\"carried\":%lu,\"evicted\":%lu",
                   (unsigned long)counts.fired, (unsigned long)counts.carried,
                   (unsigned long)atomic_load(&hook->evicted));
        if (atomic_load(&hook->unmet))
            report_add(text, ",\"unmet\":%lu", (unsigned long)atomic_load(&hook->unmet));
        if (latency_of_hook(i)) {
            report_add(text, ",\"latency\":");
            add_times(text, latency_of_hook(i));
        }
        report_add(text, "}");
    }
    report_add(text, "]");
}

void report_add_untried(struct report_text *text)
{
    struct version_untried untried;
    bool is_first = true;

    for (unsigned id = 0; id < VERSION_COUNT; id++) {
        if (!version_get_untried(id, &untried))
            continue;
        report_add(text, is_first ? ",\"untried\":[" : ",");
        report_add(text, "{\"library\":\"%s\",\"version\":\"%s\",\"then\":\"%s\"}", untried.name,
                   untried.number, untried.beyond);
        is_first = false;
    }
    if (!is_first)
        report_add(text, "]");
}

void report_add_keeping(struct report_text *text)
{
    const char *name;

    for (unsigned i = 0; i < INHERIT_TOLD && (name = inherit_keeping(i)); i++) {
        report_add(text, i ? "," : ",\"keeping\":[");
        report_add_string(text, name);
    }
    if (inherit_keeping(0))
        report_add(text, "]");
}

void report_add_waited(struct report_text *text)
{
    struct waited waited;

    if (!waited_most(&waited))
        return;
    report_add(text, ",\"waited\":{\"at\":");
    report_add_string(text, waited.at);
    report_add(text, ",\"from\":");
    report_add_string(text, waited.from);
    report_add(text, ",\"threads\":%u,\"wakes\":%u,\"held\":%u,\"missed\":%u}", waited.threads,
               waited.wakes, waited.held, waited.missed);
}
