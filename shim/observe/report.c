/*
 * The report. Schema 1; every number is of this process since it started (or was forked).
 *
 * Appended in one write a line, because a program's children inherit the setting: a pipeline gives
 * one line a process. Runs when exit has begun; other threads may still run, so their counters are
 * read as they are.
 */
#include "observe/report.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "base/auxv.h"
#include "base/live.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/outfile.h"
#include "base/text.h"
#include "base/sys.h"
#include "elf/elf.h"
#include "context/context.h"
#include "context/dangling.h"
#include "context/reads.h"
#include "context/scope.h"
#include "context/slot_counts.h"
#include "context/values.h"
#include "interpose/hooks.h"
#include "interpose/versions.h"
#include "observe/latency.h"
#include "observe/waited.h"
#include "observe/watch.h"
#include "userhooks/known.h"
#include "userhooks/tally.h"
#include "slots/slots.h"

unsigned report_errors;
bool report_has_latency, report_has_reads;

enum { TEXT_FIRST = 64 * 1024 }; /* bytes; more is made when it is full */

static const char bare_names[BARE_REASONS][12] = {
    [BARE_MEMORY] = "memory", [BARE_TEARDOWN] = "teardown", [BARE_SUPPRESSED] = "suppressed",
    [BARE_LIMIT] = "limit",   [BARE_INHERIT] = "inherit",   [BARE_FULL] = "full",
    [BARE_ERROR] = "error",   [BARE_PERIODIC] = "periodic", [BARE_SIGNAL] = "signal",
    [BARE_LAYOUT] = "layout",
};

struct text {
    char *start;
    size_t len, capacity;
    bool is_cut; /* no memory for all of it: half a line is no JSON */
};

/* Room for NEED bytes more and a terminator. */
static bool make_room(struct text *text, size_t need)
{
    size_t wanted = text->capacity;
    char *grown;

    while (wanted - text->len <= need)
        wanted *= 2;
    if (wanted == text->capacity)
        return true;
    grown = mem_map(wanted);
    if (!grown) {
        text->is_cut = true;
        return false;
    }
    memcpy(grown, text->start, text->len);
    mem_unmap(text->start, text->capacity);
    text->start = grown;
    text->capacity = wanted;
    return true;
}

static void add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct text *text, const char *format, ...)
{
    va_list args;
    size_t len;

    va_start(args, format);
    len = (size_t)fmt_vbuf(text->start + text->len, text->capacity - text->len, format, args);
    va_end(args);
    if (len >= text->capacity - text->len) {
        if (!make_room(text, len))
            return;
        va_start(args, format);
        fmt_vbuf(text->start + text->len, text->capacity - text->len, format, args);
        va_end(args);
    }
    text->len += len;
}

static void add_string(struct text *text, const char *string)
{
    size_t size = strlen(string);

    if (make_room(text, 6 * size + 2))
        text->len += text_json(text->start + text->len, text->capacity - text->len, string, size);
}

struct totals {
    uint64_t carried[FAMILIES_MAX], empty[FAMILIES_MAX], bare[FAMILIES_MAX][BARE_REASONS];
    uint64_t records_made, records_freed, read;
    struct slot_count slots[SLOTS_MAX];
};

/* First what was freed, then what was made: what other threads do meanwhile does not make it look as if more
 * had been freed than made. */
static void sum_freed(struct thread *thread, void *arg)
{
    ((struct totals *)arg)->records_freed += thread->records.freed + thread->records.untold;
}

static void sum_thread(struct thread *thread, void *arg)
{
    struct totals *totals = arg;

    totals->records_made += thread->records.made;
    totals->read += thread->counts.read;
    for (unsigned family = 0; family < FAMILIES_MAX; family++) {
        totals->carried[family] += thread->counts.carried[family];
        totals->empty[family] += thread->counts.empty[family];
        for (unsigned reason = 0; reason < BARE_REASONS; reason++)
            totals->bare[family][reason] += thread->counts.bare[family][reason];
    }
}

