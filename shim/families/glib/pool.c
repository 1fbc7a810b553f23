/*
 * GLib: GThreadPool.
 *
 * A pool's items become records; the pool gets a trampoline as its function and as its item free
 * function, one pair for each pair that programs use (they are code, so there are few), so a push
 * needs no look-up and the pool's public user_data stays the program's. What GLib hands to the
 * program is unwrapped again: here for item free functions, in pool_order.c for the order of the queue.
 *
 * Source of the behaviour: GLib 2.74.6, gthreadpool.c; 2.66.8 for pools without g_thread_pool_new_full. g_thread_pool_push that answers FALSE with
 * an error has queued the item all the same: only a new thread failed. FALSE without one is a pool that is being freed:
 * nothing is queued, and the record is taken back. The item GUINT_TO_POINTER (1) is GLib's own, to wake workers up.
 */
#include <string.h>

#include "context/fast.h"
#include "context/trace.h"
#include "base/lock.h"
#include "families/fork.h"
#include "families/handoff.h"
#include "interpose/next.h"
#include "families/glib/pool.h"

typedef void pool_function(void *data, void *user_data);
typedef void free_function(void *data);

enum { KINDS = POOL_KINDS };

struct pool_kind {
    pool_function *function;
    free_function *free_item;
};

/* Filled under the lock, from the front, never changed afterwards. */
static struct lock kinds_lock;
static struct pool_kind kinds[KINDS];
static unsigned kinds_count;

static GUARDED void run_item_slow(struct record *item, void *user_data, unsigned kind)
{
    GUARDED_FRAME();
    pool_function *function = kinds[kind].function;
    struct record record = record_take(item);
    if (!record.context) {
        function(record.data, user_data);
        return;
    }
    SCOPE_RUN(record.context, FRAME_OWNED, function(record.data, user_data));
}

/* The quick way where a trace is written. */
static GUARDED void run_item_traced(struct record *item, void *user_data, unsigned kind)
{
    GUARDED_FRAME();
    struct thread *thread = thread_self;
    struct context *context;
    uint64_t *record;
    void *data;

    if (unlikely(!record_is_near(thread, item) || !(context = item->context) ||
                 !trace_may_run(thread, context, &record))) {
        run_item_slow(item, user_data, kind);
        return;
    }
    data = item->data;
    record_free_near(thread);
    SCOPE_RUN_TRACED(thread, context, record, FRAME_OWNED, kinds[kind].function(data, user_data));
}

/* The quick way where plain words are carried too. */
static GUARDED void run_item_words(struct record *item, void *user_data, unsigned kind)
{
    GUARDED_FRAME();
    struct thread *thread = thread_self;
    struct context *context;
    void *data;

    if (unlikely(!thread_is_words_only(thread) || !record_is_near(thread, item) ||
                 !(context = item->context))) {
        run_item_traced(item, user_data, kind);
        return;
    }
    data = item->data;
    record_free_near(thread);
    SCOPE_RUN_WORDS(0, thread, context, FRAME_OWNED, kinds[kind].function(data, user_data));
}

/* The quick way keeps nothing across a call but the thread's block. */
static inline __attribute__((always_inline)) void run_item(unsigned kind, struct record *item,
                                                           void *user_data)
{
    struct thread *thread = thread_self;
    struct context *context;
    void *data;

    if (unlikely(!thread_is_plain(thread) || !record_is_near(thread, item) ||
                 !(context = item->context))) {
        run_item_words(item, user_data, kind);
        return;
    }
    data = item->data;
    record_free_near(thread);
    SCOPE_RUN_PLAIN(thread, context, FRAME_OWNED, kinds[kind].function(data, user_data));
}

/* An item that no worker will run: the pool was freed at once, or its queue is dropped. */
static void drop_item(unsigned kind, void *item)
{
    struct record record;

    if (pool_is_wake_up(item))
        return;
    record = record_take(item);
    if (record.context)
        context_release(record.context);
    if (kinds[kind].free_item)
        kinds[kind].free_item(record.data);
}

/* In a section of their own: a pool is ours if its function lies there. The other section is named first, so that it
 * comes first: what follows the bank would be ours. */
