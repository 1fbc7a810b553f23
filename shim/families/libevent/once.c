/*
 * libevent: event_base_once, and event_once, which goes on to it by a jump; the list behind them.
 *
 * The callback comes at most once; event_base_free drops what has not come without a word (2.1.12).
 * libevent uses the function for itself (event_base_loopexit): those callbacks pass through.
 */
#include "families/fork.h"
#include "families/libevent/once.h"

static struct lock once_lock;
static struct once *all;

/* Lock held. */
static void list_add(struct once *once)
{
    once->prev = NULL;
    once->next = all;
    if (all)
        all->prev = once;
    all = once;
}

static void list_remove(struct once *once)
{
    if (once->prev)
        once->prev->next = once->next;
    else
        all = once->next;
    if (once->next)
        once->next->prev = once->prev;
}

struct once *once_new(void *function, void *data, const void *owner)
{
    struct once *once = slab_new();

    if (!once)
        return NULL;
    *once = (struct once){function, data, context_capture(FAMILY_LIBEVENT), owner, NULL, NULL};
    if (!once->context) {
        slab_free(once);
        return NULL;
    }
    lock_take(&once_lock);
    list_add(once);
    lock_drop(&once_lock);
    return once;
}

struct once once_take(struct once *once)
{
    struct once taken;

    lock_take(&once_lock);
    list_remove(once);
    lock_drop(&once_lock);
    taken = *once;
    slab_free(once);
    return taken;
}

void once_rollback(struct once *once)
{
    context_rollback(FAMILY_LIBEVENT, once_take(once).context);
}

void once_move_all(const void *from, const void *to)
{
    lock_take(&once_lock);
    for (struct once *once = all; once; once = once->next)
        if (once->owner == from)
            once->owner = to;
    lock_drop(&once_lock);
}

/* The owner is gone. */
static void once_drop_all(const void *owner)
{
    struct once *once, *next, *dropped = NULL;

    if (!all) /* it may be long: only if it is not empty */
        return;
    lock_take(&once_lock);
    for (once = all; once; once = next) {
        next = once->next;
        if (once->owner == owner) {
            list_remove(once);
            once->next = dropped;
            dropped = once;
        }
    }
    lock_drop(&once_lock);
    for (; dropped; dropped = next) {
        next = dropped->next;
        context_release(dropped->context);
        slab_free(dropped);
    }
}

static GUARDED void run_once(int fd, short what, void *arg)
{
    GUARDED_FRAME();
    struct once once = once_take(arg);

    SCOPE_RUN(once.context, FRAME_OWNED, ((event_callback *)once.function)(fd, what, once.data));
}

int hook_event_base_once(struct event_base *base, int fd, short events, event_callback *callback,
                         void *arg, const struct timeval *timeout)
{
    struct once *once = NULL;
    int error;

    if (callback && !libevent_is_reentrant((void *)REAL(event_base_once), (void *)callback))
        once = once_new((void *)callback, arg, base);
    if (!once)
        return REAL(event_base_once)(base, fd, events, callback, arg, timeout);
    error = REAL(event_base_once)(base, fd, events, run_once, once, timeout);
    if (error)
        once_rollback(once);
    return error;
}

/* With threads the base is no longer in use when it is freed. NULL is the current one; it has nothing of ours. */
void hook_event_base_free(struct event_base *base)
{
    REAL(event_base_free)(base);
    if (base)
        once_drop_all(base);
}

void hook_event_base_free_nofinalize(struct event_base *base)
{
    REAL(event_base_free_nofinalize)(base);
    if (base)
        once_drop_all(base);
}

void libevent_once_fork_lock(void)
{
    lock_take_for_fork(&once_lock);
}

void libevent_once_fork_unlock(void)
{
    lock_drop_after_fork(&once_lock);
}