static void add_families(struct text *text, const struct totals *totals)
{
    bool is_first = true;

    add(text, "\"families\":{");
    for (unsigned family = 0; family < FAMILY_COUNT; family++) {
        uint64_t taken = totals->carried[family] + totals->empty[family], bare = 0;
        bool is_first_reason = true;

        for (unsigned reason = 0; reason < BARE_REASONS; reason++)
            bare += totals->bare[family][reason];
        if (!taken && !bare)
            continue;
        add(text, "%s\"%s\":{\"carried\":%lu,\"empty\":%lu,\"bare\":{", is_first ? "" : ",",
            family_name((enum family)family), (unsigned long)taken,
            (unsigned long)totals->empty[family]);
        for (unsigned reason = 0; reason < BARE_REASONS; reason++) {
            if (!totals->bare[family][reason])
                continue;
            add(text, "%s\"%s\":%lu", is_first_reason ? "" : ",", bare_names[reason],
                (unsigned long)totals->bare[family][reason]);
            is_first_reason = false;
        }
        add(text, "}}");
        is_first = false;
    }
    add(text, "}");
}

static void add_times(struct text *text, const struct latency *latency)
{
    add(text, "{\"count\":%lu,\"p50_ns\":%lu,\"p90_ns\":%lu,\"p99_ns\":%lu,\"max_ns\":%lu}",
        (unsigned long)latency->count, (unsigned long)latency_quantile(latency, 50),
        (unsigned long)latency_quantile(latency, 90), (unsigned long)latency_quantile(latency, 99),
        (unsigned long)watch_ns(latency->max));
}

static void add_latency(struct text *text)
{
    bool is_first = true;

    add(text, ",\"latency\":{");
    for (unsigned family = 0; family < FAMILY_COUNT; family++) {
        struct latency latency;

        latency_sum(family, &latency);
        if (!latency.count)
            continue;
        add(text, "%s\"%s\":", is_first ? "" : ",", family_name((enum family)family));
        add_times(text, &latency);
        is_first = false;
    }
    add(text, "}");
}

/* What `auto` chose, and why. */
static void add_chosen(struct text *text)
{
    bool is_first = true;

    add(text, ",\"chosen\":[");
    for (unsigned i = 0; i < known_count; i++) {
        const struct known *known = &known_all[i];

        if (!known->is_chosen)
            continue;
        add(text, "%s{\"name\":", is_first ? "" : ",");
        add_string(text, known->name);
        add(text, ",\"items\":");
        add_string(text, known_items(known));
        add(text, ",\"about\":");
        add_string(text, known->about);
        add(text, ",\"because\":");
        add_string(text, known->because);
        add(text, "}");
        is_first = false;
    }
    add(text, "]");
}

/* HANDOFFS: all of the process. What is counted of a thread that goes on meanwhile may be more, or less. */
static void add_counts(struct text *text, const struct slot_count *counts, uint64_t handoffs)
{
    uint64_t captured = (int64_t)counts->captured < 0 ? 0 : counts->captured;

    add(text, ",\"counts\":{\"captured\":%lu,\"empty\":%lu,\"attached\":%lu}",
        (unsigned long)captured, (unsigned long)(handoffs > captured ? handoffs - captured : 0),
        (unsigned long)((int64_t)counts->attached < 0 ? 0 : counts->attached));
}

/* TOTALS: at the end; NULL: before. */
static void add_slots(struct text *text, struct totals *totals)
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
    add(text, ",\"slots\":[");
    for (unsigned i = 0; i < slots_count; i++) {
        const struct slot *slot = &slots[i];
        enum slot_state state = has_time && slot_is_done(slot) ? SLOT_BOUND : slot->state;
        const char *remark = slot->state != SLOT_BOUND ? slot_reason(slot) : slot->note;
        char hint[384];

        if (slot->is_dormant)
            continue;
        add(text, "%s{\"item\":", is_first ? "" : ",");
        is_first = false;
        add_string(text, slot->item);
        add(text, ",\"kind\":\"%s\",\"state\":\"%s\",\"where\":", slot->kind->form->name,
            states[state]);
        add_string(text, slot->where);
        add(text, ",\"reason\":");
        add_string(text, remark ? remark : "");
        if (has_time && state == SLOT_WAITING && slot_hint(slot, hint, sizeof hint)) {
            add(text, ",\"hint\":");
            add_string(text, hint);
        }
        if (has_time && context_was_used() && slot_was_empty(slot))
            add(text, ",\"empty\":true");
        if (has_time && reads_missed(slot))
            add(text, ",\"unread\":true");
        if (handoffs && state == SLOT_BOUND)
            add_counts(text, &totals->slots[i], handoffs);
        if (slot->failures)
            add(text, ",\"failures\":%u", (unsigned)slot->failures);
        if (dangling_on)
            add(text, ",\"dangling\":%u", dangling_count(slot));
        if (dangling_on && dangling_changed(slot))
            add(text, ",\"changed\":%u", dangling_changed(slot));
        add(text, "}");
    }
    add(text, "]");
}

