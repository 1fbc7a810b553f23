/*
 * OpenLDAP: the thread pool that slapd runs its operations on.
 *
 * A task waits in a list (pending.h) until it runs, is retracted by its cookie or by a walk through
 * the pool, or is left when the pool is closed without running what is pending. A walk names the
 * program's start function and is given its arguments, not ours. Submitting that fails has not
 * queued. Source: OpenLDAP 2.5, libraries/libldap/tpool.c; destroy calls close by our name.
 *
 * In 2.4 (libldap_r) a task has no cookie: it is taken back by its function and its data, which ours would hide. Its pools
 * are left alone.
 */
#include "families/pending.h"

#include <stdatomic.h>

#include "interpose/next.h"

typedef void *start_function(void *context, void *arg);
typedef int walk_function(start_function *start, void *start_arg, void *arg);
typedef struct ldap_int_thread_pool_s *pool_handle;

static GUARDED void *run_task(void *thread_context, void *arg)
{
    GUARDED_FRAME();
    struct pending_task task = pending_take(arg);
    void *result;

    SCOPE_RUN(task.context, FRAME_OWNED,
              result = ((start_function *)task.function)(thread_context, task.data));
    return result;
}

/* Asked once: there are no two of these in a process. */
static bool has_cookies(const void *caller)
{
    static atomic_int known; /* 1: it has; 2: it has not */
    int answer = atomic_load_explicit(&known, memory_order_relaxed);

    if (unlikely(!answer)) {
        answer = next_find_for("ldap_pvt_thread_pool_submit2", caller) ? 1 : 2;
        atomic_store_explicit(&known, answer, memory_order_relaxed);
    }
    if (unlikely(answer != 1))
        context_count_bare(FAMILY_LDAP, BARE_LAYOUT);
    return answer == 1;
}

int hook_ldap_pvt_thread_pool_submit(pool_handle *pool, start_function *start, void *arg)
{
    struct pending_task *task = NULL;
    int error;

    if (pool && start && has_cookies(__builtin_return_address(0)))
        task = pending_new(FAMILY_LDAP, (void *)start, arg, *pool, NULL);
    if (!task)
        return REAL(ldap_pvt_thread_pool_submit)(pool, start, arg);
    error = REAL(ldap_pvt_thread_pool_submit)(pool, run_task, task);
    pending_pushed(FAMILY_LDAP, task, NULL, error != 0);
    return error;
}

/* The library's own submit may come here, with a task that has been captured. */
int hook_ldap_pvt_thread_pool_submit2(pool_handle *pool, start_function *start, void *arg,
                                      void **cookie)
{
    struct pending_task *task = NULL;
    void *own_cookie = NULL, **place = cookie ? cookie : &own_cookie;
    int error;

    if (pool && start && start != run_task)
        task = pending_new(FAMILY_LDAP, (void *)start, arg, *pool, NULL);
    if (!task)
        return REAL(ldap_pvt_thread_pool_submit2)(pool, start, arg, cookie);
    error = REAL(ldap_pvt_thread_pool_submit2)(pool, run_task, task, place);
    /* The task may have run and changed it; then nobody looks for it any more. */
    pending_pushed(FAMILY_LDAP, task, *place, error != 0);
    return error;
}

/* What is behind the cookie is 2.4's, whose pool the first is. */
int hook_ldap_pvt_thread_pool_retract(void *cookie, start_function *start, void *arg)
{
    unsigned cancel = cookie ? pending_cancel_begin(NULL, cookie) : 0;
    int result = REAL(ldap_pvt_thread_pool_retract)(cookie, start, arg);

    if (cookie && result > 0)
        pending_cancel_end(cancel);
    return result;
}

/* ---- walking ---- */

struct walk {
    start_function *start;
    walk_function *visit;
    void *arg;
};

static int visit_task(start_function *ours, void *arg, void *walking)
{
    const struct walk *walk = walking;
    struct pending_task *task = arg;
    int is_retracted;

    if (task->function != (void *)walk->start)
        return 0;
    is_retracted = walk->visit(walk->start, task->data, walk->arg);
    if (is_retracted)
        context_release(pending_take(task).context);
    return is_retracted;
}

/* Ours first, then tasks that run bare under their own name. */
int hook_ldap_pvt_thread_pool_walk(pool_handle *pool, start_function *start, walk_function *visit,
                                   void *arg)
{
    struct walk walk = {start, visit, arg};
    int error = start && visit ? REAL(ldap_pvt_thread_pool_walk)(pool, run_task, visit_task, &walk)
                               : 0;

    return error ? error : REAL(ldap_pvt_thread_pool_walk)(pool, start, visit, arg);
}

int hook_ldap_pvt_thread_pool_close(pool_handle *pool, int runs_pending)
{
    unsigned cancel = pool && *pool ? pending_cancel_begin(*pool, NULL) : 0;
    int error = REAL(ldap_pvt_thread_pool_close)(pool, runs_pending);

    if (cancel && error == 0)
        pending_cancel_end(cancel);
    return error;
}
