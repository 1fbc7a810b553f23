/*
 * timer_create and mq_notify with SIGEV_THREAD, getaddrinfo_a: the C library copies the sigevent, so
 * it gets a copy with our callback.
 *
 * A timer's callback repeats (rule A9); its context goes with timer_delete. The identifier is a
 * pointer that glibc uses again, so the notice is taken out of the table before the real deletion.
 * A queue's notification comes once, or is taken back by mq_notify (NULL), mq_close.
 */
#include <mqueue.h>
#include <netdb.h>
#include <time.h>

#include "base/map.h"
#include "handoffs/notice.h"

static struct map timers, queues;

int hook_timer_create(clockid_t clock, struct sigevent *event, timer_t *timer)
{
    struct notice *notice = notice_new(FAMILY_TIMER, event, true), *old = NULL;
    struct sigevent copy;
    int result;

    if (!notice)
        return REAL(timer_create)(clock, event, timer);
    copy = *event;
    notice_place(notice, &copy);
    result = REAL(timer_create)(clock, &copy, timer);
    if (result != 0) {
        notice_rollback(FAMILY_TIMER, notice);
        return result;
    }
    map_put(&timers, *timer, notice, (void **)&old);
    if (old) /* deleted behind our back */
        notice_retire(old);
    return result;
}

int hook_timer_delete(timer_t timer)
{
    struct notice *notice = map_take(&timers, timer);
    int result = REAL(timer_delete)(timer);

    if (notice && result == 0)
        notice_retire(notice);
    else if (notice)
        map_put(&timers, timer, notice, NULL);
    return result;
}

/* ---- name look-ups ---- */

/* The callback comes also for an empty list; it does not come only when there is no memory. */
int hook_getaddrinfo_a(int mode, struct gaicb **list, int count, struct sigevent *event)
{
    struct notice *notice = mode == GAI_NOWAIT ? notice_new(FAMILY_GAI, event, false) : NULL;
    struct sigevent copy;

    if (!notice)
        return REAL(getaddrinfo_a)(mode, list, count, event);
    copy = *event;
    notice_place(notice, &copy);
    return REAL(getaddrinfo_a)(mode, list, count, &copy);
}

/* ---- message queues ---- */

static const void *queue_key(mqd_t queue)
{
    return (const void *)((uintptr_t)queue + 1);
}

static void queue_forget(mqd_t queue)
{
    struct notice *notice = map_take(&queues, queue_key(queue));

    if (notice)
        notice_retire(notice);
}

int hook_mq_notify(mqd_t queue, const struct sigevent *event)
{
    struct notice *notice = notice_new(FAMILY_MQ, event, false), *old = NULL;
    struct sigevent copy;
    int result;

    if (!notice) {
        result = REAL(mq_notify)(queue, event);
        if (result == 0)
            queue_forget(queue);
        return result;
    }
    copy = *event;
    notice_place(notice, &copy);
    notice->table = &queues;
    notice->key = queue_key(queue);
    map_put(&queues, notice->key, notice, (void **)&old);
    result = REAL(mq_notify)(queue, &copy);
    if (result == 0) { /* then nobody else was registered, or is any more */
        if (old)
            notice_retire(old);
        return result;
    }
    if (old)
        map_put(&queues, notice->key, old, NULL);
    else
        map_take(&queues, notice->key);
    notice_rollback(FAMILY_MQ, notice);
    return result;
}

int hook_mq_close(mqd_t queue)
{
    queue_forget(queue);
    return REAL(mq_close)(queue);
}
