/*
 * libevent: an event's callback runs, and how its registration lives.
 *
 * Without threads the quick way keeps nothing across the call. With evthread_use_pthreads another
 * thread may add, activate and delete while a callback runs: then the registration is read and written under
 * a lock (no foreign code under it), and a run has a reference of its own.
 */
#include "context/fast.h"
#include "context/unwind.h"
#include "families/fork.h"
#include "families/libevent/libevent.h"

_Atomic bool libevent_is_threaded;
_Atomic unsigned libevent_is_quick;
struct lock libevent_lock;

/* ---- running ---- */

/* Lock held: neither a run nor an adding call needs the registration any more, and its event is gone. */
static bool libevent_is_left(const struct registration *registration)
{
    return registration->flags & REGISTRATION_ENDED && !registration->running &&
           registration->number < EVENT_ADDING;
}

personality_routine baton_libevent_personality;

/* A run of libevent_run_threaded ends early: by an exception, or with its thread. */
__attribute__((used, visibility("hidden"))) int
baton_libevent_personality(int version, int actions, uint64_t exception_class,
                           struct _Unwind_Exception *exception, struct _Unwind_Context *unwinding)
{
    const void *unwinder = __builtin_return_address(0);
    struct registration *registration;
    struct context *context, *dropped = NULL;
    bool is_ended;

    if (!(actions & UNWIND_CLEANUP_PHASE))
        return UNWIND_CONTINUE;
    context = unwind_leave(unwinding, unwinder, actions);
    registration = unwind_pinned(unwinding, unwinder);
    if (registration) {
        lock_take(&libevent_lock);
        registration->running--;
        if (actions & UNWIND_FORCED && registration->context == context) {
            dropped = registration->context; /* what the thread had ends with it */
            registration->context = NULL;
        }
        is_ended = libevent_is_left(registration);
        lock_drop(&libevent_lock);
        if (is_ended)
            slab_free(registration);
    }
    if (context)
        context_release(context);
    if (dropped)
        context_release(dropped);
    return UNWIND_CONTINUE;
}

ARCH_PERSONALITY(baton_libevent_personality);

/*
 * Another thread may arm, disarm or end the registration during the call. While one is adding or activating
 * the event, what it has armed may be meant for the next run: then this one only borrows.
 */
GUARDED void libevent_run_threaded(int fd, short what, void *arg)
{
    GUARDED_FRAME_BY(baton_libevent_personality);
    ARCH_PIN(struct registration, registration, arg);
    struct context *context, *active, *dropped = NULL;
    event_callback *callback;
    bool keeps, is_ended, is_adding;
    uint32_t arms;
    void *data;

    lock_take(&libevent_lock);
    callback = (event_callback *)registration->function;
    data = registration->data;
    is_adding = registration->number >= EVENT_ADDING;
    active = registration->more;
    if (active && is_adding)
        context_ref(active);
    else
        registration->more = NULL;
    context = active;
    keeps = !active && !(registration->flags & REGISTRATION_ONCE) && registration->context &&
            !registration->running;
    if (keeps) {
        context = context_ref(registration->context);
    } else if (registration->flags & REGISTRATION_ONCE && !is_adding) {
        dropped = registration->context;
        registration->context = NULL;
        registration->arms++;
        if (!context) {
            context = dropped;
            dropped = NULL;
        }
    } else if (!context && registration->context) {
        context = context_ref(registration->context);
    }
    arms = registration->arms;
    registration->running++;
    lock_drop(&libevent_lock);

    if (dropped)
        context_release(dropped);
    if (!context && registration->flags & REGISTRATION_BARE)
        context = context_here();
    if (keeps)
        SCOPE_RUN_KEEP(&context, callback(fd, what, data));
    else if (context)
        SCOPE_RUN(context, FRAME_OWNED, callback(fd, what, data));
    else
        callback(fd, what, data);

    ARCH_UNPIN(registration);
    lock_take(&libevent_lock);
    registration->running--;
    if (keeps && registration->arms == arms) {
        struct context *old = registration->context;

        registration->context = context;
        context = old;
    }
    is_ended = libevent_is_left(registration);
    lock_drop(&libevent_lock);
    if (keeps)
        context_release(context);
    if (is_ended)
        slab_free(registration);
}

