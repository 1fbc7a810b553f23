/*
 * libuv: closing handles. The close callback runs in the context of uv_close.
 *
 * What the handle had is let go at uv_close, because no other callback comes any more, with one
 * exception: a datagram handle may be closed from its own alloc or receive callback, and libuv then
 * calls the other one once more (1.44.2: ENOBUFS of uv__udp_recvmsg, the end of recvmmsg).
 * So the registration of a handle that reads lives, with its context, until the handle is closed: the close
 * callback is ours, also where the program has none.
 */
#include "base/map.h"
#include "families/libuv/uv.h"

static struct map closings;

typedef void close_callback(struct uv_handle_s *handle);

/* What the handle had is no more. */
static void let_go(struct uv_handle *handle, struct registration *registration)
{
    uv_registration_clear(handle);
    if (registration->flags & UV_IS_ASYNC)
        uv_async_end(registration);
    registration_end(registration);
}

/* Takes out what `begin_close` has put down. */
static struct uv_carried take_closing(struct uv_handle *handle)
{
    struct uv_carried *closing, carried;

    if (likely(atomic_load_explicit(&uv_words, memory_order_relaxed) == UV_WORDS_FREE))
        return (struct uv_carried){handle->reserved[WORD_CLOSE], NULL,
                                   handle->reserved[WORD_CLOSE_CONTEXT]};
    closing = map_take(&closings, handle);
    carried = *closing;
    slab_free(closing);
    return carried;
}

static GUARDED void run_close(struct uv_handle_s *closed)
{
    GUARDED_FRAME();
    struct uv_handle *handle = (struct uv_handle *)(void *)closed;
    struct uv_carried carried = take_closing(handle);
    close_callback *callback = (close_callback *)carried.function;
    struct registration *registration = uv_registration_of(handle);

    if (registration)
        let_go(handle, registration);
    if (carried.context)
        SCOPE_RUN(carried.context, FRAME_OWNED, callback(closed));
    else if (callback)
        callback(closed);
}

static bool put_closing(struct uv_handle *handle, struct uv_carried carried, const void *caller)
{
    struct uv_carried *closing;

    if (uv_has_words(caller)) {
        handle->reserved[WORD_CLOSE] = carried.function;
        handle->reserved[WORD_CLOSE_CONTEXT] = carried.context;
        return true;
    }
    closing = slab_new();
    if (!closing)
        return false;
    *closing = carried;
    if (map_put(&closings, handle, closing, NULL))
        return true;
    slab_free(closing);
    return false;
}

/*
 * What the handle shall call when it is closed: ours, if a context could be taken along or a registration
 * must outlive uv_close.
 */
static close_callback *begin_close(struct uv_handle_s *closed, close_callback *callback,
                                   const void *caller)
{
    struct uv_handle *handle = (struct uv_handle *)(void *)closed;
    struct registration *registration;
    struct context *context = callback ? context_capture(FAMILY_UV_HANDLE) : NULL;

    uv_has_words(caller); /* finds out, before registration_of looks */
    registration = uv_registration_of(handle);
    if (!context && !(registration && registration->flags & UV_READS))
        return callback;
    if (put_closing(handle, (struct uv_carried){(void *)callback, NULL, context}, caller))
        return run_close;
    if (context)
        context_rollback(FAMILY_UV_HANDLE, context);
    context_count_bare(FAMILY_UV_HANDLE, BARE_MEMORY);
    return callback;
}

/* No callback comes any more but the close callback, and of a handle that reads one more. */
static void closed_for_good(struct uv_handle_s *closed)
{
    struct uv_handle *handle = (struct uv_handle *)(void *)closed;
    struct registration *registration = uv_registration_of(handle);

    if (registration && !(registration->flags & UV_READS))
        let_go(handle, registration);
}

void hook_uv_close(struct uv_handle_s *handle, close_callback *callback)
{
    const void *caller = __builtin_return_address(0);

    if (callback == run_close || !handle ||
        caller_is_reentrant(&uv_place, (void *)REAL(uv_close), caller)) {
        REAL(uv_close)(handle, callback);
        return;
    }
    callback = begin_close(handle, callback, caller);
    REAL(uv_close)(handle, callback);
    closed_for_good(handle);
}

int hook_uv_tcp_close_reset(struct uv_tcp_s *tcp, close_callback *callback)
{
    struct uv_handle_s *handle = (struct uv_handle_s *)(void *)tcp;
    close_callback *ours = begin_close(handle, callback, __builtin_return_address(0));
    int error = REAL(uv_tcp_close_reset)(tcp, ours);

    if (!error) {
        closed_for_good(handle);
    } else if (ours == run_close) {
        struct context *context = take_closing((struct uv_handle *)(void *)tcp).context;

        if (context)
            context_rollback(FAMILY_UV_HANDLE, context);
    }
    return error;
}
