/*
 * Running and giving up notifications. glibc calls each of them in a thread that it has just made.
 *
 * The program's aiocb has our callback while the request is under way. It is put back before the
 * program's callback runs; by then the program may have seen the request's end in another way and
 * given the memory back, so the kernel is asked whether it is there, in a way that no sandbox forbids (not
 * process_vm_readv, which some answer by killing).
 */
#include "families/fork.h"
#include "families/posix/notification.h"

#include <aio.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/sandbox.h"
#include "context/unwind.h"
#include "families/registration.h"

enum { QUARANTINE_S = 10 };

/* Guards the contexts of all notifications and the quarantine: one, so that fork can take it. */
static struct lock notifications_lock;
static struct notification *quarantine_first, **quarantine_last = &quarantine_first;

/*
 * Those whose context waits for a run that is under way, the latest ones: glibc's own thread may find the
 * timer deleted, and then that run never comes. Under the lock.
 */
enum { KEPT_MAX = 64 };
static struct notification *kept[KEPT_MAX];
static unsigned kept_next;

/* The context of the one in that place; NULL: its run has begun, or there is none. */
static struct context *give_up_kept(unsigned place)
{
    struct notification *notification = kept[place];
    struct context *context = NULL;

    kept[place] = NULL;
    if (notification && notification->is_under_way) {
        context = notification->context;
        notification->context = NULL;
        notification->is_under_way = false;
    }
    return context;
}

static unsigned now_s(void)
{
    return (unsigned)clock_read(CLOCK_MONOTONIC_COARSE).tv_sec;
}

static struct notification *notification_take(void)
{
    struct notification *notification;

    lock_take(&notifications_lock);
    notification = quarantine_first;
    if (notification && now_s() - notification->retired_s > QUARANTINE_S) {
        quarantine_first = notification->next;
        if (!quarantine_first)
            quarantine_last = &quarantine_first;
    } else {
        notification = NULL;
    }
    lock_drop(&notifications_lock);
    if (notification && notification->context) /* the run that it was kept for never came */
        context_release(notification->context);
    return notification ? notification : mem_alloc(sizeof *notification);
}

static void count(uint64_t *of_thread)
{
    if (thread_self != &thread_unknown)
        ++*of_thread;
}

void notification_arm(struct notification *notification, bool is_armed)
{
    lock_take(&notifications_lock);
    notification->is_armed = is_armed;
    lock_drop(&notifications_lock);
}

void notification_retire_expired(struct notification *notification)
{
    struct context *given_up = NULL;

    lock_take(&notifications_lock);
    notification->is_under_way = notification->is_armed && notification->context;
    if (notification->is_under_way) {
        given_up = give_up_kept(kept_next % KEPT_MAX);
        kept[kept_next++ % KEPT_MAX] = notification;
    }
    lock_drop(&notifications_lock);
    notification_retire(notification);
    if (given_up)
        context_release(given_up);
}

void notifications_stop(void)
{
    for (unsigned i = 0; i < KEPT_MAX; i++) {
        struct context *context;

        lock_take(&notifications_lock);
        context = give_up_kept(i);
        lock_drop(&notifications_lock);
        if (context)
            context_release(context);
    }
}

void notification_retire(struct notification *notification)
{
    struct context *context;
    bool was_retired;

    lock_take(&notifications_lock);
    context = notification->is_under_way ? NULL : notification->context;
    if (!notification->is_under_way)
        notification->context = NULL;
    was_retired = notification->is_retired;
    notification->is_retired = true;
    if (!was_retired) {
        notification->next = NULL;
        notification->retired_s = now_s();
        *quarantine_last = notification;
        quarantine_last = &notification->next;
    }
    lock_drop(&notifications_lock);
    if (was_retired)
        return;
    thread_enter();
    count(&thread_self->records.freed);
    if (context)
        context_release(context);
}

/* ---- running ---- */

static void put_back(const struct notification *notification)
{
    struct aiocb *request = notification->request;

    if (sandbox_is_readable(request, sizeof *request) &&
        notification_is_placed(notification, &request->aio_sigevent)) {
        request->aio_sigevent.sigev_notify_function = notification->function;
        request->aio_sigevent.sigev_value = notification->value;
    }
}