__asm__(".pushsection baton_pool_freed,\"ax\",@progbits\n.popsection");
#define BANK __attribute__((section("baton_pool_bank"), noinline))
#define FREED __attribute__((section("baton_pool_freed")))
#define TRAMPOLINE(n)                                             \
    BANK static GUARDED void run_##n(void *item, void *user_data) \
    {                                                             \
        GUARDED_FRAME();                                          \
        run_item(n, item, user_data);                             \
    }                                                             \
    FREED static void freed_##n(void *item, void *user_data)      \
    {                                                             \
        run_##n(item, user_data);                                 \
    }                                                             \
    static void drop_##n(void *item)                              \
    {                                                             \
        drop_item(n, item);                                       \
    }
#define EIGHT(X, n) X(n##0) X(n##1) X(n##2) X(n##3) X(n##4) X(n##5) X(n##6) X(n##7)
/* clang-format off */
EIGHT(TRAMPOLINE, 00) EIGHT(TRAMPOLINE, 01) EIGHT(TRAMPOLINE, 02) EIGHT(TRAMPOLINE, 03)
EIGHT(TRAMPOLINE, 04) EIGHT(TRAMPOLINE, 05) EIGHT(TRAMPOLINE, 06) EIGHT(TRAMPOLINE, 07)
#define ROW(n) case 0##n: return way == RUN ? (void *)run_##n : way == DROP ? (void *)drop_##n : (void *)freed_##n;
/* Not a table of pointers: the loader would have to write it at every start of every program. */
enum way { RUN, DROP, RUN_FREED };
static void *trampoline(unsigned kind, enum way way)
{
    switch (kind) {
        EIGHT(ROW, 00) EIGHT(ROW, 01) EIGHT(ROW, 02) EIGHT(ROW, 03)
        EIGHT(ROW, 04) EIGHT(ROW, 05) EIGHT(ROW, 06) EIGHT(ROW, 07)
    }
    return NULL;
}
/* clang-format on */

/* The number of the trampolines for a pair of functions, KINDS when there are too many pairs. */
static unsigned kind_for(pool_function *function, free_function *free_item)
{
    unsigned kind;

    lock_take(&kinds_lock);
    for (kind = 0; kind < kinds_count; kind++) {
        if (kinds[kind].function == function && kinds[kind].free_item == free_item)
            break;
    }
    if (kind == kinds_count && kind < KINDS) {
        kinds[kind] = (struct pool_kind){function, free_item};
        kinds_count++;
    }
    lock_drop(&kinds_lock);
    return kind;
}

/* Before GLib 2.70 a pool has no free function for its items. The queue's place was read from 2.56 on. */
static bool is_without_full(const void *caller)
{
    return !next_find_for("g_thread_pool_new_full", caller);
}

static bool is_emptied_by_us(const void *caller)
{
    typedef const char *check_version(unsigned major, unsigned minor, unsigned micro);
    check_version *is_older = (check_version *)next_find_for("glib_check_version", caller);

    return is_older && !is_older(2, 56, 0) && next_find_for("g_async_queue_try_pop", caller);
}

/* Through the full function: discarded items must come back to us. An older GLib loses them without a word: there
 * hook_g_thread_pool_free takes them out. */
static struct _GThreadPool *new_pool(const void *caller, pool_function *function, void *user_data,
                                     free_function *free_item, int max_threads, int exclusive,
                                     struct _GError **error)
{
    __typeof__(&hook_g_thread_pool_new_full) real =
        (__typeof__(&hook_g_thread_pool_new_full))next_find_for("g_thread_pool_new_full", caller);
    struct _GThreadPool *(*plain)(pool_function *, void *, int, int, struct _GError **) =
        (__typeof__(&hook_g_thread_pool_new))next_find_for("g_thread_pool_new", caller);
    unsigned kind = function && (real || is_emptied_by_us(caller)) ? kind_for(function, free_item)
                                                                   : KINDS;