static void add_hooks(struct text *text)
{
    static const char states[][12] = {"unmatched", "hooked", "refused"};
    static const char ways[][8] = {"", "symbol", "got", "patch"};

    add(text, ",\"hooks\":[");
    for (unsigned i = 0; i < named_count; i++) {
        const struct named_hook *hook = &named_hooks[i];
        struct named_tally counts;

        tally_sum(hook, &counts);
        add(text, "%s{\"item\":", i ? "," : "");
        add_string(text, hook->spec.item);
        if (hook->spec.preset) {
            add(text, ",\"preset\":");
            add_string(text, hook->spec.preset);
        }
        add(text, ",\"kind\":\"%s\",\"state\":\"%s\",\"by\":\"%s\",\"places\":%u,\"where\":",
            spec_kind_name(hook->spec.kind), states[hook->state],
            ways[hook->state == HOOK_HOOKED ? hook->by : 0], hook->places);
        add_string(text, hook->where);
        add(text, ",\"reason\":");
        add_string(text, named_reason(hook));
        add(text, ",\"fired\":%lu,\"carried\":%lu,\"evicted\":%lu", (unsigned long)counts.fired,
            (unsigned long)counts.carried, (unsigned long)atomic_load(&hook->evicted));
        if (atomic_load(&hook->unmet))
            add(text, ",\"unmet\":%lu", (unsigned long)atomic_load(&hook->unmet));
        if (latency_of_hook(i)) {
            add(text, ",\"latency\":");
            add_times(text, latency_of_hook(i));
        }
        add(text, "}");
    }
    add(text, "]");
}

/* Names of counters, in the order of theirs. */
static void add_names(struct text *text, const char *list, unsigned count,
                      const char *(*name)(unsigned))
{
    add(text, ",\"%s\":[", list);
    for (unsigned i = 0; i < count; i++)
        add(text, "%s\"%s\"", i ? "," : "", name(i));
    add(text, "]");
}

static const char *name_of_family(unsigned family)
{
    return family_name((enum family)family);
}

static const char *name_of_reason(unsigned reason)
{
    return bare_names[reason];
}

/* Libraries of versions that nobody has read. */
static void add_untried(struct text *text)
{
    struct version_untried untried;
    bool is_first = true;

    for (unsigned id = 0; id < VERSION_COUNT; id++) {
        if (!version_get_untried(id, &untried))
            continue;
        add(text, is_first ? ",\"untried\":[" : ",");
        add(text, "{\"library\":\"%s\",\"version\":\"%s\",\"then\":\"%s\"}", untried.name,
            untried.number, untried.beyond);
        is_first = false;
    }
    if (!is_first)
        add(text, "]");
}

/* Where threads waited, and from where most of them were woken. */
static void add_waited(struct text *text)
{
    struct waited waited;

    if (!waited_most(&waited))
        return;
    add(text, ",\"waited\":{\"at\":");
    add_string(text, waited.at);
    add(text, ",\"from\":");
    add_string(text, waited.from);
    add(text, ",\"threads\":%u,\"wakes\":%u,\"held\":%u,\"missed\":%u}", waited.threads,
        waited.wakes, waited.held, waited.missed);
}

/* All but the counters; what hooks count is told at exit only. */
static void tell_live_by(struct text *text, int process)
{
    if (!text->start)
        return;
    add(text, "{\"baton\":\"%s\",\"schema\":1,\"pid\":%d,\"program\":", BATON_VERSION, process);
    add_string(text, elf_program_started());
    add_names(text, "family_names", FAMILY_COUNT, name_of_family);
    add_names(text, "bare_names", BARE_REASONS, name_of_reason);
    if (reads_are_all())
        add(text, ",\"reads_are_seen\":true");
    if (report_errors)
        add(text, ",\"wrong_settings\":%u", report_errors);
    add_slots(text, NULL);
    add(text, "}");
    if (!text->is_cut)
        live_tell(text->start, text->len);
}