static GUARDED void run_once(struct notification *notification)
{
    GUARDED_FRAME();
    void (*function)(union sigval) = notification->function;
    union sigval value = notification->value;
    struct context *context;

    if (notification->request)
        put_back(notification);
    lock_take(&notifications_lock);
    context = notification->context;
    notification->context = NULL;
    lock_drop(&notifications_lock);
    if (!context) { /* given up meanwhile */
        function(value);
        return;
    }
    if (notification->table && map_find(notification->table, notification->key) == notification)
        map_take(notification->table, notification->key);
    notification_retire(notification);
    SCOPE_RUN(context, FRAME_OWNED, function(value));
}

personality_routine baton_notification_personality;

/* A run of run_again ends early: its own reference to what it has attached is let go. */
__attribute__((used, visibility("hidden"))) int
baton_notification_personality(int version, int actions, uint64_t exception_class,
                               struct _Unwind_Exception *exception,
                               struct _Unwind_Context *unwinding)
{
    if (actions & UNWIND_CLEANUP_PHASE) {
        struct context *context = unwind_leave(unwinding, __builtin_return_address(0), actions);

        if (context)
            context_release(context);
    }
    return UNWIND_CONTINUE;
}

ARCH_PERSONALITY(baton_notification_personality);

/* Several threads may be in here for one timer: each starts from what the last one to end has left. */
static GUARDED void run_again(struct notification *notification)
{
    GUARDED_FRAME_BY(baton_notification_personality);
    void (*function)(union sigval) = notification->function;
    union sigval value = notification->value;
    struct context *context, *next, *old = NULL;

    lock_take(&notifications_lock);
    context = notification->context;
    if (unlikely(context_may_be_old) && context && context != context_empty &&
        context_is_too_old(context)) {
        old = context;
        context = notification->context = context_empty;
    }
    notification->is_armed = false;
    if (context && notification->is_under_way) {
        notification->context = NULL; /* its last run takes over the reference */
        notification->is_under_way = false;
    } else if (context) {
        context_ref(context);
    }
    lock_drop(&notifications_lock);
    if (old) {
        context_count_bare(FAMILY_TIMER, BARE_LIMIT);
        context_release(old);
    }
    if (!context) {
        function(value);
        return;
    }
    next = context;
    SCOPE_RUN_KEEP(&next, function(value));
    lock_take(&notifications_lock);
    if (notification->context == context && next != context) {
        notification->context = next;
        next = context;
    }
    lock_drop(&notifications_lock);
    context_release(next);
}

static void run_notification(union sigval word)
{
    struct notification *notification = word.sival_ptr;

    if (notification->registrations)
        run_again(notification);
    else
        run_once(notification);
}

/* ---- making ---- */

struct notification *notification_new(enum family family, const struct sigevent *event,
                                      bool registrations)
{
    struct context *context;
    struct notification *notification;

    if (!event || event->sigev_notify != SIGEV_THREAD || !event->sigev_notify_function)
        return NULL;
    if (registrations && registration_is_off) {
        context_count_bare(family, BARE_PERIODIC);
        return NULL;
    }
    context = context_capture(family);
    if (!context)
        return NULL;
    notification = notification_take();
    if (!notification) {
        context_rollback(family, context);
        context_count_bare(family, BARE_MEMORY);
        return NULL;
    }
    memset(notification, 0, sizeof *notification);
    notification->function = event->sigev_notify_function;
    notification->value = event->sigev_value;
    if (notification->function == run_notification) {
        /* The program took the request's end from aio_error and submits it again, or a copy of it, before the
         * thread that puts its callback back has come that far. */
        const struct notification *earlier = event->sigev_value.sival_ptr;

        notification->function = earlier->function;
        notification->value = earlier->value;
    }
    notification->registrations = registrations;
    notification->context = context;
    count(&thread_self->records.made);
    return notification;
}

void notification_place(struct notification *notification, struct sigevent *event)
{
    event->sigev_notify_function = run_notification;
    event->sigev_value.sival_ptr = notification;
}

bool notification_is_placed(const struct notification *notification, const struct sigevent *event)
{
    return event->sigev_notify == SIGEV_THREAD &&
           event->sigev_notify_function == run_notification &&
           event->sigev_value.sival_ptr == notification;
}

void notification_rollback(enum family family, struct notification *notification)
{
    struct context *context = notification->context;

    notification->context = NULL;
    if (context)
        context_rollback(family, context);
    notification_retire(notification);
}

void notification_fork_lock(void)
{
    lock_take_for_fork(&notifications_lock);
}

void notification_fork_unlock(void)
{
    lock_drop_after_fork(&notifications_lock);
}