    if (kind < KINDS &&
        (uintptr_t)trampoline(kind, RUN) - (uintptr_t)pool_bank_start >= POOL_BANK_SIZE)
        kind = KINDS;
    if (kind == KINDS) {
        if (function)
            context_count_bare(FAMILY_GLIB_POOL, BARE_FULL);
        if (!free_item)
            return plain(function, user_data, max_threads, exclusive, error);
        return real(function, user_data, free_item, max_threads, exclusive, error);
    }
    if (!real)
        return plain((pool_function *)trampoline(kind, RUN), user_data, max_threads, exclusive,
                     error);
    return real((pool_function *)trampoline(kind, RUN), user_data,
                (free_function *)trampoline(kind, DROP), max_threads, exclusive, error);
}

struct _GThreadPool *hook_g_thread_pool_new(pool_function *function, void *user_data,
                                            int max_threads, int exclusive, struct _GError **error)
{
    return new_pool(__builtin_return_address(0), function, user_data, NULL, max_threads, exclusive,
                    error);
}

struct _GThreadPool *hook_g_thread_pool_new_full(pool_function *function, void *user_data,
                                                 free_function *free_item, int max_threads,
                                                 int exclusive, struct _GError **error)
{
    return new_pool(__builtin_return_address(0), function, user_data, free_item, max_threads,
                    exclusive, error);
}

/*
 * In a pool of ours every item is a record, also one without a context: the worker cannot tell them
 * apart. record_new_sure waits for memory rather than fail.
 */
static __attribute__((noinline)) struct record *bare_record(void *data)
{
    struct record *record = record_new_sure();

    *record = (struct record){NULL, data, NULL};
    return record;
}

static inline __attribute__((always_inline)) struct record *record_for(void *data)
{
    struct record *record = record_capture(FAMILY_GLIB_POOL, NULL, data);

    return likely(record) ? record : bare_record(data);
}

/* No pool of ours; or one that is being freed: GLib takes nothing any more, and says so. */
static APART int push_elsewhere(struct _GThreadPool *pool, void *data, struct _GError **error,
                                const void *caller)
{
    void (*free_error)(struct _GError *);
    struct _GError *own = NULL, **told = error;
    struct record *record;
    int is_pushed;

    if (!pool || !data || !pool_is_freed(pool))
        return REAL_FOR(g_thread_pool_push, caller)(pool, data, error);
    free_error = (void (*)(struct _GError *))next_find_for("g_error_free", caller);
    if (!told && free_error)
        told = &own;
    record = record_for(data);
    is_pushed = REAL_FOR(g_thread_pool_push, caller)(pool, record, told);
    if (!is_pushed && told && !*told) {
        if (record->context)
            context_rollback(FAMILY_GLIB_POOL, record->context);
        record_free(record);
    }
    if (own)
        free_error(own);
    return is_pushed;
}

static __attribute__((noinline)) int push_slow(struct _GThreadPool *pool, void *data,
                                               struct _GError **error, const void *caller)
{
    if (unlikely(!pool || !data || !pool_is_ours(pool)))
        return push_elsewhere(pool, data, error, caller);
    return REAL_FOR(g_thread_pool_push, caller)(pool, record_for(data), error);
}

/* By a thread that has inherited a context. */
static APART int push_inherited(struct _GThreadPool *pool, void *data, struct _GError **error,
                                const void *caller)
{
    struct thread *thread = thread_self;
    struct context *context;
    struct record *record;

    if (unlikely(!pool || !data || !pool_is_ours(pool) ||
                 thread->records.next == thread->records.end ||
                 !(context = context_try_batch(thread, FAMILY_GLIB_POOL))))
        return push_slow(pool, data, error, caller);
    record = record_bump(thread);
    record->data = data;
    record->context = context;
    return REAL_KNOWN(g_thread_pool_push)(pool, record, error);
}

/* Where the jump leads once the real function is known. Nobody looks at these records' function. */
static int push_plain(struct _GThreadPool *pool, void *data, struct _GError **error)
{
    struct thread *thread = thread_self;
    struct context *context;
    struct record *record;

    __asm__(""
            : "+r"(error)); /* or the compiler keeps it elsewhere for the call that is not made */
    if (unlikely(!pool || !data || !pool_is_ours(pool) ||
                 thread->records.next == thread->records.end ||
                 !(context = context_try_capture(FAMILY_GLIB_POOL))))
        return push_inherited(pool, data, error, __builtin_return_address(0));
    record = record_bump(thread);
    record->data = data;
    record->context = context;
    return REAL_KNOWN(g_thread_pool_push)(pool, record, error);
}

