/*
 * libevent: an event's callback runs, and how its repeat lives.
 *
 * Without threads the quick way keeps nothing across the call. With evthread_use_pthreads another
 * thread may add, activate and delete while a callback runs: then the repeat is read and written under
 * a lock (no foreign code under it), and a run has a reference of its own.
 */
#include "handoffs/fork.h"
#include "handoffs/libevent.h"

_Atomic bool libevent_is_threaded;
_Atomic unsigned libevent_is_quick;
struct lock libevent_lock;

/* ---- running ---- */

/* Lock held: neither a run nor an adding call needs the repeat any more, and its event is gone. */
static bool libevent_is_left(const struct repeat *repeat)
{
    return repeat->flags & REPEAT_ENDED && !repeat->running && repeat->number < EVENT_ADDING;
}

/*
 * Another thread may arm, disarm or end the repeat during the call. While one is adding or activating
 * the event, what it has armed may be meant for the next run: then this one only borrows.
 */
GUARDED void libevent_run_threaded(int fd, short what, void *arg)
{
    GUARDED_FRAME();
    struct repeat *repeat = arg;
    struct context *context, *active, *dropped = NULL;
    event_callback *callback;
    bool keeps, is_ended, is_adding;
    uint32_t arms;
    void *data;

    lock_take(&libevent_lock);
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
    lock_drop(&libevent_lock);

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

    lock_take(&libevent_lock);
    repeat->running--;
    if (keeps && repeat->arms == arms) {
        struct context *old = repeat->context;

        repeat->context = context;
        context = old;
    }
    is_ended = libevent_is_left(repeat);
    lock_drop(&libevent_lock);
    if (keeps)
        context_release(context);
    if (is_ended)
        cell_free(repeat);
}

static GUARDED void run_slow(int fd, short what, void *arg)
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
GUARDED void libevent_run(int fd, short what, void *arg)
{
    GUARDED_FRAME();
    struct repeat *repeat = arg;
    struct thread *thread = thread_self;
    struct context *context = repeat->more;

    if (unlikely(!thread_is_plain(thread))) {
        run_slow(fd, what, arg);
        return;
    }
    if (context && (!repeat->context || repeat->number & EVENT_PERSIST)) {
        repeat->more = NULL;
    } else if (!context && repeat->context && !(repeat->number & EVENT_PERSIST)) {
        context = repeat->context;
        repeat->context = NULL;
    } else {
        run_slow(fd, what, arg);
        return;
    }
    SCOPE_RUN_PLAIN(thread, context, MARK_OWNED,
                    ((event_callback *)repeat->function)(fd, what, repeat->data));
}

/* ---- a repeat's life ---- */

void libevent_adding(struct repeat *repeat, int change)
{
    bool is_locked = libevent_lock_if_threaded(), is_ended = false;

    if (is_locked) {
        repeat->number += (uint32_t)change;
        is_ended = libevent_is_left(repeat);
    }
    libevent_unlock(is_locked);
    if (is_ended)
        cell_free(repeat);
}

void libevent_arm(struct repeat *repeat, struct context *context, uint8_t flags)
{
    bool is_locked = libevent_lock_if_threaded();
    struct context *old = repeat->context;

    if (!is_locked) {
        repeat_arm(repeat, context, flags);
        return;
    }
    repeat->context = context;
    repeat->flags = (uint8_t)((repeat->flags & ~(REPEAT_ONCE | REPEAT_BARE)) | flags);
    repeat->arms++;
    libevent_unlock(is_locked);
    if (old)
        context_release(old); /* a run in progress has a reference of its own */
}

void libevent_activate(struct repeat *repeat, struct context *context)
{
    struct context *old;

    if (likely(!atomic_load_explicit(&libevent_is_threaded, memory_order_relaxed))) {
        old = repeat->more;
        repeat->more = context;
    } else {
        lock_take(&libevent_lock);
        old = repeat->more;
        repeat->more = context;
        lock_drop(&libevent_lock);
    }
    if (old)
        context_release(old);
}

void libevent_disarm(struct repeat *repeat)
{
    if (repeat->context)
        libevent_arm(repeat, NULL, repeat->flags & (REPEAT_ONCE | REPEAT_BARE));
    if (repeat->more)
        libevent_activate(repeat, NULL);
}

void libevent_end(struct repeat *repeat)
{
    bool is_locked, is_running;

    libevent_disarm(repeat);
    is_locked = libevent_lock_if_threaded();
    is_running = repeat->running || repeat->number >= EVENT_ADDING;
    if (is_running)
        repeat->flags |= REPEAT_ENDED;
    libevent_unlock(is_locked);
    if (!is_running)
        cell_free(repeat);
}

void libevent_fork_lock(void)
{
    lock_take_for_fork(&libevent_lock);
}

void libevent_fork_unlock(void)
{
    lock_drop_after_fork(&libevent_lock);
}
