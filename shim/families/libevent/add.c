/*
 * libevent: an event is added, activated or deleted.
 *
 * The quick ways know where an event has its callback and argument. libevent adds, activates and
 * deletes events of its own by these functions; they are not ours.
 *
 * Source of the behaviour: libevent 2.1.12. A non-persistent event is removed before its callback.
 */
#include "context/fast.h"
#include "families/libevent/libevent.h"

/* The head of struct event in 2.1.8 to 2.1.13 (event_struct.h; compared by the prototypes test). */
struct event_head {
    void *links[2];
    short flags;
    unsigned char priority, closure;
    event_callback *callback;
    void *arg;
};

static __attribute__((noinline)) int add_slow(struct event *event, const struct timeval *timeout,
                                              const void *caller)
{
    struct registration *registration = event ? libevent_registration_of(event, caller) : NULL;
    struct context *context;
    uint8_t flags;
    int error;

    if (!registration)
        return REAL_FOR(event_add, caller)(event, timeout);
    context =
        registration_capture(FAMILY_LIBEVENT, !(registration->number & EVENT_PERSIST), &flags);
    libevent_adding(registration, EVENT_ADDING);
    libevent_arm(registration, context, flags); /* before: another thread may run it at once */
    error = REAL_FOR(event_add, caller)(event, timeout);
    if (error && context) {
        context_rollback(FAMILY_LIBEVENT, context_ref(context));
        libevent_disarm(registration);
    }
    libevent_adding(registration, -EVENT_ADDING);
    return error;
}

static inline struct registration *quick_registration(const struct event *event)
{
    const struct event_head *head = (const struct event_head *)(const void *)event;

    if (unlikely(!libevent_is_quick || head->callback != libevent_run))
        return NULL;
    if (!head->arg)
        __builtin_unreachable();
    return head->arg;
}

int hook_event_add(struct event *event, const struct timeval *timeout)
{
    struct registration *registration = event ? quick_registration(event) : NULL;
    struct context *context;
    int error;

    if (unlikely(!registration || registration->context || registration->running ||
                 registration->number & EVENT_PERSIST || !REAL_KNOWN(event_add) ||
                 !(context = context_try_capture(FAMILY_LIBEVENT))))
        return add_slow(event, timeout, __builtin_return_address(0));
    registration->context = context;
    error = REAL_KNOWN(event_add)(event, timeout);
    if (unlikely(error)) {
        context_rollback(FAMILY_LIBEVENT, context_ref(context));
        libevent_disarm(registration);
    }
    return error;
}

static __attribute__((noinline)) void active_slow(struct event *event, int result, short calls,
                                                  const void *caller)
{
    struct registration *registration = libevent_registration_of(event, caller);
    struct context *context;

    if (!registration || !(context = context_capture(FAMILY_LIBEVENT))) {
        REAL_FOR(event_active, caller)(event, result, calls);
        return;
    }
    libevent_adding(registration, EVENT_ADDING);
    libevent_activate(registration, context);
    REAL_FOR(event_active, caller)(event, result, calls);
    libevent_adding(registration, -EVENT_ADDING);
}

void hook_event_active(struct event *event, int result, short calls)
{
    struct registration *registration = quick_registration(event);
    struct context *context;

    if (unlikely(!registration || registration->more || !REAL_KNOWN(event_active) ||
                 !(context = context_try_capture(FAMILY_LIBEVENT)))) {
        active_slow(event, result, calls, __builtin_return_address(0));
        return;
    }
    registration->more = context;
    REAL_KNOWN(event_active)(event, result, calls);
}

#define DEL(name)                                                                        \
    int hook_##name(struct event *event)                                                 \
    {                                                                                    \
        struct registration *registration = NULL;                                        \
        int error;                                                                       \
                                                                                         \
        if (likely(event))                                                               \
            registration = libevent_registration_of(event, __builtin_return_address(0)); \
        error = REAL(name)(event);                                                       \
        if (registration)                                                                \
            libevent_disarm(registration);                                               \
        return error;                                                                    \
    }

DEL(event_del)
DEL(event_del_noblock)
DEL(event_del_block)