/* The same in a process that carries plain words. */
static int push_words(struct _GThreadPool *pool, void *data, struct _GError **error)
{
    struct thread *thread = thread_self;
    struct context *context;
    struct record *record;

    if (unlikely(!pool || !data || !pool_is_ours(pool) ||
                 thread->records.next == thread->records.end ||
                 !(context = context_take_words(thread, 0, FAMILY_GLIB_POOL))))
        return push_slow(pool, data, error, __builtin_return_address(0));
    record = record_bump(thread);
    record->data = data;
    record->context = context;
    return REAL_KNOWN(g_thread_pool_push)(pool, record, error);
}

/* The same where a trace is written. The jump leads past what notes the call: it is noted here. Both are jumped to, so
 * their caller is the program's. */
static APART int push_noted(struct _GThreadPool *pool, void *data, struct _GError **error)
{
    hook_call.site = __builtin_return_address(0);
    hook_call.id = HOOK_g_thread_pool_push;
    return push_slow(pool, data, error, __builtin_return_address(0));
}

static int push_traced(struct _GThreadPool *pool, void *data, struct _GError **error)
{
    struct thread *thread = thread_self;
    struct context *context;
    struct record *record;

    if (unlikely(!pool || !data || !pool_is_ours(pool) ||
                 thread->records.next == thread->records.end ||
                 !(context = trace_capture(FAMILY_GLIB_POOL, HOOK_g_thread_pool_push,
                                           __builtin_return_address(0)))))
        return push_noted(pool, data, error);
    record = record_bump(thread);
    record->data = data;
    record->context = context;
    return REAL_KNOWN(g_thread_pool_push)(pool, record, error);
}

int hook_g_thread_pool_push(struct _GThreadPool *pool, void *data, struct _GError **error)
{
    if (REAL_KNOWN(g_thread_pool_push) && (!hooks_are_seen || observer_traces))
        __atomic_store_n(&hook_enter[HOOK_g_thread_pool_push],
                         (void *)(observer_traces        ? push_traced
                                  : guard_is_for_words() ? push_words
                                                         : push_plain),
                         __ATOMIC_RELEASE);
    return push_slow(pool, data, error, __builtin_return_address(0));
}

/* What an older GLib would lose: a worker that is quicker runs its item, as it might have. */
static void take_discarded(struct _GThreadPool *pool, const void *caller)
{
    void *(*pop)(struct _GAsyncQueue *) =
        (void *(*)(struct _GAsyncQueue *))next_find_for("g_async_queue_try_pop", caller);
    void *item;

    while (pop && (item = pop(pool->queue))) {
        struct record record = {0};

        if (!pool_is_wake_up(item))
            record = record_take(item);
        if (record.context)
            context_release(record.context);
    }
}

/* Its workers may read the function meanwhile: either one does for them. */
static void mark_freed(struct _GThreadPool *pool)
{
    void *freed;
    unsigned kind = 0;

    while (kind < KINDS && (void *)pool->func != trampoline(kind, RUN))
        kind++;
    freed = trampoline(kind, RUN_FREED);
    if ((uintptr_t)freed - (uintptr_t)pool_freed_start < POOL_FREED_SIZE &&
        (uintptr_t)freed - (uintptr_t)pool_bank_start >= POOL_BANK_SIZE)
        __atomic_store_n((void **)&pool->func, freed, __ATOMIC_RELAXED);
}

/* GLib frees what it discards through our drop functions, since 2.70. */
void hook_g_thread_pool_free(struct _GThreadPool *pool, int is_immediate, int waits)
{
    if (pool && pool_is_ours(pool)) {
        if (is_immediate && unlikely(is_without_full(__builtin_return_address(0))))
            take_discarded(pool, __builtin_return_address(0));
        mark_freed(pool);
    }
    REAL(g_thread_pool_free)(pool, is_immediate, waits);
}

void glib_fork_lock(void)
{
    lock_take_for_fork(&kinds_lock);
}

void glib_fork_unlock(void)
{
    lock_drop_after_fork(&kinds_lock);
}
