/*
 * libevent: events. A callback runs in the context of the event_add that made its event pending, or of
 * the event_active that made it active.
 *
 * An event gets our callback with a repeat as its argument, so neither adding nor firing one needs a
 * look-up; what tells callback and argument to the program is unwrapped. A repeat lives as long as
 * its event: to event_free, or for events in the program's own memory to the next event_assign there
 * or event_debug_unassign (a table by address; such memory is freed without a word).
 *
 * Source of the behaviour: libevent 2.1.12. A non-persistent event is removed before its callback.
 * event_base_free drops what event_base_once queued. libevent calls its own functions through the
 * procedure linkage table; its own events stay its own. libev exports some of these names too,
 * without event_get_callback_arg: then everything passes through.
 *
 * With evthread_use_pthreads another thread may add, activate and delete while a callback runs: then
 * the repeat is read and written under a lock (no foreign code under it), and a run has a reference.
 */
#include "base/lock.h"
#include "base/map.h"
#include "handoffs/inside.h"
#include "handoffs/next.h"
#include "handoffs/repeat.h"

typedef void event_callback(int fd, short what, void *arg);

/* In repeat.number: the event's kind, and above it how many calls that make it pending are under way. */
enum { EVENT_PERSIST = 0x10, EVENT_ADDING = 0x10000 };

static struct library_place event_place;
static _Atomic bool is_threaded;
/* The quick ways hold: no threads, and struct event is laid out as we know it. */
static _Atomic unsigned is_quick;
enum { LAYOUT_FIRST = 0x02010800, LAYOUT_LAST = 0x02010cff };

/* The head of struct event in 2.1.8 to 2.1.12 (event_struct.h; compared by the prototypes test). */
struct event_head {
    void *links[2];
    short flags;
    unsigned char priority, closure;
    event_callback *callback;
    void *arg;
};
static struct lock event_lock;
static struct map assigned; /* events in the program's memory */

#define IS_INSIDE(name) \
    caller_is_inside(&event_place, (void *)REAL(name), __builtin_return_address(0))

static inline bool lock_events(void)
{
    if (likely(!atomic_load_explicit(&is_threaded, memory_order_relaxed)))
        return false;
    lock_take(&event_lock);
    return true;
}

static inline void unlock_events(bool is_locked)
{
    if (unlikely(is_locked))
        lock_drop(&event_lock);
}

/* evthread_use_pthreads and every other way to have threads end here, before there are any. */
int hook_evthread_set_lock_callbacks(const struct evthread_lock_callbacks *callbacks)
{
    if (callbacks) {
        atomic_store(&is_threaded, true);
        atomic_store(&is_quick, 0);
    }
    return REAL(evthread_set_lock_callbacks)(callbacks);
}

/* ---- running ---- */

/* Lock held: neither a run nor an adding call needs the repeat any more, and its event is gone. */
static bool is_left(const struct repeat *repeat)
{
    return repeat->flags & REPEAT_ENDED && !repeat->running && repeat->number < EVENT_ADDING;
}

/*
 * Another thread may arm, disarm or end the repeat during the call. While one is adding or activating
 * the event, what it has armed may be meant for the next run: then this one only borrows.
 */
static GUARDED void run_threaded(int fd, short what, void *arg)
{
    GUARDED_FRAME();
    struct repeat *repeat = arg;
    struct context *context, *active, *dropped = NULL;
    event_callback *callback;
    bool keeps, is_ended, is_adding;
    uint32_t arms;
    void *data;

    lock_take(&event_lock);
    callback = (event_callback *)repeat->function;
    data = repeat->data;
    is_adding = repeat->number >= EVENT_ADDING;
    active = repeat->more;
    if (active && is_adding)
        context_ref(active);
    else
        repeat->more = NULL;
    context = active;
    keeps = !active && !(repeat->flags & REPEAT_ONCE) && repeat->context && !repeat->running;
    if (keeps) {
        context = context_ref(repeat->context);
    } else if (repeat->flags & REPEAT_ONCE && !is_adding) {
        dropped = repeat->context;
        repeat->context = NULL;
        repeat->arms++;
        if (!context) {
            context = dropped;
            dropped = NULL;
        }
    } else if (!context && repeat->context) {
        context = context_ref(repeat->context);
    }
    arms = repeat->arms;
    repeat->running++;
    lock_drop(&event_lock);

    if (dropped)
        context_release(dropped);
    if (!context && repeat->flags & REPEAT_BARE)
        context = context_here();
    if (keeps)
        SCOPE_RUN_KEEP(&context, callback(fd, what, data));
    else if (context)
        SCOPE_RUN(context, MARK_OWNED, callback(fd, what, data));
    else
        callback(fd, what, data);

    lock_take(&event_lock);
    repeat->running--;
    if (keeps && repeat->arms == arms) {
        struct context *old = repeat->context;

        repeat->context = context;
        context = old;
    }
    is_ended = is_left(repeat);
    lock_drop(&event_lock);
    if (keeps)
        context_release(context);
    if (is_ended)
        cell_free(repeat);
}

