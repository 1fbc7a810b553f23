/*
 * GLib: threads, and GThreadPool whole.
 *
 * A pool's items become records; the pool gets a trampoline as its function and as its item free
 * function, one pair for each pair that programs use (they are code, so there are few), so a push
 * needs no look-up and the pool's public user_data stays the program's. What GLib hands to the
 * program (sort functions, move_to_front, item free functions) is unwrapped again.
 *
 * Source of the behaviour: GLib 2.74.6, gthreadpool.c. g_thread_pool_push that answers FALSE has
 * queued the item all the same (only a new thread failed), so nothing is ever taken back. The item
 * GUINT_TO_POINTER (1) is GLib's own, to wake workers up.
 */
#include <string.h>

#include "context/fast.h"
#include "base/lock.h"
#include "base/mem.h"
#include "context/thread.h"
#include "families/fork.h"
#include "families/handoff.h"
#include "interpose/next.h"
#include "interpose/inherit.h"

/* The public head of a pool (gthreadpool.h), and the queue that follows it. */
struct _GThreadPool {
    void (*func)(void *data, void *user_data);
    void *user_data;
    int exclusive;
    struct _GAsyncQueue *queue;
};

typedef void pool_function(void *data, void *user_data);
typedef void free_function(void *data);
typedef int compare_function(const void *a, const void *b, void *user_data);

enum { KINDS = 64 };

struct pool_kind {
    pool_function *function;
    free_function *free_item;
};

/* Filled under the lock, from the front, never changed afterwards. */
static struct lock kinds_lock;
static struct pool_kind kinds[KINDS];
static unsigned kinds_count;

static bool is_wake_up(const void *item)
{
    return (uintptr_t)item == 1;
}

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

