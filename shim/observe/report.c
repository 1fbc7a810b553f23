/*
 * The report. Schema 1; every number is of this process since it started (or was forked).
 *
 * Appended in one write a line, because a program's children inherit the setting: a pipeline gives
 * one line a process. Runs when exit has begun; other threads may still run, so their counters are
 * read as they are.
 */
#include "observe/report.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/auxv.h"
#include "base/live.h"
#include "base/mem.h"
#include "base/outfile.h"
#include "base/sys.h"
#include "elf/elf.h"
#include "context/context.h"
#include "context/reads.h"
#include "context/scope.h"
#include "context/values.h"
#include "interpose/hooks.h"
#include "interpose/inherit.h"
#include "observe/report_parts.h"
#include "observe/waited.h"
#include "slots/slots.h"
#include "userhooks/named.h"

unsigned report_errors;
bool report_has_latency, report_has_reads;

enum { TEXT_FIRST = 64 * 1024 }; /* bytes; more is made when it is full */

/* First what was freed, then what was made: what other threads do meanwhile does not make it look as if more
 * had been freed than made. */
static void sum_freed(struct thread *thread, void *arg)
{
    ((struct report_totals *)arg)->records_freed += thread->records.freed + thread->records.untold;
}

static void sum_thread(struct thread *thread, void *arg)
{
    struct report_totals *totals = arg;

    totals->records_made += thread->records.made;
    totals->read += thread->counts.read;
    for (unsigned family = 0; family < FAMILIES_MAX; family++) {
        totals->carried[family] += thread->counts.carried[family];
        totals->empty[family] += thread->counts.empty[family];
        for (unsigned reason = 0; reason < BARE_REASONS; reason++)
            totals->bare[family][reason] += thread->counts.bare[family][reason];
    }
}

/* Names of counters, in the order of theirs. */
static void add_names(struct report_text *text, const char *list, unsigned count,
                      const char *(*name)(unsigned))
{
    report_add(text, ",\"%s\":[", list);
    for (unsigned i = 0; i < count; i++)
        report_add(text, "%s\"%s\"", i ? "," : "", name(i));
    report_add(text, "]");
}

static const char *name_of_family(unsigned family)
{
    return family_name((enum family)family);
}

/* All but the counters; what hooks count is told at exit only. */
static void tell_live_by(struct report_text *text, int process)
{
    if (!text->start)
        return;
    report_add(text, "{\"baton\":\"%s\",\"schema\":1,\"pid\":%d,\"program\":", BATON_VERSION,
               process);
    report_add_string(text, elf_program_started());
    add_names(text, "family_names", FAMILY_COUNT, name_of_family);
    add_names(text, "bare_names", BARE_REASONS, report_reason);
    if (reads_are_all())
        report_add(text, ",\"reads_are_seen\":true");
    if (report_errors)
        report_add(text, ",\"wrong_settings\":%u", report_errors);
    report_add_slots(text, NULL);
    report_add(text, "}");
    if (!text->is_cut)
        live_tell(text->start, text->len);
}

static int told_process;

static void tell_live(void)
{
    struct report_text text = {mem_map(TEXT_FIRST), 0, TEXT_FIRST, false};

    told_process = sys_getpid();
    tell_live_by(&text, told_process);
    if (text.start)
        mem_unmap(text.start, text.capacity);
}

/* What the report at exit is written with; where there was no memory, or no report_begin, it is asked for then. */
static struct report_totals *ready_totals;
static struct report_text ready_text;

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
    struct report_text text = ready_text;

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
    inherit_report();
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
    struct report_totals *totals;
    struct report_text text;

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
        report_add(&text, "{\"baton\":\"%s\",\"schema\":1,\"pid\":%d,\"program\":", BATON_VERSION,
                   sys_getpid());
        report_add_string(&text, elf_program_started());
        report_add(&text, ",");
        report_add_families(&text, totals);
        report_add(&text, ",\"contexts_alive\":%ld,\"records_alive\":%ld,\"values_alive\":%ld",
                   count_alive(contexts),
                   count_alive((int64_t)(totals->records_made - totals->records_freed)),
                   count_alive(values_count()));
        if (reads_are_all())
            report_add(&text, ",\"read\":%lu", (unsigned long)totals->read);
        if (scope_frames_lost)
            report_add(&text, ",\"stacks_unseen\":%u", scope_frames_lost);
        if (report_errors)
            report_add(&text, ",\"wrong_settings\":%u", report_errors);
        report_add_untried(&text);
        report_add_keeping(&text);
        report_add_waited(&text);
        report_add_slots(&text, totals);
        report_add_hooks(&text);
        if (report_has_latency)
            report_add_latency(&text);
        report_add(&text, "}\n");
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