static GUARDED void run_event_slow(int fd, short what, void *arg)
{
    GUARDED_FRAME();
    struct repeat *repeat = arg;
    event_callback *callback = (event_callback *)repeat->function;
    struct context *active = repeat->more;
    void *data = repeat->data;

    if (active) {
        repeat->more = NULL;
        if (!(repeat->number & EVENT_PERSIST))
            repeat_disarm(repeat);
        SCOPE_RUN(active, MARK_OWNED, callback(fd, what, data));
    } else if (repeat->number & EVENT_PERSIST) {
        REPEAT_RUN(repeat, callback(fd, what, data));
    } else {
        REPEAT_RUN_ONCE(repeat, callback(fd, what, data));
    }
}

/* The quick way, without threads, keeps nothing across the call but the thread's block. */
static GUARDED void run_event(int fd, short what, void *arg)
{
    GUARDED_FRAME();
    struct repeat *repeat = arg;
    struct thread *thread = thread_self;
    struct context *context = repeat->more;

    if (unlikely(!thread_is_plain(thread))) {
        run_event_slow(fd, what, arg);
        return;
    }
    if (context && (!repeat->context || repeat->number & EVENT_PERSIST)) {
        repeat->more = NULL;
    } else if (!context && repeat->context && !(repeat->number & EVENT_PERSIST)) {
        context = repeat->context;
        repeat->context = NULL;
    } else {
        run_event_slow(fd, what, arg);
        return;
    }
    SCOPE_RUN_PLAIN(thread, context, MARK_OWNED,
                    ((event_callback *)repeat->function)(fd, what, repeat->data));
}

/* ---- an event's repeat ---- */

static bool is_ours(event_callback *callback)
{
    return callback == run_event || callback == run_threaded;
}

/* Threads are there before the first base: an event that was made without them is used without. */
static event_callback *our_callback(void)
{
    return atomic_load_explicit(&is_threaded, memory_order_relaxed) ? run_threaded : run_event;
}

/* NULL: the event has a callback of somebody else. */
static inline struct repeat *repeat_of(const struct event *event, const void *caller)
{
    void *(*get_arg)(const struct event *) =
        NEXT(void *(*)(const struct event *), "event_get_callback_arg", caller);

    if (unlikely(!get_arg) || !is_ours(NEXT(event_callback * (*)(const struct event *),
                                            "event_get_callback", caller)(event)))
        return NULL;
    return get_arg(event);
}

/* Around a call that makes the event pending or active: its callback may free it before that returns. */
static void adding(struct repeat *repeat, int change)
{
    bool is_locked = lock_events(), is_ended = false;

    if (is_locked) {
        repeat->number += (uint32_t)change;
        is_ended = is_left(repeat);
    }
    unlock_events(is_locked);
    if (is_ended)
        cell_free(repeat);
}

/* Gives the repeat a context, or none. */
static void arm(struct repeat *repeat, struct context *context, uint8_t flags)
{
    bool is_locked = lock_events();
    struct context *old = repeat->context;

    if (!is_locked) {
        repeat_arm(repeat, context, flags);
        return;
    }
    repeat->context = context;
    repeat->flags = (uint8_t)((repeat->flags & ~(REPEAT_ONCE | REPEAT_BARE)) | flags);
    repeat->arms++;
    unlock_events(is_locked);
    if (old)
        context_release(old); /* a run in progress has a reference of its own */
}

static void activate(struct repeat *repeat, struct context *context)
{
    struct context *old;

    if (likely(!atomic_load_explicit(&is_threaded, memory_order_relaxed))) {
        old = repeat->more;
        repeat->more = context;
    } else {
        lock_take(&event_lock);
        old = repeat->more;
        repeat->more = context;
        lock_drop(&event_lock);
    }
    if (old)
        context_release(old);
}

static void disarm(struct repeat *repeat)
{
    if (repeat->context)
        arm(repeat, NULL, repeat->flags & (REPEAT_ONCE | REPEAT_BARE));
    if (repeat->more)
        activate(repeat, NULL);
}

static void end(struct repeat *repeat)
{
    bool is_locked, is_running;

    disarm(repeat);
    is_locked = lock_events();
    is_running = repeat->running || repeat->number >= EVENT_ADDING;
    if (is_running)
        repeat->flags |= REPEAT_ENDED;
    unlock_events(is_locked);
    if (!is_running)
        cell_free(repeat);
}

/* ---- making and freeing ---- */

