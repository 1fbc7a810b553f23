/*
 * QThreadPool, and with it QtConcurrent and the continuations of QFuture that run in a pool.
 *
 * libQtCore calls itself without going through symbols, so what a pool runs is met through the runnable: its
 * vptr becomes a shadow vtable at its first start and stays one, because a runnable may be started
 * again, also while it waits or runs. What waits is kept by the runnable's address, first in first
 * out; its destructors drop what was never run (clear, a tryStart that failed, a pool that ends).
 *
 * A runnable with its own vptr is a new object, whatever waited for that address. tryTake hands
 * the runnable back: whoever runs it then does so in its context (QFuture::waitForFinished), and starting
 * it again forgets that. clear forgets without a word those that it does not delete.
 * Functions become runnables here as they do in Qt, by QRunnable::create.
 * Source: Qt 5.15.8 and 6.4.2, qthreadpool.cpp, qrunnable.h; Itanium C++ ABI for std::function by value.
 */
#include "base/lock.h"
#include "context/pool/slab.h"
#include "families/qt/qt.h"
#include "interpose/next.h"
#include "interpose/vtable.h"

enum { SLOT_RUN, SLOT_END, SLOT_DELETE };

struct QRunnable {
    void **vptr;
};

/* libstdc++'s: a Qt that was built with another library has other names. */
struct std_function {
    void *functor[2];
    void *manager; /* NULL: empty */
    void *invoker;
};

/* One start that has not been run. Under the lock of its runnable. */
struct waiting_start {
    struct waiting_start *next;
    const struct QRunnable *runnable;
    const struct QThreadPool *pool;
    struct context *context;
    uint32_t clears; /* of all pools, before it was put there */
    bool is_taken;   /* by tryTake: the pool does not have it any more */
};
_Static_assert(sizeof(struct waiting_start) <= SLAB_SIZE, "a waiting start is a slab object");

enum { BUCKETS = LOCK_OBJECTS * 64 }; /* so that one lock guards a whole bucket */

static struct waiting_start *buckets[BUCKETS];
static _Atomic uint32_t clears;

static void run_runnable(struct QRunnable *runnable);
static void end_runnable(struct QRunnable *runnable);
static void delete_runnable(struct QRunnable *runnable);

static const struct vtable_set runnable_set = {
    .count = 3,
    .replaced = {{SLOT_RUN, (void *)run_runnable},
                 {SLOT_END, (void *)end_runnable},
                 {SLOT_DELETE, (void *)delete_runnable}},
};

static struct waiting_start **bucket_of(const struct QRunnable *runnable)
{
    return &buckets[((uintptr_t)runnable >> 4) % BUCKETS];
}

/* Takes out the starts of the runnable that `is` names, and gives them as a list. */
static struct waiting_start *
take_all(const struct QRunnable *runnable,
         bool (*is)(const struct waiting_start *start, const void *arg), const void *arg)
{
    struct waiting_start *taken = NULL, **at = bucket_of(runnable), *start;

    while ((start = *at)) { // cppcheck-suppress uninitvar
        if (start->runnable == runnable && is(start, arg)) {
            *at = start->next;
            start->next = taken;
            taken = start;
        } else {
            at = &start->next;
        }
    }
    return taken;
}

static void free_all(struct waiting_start *list)
{
    while (list) {
        struct waiting_start *start = list;

        list = start->next;
        context_release(start->context);
        slab_free(start);
    }
}

static bool is_any(const struct waiting_start *start, const void *arg)
{
    return true;
}

/* What the pool has given back, or forgotten in a clear. */
static bool is_void(const struct waiting_start *start, const void *pool)
{
    return start->is_taken || (start->pool == pool && start->clears != atomic_load(&clears));
}

static void drop_starts(const struct QRunnable *runnable)
{
    struct waiting_start *dropped;

    lock_take(lock_of(runnable));
    dropped = take_all(runnable, is_any, NULL);
    lock_drop(lock_of(runnable));
    free_all(dropped);
}

