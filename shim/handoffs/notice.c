/*
 * Running and giving up notices. glibc calls each of them in a thread that it has just made.
 *
 * The program's aiocb has our callback while the request is under way. It is put back before the
 * program's callback runs; by then the program may have seen the request's end in another way and
 * given the memory back, so it is looked at through the kernel, which answers where we would fault.
 */
#include "handoffs/fork.h"
#include "handoffs/notice.h"

#include <aio.h>
#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "handoffs/repeat.h"

enum { QUARANTINE_S = 10 };

/* Guards the contexts of all notices and the quarantine: one, so that fork can take it. */
static struct lock notices_lock;
static struct notice *quarantine_first, **quarantine_last = &quarantine_first;

static unsigned now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (unsigned)now.tv_sec;
}

static struct notice *notice_take(void)
{
    struct notice *notice;

    lock_take(&notices_lock);
    notice = quarantine_first;
    if (notice && now_s() - notice->retired_s > QUARANTINE_S) {
        quarantine_first = notice->next;
        if (!quarantine_first)
            quarantine_last = &quarantine_first;
    } else {
        notice = NULL;
    }
    lock_drop(&notices_lock);
    return notice ? notice : mem_alloc(sizeof *notice);
}

static void count(uint64_t *of_thread)
{
    if (thread_self != &thread_unknown)
        ++*of_thread;
}

void notice_retire(struct notice *notice)
{
    struct context *context;
    bool was_retired;

    lock_take(&notices_lock);
    context = notice->context;
    notice->context = NULL;
    was_retired = notice->is_retired;
    notice->is_retired = true;
    if (!was_retired) {
        notice->next = NULL;
        notice->retired_s = now_s();
        *quarantine_last = notice;
        quarantine_last = &notice->next;
    }
    lock_drop(&notices_lock);
    if (was_retired)
        return;
    thread_enter();
    count(&thread_self->records_freed);
    if (context)
        context_release(context);
}

/* ---- running ---- */

static void put_back(struct notice *notice)
{
    struct aiocb now;
    struct iovec here = {&now, sizeof now}, there = {notice->request, sizeof now};
    int saved_errno = errno;

    if (process_vm_readv(getpid(), &here, 1, &there, 1, 0) == sizeof now &&
        notice_is_placed(notice, &now.aio_sigevent)) {
        now.aio_sigevent.sigev_notify_function = notice->function;
        now.aio_sigevent.sigev_value = notice->value;
        here = (struct iovec){&now.aio_sigevent, sizeof now.aio_sigevent};
        there = (struct iovec){&notice->request->aio_sigevent, sizeof now.aio_sigevent};
        process_vm_writev(getpid(), &here, 1, &there, 1, 0);
    }
    errno = saved_errno;
}

static GUARDED void run_once(struct notice *notice)
{
    GUARDED_FRAME();
    void (*function)(union sigval) = notice->function;
    union sigval value = notice->value;
    struct context *context;

    if (notice->request)
        put_back(notice);
    lock_take(&notices_lock);
    context = notice->context;
    notice->context = NULL;
    lock_drop(&notices_lock);
    if (!context) { /* given up meanwhile */
        function(value);
        return;
    }
    if (notice->table && map_find(notice->table, notice->key) == notice)
        map_take(notice->table, notice->key);
    notice_retire(notice);
    SCOPE_RUN(context, MARK_OWNED, function(value));
}

/* Several threads may be in here for one timer: each starts from what the last one to end has left. */
static GUARDED void run_again(struct notice *notice)
{
    GUARDED_FRAME();
    void (*function)(union sigval) = notice->function;
    union sigval value = notice->value;
    struct context *context, *next, *old = NULL;

    lock_take(&notices_lock);
    context = notice->context;
    if (unlikely(!guard_is_clear()) && context && context != context_empty &&
        context_is_too_old(context)) {
        old = context;
        context = notice->context = context_empty;
    }
    if (context)
        context_ref(context);
    lock_drop(&notices_lock);
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
    lock_take(&notices_lock);
    if (notice->context == context && next != context) {
        notice->context = next;
        next = context;
    }
    lock_drop(&notices_lock);
    context_release(next);
}

static void run_notice(union sigval word)
{
    struct notice *notice = word.sival_ptr;

    if (notice->repeats)
        run_again(notice);
    else
        run_once(notice);
}

/* ---- making ---- */

struct notice *notice_new(enum family family, const struct sigevent *event, bool repeats)
{
    struct context *context;
    struct notice *notice;

    if (!event || event->sigev_notify != SIGEV_THREAD || !event->sigev_notify_function)
        return NULL;
    if (repeats && repeat_is_off) {
        context_count_bare(family, BARE_PERIODIC);
        return NULL;
    }
    context = context_capture(family);
    if (!context)
        return NULL;
    notice = notice_take();
    if (!notice) {
        context_rollback(family, context);
        context_count_bare(family, BARE_MEMORY);
        return NULL;
    }
    memset(notice, 0, sizeof *notice);
    notice->function = event->sigev_notify_function;
    notice->value = event->sigev_value;
    notice->repeats = repeats;
    notice->context = context;
    count(&thread_self->records_made);
    return notice;
}

void notice_place(struct notice *notice, struct sigevent *event)
{
    event->sigev_notify_function = run_notice;
    event->sigev_value.sival_ptr = notice;
}

bool notice_is_placed(const struct notice *notice, const struct sigevent *event)
{
    return event->sigev_notify == SIGEV_THREAD && event->sigev_notify_function == run_notice &&
           event->sigev_value.sival_ptr == notice;
}

void notice_rollback(enum family family, struct notice *notice)
{
    struct context *context = notice->context;

    notice->context = NULL;
    if (context)
        context_rollback(family, context);
    notice_retire(notice);
}

void notice_fork_lock(void)
{
    lock_take_for_fork(&notices_lock);
}

void notice_fork_unlock(void)
{
    lock_drop_after_fork(&notices_lock);
}