static struct repeat *new_repeat(event_callback *callback, void *arg, short events,
                                 const void *caller)
{
    struct repeat *repeat = NULL;

    if (NEXT(void *(*)(const struct event *), "event_get_callback_arg", caller))
        repeat = repeat_new(FAMILY_LIBEVENT, (void *)callback, arg);
    if (unlikely(!is_quick && !atomic_load(&is_threaded))) {
        unsigned version = NEXT(unsigned (*)(void), "event_get_version_number", caller)();

        is_quick = version >= LAYOUT_FIRST && version <= LAYOUT_LAST;
    }
    if (repeat) {
        repeat->number = (uint16_t)events;
        repeat->flags = events & EVENT_PERSIST ? 0 : REPEAT_ONCE;
    }
    return repeat;
}

static bool is_self(const void *arg, const void *caller)
{
    void *(*self)(void) = NEXT(void *(*)(void), "event_self_cbarg", caller);

    return self && arg == self();
}

struct event *hook_event_new(struct event_base *base, int fd, short events,
                             event_callback *callback, void *arg)
{
    const void *caller = __builtin_return_address(0);
    struct repeat *repeat = NULL;
    struct event *event;

    if (callback && !IS_INSIDE(event_new))
        repeat = new_repeat(callback, arg, events, caller);
    if (!repeat)
        return REAL(event_new)(base, fd, events, callback, arg);
    event = REAL(event_new)(base, fd, events, our_callback(), repeat);
    if (!event)
        cell_free(repeat);
    else if (unlikely(is_self(arg, caller)))
        repeat->data = event;
    return event;
}

/* What an event in the program's memory gets: the repeat that was there before, if it was an event. */
static struct repeat *assign(struct event *event, event_callback *callback, void *arg, short events,
                             const void *caller)
{
    struct repeat *repeat =
        new_repeat(callback, unlikely(is_self(arg, caller)) ? event : arg, events, caller);
    void *old;

    if (!repeat)
        return NULL;
    if (!map_put(&assigned, event, repeat, &old)) {
        cell_free(repeat);
        return NULL;
    }
    if (old)
        end(old);
    return repeat;
}

static void unassign(struct event *event)
{
    struct repeat *repeat = map_take(&assigned, event);

    if (repeat)
        end(repeat);
}

int hook_event_assign(struct event *event, struct event_base *base, int fd, short events,
                      event_callback *callback, void *arg)
{
    struct repeat *repeat = NULL;
    int error;

    if (is_ours(callback) || IS_INSIDE(event_assign))
        return REAL(event_assign)(event, base, fd, events, callback, arg);
    if (callback)
        repeat = assign(event, callback, arg, events, __builtin_return_address(0));
    if (!repeat) {
        unassign(event);
        return REAL(event_assign)(event, base, fd, events, callback, arg);
    }
    error = REAL(event_assign)(event, base, fd, events, our_callback(), repeat);
    if (error)
        unassign(event);
    return error;
}

void hook_event_set(struct event *event, int fd, short events, event_callback *callback, void *arg)
{
    struct repeat *repeat = NULL;

    if (!is_ours(callback) && !IS_INSIDE(event_set)) {
        if (callback)
            repeat = assign(event, callback, arg, events, __builtin_return_address(0));
        if (!repeat)
            unassign(event);
    }
    if (repeat)
        REAL(event_set)(event, fd, events, our_callback(), repeat);
    else
        REAL(event_set)(event, fd, events, callback, arg);
}

void hook_event_debug_unassign(struct event *event)
{
    if (!IS_INSIDE(event_debug_unassign))
        unassign(event);
    REAL(event_debug_unassign)(event);
}

/* Waits for a callback that runs in another thread; when this is the callback, the run frees. */
void hook_event_free(struct event *event)
{
    struct repeat *repeat =
        event && !IS_INSIDE(event_free) ? repeat_of(event, __builtin_return_address(0)) : NULL;

    REAL(event_free)(event);
    if (repeat)
        end(repeat);
}

/* The finalizer is told the event's argument; no other callback comes any more. */
typedef void finalizer(struct event *event, void *arg);

static void run_finalizer(struct event *event, void *arg)
{
    struct repeat *repeat = arg;
    finalizer *function = (finalizer *)repeat->function;
    void *data = repeat->data;

    if (map_find(&assigned, event) == repeat)
        map_take(&assigned, event);
    end(repeat);
    if (function)
        function(event, data);
}

int hook_event_finalize(unsigned flags, struct event *event, finalizer *function)
{
    struct repeat *repeat =
        IS_INSIDE(event_finalize) ? NULL : repeat_of(event, __builtin_return_address(0));

    if (!repeat)
        return REAL(event_finalize)(flags, event, function);
    disarm(repeat);
    repeat->function = (void *)function;
    return REAL(event_finalize)(flags, event, run_finalizer);
}