static struct context *take_first(const struct QRunnable *runnable)
{
    struct waiting_start **at, *start;
    struct context *context = NULL;

    lock_take(lock_of(runnable));
    for (at = bucket_of(runnable); (start = *at); at = &start->next) {
        if (start->runnable == runnable) {
            *at = start->next;
            context = start->context;
            break;
        }
    }
    lock_drop(lock_of(runnable));
    if (start)
        slab_free(start);
    return context;
}

static GUARDED void run_runnable(struct QRunnable *runnable)
{
    GUARDED_FRAME();
    void (*run)(struct QRunnable *) =
        (void (*)(struct QRunnable *))vtable_real(runnable->vptr)[SLOT_RUN];
    struct context *context = take_first(runnable);

    if (context)
        SCOPE_RUN(context, FRAME_OWNED, run(runnable));
    else
        run(runnable);
}

static void end_by(struct QRunnable *runnable, unsigned slot)
{
    void **real = vtable_real(runnable->vptr);

    drop_starts(runnable);
    runnable->vptr = real;
    ((void (*)(struct QRunnable *))real[slot])(runnable);
}

static void end_runnable(struct QRunnable *runnable)
{
    end_by(runnable, SLOT_END);
}

static void delete_runnable(struct QRunnable *runnable)
{
    end_by(runnable, SLOT_DELETE);
}

/* Captures for a start of `runnable`, before the real one. NULL: it runs bare (counted). */
static struct waiting_start *start_begin(const struct QThreadPool *pool, struct QRunnable *runnable,
                                         const void *caller)
{
    struct waiting_start *start, *dropped, **at;
    bool is_new;
    void **shadow;

    if (!runnable || !qt_version(FAMILY_QT_POOL, caller))
        return NULL;
    is_new = !vtable_is_shadow(&runnable_set, runnable->vptr);
    shadow = is_new ? vtable_shadow(&runnable_set, runnable->vptr) : runnable->vptr;
    if (!shadow) {
        context_count_bare(FAMILY_QT_POOL, BARE_LAYOUT);
        return NULL;
    }
    start = slab_new();
    if (!start) {
        context_count_bare(FAMILY_QT_POOL, BARE_MEMORY);
        return NULL;
    }
    *start = (struct waiting_start){.runnable = runnable, .pool = pool};
    start->context = context_capture(FAMILY_QT_POOL);
    if (!start->context) {
        slab_free(start);
        return NULL;
    }
    lock_take(lock_of(runnable));
    start->clears = atomic_load(&clears);
    dropped = take_all(runnable, is_new ? is_any : is_void, pool);
    for (at = bucket_of(runnable); *at; at = &(*at)->next) {
    }
    *at = start;
    runnable->vptr = shadow;
    lock_drop(lock_of(runnable));
    free_all(dropped);
    return start;
}

static bool is_it(const struct waiting_start *start, const void *arg)
{
    return start == arg;
}

/* The pool had no thread for it: as if nothing had been captured. */
static void start_rolled_back(struct QRunnable *runnable, const struct waiting_start *start)
{
    struct waiting_start *taken;

    lock_take(lock_of(runnable));
    taken = take_all(runnable, is_it, start);
    lock_drop(lock_of(runnable));
    if (taken) {
        context_rollback(FAMILY_QT_POOL, taken->context);
        slab_free(taken);
    }
}

#define start _ZN11QThreadPool5startEP9QRunnablei
#define start_function _ZN11QThreadPool5startESt8functionIFvvEEi
#define try_start _ZN11QThreadPool8tryStartEP9QRunnable
#define try_start_function _ZN11QThreadPool8tryStartESt8functionIFvvEE
#define start_reserved _ZN11QThreadPool21startOnReservedThreadEP9QRunnable
#define start_reserved_function _ZN11QThreadPool21startOnReservedThreadESt8functionIFvvEE
#define try_take _ZN11QThreadPool7tryTakeEP9QRunnable
#define clear _ZN11QThreadPool5clearEv
#define BODY_AS(name) hook_##name
#define BODY(name) BODY_AS(name)
#define REAL_OF(name) REAL(name)
#define REAL_OF_FOR(name, caller) REAL_FOR(name, caller)

