/*
 * timer_create and mq_notify with SIGEV_THREAD, getaddrinfo_a: the C library copies the sigevent, so
 * it gets a copy with our callback.
 *
 * A timer's callback repeats (rule A9); its context goes with timer_delete, or with a run that is under way then. The identifier is a
 * pointer that glibc uses again, so the notification is taken out of the table before the real deletion.
 * A queue's notification comes once, or is taken back by mq_notify (NULL), mq_close.
 */
#include <mqueue.h>
#include <netdb.h>
#include <time.h>

#include "base/map.h"
#include "families/posix/notification.h"

static struct map timers, queues;

int hook_timer_create(clockid_t clock, struct sigevent *event, timer_t *timer)
{
    struct notification *notification = notification_new(FAMILY_TIMER, event, true), *old = NULL;
    struct sigevent copy;
    int result;

    if (!notification)
        return REAL(timer_create)(clock, event, timer);
    copy = *event;
    notification_place(notification, &copy);
    result = REAL(timer_create)(clock, &copy, timer);
    if (result != 0) {
        notification_rollback(FAMILY_TIMER, notification);
        return result;
    }
    map_put(&timers, *timer, notification, (void **)&old);
    if (old) /* deleted behind our back */
        notification_retire(old);
    return result;
}

static bool is_running(const struct itimerspec *timer)
{
    return timer->it_value.tv_sec || timer->it_value.tv_nsec;
}

int hook_timer_settime(timer_t timer, int flags, const struct itimerspec *value,
                       struct itimerspec *old)
{
    struct notification *notification = map_find(&timers, timer);
    struct itimerspec left = {0};
    int result;

    if (!notification || !value)
        return REAL(timer_settime)(timer, flags, value, old);
    if (is_running(value)) /* before: it may call back before the real function has come back */
        notification_arm(notification, true);
    result = REAL(timer_settime)(timer, flags, value, &left);
    if (result != 0 || (!is_running(value) && is_running(&left)))
        notification_arm(notification, false);
    if (result == 0 && old)
        *old = left;
    return result;
}

/* Stops it first, which tells. One that repeats never has: it may be between two of its calls. */
static bool has_expired(timer_t timer)
{
    const struct itimerspec none = {0};
    struct itimerspec left;

    return REAL(timer_settime)(timer, 0, &none, &left) == 0 && !is_running(&left);
}

int hook_timer_delete(timer_t timer)
{
    struct notification *notification = map_take(&timers, timer);
    bool is_expired = notification && has_expired(timer);
    int result = REAL(timer_delete)(timer);

    if (notification && result == 0 && is_expired)
        notification_retire_expired(notification);
    else if (notification && result == 0)
        notification_retire(notification);
    else if (notification)
        map_put(&timers, timer, notification, NULL);
    return result;
}

/* ---- name look-ups ---- */

/* The callback comes also for an empty list; it does not come only when there is no memory. */
int hook_getaddrinfo_a(int mode, struct gaicb **list, int count, struct sigevent *event)
{
    struct notification *notification =
        mode == GAI_NOWAIT ? notification_new(FAMILY_GAI, event, false) : NULL;
    struct sigevent copy;

    if (!notification)
        return REAL(getaddrinfo_a)(mode, list, count, event);
    copy = *event;
    notification_place(notification, &copy);
    return REAL(getaddrinfo_a)(mode, list, count, &copy);
}

/* ---- message queues ---- */

static const void *queue_key(mqd_t queue)
{
    return (const void *)((uintptr_t)queue + 1);
}

static void queue_forget(mqd_t queue)
{
    struct notification *notification = map_take(&queues, queue_key(queue));

    if (notification)
        notification_retire(notification);
}

int hook_mq_notify(mqd_t queue, const struct sigevent *event)
{
    struct notification *notification = notification_new(FAMILY_MQ, event, false), *old = NULL;
    struct sigevent copy;
    int result;

    if (!notification) {
        result = REAL(mq_notify)(queue, event);
        if (result == 0)
            queue_forget(queue);
        return result;
    }
    copy = *event;
    notification_place(notification, &copy);
    notification->table = &queues;
    notification->key = queue_key(queue);
    map_put(&queues, notification->key, notification, (void **)&old);
    result = REAL(mq_notify)(queue, &copy);
    if (result == 0) { /* then nobody else was registered, or is any more */
        if (old)
            notification_retire(old);
        return result;
    }
    if (old)
        map_put(&queues, notification->key, old, NULL);
    else
        map_take(&queues, notification->key);
    notification_rollback(FAMILY_MQ, notification);
    return result;
}

int hook_mq_close(mqd_t queue)
{
    queue_forget(queue);
    return REAL(mq_close)(queue);
}
