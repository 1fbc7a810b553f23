/* Callbacks of the C library's SIGEV_THREAD: timers, asynchronous I/O, name look-ups, queues. */
#ifndef BATON_HANDOFFS_NOTICE_H
#define BATON_HANDOFFS_NOTICE_H

#include <signal.h>

#include "base/map.h"
#include "handoffs/handoff.h"

struct aiocb;

/*
 * What the C library gets as the callback's value. A notification may be under way in a new thread
 * when the program ends it (timer_delete, mq_notify (NULL)), and nothing tells when it has arrived:
 * so a notice that is given up lets its context go at once but keeps the callback, and is not used
 * again for a while.
 */
struct notice {
    void (*function)(union sigval);
    union sigval value;
    bool repeats;
    bool is_retired;
    struct context *context; /* one reference, under the lock of notice.c */
    struct aiocb *request;   /* where to put the program's callback back, or NULL */
    struct map *table;       /* it is in there under `key`, or NULL */
    const void *key;
    struct notice *next;
    unsigned retired_s;
};

/* NULL: run bare (counted), or there is nothing to carry: event is not SIGEV_THREAD. */
struct notice *notice_new(enum family family, const struct sigevent *event, bool repeats);
/* Our callback and value in place of the program's. */
void notice_place(struct notice *notice, struct sigevent *event);
bool notice_is_placed(const struct notice *notice, const struct sigevent *event);
/* It was not handed over after all. */
void notice_rollback(enum family family, struct notice *notice);
/* There will be no more notifications, but for one that is under way. May be said again soon after. */
void notice_retire(struct notice *notice);

#endif
