/*
 * libevent: event_base_once, and event_once, which goes on to it by a jump.
 *
 * The callback comes at most once; event_base_free drops what has not come without a word (2.1.12), so
 * what is under way is kept in a list, to be found by its base. libevent uses the function for
 * itself (event_base_loopexit): those callbacks pass through.
 */
#include "base/lock.h"
#include "handoffs/handoff.h"
#include "handoffs/inside.h"
#include "context/cell.h"

typedef void event_callback(int fd, short what, void *arg);

struct once {
    event_callback *callback;
    void *arg;
    struct context *context;
    struct event_base *base;
    struct once *next, *prev;
};
_Static_assert(sizeof(struct once) <= CELL_SIZE, "a once is a cell");

static struct library_place event_place;
static struct lock once_lock;
static struct once *all;

static void list_add(struct once *once)
{
    lock_take(&once_lock);
    once->prev = NULL;
    once->next = all;
    if (all)
        all->prev = once;
    all = once;
    lock_drop(&once_lock);
}

/* Lock held. */
static void list_remove(struct once *once)
{
    if (once->prev)
        once->prev->next = once->next;
    else
        all = once->next;
    if (once->next)
        once->next->prev = once->prev;
}

static struct once take(struct once *once)
{
    struct once taken;

    lock_take(&once_lock);
    list_remove(once);
    lock_drop(&once_lock);
    taken = *once;
    cell_free(once);
    return taken;
}

static GUARDED void run_once(int fd, short what, void *arg)
{
    GUARDED_FRAME();
    struct once once = take(arg);

    SCOPE_RUN(once.context, MARK_OWNED, once.callback(fd, what, once.arg));
}

int hook_event_base_once(struct event_base *base, int fd, short events, event_callback *callback,
                         void *arg, const struct timeval *timeout)
{
    struct once *once;
    int error;

    if (!callback ||
        caller_is_inside(&event_place, (void *)REAL(event_base_once), (void *)callback))
        return REAL(event_base_once)(base, fd, events, callback, arg, timeout);
    once = cell_new();
    if (once && !(once->context = context_capture(FAMILY_LIBEVENT))) {
        cell_free(once);
        once = NULL;
    }
    if (!once)
        return REAL(event_base_once)(base, fd, events, callback, arg, timeout);
    once->callback = callback;
    once->arg = arg;
    once->base = base;
    list_add(once);
    error = REAL(event_base_once)(base, fd, events, run_once, once, timeout);
    if (error)
        context_rollback(FAMILY_LIBEVENT, take(once).context);
    return error;
}

/* With threads the base is no longer in use when it is freed. */
static void drop_all_of(struct event_base *base)
{
    struct once *once, *next, *dropped = NULL;

    lock_take(&once_lock);
    for (once = all; once; once = next) {
        next = once->next;
        if (once->base == base) {
            list_remove(once);
            once->next = dropped;
            dropped = once;
        }
    }
    lock_drop(&once_lock);
    for (; dropped; dropped = next) {
        next = dropped->next;
        context_release(dropped->context);
        cell_free(dropped);
    }
}

/* The list may be long: only if it is not empty. base NULL is the current one; it has nothing of ours. */
void hook_event_base_free(struct event_base *base)
{
    REAL(event_base_free)(base);
    if (base && all)
        drop_all_of(base);
}

void hook_event_base_free_nofinalize(struct event_base *base)
{
    REAL(event_base_free_nofinalize)(base);
    if (base && all)
        drop_all_of(base);
}