int hook_event_free_finalize(unsigned flags, struct event *event, finalizer *function)
{
    struct repeat *repeat =
        IS_INSIDE(event_free_finalize) ? NULL : repeat_of(event, __builtin_return_address(0));

    if (!repeat)
        return REAL(event_free_finalize)(flags, event, function);
    disarm(repeat);
    repeat->function = (void *)function;
    return REAL(event_free_finalize)(flags, event, run_finalizer);
}

/* ---- adding, activating, deleting ---- */

static __attribute__((noinline)) int add_slow(struct event *event, const struct timeval *timeout,
                                              const void *caller)
{
    struct repeat *repeat = event ? repeat_of(event, caller) : NULL;
    struct context *context;
    uint8_t flags;
    int error;

    if (!repeat)
        return REAL_FOR(event_add, caller)(event, timeout);
    context = repeat_capture(FAMILY_LIBEVENT, !(repeat->number & EVENT_PERSIST), &flags);
    adding(repeat, EVENT_ADDING);
    arm(repeat, context, flags); /* before: another thread may run it at once */
    error = REAL_FOR(event_add, caller)(event, timeout);
    if (error && context) {
        context_rollback(FAMILY_LIBEVENT, context_ref(context));
        disarm(repeat);
    }
    adding(repeat, -EVENT_ADDING);
    return error;
}

static inline struct repeat *quick_repeat(const struct event *event)
{
    const struct event_head *head = (const struct event_head *)(const void *)event;

    if (unlikely(!is_quick || head->callback != run_event))
        return NULL;
    if (!head->arg)
        __builtin_unreachable();
    return head->arg;
}

/* libevent adds, activates and deletes events of its own by these functions; they are not ours. */
int hook_event_add(struct event *event, const struct timeval *timeout)
{
    struct repeat *repeat = event ? quick_repeat(event) : NULL;
    struct context *context;
    int error;

    if (unlikely(!repeat || repeat->context || repeat->running || repeat->number & EVENT_PERSIST ||
                 !REAL_KNOWN(event_add) || !(context = context_try_capture(FAMILY_LIBEVENT))))
        return add_slow(event, timeout, __builtin_return_address(0));
    repeat->context = context;
    error = REAL_KNOWN(event_add)(event, timeout);
    if (unlikely(error)) {
        context_rollback(FAMILY_LIBEVENT, context_ref(context));
        disarm(repeat);
    }
    return error;
}

static __attribute__((noinline)) void active_slow(struct event *event, int result, short calls,
                                                  const void *caller)
{
    struct repeat *repeat = repeat_of(event, caller);
    struct context *context;

    if (!repeat || !(context = context_capture(FAMILY_LIBEVENT))) {
        REAL_FOR(event_active, caller)(event, result, calls);
        return;
    }
    adding(repeat, EVENT_ADDING);
    activate(repeat, context);
    REAL_FOR(event_active, caller)(event, result, calls);
    adding(repeat, -EVENT_ADDING);
}

void hook_event_active(struct event *event, int result, short calls)
{
    struct repeat *repeat = quick_repeat(event);
    struct context *context;

    if (unlikely(!repeat || repeat->more || !REAL_KNOWN(event_active) ||
                 !(context = context_try_capture(FAMILY_LIBEVENT)))) {
        active_slow(event, result, calls, __builtin_return_address(0));
        return;
    }
    repeat->more = context;
    REAL_KNOWN(event_active)(event, result, calls);
}

#define DEL(name)                                                   \
    int hook_##name(struct event *event)                            \
    {                                                               \
        struct repeat *repeat = NULL;                               \
        int error;                                                  \
                                                                    \
        if (likely(event))                                          \
            repeat = repeat_of(event, __builtin_return_address(0)); \
        error = REAL(name)(event);                                  \
        if (repeat)                                                 \
            disarm(repeat);                                         \
        return error;                                               \
    }

DEL(event_del)
DEL(event_del_noblock)
DEL(event_del_block)

/* ---- asking ---- */

event_callback *hook_event_get_callback(const struct event *event)
{
    event_callback *callback = REAL(event_get_callback)(event);

    if (!is_ours(callback))
        return callback;
    return (event_callback *)repeat_of(event, __builtin_return_address(0))->function;
}

void *hook_event_get_callback_arg(const struct event *event)
{
    struct repeat *repeat = repeat_of(event, __builtin_return_address(0));

    return repeat ? repeat->data : REAL(event_get_callback_arg)(event);
}

void hook_event_get_assignment(const struct event *event, struct event_base **base, int *fd,
                               short *events, event_callback **callback, void **arg)
{
    struct repeat *repeat = repeat_of(event, __builtin_return_address(0));

    REAL(event_get_assignment)(event, base, fd, events, callback, arg);
    if (repeat && callback)
        *callback = (event_callback *)repeat->function;
    if (repeat && arg)
        *arg = repeat->data;
}
