/* Starting and stopping libuv's handles: for the bodies of those functions (handle.c, timer.c). */
#ifndef BATON_FAMILIES_LIBUV_HANDLE_H
#define BATON_FAMILIES_LIBUV_HANDLE_H

#include "families/libuv/uv.h"

struct uv_start {
    struct registration *registration;
    struct context *context;
    uint8_t flags;
    bool is_new;
};

/* Captures for a start. False: let the handle have the program's callback. */
bool uv_start_begin(struct uv_start *start, void *handle, bool is_once, const void *caller);
/* The real start has answered. */
int uv_start_end(struct uv_start *start, void *handle, int error, void *function, void *more);
/* The handle has a callback that we know nothing of, or none. */
void uv_stopped(void *handle);

/*
 * START: the real call with the trampoline in place of the callback. is_idle: the call would do nothing.
 * When there is nothing to carry the handle has the program's callback, so what it had is let go.
 */
#define START_BY(caller, name, handle, callback, more, trampoline, is_once, is_idle, REAL_CALL, \
                 WRAPPED_CALL)                                                                  \
    do {                                                                                        \
        struct uv_start start;                                                                  \
        int error;                                                                              \
                                                                                                \
        if (!UV_IS_OURS(handle, callback, trampoline, name, caller) || (is_idle))               \
            return REAL_CALL;                                                                   \
        if (!uv_start_begin(&start, handle, is_once, caller)) {                                 \
            error = REAL_CALL;                                                                  \
            if (!error)                                                                         \
                uv_stopped(handle);                                                             \
            return error;                                                                       \
        }                                                                                       \
        error = WRAPPED_CALL;                                                                   \
        return uv_start_end(&start, handle, error, (void *)(callback), (void *)(more));         \
    } while (0)
#define START(...)                                        \
    do {                                                  \
        const void *caller = __builtin_return_address(0); \
                                                          \
        START_BY(caller, __VA_ARGS__);                    \
    } while (0)

#define STOP_BY(caller, name, handle)                                     \
    do {                                                                  \
        REAL_TYPE(name) real = REAL_FOR(name, caller);                    \
        int error;                                                        \
                                                                          \
        if (caller_is_reentrant(&uv_place, (const void *)(real), caller)) \
            return real(handle);                                          \
        error = real(handle);                                             \
        if ((handle) && !error)                                           \
            uv_stopped(handle);                                           \
        return error;                                                     \
    } while (0)
#define STOP(name, kind)                                  \
    int hook_##name(struct kind *handle)                  \
    {                                                     \
        const void *caller = __builtin_return_address(0); \
                                                          \
        STOP_BY(caller, name, handle);                    \
    }

#endif
