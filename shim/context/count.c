/*
 * How many contexts are alive, for the report.
 *
 * Threads keep references in batches (context_release_slow): a context that only such caches refer to is
 * not alive for the user. Other threads go on meanwhile, and while one lets go of a cache its references
 * are seen nowhere. So the number counts if no thread was at that and none has been; else it is taken
 * again, for a while. A thread that ends, as those of pools do when the program's main function is
 * done, is at that with nothing else to come.
 */
#include "context/context.h"

#include <sched.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/mem.h"
#include "context/thread.h"
#include "base/sys.h"

enum { WAIT_MS = 200, CACHES = 3, FEW = 128 };

struct cached {
    const struct context *context;
    int64_t references;
};

struct counting {
    struct cached *table; /* open addressing; there is room for every cache, if it is there */
    size_t buffer, caches;
    uint64_t flushes;
    bool is_settling;
};

static void visit_flushes(struct thread *thread, void *arg)
{
    struct counting *counting = arg;
    uint32_t begun = atomic_load(&thread->flushes.begun), done = atomic_load(&thread->flushes.done);

    counting->caches += CACHES;
    counting->flushes += begun;
    counting->is_settling |= begun != done && thread != thread_self;
}

static void note(struct counting *counting, const struct context *context, int64_t references)
{
    size_t place = ((uintptr_t)context >> 5) % counting->buffer;

    /* A batch of releases that owes nothing may name a context that is long gone. */
    if (!context || context == context_empty || references <= 0)
        return;
    for (size_t tries = 0; tries < counting->buffer; tries++) {
        struct cached *cached = &counting->table[place];

        if (!cached->context || cached->context == context) {
            cached->context = context;
            cached->references += references;
            return;
        }
        place = (place + 1) % counting->buffer;
    }
}

/* What it reads while the thread writes is not used: the count is taken again. */
__attribute__((no_sanitize("thread"))) static void visit_caches(struct thread *thread, void *arg)
{
    note(arg, thread->snapshot.context,
         (int64_t)thread->snapshot.refs + thread->snapshot.stale_refs + 1);
    note(arg, thread->deferred.context, DEFERRED_MAX - thread->deferred.releases);
    note(arg, thread->batch.context, (int64_t)thread->batch.refs + 1);
}

/* Those that threads have freed first: what is made meanwhile may be counted, what was freed is not. */
__attribute__((no_sanitize("thread"))) static void visit_gone(struct thread *thread, void *arg)
{
    *(int64_t *)arg -= *(volatile int64_t *)&thread->contexts.gone;
}

__attribute__((no_sanitize("thread"))) static void visit_made(struct thread *thread, void *arg)
{
    *(int64_t *)arg += *(volatile int64_t *)&thread->contexts.made;
}

int64_t context_count_made(void)
{
    int64_t made = atomic_load(&context_alive);

    thread_each(visit_gone, &made);
    thread_each(visit_made, &made);
    return made;
}

static int64_t count_once(const struct counting *now)
{
    struct counting counting = {.buffer = now->caches * 2 + CACHES};
    struct cached few[FEW] = {0}; /* at exit nothing is asked of the system, if that can be */
    bool is_few = counting.buffer <= FEW;
    int64_t alive = context_count_made();

    counting.table = is_few ? few : mem_map(counting.buffer * sizeof *counting.table);
    if (!counting.table)
        return alive;
    thread_each(visit_caches, &counting);
    for (size_t i = 0; i < counting.buffer; i++) {
        const struct cached *cached = &counting.table[i];

        if (cached->context && atomic_load(&cached->context->refs) <= cached->references)
            alive--;
    }
    if (!is_few)
        mem_unmap(counting.table, counting.buffer * sizeof *counting.table);
    return alive;
}

static long now_ms(void)
{
    struct timespec now = clock_read(CLOCK_MONOTONIC_COARSE);

    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t context_count_alive(void)
{
    long start = now_ms();
    int64_t alive;

    for (;;) {
        struct counting before = {.table = NULL}, after = {.table = NULL};

        thread_each(visit_flushes, &before);
        atomic_store(&contexts_looked_at, true);
        alive = count_once(&before);
        atomic_store(&contexts_looked_at, false);
        thread_each(visit_flushes, &after);
        if ((!before.is_settling && before.flushes == after.flushes) || now_ms() - start > WAIT_MS)
            return alive;
        lock_nap();
    }
}

static void note_use(struct thread *thread, void *arg)
{
    for (unsigned family = 0; family < FAMILIES_MAX; family++) {
        *(bool *)arg |= thread->counts.carried[family] || thread->counts.empty[family];
        for (unsigned reason = 0; reason < BARE_REASONS; reason++)
            *(bool *)arg |= thread->counts.bare[family][reason] != 0;
    }
}

bool context_was_used(void)
{
    bool is_used = false;

    thread_each(note_use, &is_used);
    return is_used;
}
