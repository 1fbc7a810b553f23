/* Callbacks of the C library's SIGEV_THREAD: timers, asynchronous I/O, name look-ups, queues. */
#ifndef BATON_FAMILIES_POSIX_NOTIFICATION_H
#define BATON_FAMILIES_POSIX_NOTIFICATION_H

#include <signal.h>

#include "base/map.h"
#include "families/handoff.h"

struct aiocb;

/*
 * What the C library gets as the callback's value. A notification may be under way in a new thread
 * when the program ends it (timer_delete, mq_notify (NULL)), and nothing tells when it has arrived:
 * so a notification that is given up keeps the callback and is not used again for a while. Its context
 * goes at once, but for a timer that has expired and whose callback has not begun: that one's stays until then.
 */
struct notification {
    void (*function)(union sigval);
    union sigval value;
    bool registrations;
    bool is_retired;
    struct context *context; /* one reference, under the lock of notification.c */
    struct aiocb *request;   /* where to put the program's callback back, or NULL */
    struct map *table;       /* it is in there under `key`, or NULL */
    const void *key;
    struct notification *next;
    unsigned retired_s;
    bool is_armed; /* a timer: set, and has not called back since; under the lock */
    bool
        is_under_way; /* retired when it had expired and not called back: the coming run has the context */
};

/* NULL: run bare (counted), or there is nothing to carry: event is not SIGEV_THREAD. */
struct notification *notification_new(enum family family, const struct sigevent *event,
                                      bool registrations);
/* Our callback and value in place of the program's. */
void notification_place(struct notification *notification, struct sigevent *event);
bool notification_is_placed(const struct notification *notification, const struct sigevent *event);
/* It was not handed over after all. */
void notification_rollback(enum family family, struct notification *notification);
/* A timer was set, or stopped. */
void notification_arm(struct notification *notification, bool is_armed);
/* As notification_retire, for a timer that has expired: what it has been armed for and was not called for is
 * still to come. */
void notification_retire_expired(struct notification *notification);
/* Exit has begun: no run that is under way will begin. */
void notifications_stop(void);
/* There will be no more notifications, but for one that is under way. May be said again soon after. */
void notification_retire(struct notification *notification);

#endif