static int told_process;

static void tell_live(void)
{
    struct text text = {mem_map(TEXT_FIRST), 0, TEXT_FIRST, false};

    told_process = sys_getpid();
    tell_live_by(&text, told_process);
    if (text.start)
        mem_unmap(text.start, text.capacity);
}

/* What the report at exit is written with; where there was no memory, or no report_begin, it is asked for then. */
static struct totals *ready_totals;
static struct text ready_text;

void report_prepare(void)
{
    enum { AN_ITEM = 2048 };

    if (ready_text.start)
        return;
    ready_text.capacity = TEXT_FIRST + (slots_count + named_count) * (size_t)AN_ITEM;
    ready_text.start = mem_map(ready_text.capacity);
    ready_totals = mem_map(sizeof *ready_totals);
}

void report_tell_last(void)
{
    struct text text = ready_text;

    if (live_is_on)
        tell_live_by(&text, told_process);
}

void report_begin(const char *target)
{
    struct live_head head = {
        .page_size = (uint32_t)auxv_get(AT_PAGESZ),
        .families = FAMILIES_MAX,
        .reasons = BARE_REASONS,
        .carried_at = 0,
        .empty_at = offsetof(struct thread, counts.empty) - offsetof(struct thread, counts.carried),
        .bare_at = offsetof(struct thread, counts.bare) - offsetof(struct thread, counts.carried),
        .read_at = offsetof(struct thread, counts.read) - offsetof(struct thread, counts.carried),
    };

    report_prepare();
    elf_know_started();
    slot_counts_begin();
    if (report_has_reads)
        reads_begin();
    live_begin(target, &head);
    if (!live_is_on)
        return;
    waited_begin();
    tell_live();
    slots_calls.bound = tell_live;
}

/* Below zero only where a forked child has let go of what was there before. */
static long count_alive(int64_t count)
{
    return count < 0 && context_is_forked ? 0 : (long)count;
}

/* Not what another user, another descriptor or more room would mend: then what was counted stays in the live report. */
static bool is_for_good(int error)
{
    static const int errors[] = {ELOOP,  ENXIO,   EMLINK, ENOTSUP, EISDIR,
                                 ENOENT, ENOTDIR, EBADF,  EPIPE,   EFBIG};

    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        if (error == errors[i])
            return true;
    }
    return false;
}

static void complain(const char *target, int error)
{
    outfile_complain("BATON_REPORT", target, error);
    if (is_for_good(error))
        live_end();
}

void report_write(const char *target)
{
    int saved_errno = errno;
    int error, fd = outfile_open(target, 0);
    struct totals *totals;
    struct text text;

    report_prepare();
    totals = ready_totals;
    text = ready_text;

    if (fd < 0)
        complain(target, -fd);
    if (fd >= 0 && text.start && totals) {
        int64_t contexts =
            context_count_alive(); /* waits for threads that end: before the others */

        thread_each(sum_freed, totals);
        thread_each(sum_thread, totals);
        add(&text, "{\"baton\":\"%s\",\"schema\":1,\"pid\":%d,\"program\":", BATON_VERSION,
            sys_getpid());
        add_string(&text, elf_program_started());
        add(&text, ",");
        add_families(&text, totals);
        add(&text, ",\"contexts_alive\":%ld,\"records_alive\":%ld,\"values_alive\":%ld",
            count_alive(contexts),
            count_alive((int64_t)(totals->records_made - totals->records_freed)),
            count_alive(values_count()));
        if (reads_are_all())
            add(&text, ",\"read\":%lu", (unsigned long)totals->read);
        if (scope_frames_lost)
            add(&text, ",\"stacks_unseen\":%u", scope_frames_lost);
        if (report_errors)
            add(&text, ",\"wrong_settings\":%u", report_errors);
        add_untried(&text);
        add_waited(&text);
        add_slots(&text, totals);
        add_hooks(&text);
        if (report_has_latency)
            add_latency(&text);
        add(&text, "}\n");
        error = text.is_cut ? ENOMEM : outfile_append(fd, text.start, text.len);
        if (error)
            complain(target, error);
        else
            live_end();
    }
    if (fd >= 0)
        outfile_close(fd);
    errno = saved_errno;
}