void BODY(start)(struct QThreadPool *pool, struct QRunnable *runnable, int priority)
{
    start_begin(pool, runnable, __builtin_return_address(0));
    REAL_OF(start)(pool, runnable, priority);
}

static _Bool try_with(_Bool (*real)(struct QThreadPool *, struct QRunnable *),
                      struct QThreadPool *pool, struct QRunnable *runnable, const void *caller)
{
    const struct waiting_start *captured = start_begin(pool, runnable, caller);
    _Bool is_started = real(pool, runnable);

    if (!is_started && captured)
        start_rolled_back(runnable, captured);
    return is_started;
}

_Bool BODY(try_start)(struct QThreadPool *pool, struct QRunnable *runnable)
{
    const void *caller = __builtin_return_address(0);

    return try_with(REAL_OF_FOR(try_start, caller), pool, runnable, caller);
}

void BODY(start_reserved)(struct QThreadPool *pool, struct QRunnable *runnable)
{
    start_begin(pool, runnable, __builtin_return_address(0));
    REAL_OF(start_reserved)(pool, runnable);
}

/* What Qt makes of a function. NULL: it would do nothing with it, or it is not to be found. */
static struct QRunnable *runnable_of(struct std_function *function, const void *caller)
{
    struct QRunnable *(*create)(struct std_function *) =
        NEXT(struct QRunnable * (*)(struct std_function *),
             "_ZN9QRunnable6createESt8functionIFvvEE", caller);

    return function->manager && create ? create(function) : NULL;
}

void BODY(start_function)(struct QThreadPool *pool, struct std_function *function, int priority)
{
    const void *caller = __builtin_return_address(0);
    struct QRunnable *runnable = runnable_of(function, caller);

    if (!runnable) {
        REAL_OF(start_function)(pool, function, priority);
        return;
    }
    start_begin(pool, runnable, caller);
    REAL_OF_FOR(start, caller)(pool, runnable, priority);
}

_Bool BODY(try_start_function)(struct QThreadPool *pool, struct std_function *function)
{
    const void *caller = __builtin_return_address(0);
    struct QRunnable *runnable = runnable_of(function, caller);

    if (!runnable)
        return REAL_OF(try_start_function)(pool, function);
    if (try_with(REAL_OF_FOR(try_start, caller), pool, runnable, caller))
        return 1;
    ((void (*)(struct QRunnable *))runnable->vptr[SLOT_DELETE])(runnable);
    return 0;
}

void BODY(start_reserved_function)(struct QThreadPool *pool, struct std_function *function)
{
    const void *caller = __builtin_return_address(0);
    struct QRunnable *runnable = runnable_of(function, caller);

    if (!runnable) {
        REAL_OF(start_reserved_function)(pool, function);
        return;
    }
    start_begin(pool, runnable, caller);
    REAL_OF_FOR(start_reserved, caller)(pool, runnable);
}

/* Its context stays: whoever took it may run it. */
_Bool BODY(try_take)(struct QThreadPool *pool, struct QRunnable *runnable)
{
    _Bool is_taken = REAL_OF(try_take)(pool, runnable);

    if (is_taken) {
        lock_take(lock_of(runnable));
        for (struct waiting_start *at = *bucket_of(runnable); at; at = at->next) {
            if (at->runnable == runnable && at->pool == pool && !at->is_taken) {
                at->is_taken = true;
                break;
            }
        }
        lock_drop(lock_of(runnable));
    }
    return is_taken;
}

void BODY(clear)(struct QThreadPool *pool)
{
    REAL_OF(clear)(pool);
    atomic_fetch_add(&clears, 1);
}
