/*
 * libuv: uv_async_t. Its callback runs in the context of the sender; of several sends that become one
 * callback, the last.
 *
 * The context of the last send waits in the registration's `more`, what a signal handler has replaced in its
 * `context` (sent.h). uv_async_send may be called by any thread and by signal handlers.
 */
#include "context/handler.h"
#include "families/libuv/sent.h"
#include "families/libuv/uv.h"

typedef void async_callback(struct uv_async_s *async);

static GUARDED void run_async(struct uv_async_s *async)
{
    GUARDED_FRAME();
    struct registration *registration = uv_registration_of(async);
    async_callback *callback = (async_callback *)registration->function;
    struct context *context = sent_take(&registration->more, &registration->context);

    if (!context) {
        callback(async);
        return;
    }
    SCOPE_RUN(context, FRAME_OWNED, callback(async));
}

void uv_async_end(struct registration *registration)
{
    sent_end(&registration->more, &registration->context);
}

int hook_uv_async_init(struct uv_loop_s *loop, struct uv_async_s *async, async_callback *callback)
{
    const void *caller = __builtin_return_address(0);
    struct registration *registration;
    int error;

    if (!UV_IS_OURS(async, callback, run_async, uv_async_init, __builtin_return_address(0)) ||
        !(registration = registration_new(FAMILY_UV_HANDLE, (void *)callback, NULL)))
        return REAL(uv_async_init)(loop, async, callback);
    if (!uv_registration_set(async, registration, caller)) {
        slab_free(registration);
        return REAL(uv_async_init)(loop, async, callback);
    }
    registration->flags |= UV_IS_ASYNC;
    hooks_wake(HOOK_uv_async_send);
    error = REAL(uv_async_init)(loop, async, run_async);
    if (error) {
        uv_registration_clear(async);
        registration_end(registration);
    }
    return error;
}

static void send_from_handler(struct registration *registration)
{
    struct context *context = context_capture_signal(FAMILY_UV_HANDLE);

    if (context && sent_put_by_handler(&registration->more, &registration->context, context))
        return;
    if (context)
        context_unref_signal(context); /* its thread has it as well: not the last */
    sent_put_none(&registration->more);
    context_count_bare_signal(FAMILY_UV_HANDLE);
}

static void send_context(struct registration *registration)
{
    struct context *context;

    if (unlikely(handler_is_running())) {
        send_from_handler(registration);
        return;
    }
    context = context_capture(FAMILY_UV_HANDLE);
    if (likely(context))
        sent_put(&registration->more, context);
    else
        sent_put_none(&registration->more);
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
