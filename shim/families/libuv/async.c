/*
 * libuv: uv_async_t. Its callback runs in the context of who sent; of several sends that become one
 * callback, the last.
 *
 * uv_async_send may be called by any thread and by signal handlers: it takes no lock and frees nothing
 * unless it can tell that it is in none. The context waits in the repeat's word for one; sender
 * and callback exchange it atomically.
 */
#include <signal.h>

#include "base/sys.h"
#include "families/libuv/uv.h"

typedef void async_callback(struct uv_async_s *async);

static GUARDED void run_async(struct uv_async_s *async)
{
    GUARDED_FRAME();
    struct registration *registration = uv_registration_of(async);
    async_callback *callback = (async_callback *)registration->function;
    struct context *context = __atomic_exchange_n(&registration->context, NULL, __ATOMIC_ACQ_REL);

    if (!context) {
        callback(async);
        return;
    }
    SCOPE_RUN(context, FRAME_OWNED, callback(async));
}

int hook_uv_async_init(struct uv_loop_s *loop, struct uv_async_s *async, async_callback *callback)
{
    const void *caller = __builtin_return_address(0);
    struct registration *registration;
    int error;

    if (!UV_IS_OURS(async, callback, run_async, uv_async_init) ||
        !(registration = registration_new(FAMILY_UV_HANDLE, (void *)callback, NULL)))
        return REAL(uv_async_init)(loop, async, callback);
    if (!uv_registration_set(async, registration, caller)) {
        slab_free(registration);
        return REAL(uv_async_init)(loop, async, callback);
    }
    hooks_wake(HOOK_uv_async_send);
    error = REAL(uv_async_init)(loop, async, run_async);
    if (error) {
        uv_registration_clear(async);
        registration_end(registration);
    }
    return error;
}

/* A signal handler runs with its own signal blocked (but for SA_NODEFER). */
static bool may_be_in_handler(void)
{
    uint64_t blocked = 0;

    return SYS_CALL(rt_sigprocmask, SIG_BLOCK, NULL, &blocked, sizeof blocked) < 0 || blocked;
}

/*
 * From a signal handler only what costs one atomic operation is done: a cached context is referenced, and kept if nobody
 * else has sent meanwhile.
 */
static void send_context(struct registration *registration)
{
    struct context *context = context_capture_signal(FAMILY_UV_HANDLE);
    struct context *old = NULL;

    if (!context) {
        if (may_be_in_handler()) {
            context_count_bare_signal(FAMILY_UV_HANDLE);
            return;
        }
        context = context_capture(FAMILY_UV_HANDLE);
        if (!context)
            return;
        old = __atomic_exchange_n(&registration->context, context, __ATOMIC_ACQ_REL);
    } else if (!__atomic_compare_exchange_n(&registration->context, &old, context, false,
                                            __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        if (old == context || may_be_in_handler()) {
            context_unref_signal(context); /* its thread has it as well: not the last */
            return;
        }
        old = __atomic_exchange_n(&registration->context, context, __ATOMIC_ACQ_REL);
    }
    if (old)
        context_release(old);
}

int hook_uv_async_send(struct uv_async_s *async)
{
    if (likely(async) &&
        !caller_is_reentrant(&uv_place, (void *)REAL(uv_async_send), __builtin_return_address(0))) {
        struct registration *registration = uv_registration_of(async);

        if (likely(registration))
            send_context(registration);
    }
    return REAL(uv_async_send)(async);
}
