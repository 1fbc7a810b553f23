/*
 * libuv: closing handles. The close callback runs in the context of uv_close; everything else that the
 * handle had is let go, because no other callback comes any more (libuv 1.44.2).
 */
#include "base/map.h"
#include "families/libuv/uv.h"

static struct map closings;

typedef void close_callback(struct uv_handle_s *handle);

static GUARDED void run_close(struct uv_handle_s *closed)
{
    GUARDED_FRAME();
    struct uv_handle *handle = (struct uv_handle *)(void *)closed;
    close_callback *callback;
    struct context *context;

    if (likely(atomic_load_explicit(&uv_words, memory_order_relaxed) == UV_WORDS_FREE)) {
        callback = (close_callback *)handle->reserved[WORD_CLOSE];
        context = handle->reserved[WORD_CLOSE_CONTEXT];
    } else {
        struct uv_carried *closing = map_take(&closings, handle);

        callback = (close_callback *)closing->function;
        context = closing->context;
        slab_free(closing);
    }
    SCOPE_RUN(context, FRAME_OWNED, callback(closed));
}

/* What the handle shall call when it is closed: ours, if a context could be taken along. */
static close_callback *closing(struct uv_handle_s *closed, close_callback *callback,
                               const void *caller)
{
    struct uv_handle *handle = (struct uv_handle *)(void *)closed;
    struct context *context;

    if (!callback || !(context = context_capture(FAMILY_UV_HANDLE)))
        return callback;
    if (uv_has_words(caller)) {
        handle->reserved[WORD_CLOSE] = (void *)callback;
        handle->reserved[WORD_CLOSE_CONTEXT] = context;
    } else {
        struct uv_carried *closing = slab_new();

        if (closing)
            *closing = (struct uv_carried){(void *)callback, NULL, context};
        if (!closing || !map_put(&closings, handle, closing, NULL)) {
            if (closing)
                slab_free(closing);
            context_rollback(FAMILY_UV_HANDLE, context);
            context_count_bare(FAMILY_UV_HANDLE, BARE_MEMORY);
            return callback;
        }
    }
    return run_close;
}

/* No callback comes any more but the close callback. */
static void closed_for_good(struct uv_handle_s *closed)
{
    struct uv_handle *handle = (struct uv_handle *)(void *)closed;
    struct registration *registration = uv_registration_of(handle);

    if (registration) {
        uv_registration_clear(handle);
        registration_end(registration);
    }
}

void hook_uv_close(struct uv_handle_s *handle, close_callback *callback)
{
    const void *caller = __builtin_return_address(0);

    if (callback == run_close || !handle ||
        caller_is_reentrant(&uv_place, (void *)REAL(uv_close), caller)) {
        REAL(uv_close)(handle, callback);
        return;
    }
    callback = closing(handle, callback, caller);
    REAL(uv_close)(handle, callback);
    closed_for_good(handle);
}

int hook_uv_tcp_close_reset(struct uv_tcp_s *tcp, close_callback *callback)
{
    struct uv_handle_s *handle = (struct uv_handle_s *)(void *)tcp;
    close_callback *ours = closing(handle, callback, __builtin_return_address(0));
    int error = REAL(uv_tcp_close_reset)(tcp, ours);

    if (!error) {
        closed_for_good(handle);
    } else if (ours == run_close) {
        if (atomic_load_explicit(&uv_words, memory_order_relaxed) == UV_WORDS_FREE) {
            context_rollback(FAMILY_UV_HANDLE,
                             ((struct uv_handle *)(void *)tcp)->reserved[WORD_CLOSE_CONTEXT]);
        } else {
            struct uv_carried *closing = map_take(&closings, tcp);

            context_rollback(FAMILY_UV_HANDLE, closing->context);
            slab_free(closing);
        }
    }
    return error;
}
