/*
 * What BATON_STRICT says besides values that dangle. Each is said once for every place, and what is right
 * in some program is not said: a context that a thread runs in now is not kept for ever, values that a
 * worker had before its first task are its own, and work that hands itself over ends after a few times.
 *
 * Rules: as in dangling.c, which keeps the list; a handoff pays a few comparisons, whatever is in flight.
 */
#include "context/strict.h"

#include <errno.h>
#include <string.h>

#include "base/arch.h"
#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/sys.h"
#include "elf/elf.h"
#include "context/dangling.h"
#include "context/fast.h"
#include "context/internal.h"
#include "context/observer.h"
#include "context/thread.h"
#include "slots/keys.h"
#include "slots/slots.h"
#include "slots/words.h"

enum { AGAIN = 1000, SITES = 16, RUNNING = 256, FRAMES = 16, SECOND = 1000000000 };
enum { ENTRIES_READ = 128 }; /* larger blocks of scope entries are unmapped when they grow */
enum { FIRST_LOOK = 1 << 22 };

static uint64_t old_ns, began_ticks, began_ns;
static _Atomic uint64_t next_look = UINT64_MAX;
static uint64_t forked_ticks;
static char is_again, is_dirty, is_held, is_entered, is_late; /* reasons, by their addresses */

static uint64_t now_ns(void)
{
    struct timespec now = clock_read(CLOCK_MONOTONIC);

    return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

/* Known before the program may enter a sandbox; NULL: another thread has opened us. */
static const char *first_thread;

void strict_begin(uint64_t age_ns)
{
    if (SYS_CALL(gettid, 0) == SYS_CALL(getpid, 0))
        first_thread = arch_tp();
    old_ns = age_ns;
    began_ticks = arch_ticks();
    began_ns = now_ns();
    if (old_ns)
        atomic_store(&next_look, began_ticks + FIRST_LOOK);
}

/* ---- contexts that are kept ---- */

struct held_site {
    const void *site;
    unsigned count;
    uint64_t born; /* the oldest one */
    uint32_t node; /* where that was handed over, for the observer; 0: not known */
};

struct holding {
    struct held_site sites[SITES];
    unsigned sites_count;
    const void *running[RUNNING];
    unsigned running_count;
    uint64_t born_before;
};

static void note_running(struct holding *holding, const void *context)
{
    if (context && holding->running_count < RUNNING)
        holding->running[holding->running_count++] = context;
}

/* Other threads go on meanwhile: what is read here is compared, and not followed but where memory stays. */
__attribute__((no_sanitize("thread"))) static void visit_running(struct thread *thread, void *arg)
{
    const struct context *attached = thread->attached;
    const struct scope_entry *entries = thread->entries;
    uint32_t depth = thread->depth;

    note_running(arg, thread->start.context);
    if ((uintptr_t)attached > (uintptr_t)ATTACHED_UNKNOWN) {
        note_running(arg, attached);
        note_running(arg, attached->base);
    }
    if (thread->entries_max > ENTRIES_READ || depth > thread->entries_max)
        return;
    for (uint32_t i = 0; i < depth; i++)
        note_running(arg, entries[i].attached);
}

static void visit_held(const struct dangling_held *held, void *arg)
{
    struct holding *holding = arg;
    unsigned i = 0;

    if (held->born < forked_ticks || held->born > holding->born_before)
        return;
    for (unsigned k = 0; k < holding->running_count; k++) {
        if (holding->running[k] == held->context)
            return;
    }
    while (i < holding->sites_count && holding->sites[i].site != held->site)
        i++;
    if (i == SITES)
        return;
    if (i == holding->sites_count)
        holding->sites[holding->sites_count++] = (struct held_site){held->site, 0, held->born, 0};
    if (!holding->sites[i].count++ || held->born < holding->sites[i].born) {
        holding->sites[i].born = held->born;
        holding->sites[i].node = observer && observer->node ? observer->node(held->context) : 0;
    }
}

/* Ticks a millisecond, at least one. */
static uint64_t rate(void)
{
    uint64_t ms = (now_ns() - began_ns) / 1000000;
    uint64_t ticks = arch_ticks() - began_ticks;

    return ms && ticks > ms ? ticks / ms : 1;
}

/* Says what has been held since before that time. */
static void say_held(uint64_t born_before, bool is_exit)
{
    static struct holding holding;
    static struct lock lock;
    uint64_t now = arch_ticks();
    int saved_errno = errno;

    if (!lock_try(&lock))
        return;
    memset(&holding, 0, sizeof holding);
    holding.born_before = born_before;
    thread_each(visit_running, &holding);
    dangling_each(visit_held, &holding);
    for (unsigned i = 0; i < holding.sites_count; i++) {
        const struct held_site *site = &holding.sites[i];
        uint64_t ms = (now - site->born) / rate();
        char place[256];

        if (dangling_is_said(&is_held, site->site))
            continue;
        log_msg(LOG_LEVEL_ERROR,
                "BATON_STRICT: %u %s held%s, handed over %s, the oldest for %lu.%03lu s: neither "
                "run to its end nor let go",
                site->count, site->count == 1 ? "context is" : "contexts are",
                is_exit ? " at exit" : "", dangling_place(site->site, place, sizeof place),
                (unsigned long)(ms / 1000), (unsigned long)(ms % 1000));
        if (site->node && observer->tell)
            observer->tell(site->node);
    }
    lock_drop(&lock);
    errno = saved_errno;
}

static __attribute__((noinline)) void look_for_old(uint64_t now)
{
    uint64_t age = old_ns / 1000000 * rate();
    uint64_t seen = atomic_load(&next_look);

    if (now < seen ||
        !atomic_compare_exchange_strong(&next_look, &seen, now + age / 2 + FIRST_LOOK))
        return;
    if (now > age && now - age > began_ticks)
        say_held(now - age, false);
}

void strict_say_held(void)
{
    atomic_store(&next_look, UINT64_MAX);
    say_held(UINT64_MAX, true);
}

void strict_forked(void)
{
    forked_ticks = arch_ticks();
    first_thread = arch_tp();
}

/* ---- work that hands itself over ---- */

static __attribute__((noinline)) void say_again(const struct context *context)
{
    const void *site = dangling_site(context);
    char place[256];

    if (!dangling_is_said(&is_again, site))
        log_msg(LOG_LEVEL_ERROR,
                "BATON_STRICT: work handed over %s has handed itself over %u times in a row: its "
                "context is carried on for ever; BATON_MAX_HOPS=N or BATON_MAX_AGE=SECONDS ends "
                "such chains",
                dangling_place(site, place, sizeof place), AGAIN);
}

void strict_born(struct thread *thread, struct context *context)
{
    const struct context *over = NULL;
    uint64_t now;

    if (unlikely(thread_is_attached(thread))) {
        over = thread->attached->flags & CONTEXT_OVERLAY ? thread->attached->base
                                                         : thread->attached;
        over = observer_behind((struct context *)(uintptr_t)over);
        if (thread->frame_mark & FRAME_THREAD)
            over = NULL; /* a thread's own work is no task */
    }
    now = arch_ticks();
    if (unlikely(dangling_list(context, over, now) == AGAIN))
        say_again(context);
    if (unlikely(now >= atomic_load_explicit(&next_look, memory_order_relaxed)))
        look_for_old(now);
}

/* ---- workers ---- */

static void say_dirty(const struct slot *slot)
{
    if (slot && !dangling_is_said(&is_dirty, slot))
        log_msg(LOG_LEVEL_ERROR,
                "BATON_STRICT: BATON_CARRY=\"%s\": a worker thread has a value of its own that was "
                "set since its last task: work that is not carried has left it there, and the next "
                "such work sees it",
                slot->item);
}

/* What runs in the program's first thread is its own. */
static bool is_main_thread(void)
{
    return first_thread ? arch_tp() == first_thread : SYS_CALL(gettid, 0) == SYS_CALL(getpid, 0);
}

static __attribute__((noinline)) void look_at_keys(struct thread *thread)
{
    thread->worker &= ~(unsigned)WORKER_HAS_SET;
    if (is_main_thread())
        return;
    for (unsigned i = 0; i < slots_key_count; i++) {
        const struct key_binding *binding = &key_bindings[i];

        if (binding->is_bound && slots_calls.key_read(binding->key))
            say_dirty(binding->slot);
    }
}

void strict_gone_slow(struct thread *thread)
{
    if (thread->worker & WORKER_HAS_SET)
        look_at_keys(thread);
    else if (thread != &thread_unknown)
        thread->worker |= WORKER;
}

void strict_key_set(struct thread *thread)
{
    if (thread->worker & WORKER)
        thread->worker |= WORKER_HAS_SET;
}

static inline bool differ(const void *before, const void *now, const struct slot *slot)
{
    const char *one = (const char *)before + slot->offset,
               *other = (const char *)now + slot->offset;

    return slot->size == sizeof(uint64_t) ? memcmp(one, other, sizeof(uint64_t)) != 0
                                          : memcmp(one, other, slot->size) != 0;
}

void strict_attached(struct thread *thread, const void *before, const void *now)
{
    if (!(thread->worker & WORKER_WORDS)) {
        thread->worker |= WORKER | WORKER_WORDS; /* from here on `before` is what the thread had */
        return;
    }
    if (!memcmp(before, now, slots_bytes))
        return;
    for (unsigned i = 0; i < slots_count; i++) {
        const struct slot *slot = &slots[i];

        if (slot->key_index == SLOT_NO_KEY && slot->state == SLOT_BOUND && !slot->is_owned &&
            !slot->is_cloned && differ(before, now, slot) &&
            memcmp((const char *)now + slot->offset, (const char *)slots_initial + slot->offset,
                   slot->size) != 0 &&
            !is_main_thread())
            say_dirty(slot);
    }
}

void strict_front_changed(struct thread *thread)
{
    char before[STRICT_BYTES], *front = thread_front(thread);

    if (slots_bytes > sizeof before) {
        words_save(front);
        thread->worker |= WORKER | WORKER_WORDS;
        return;
    }
    memcpy(before, front, slots_bytes);
    words_save(front);
    strict_attached(thread, before, front);
}

void strict_switched(struct thread *thread)
{
    thread->worker &= ~(unsigned)WORKER_WORDS;
}

/* ---- the interface ---- */

/* The program's own place: the header's functions are compiled into the program. */
static const void *outside(const void *site)
{
    void *frames[FRAMES];
    int count = slots_calls.backtrace ? slots_calls.backtrace(frames, FRAMES) : 0, i = 0;
    char function[64];
    uintptr_t start, end;

    while (i < count && frames[i] != site)
        i++;
    for (; i < count; i++) {
        if (!elf_function_at((const char *)frames[i] - 1, &start, &end, function,
                             sizeof function) ||
            strncmp(function, "baton_", 6) != 0)
            return frames[i];
    }
    return site;
}

void strict_entered_twice(const void *site)
{
    char place[256];

    site = outside(site);
    if (!dangling_is_said(&is_entered, site))
        log_msg(LOG_LEVEL_ERROR,
                "BATON_STRICT: baton_context_run %s: the context is entered already, here or in "
                "another thread, so nothing was run in it: run in a copy (baton_context_copy_of)",
                dangling_place(site, place, sizeof place));
}

void strict_left_late(const void *site)
{
    char place[256];

    site = outside(site);
    if (!dangling_is_said(&is_late, site))
        log_msg(LOG_LEVEL_ERROR,
                "BATON_STRICT: baton_detach %s: out of order: its attach has ended already with "
                "one around it, or it was made in another thread",
                dangling_place(site, place, sizeof place));
}
