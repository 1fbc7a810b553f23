/*
 * libbaton-waits.so: where threads wait for and wake each other by conditions, semaphores, eventfds, pipes, pairs of
 * sockets, and futexes that they ask the system for themselves, so that the verdict of a run can name a pool that nobody knows. `baton run` preloads it
 * where a verdict was asked for, and nobody else. Here is the table; the calls are in calls.c, those with descriptors in
 * fds.c.
 *
 * Promise: each call goes on to the real function by a jump, so that nothing of ours is on the stack while a thread
 * waits or is cancelled. Only the first calls with each object are looked at, in a table of fixed size that
 * libbaton.so lends (base/live.h); until it has, and in a child that has none, a call is a load and a jump.
 * No lock, no memory, no message, and after the start no system call: the program may be in a sandbox that ends it
 * for one. sem_post stays safe in a signal handler.
 *
 * The C library has to have all of these functions itself (from 2.34 on): the launcher sees to it, because a program
 * that asks whether there is a sem_post would be told so by ours.
 */
#include "base/arch.h"
#include "base/waits.h"
#include "waits/calls.h"

enum { SAMPLES_MAX = 200, PROBES = 8, STACK_WORDS = 64, PAGE = 4096 };

/* Set by libbaton.so, which finds it by name. */
EXPORTED struct waits_lent baton_waits_page;

/* ---- who called ---- */

/* The module that has ADDRESS, and ARCH_CALL_MAX bytes in front of it, among its instructions. */
static const struct waits_module *module_at(const struct waits_page *page, uintptr_t address)
{
    for (unsigned i = 0; i < WAITS_MODULES && page->modules[i].hi; i++) {
        const struct waits_module *module = &page->modules[i];

        if (address < module->lo || address >= module->hi)
            continue;
        for (unsigned j = 0; j < WAITS_TEXTS && module->texts[j].hi; j++) {
            if (address >= module->texts[j].lo + ARCH_CALL_MAX && address < module->texts[j].hi)
                return module;
        }
    }
    return NULL;
}

extern void *__libc_stack_end;

/*
 * Up to where the stack can be read for sure, without asking: the page that FRAME is in, and more on the thread's own
 * stack. glibc puts the thread's block at the upper end of that, and none is smaller than LEAST with block and
 * thread-local variables; far below the block may be the stack of a coroutine. Nothing is mapped near below the first
 * thread's, which the kernel lets grow.
 */
uintptr_t waits_readable_end(uintptr_t frame)
{
    const uintptr_t least = 12 * 1024, first_max = 64 << 20;
    uintptr_t block = (uintptr_t)arch_tp(), first = (uintptr_t)__libc_stack_end;

    if (frame < block && block - frame < least)
        return block;
    if (frame < first && first - frame < first_max)
        return first;
    return (frame | (PAGE - 1)) + 1;
}

/* What the C++ library calls for somebody is that one's call: the first return address further up that is none of the
 * run time's. FRAME: of the hook. */
__attribute__((no_sanitize("address", "thread"))) static uintptr_t
caller(const struct waits_page *page, uintptr_t from, const uintptr_t *frame)
{
    const struct waits_module *module = module_at(page, from);
    uintptr_t words;

    if (!module || !module->is_runtime)
        return from;
    words = (waits_readable_end((uintptr_t)frame) - (uintptr_t)frame) / sizeof *frame;
    for (unsigned i = 0; i < STACK_WORDS && i < words; i++) {
        module = module_at(page, frame[i]);
        if (module && !module->is_runtime && arch_is_behind_call((const unsigned char *)frame[i]))
            return frame[i];
    }
    return from;
}

/* ---- the table ---- */

/* NULL: there is no room, or it has been looked at enough. */
static struct waits_object *object_of(struct waits_page *page, const void *object)
{
    uint64_t key = (uintptr_t)object;
    unsigned place = (unsigned)(key * UINT64_C(0x9e3779b97f4a7c15) >> 56);

    for (unsigned i = 0; i < PROBES; i++) {
        struct waits_object *at = &page->objects[(place + i) % WAITS_OBJECTS];
        uint64_t there = atomic_load_explicit(&at->object, memory_order_relaxed);

        if (!there && atomic_compare_exchange_strong(&at->object, &there, key))
            return at;
        if (there == key)
            return at;
    }
    return NULL;
}

static void vote(uint64_t *place, uint32_t *votes, uint64_t from)
{
    if (*place == from) {
        ++*votes;
    } else if (!*votes) {
        *place = from;
        *votes = 1;
    } else {
        --*votes;
    }
}

static bool has_waited(const struct waits_object *at, uint32_t thread)
{
    uint32_t count = atomic_load_explicit(&at->threads_count, memory_order_relaxed);

    for (unsigned i = 0; i < count && i < WAITS_THREADS; i++) {
        if (at->threads[i] == thread)
            return true;
    }
    return false;
}

/* Of the calling thread, since it was first seen here: its block may have been another's before. */
static __thread struct {
    uint64_t before;
    bool is_met, has_dealt; /* has ever had to do with values */
} seen __attribute__((tls_model("initial-exec")));

static void look(struct waits_look *out, bool is_wait)
{
    *out = (struct waits_look){.sight = WAITS_GIVEN};
    if (baton_waits_page.look)
        baton_waits_page.look(out, is_wait);
    if (!seen.is_met) {
        seen.before = out->dealings;
        seen.is_met = true;
    }
    seen.has_dealt |= out->sight != WAITS_NONE || out->has_set || out->dealings != seen.before;
}

static void note_waker(struct waits_object *at)
{
    struct waits_look seen_now;

    look(&seen_now, false);
    if (seen_now.sight != WAITS_OWN)
        return;
    at->held++;
    at->turns += at->values != seen_now.values;
    at->values = seen_now.values;
}

static void note_waiter(struct waits_object *at, bool is_back)
{
    struct waits_look seen_now;

    look(&seen_now, true);
    if (seen.has_dealt) {
        at->others++;
    } else if (is_back) {
        at->bare++;
        at->missed += seen_now.has_missed;
    }
}

/* What is counted by two threads at once may be counted once: it is a sample. */
void waits_note(struct waits_page *page, const void *object, bool is_wait, const void *from,
                const void *frame)
{
    struct waits_object *at = object_of(page, object);
    uint32_t thread = waits_thread(), count;

    if (!at || (is_wait ? at->waits : at->looks) >= SAMPLES_MAX)
        return;
    if (!is_wait) {
        at->looks++;
        if (has_waited(at, thread))
            return;
        at->wakes++;
        note_waker(at);
        vote(&at->waker, &at->waker_votes, caller(page, (uintptr_t)from, frame));
        return;
    }
    at->waits++;
    vote(&at->waiter, &at->waiter_votes, caller(page, (uintptr_t)from, frame));
    at->has_main |= thread == page->main_thread;
    note_waiter(at, has_waited(at, thread));
    count = atomic_load_explicit(&at->threads_count, memory_order_relaxed);
    if (count < WAITS_THREADS && !has_waited(at, thread)) {
        at->threads[count] = thread;
        atomic_store_explicit(&at->threads_count, count + 1, memory_order_relaxed);
    }
}