static GUARDED void run_slow(int fd, short what, void *arg)
{
    GUARDED_REGISTRATION_FRAME();
    struct registration *registration = arg;
    event_callback *callback = (event_callback *)registration->function;
    struct context *active = registration->more;
    void *data = registration->data;

    if (active) {
        registration->more = NULL;
        if (!(registration->number & EVENT_PERSIST))
            registration_disarm(registration);
        SCOPE_RUN(active, FRAME_OWNED, callback(fd, what, data));
    } else if (registration->number & EVENT_PERSIST) {
        REGISTRATION_RUN(registration, callback(fd, what, data));
    } else {
        REGISTRATION_RUN_ONCE(registration, callback(fd, what, data));
    }
}

/* The quick way, without threads, keeps nothing across the call but the thread's block. */
GUARDED void libevent_run(int fd, short what, void *arg)
{
    GUARDED_FRAME();
    struct registration *registration = arg;
    struct thread *thread = thread_self;
    struct context *context = registration->more;

    if (unlikely(!thread_is_plain(thread))) {
        run_slow(fd, what, arg);
        return;
    }
    if (context && (!registration->context || registration->number & EVENT_PERSIST)) {
        registration->more = NULL;
    } else if (!context && registration->context && !(registration->number & EVENT_PERSIST) &&
               likely(!context_may_be_old)) {
        context = registration->context;
        registration->context = NULL;
    } else {
        run_slow(fd, what, arg);
        return;
    }
    SCOPE_RUN_PLAIN(thread, context, FRAME_OWNED,
                    ((event_callback *)registration->function)(fd, what, registration->data));
}

/* ---- a registration's life ---- */

void libevent_adding(struct registration *registration, int change)
{
    bool is_locked = libevent_lock_if_threaded(), is_ended = false;

    if (is_locked) {
        registration->number += (uint32_t)change;
        is_ended = libevent_is_left(registration);
    }
    libevent_unlock(is_locked);
    if (is_ended)
        slab_free(registration);
}

void libevent_arm(struct registration *registration, struct context *context, uint8_t flags)
{
    bool is_locked = libevent_lock_if_threaded();
    struct context *old = registration->context;

    if (!is_locked) {
        registration_arm(registration, context, flags);
        return;
    }
    registration->context = context;
    registration->flags =
        (uint8_t)((registration->flags & ~(REGISTRATION_ONCE | REGISTRATION_BARE)) | flags);
    registration->arms++;
    libevent_unlock(is_locked);
    if (old)
        context_release(old); /* a run in progress has a reference of its own */
}

void libevent_activate(struct registration *registration, struct context *context)
{
    struct context *old;

    if (likely(!atomic_load_explicit(&libevent_is_threaded, memory_order_relaxed))) {
        old = registration->more;
        registration->more = context;
    } else {
        lock_take(&libevent_lock);
        old = registration->more;
        registration->more = context;
        lock_drop(&libevent_lock);
    }
    if (old)
        context_release(old);
}

void libevent_disarm(struct registration *registration)
{
    if (registration->context)
        libevent_arm(registration, NULL,
                     registration->flags & (REGISTRATION_ONCE | REGISTRATION_BARE));
    if (registration->more)
        libevent_activate(registration, NULL);
}

void libevent_end(struct registration *registration)
{
    bool is_locked, is_running;

    libevent_disarm(registration);
    is_locked = libevent_lock_if_threaded();
    is_running = registration->running || registration->number >= EVENT_ADDING;
    if (is_running)
        registration->flags |= REGISTRATION_ENDED;
    libevent_unlock(is_locked);
    if (!is_running)
        slab_free(registration);
}

void libevent_fork_lock(void)
{
    lock_take_for_fork(&libevent_lock);
}

void libevent_fork_unlock(void)
{
    lock_drop_after_fork(&libevent_lock);
}