/* The quick way where plain words are carried too. */
static GUARDED void run_item_words(struct record *item, void *user_data, unsigned kind)
{
    GUARDED_FRAME();
    struct thread *thread = thread_self;
    struct context *context;
    void *data;

    if (unlikely(!thread_is_words_only(thread) || !record_is_near(thread, item) ||
                 !(context = item->context))) {
        run_item_slow(item, user_data, kind);
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

    if (is_wake_up(item))
        return;
    record = record_take(item);
    if (record.context)
        context_release(record.context);
    if (kinds[kind].free_item)
        kinds[kind].free_item(record.data);
}

/* In a section of their own: a pool is ours if its function lies there. */
#define BANK __attribute__((section("baton_pool_bank")))
#define TRAMPOLINE(n)                                             \
    BANK static GUARDED void run_##n(void *item, void *user_data) \
    {                                                             \
        GUARDED_FRAME();                                          \
        run_item(n, item, user_data);                             \
    }                                                             \
    static void drop_##n(void *item)                              \
    {                                                             \
        drop_item(n, item);                                       \
    }
#define EIGHT(X, n) X(n##0) X(n##1) X(n##2) X(n##3) X(n##4) X(n##5) X(n##6) X(n##7)
/* clang-format off */
EIGHT(TRAMPOLINE, 00) EIGHT(TRAMPOLINE, 01) EIGHT(TRAMPOLINE, 02) EIGHT(TRAMPOLINE, 03)
EIGHT(TRAMPOLINE, 04) EIGHT(TRAMPOLINE, 05) EIGHT(TRAMPOLINE, 06) EIGHT(TRAMPOLINE, 07)
#define ROW(n) case 0##n: return is_run ? (void *)run_##n : (void *)drop_##n;
/* Not a table of pointers: the loader would have to write it at every start of every program. */
static void *trampoline(unsigned kind, bool is_run)
{
    switch (kind) {
        EIGHT(ROW, 00) EIGHT(ROW, 01) EIGHT(ROW, 02) EIGHT(ROW, 03)
        EIGHT(ROW, 04) EIGHT(ROW, 05) EIGHT(ROW, 06) EIGHT(ROW, 07)
    }
    return NULL;
}
/* clang-format on */

extern const char bank_start[] __asm__("__start_baton_pool_bank")
    __attribute__((visibility("hidden")));

/* More than the trampolines take (new_pool asks); what follows them is ours too, and no pool's function. */
enum { BANK_SIZE = KINDS * 1024 };

static inline bool is_ours(const struct _GThreadPool *pool)
{
    return (uintptr_t)pool->func - (uintptr_t)bank_start < BANK_SIZE;
}

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

/* Always through the full function: discarded items must come back to us. Absent before GLib 2.70. */
static struct _GThreadPool *new_pool(const void *caller, pool_function *function, void *user_data,
                                     free_function *free_item, int max_threads, int exclusive,
                                     struct _GError **error)
{
    __typeof__(&hook_g_thread_pool_new_full) real =
        (__typeof__(&hook_g_thread_pool_new_full))next_find_for("g_thread_pool_new_full", caller);
    unsigned kind = function && real ? kind_for(function, free_item) : KINDS;

    if (kind < KINDS && (uintptr_t)trampoline(kind, true) - (uintptr_t)bank_start >= BANK_SIZE)
        kind = KINDS;
    if (kind == KINDS) {
        if (function)
            context_count_bare(FAMILY_GLIB_POOL, BARE_FULL);
        if (!free_item)
            return ((__typeof__(&hook_g_thread_pool_new))next_find_for(
                "g_thread_pool_new", caller))(function, user_data, max_threads, exclusive, error);
        return real(function, user_data, free_item, max_threads, exclusive, error);
    }
    return real((pool_function *)trampoline(kind, true), user_data,
                (free_function *)trampoline(kind, false), max_threads, exclusive, error);
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

static __attribute__((noinline)) int push_slow(struct _GThreadPool *pool, void *data,
                                               struct _GError **error, const void *caller)
{
    struct record *record;

    if (!pool || !data || !is_ours(pool))
        return REAL_FOR(g_thread_pool_push, caller)(pool, data, error);
    record = record_capture(FAMILY_GLIB_POOL, NULL, data);
    if (unlikely(!record))
        record = bare_record(data);
    return REAL_FOR(g_thread_pool_push, caller)(pool, record, error);
}

/* By a thread that has inherited a context. */
static APART int push_inherited(struct _GThreadPool *pool, void *data, struct _GError **error,
                                const void *caller)
{
    struct thread *thread = thread_self;
    struct context *context;
    struct record *record;

    if (unlikely(!pool || !data || !is_ours(pool) || thread->records.next == thread->records.end ||
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
    if (unlikely(!pool || !data || !is_ours(pool) || thread->records.next == thread->records.end ||
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

    if (unlikely(!pool || !data || !is_ours(pool) || thread->records.next == thread->records.end ||
                 !(context = context_take_words(thread, 0, FAMILY_GLIB_POOL))))
        return push_slow(pool, data, error, __builtin_return_address(0));
    record = record_bump(thread);
    record->data = data;
    record->context = context;
    return REAL_KNOWN(g_thread_pool_push)(pool, record, error);
}

int hook_g_thread_pool_push(struct _GThreadPool *pool, void *data, struct _GError **error)
{
    if (REAL_KNOWN(g_thread_pool_push) && !hooks_are_seen)
        __atomic_store_n(&hook_enter[HOOK_g_thread_pool_push],
                         (void *)(guard_is_for_words() ? push_words : push_plain),
                         __ATOMIC_RELEASE);
    return push_slow(pool, data, error, __builtin_return_address(0));
}

/* ---- sorting ---- */

struct sorting {
    struct sorting *next;
    const struct _GThreadPool *pool;
    compare_function *compare;
    void *user_data;
};

/* One entry a pool that was ever sorted; an address that is used again takes over its entry. */
static struct lock sortings_lock;
static struct sorting *sortings;

static int compare_items(const void *a, const void *b, void *arg)
{
    const struct sorting *sorting = arg;
    const struct record *one = a, *other = b;

    return sorting->compare(is_wake_up(a) ? a : one->data, is_wake_up(b) ? b : other->data,
                            sorting->user_data);
}

void hook_g_thread_pool_set_sort_function(struct _GThreadPool *pool, compare_function *compare,
                                          void *user_data)
{
    struct sorting *sorting;

    if (!pool || !is_ours(pool) || !compare) {
        REAL(g_thread_pool_set_sort_function)(pool, compare, user_data);
        return;
    }
    lock_take(&sortings_lock);
    for (sorting = sortings; sorting && sorting->pool != pool; sorting = sorting->next)
        ;
    lock_drop(&sortings_lock);
    if (!sorting) {
        sorting = mem_alloc(sizeof *sorting);
        if (!sorting)
            return; /* unsorted rather than wrong */
        sorting->pool = pool;
        lock_take(&sortings_lock);
        sorting->next = sortings;
        sortings = sorting;
        lock_drop(&sortings_lock);
    }
    sorting->compare = compare;
    sorting->user_data = user_data;
    REAL(g_thread_pool_set_sort_function)(pool, compare_items, sorting);
}

/* ---- move to front ---- */

struct queue_api {
    void (*lock)(struct _GAsyncQueue *);
    void (*unlock)(struct _GAsyncQueue *);
    int (*length)(struct _GAsyncQueue *);
    void *(*pop)(struct _GAsyncQueue *);
    void (*push)(struct _GAsyncQueue *, void *);
    void (*push_front)(struct _GAsyncQueue *, void *);
};

static bool find_queue_api(struct queue_api *api, const void *caller)
{
    void **functions = (void **)api;
    static const char *const names[] = {"g_async_queue_lock",
                                        "g_async_queue_unlock",
                                        "g_async_queue_length_unlocked",
                                        "g_async_queue_try_pop_unlocked",
                                        "g_async_queue_push_unlocked",
                                        "g_async_queue_push_front_unlocked"};

    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        functions[i] = next_find_for(names[i], caller);
        if (!functions[i])
            return false;
    }
    return true;
}

/*
 * The program names its own pointer; the queue holds records. All items are taken out and put back
 * in order, the oldest one with that pointer last and in front: what GLib does with the pointer
 * itself, in one pass under the queue's own lock.
 */
int hook_g_thread_pool_move_to_front(struct _GThreadPool *pool, void *data)
{
    struct queue_api api;
    void **items = NULL;
    void *found = NULL;
    size_t size;
    int count, kept = 0;

    if (!pool || !is_ours(pool) || !find_queue_api(&api, __builtin_return_address(0)))
        return REAL(g_thread_pool_move_to_front)(pool, data);
    api.lock(pool->queue);
    count = api.length(pool->queue); /* waiting threads count as negative */
    size = count > 0 ? (size_t)count * sizeof *items : 0;
    if (size)
        items = mem_map(size);
    while (items && kept < count) {
        void *item = api.pop(pool->queue);

        if (!item)
            break;
        if (!found && !is_wake_up(item) && ((struct record *)item)->data == data)
            found = item;
        else
            items[kept++] = item;
    }
    for (int i = 0; i < kept; i++)
        api.push(pool->queue, items[i]);
    if (found)
        api.push_front(pool->queue, found);
    api.unlock(pool->queue);
    if (items)
        mem_unmap(items, size);
    return found != NULL;
}

/* Nothing to do: GLib frees what it discards through our drop functions. */
void hook_g_thread_pool_free(struct _GThreadPool *pool, int is_immediate, int waits)
{
    REAL(g_thread_pool_free)(pool, is_immediate, waits);
}

/* ---- threads ---- */

static GUARDED void *run_thread(void *arg)
{
    GUARDED_FRAME();
    struct thread *self = arg;
    void *result;

    START_RUN(self, result = ((void *(*)(void *))self->start.function)(self->start.data));
    return result;
}

static struct thread *capture_thread(const void *caller, void *(*function)(void *), void *data)
{
    if (!function || !creator_inherits(caller))
        return NULL;
    return start_capture(FAMILY_GLIB_THREAD, (void *)function, data);
}

/* g_thread_new ends the program when no thread can be made: there is nothing to take back then. */
struct _GThread *hook_g_thread_new(const char *name, void *(*function)(void *), void *data)
{
    struct thread *started = capture_thread(__builtin_return_address(0), function, data);

    if (!started)
        return REAL(g_thread_new)(name, function, data);
    return REAL(g_thread_new)(name, run_thread, started);
}

struct _GThread *hook_g_thread_try_new(const char *name, void *(*function)(void *), void *data,
                                       struct _GError **error)
{
    struct thread *started = capture_thread(__builtin_return_address(0), function, data);
    struct _GThread *thread;

    if (!started)
        return REAL(g_thread_try_new)(name, function, data, error);
    thread = REAL(g_thread_try_new)(name, run_thread, started, error);
    if (!thread)
        start_rollback(FAMILY_GLIB_THREAD, started, 0);
    return thread;
}

struct _GThread *hook_g_thread_create(void *(*function)(void *), void *data, int joinable,
                                      struct _GError **error)
{
    struct thread *started = capture_thread(__builtin_return_address(0), function, data);
    struct _GThread *thread;

    if (!started)
        return REAL(g_thread_create)(function, data, joinable, error);
    thread = REAL(g_thread_create)(run_thread, started, joinable, error);
    if (!thread)
        start_rollback(FAMILY_GLIB_THREAD, started, 0);
    return thread;
}

struct _GThread *hook_g_thread_create_full(void *(*function)(void *), void *data,
                                           unsigned long stack_size, int joinable, int bound,
                                           int priority, struct _GError **error)
{
    struct thread *started = capture_thread(__builtin_return_address(0), function, data);
    struct _GThread *thread;

    if (!started)
        return REAL(g_thread_create_full)(function, data, stack_size, joinable, bound, priority,
                                          error);
    thread = REAL(g_thread_create_full)(run_thread, started, stack_size, joinable, bound, priority,
                                        error);
    if (!thread)
        start_rollback(FAMILY_GLIB_THREAD, started, 0);
    return thread;
}

void glib_fork_lock(void)
{
    lock_take_for_fork(&kinds_lock);
    lock_take_for_fork(&sortings_lock);
}

void glib_fork_unlock(void)
{
    lock_drop_after_fork(&kinds_lock);
    lock_drop_after_fork(&sortings_lock);
}
