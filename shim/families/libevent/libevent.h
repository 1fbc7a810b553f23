/*
 * libevent: what its files share.
 *
 *     event.c      making, freeing and asking an event
 *     add.c        adding, activating and deleting it: the quick ways
 *     run.c        its callback, and the life of its registration
 *     once.c       callbacks without an object: event_base_once, and look-ups of evdns
 *     owned.c      callbacks of objects that libevent frees without a word
 *     bufferevent.c, filter.c, evbuffer.c, http.c,
 *     request.c, dns.c
 *
 * libevent calls its own functions through the procedure linkage table; its own callbacks stay its own.
 */
#ifndef BATON_FAMILIES_LIBEVENT_LIBEVENT_H
#define BATON_FAMILIES_LIBEVENT_LIBEVENT_H

#include "base/lock.h"
#include "interpose/reentry.h"
#include "interpose/next.h"
#include "families/registration.h"

#define HIDDEN __attribute__((visibility("hidden")))

/* Whether code or callback at `address` is libevent's; `real` is a function of the same library. */
HIDDEN bool libevent_is_reentrant(const void *real, const void *address);
#define IS_REENTRANT(name) libevent_is_reentrant((void *)REAL(name), __builtin_return_address(0))

/* ---- events ---- */

typedef void event_callback(int fd, short what, void *arg);

/* In registration.number: the event's kind, and above it how many calls that make it pending are under way. */
enum { EVENT_PERSIST = 0x10, EVENT_ADDING = 0x10000 };

extern _Atomic bool libevent_is_threaded HIDDEN;
/* The quick ways hold: no threads, and struct event is laid out as we know it. */
extern _Atomic unsigned libevent_is_quick HIDDEN;
extern struct lock libevent_lock HIDDEN;

static inline bool libevent_lock_if_threaded(void)
{
    if (likely(!atomic_load_explicit(&libevent_is_threaded, memory_order_relaxed)))
        return false;
    lock_take(&libevent_lock);
    return true;
}

static inline void libevent_unlock(bool is_locked)
{
    if (unlikely(is_locked))
        lock_drop(&libevent_lock);
}

/* What an event gets instead of the program's callback, with its registration as argument. */
HIDDEN void libevent_run(int fd, short what, void *arg);
HIDDEN void libevent_run_threaded(int fd, short what, void *arg);

static inline bool libevent_is_ours(event_callback *callback)
{
    return callback == libevent_run || callback == libevent_run_threaded;
}

/* NULL: the event has a callback of somebody else. */
static inline struct registration *libevent_registration_of(const struct event *event,
                                                            const void *caller)
{
    void *(*get_arg)(const struct event *) =
        NEXT(void *(*)(const struct event *), "event_get_callback_arg", caller);

    if (unlikely(!get_arg) || !libevent_is_ours(NEXT(event_callback * (*)(const struct event *),
                                                     "event_get_callback", caller)(event)))
        return NULL;
    return get_arg(event);
}

/* Around a call that makes the event pending or active: its callback may free it before that returns. */
HIDDEN void libevent_adding(struct registration *registration, int change);
/* Gives the registration a context, or none. */
HIDDEN void libevent_arm(struct registration *registration, struct context *context, uint8_t flags);
/* The context of an event_active, for the next run only. */
HIDDEN void libevent_activate(struct registration *registration, struct context *context);
HIDDEN void libevent_disarm(struct registration *registration);
/* Its event is gone. */
HIDDEN void libevent_end(struct registration *registration);

#endif
