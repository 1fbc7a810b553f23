/*
 * libuv: timers. As all handles (handle.c), with ways of their own for what a program does all the time: a timer that
 * fires once and is started again has its registration and its callback from before, and only the context is new.
 *
 * Source of the behaviour: libuv 1.44.2. Before a timer's callback libuv stops it and calls uv_timer_again, by names
 * that are ours: such calls go on by a jump. uv_timer_start fails for a handle that is being closed and without a
 * callback. A program may change a timer's interval at any time (uv_timer_set_repeat), so whether it fires again is
 * asked when it fires.
 */
#include "context/fast.h"
#include "families/libuv/handle.h"
#include "interpose/next.h"

typedef void timer_callback(struct uv_timer_s *timer);

static unsigned long interval_of(struct uv_timer_s *timer, const void *caller)
{
    return NEXT(unsigned long (*)(const struct uv_timer_s *), "uv_timer_get_repeat", caller)(timer);
}

/* The head of a timer of the versions whose words are ours (uv.h); the prototypes test compares it with uv.h. */
struct uv_timer {
    struct uv_handle handle;
    void *closing;
    unsigned flags;
    void *callback, *heap[3];
    uint64_t timeout, interval;
};
_Static_assert(sizeof(void *) != 8 || offsetof(struct uv_timer, interval) == 136,
               "as uv_timer_t has it");

/* ---- firing ---- */

static GUARDED void run_timer_any(struct uv_timer_s *timer, const void *caller)
{
    GUARDED_REGISTRATION_FRAME();
    struct registration *registration = uv_registration_of(timer);
    timer_callback *callback = (timer_callback *)registration->function;

    if (interval_of(timer, caller))
        REGISTRATION_RUN(registration, callback(timer));
    else
        REGISTRATION_RUN_ONCE(registration, callback(timer));
}

/* The context is taken along, as REGISTRATION_RUN_ONCE does it. */
static GUARDED void run_timer(struct uv_timer_s *timer)
{
    GUARDED_FRAME();
    const void *caller = __builtin_return_address(0);
    struct uv_timer *words = (struct uv_timer *)(void *)timer;
    struct registration *registration;
    struct context *context;
    struct thread *thread;

    if (unlikely(atomic_load_explicit(&uv_words, memory_order_relaxed) != UV_WORDS_FREE ||
                 words->interval)) {
        run_timer_any(timer, caller);
        return;
    }
    registration = words->handle.reserved[WORD_REPEAT];
    context = registration->context;
    thread = thread_self;
    if (unlikely(!context || registration->running || context_may_be_old ||
                 !thread_is_plain(thread))) {
        run_timer_any(timer, caller);
        return;
    }
    registration->context = NULL;
    SCOPE_RUN_PLAIN(thread, context, FRAME_OWNED,
                    ((timer_callback *)registration->function)(timer));
}

/* ---- starting and stopping ---- */

static APART int start_any(struct uv_timer_s *timer, timer_callback *callback,
                           unsigned long timeout, unsigned long interval, const void *caller)
{
    START_BY(caller, uv_timer_start, timer, callback, NULL, run_timer, interval == 0, false,
             REAL_FOR(uv_timer_start, caller)(timer, callback, timeout, interval),
             REAL_FOR(uv_timer_start, caller)(timer, run_timer, timeout, interval));
}

static APART int not_started(struct registration *registration, int error)
{
    struct context *context = registration->context;

    registration->context = NULL;
    context_rollback(FAMILY_UV_HANDLE, context);
    return error;
}

/* The registration of a timer that has fired, once, with this callback; NULL: it is none. */
static inline struct registration *fired(struct uv_timer_s *timer, timer_callback *callback)
{
    struct uv_handle *handle = (struct uv_handle *)(void *)timer;
    struct registration *registration;

    if (unlikely((uintptr_t)handle->reserved[WORD_CHECK] !=
                 ((uintptr_t)handle ^ (uintptr_t)UV_CHECK)))
        return NULL;
    registration = handle->reserved[WORD_REPEAT];
    if (likely(registration->function == (void *)callback && !registration->context &&
               registration->flags == REGISTRATION_ONCE))
        return registration;
    return NULL;
}

int hook_uv_timer_start(struct uv_timer_s *timer, timer_callback *callback, unsigned long timeout,
                        unsigned long interval)
{
    const void *caller = __builtin_return_address(0);
    REAL_TYPE(uv_timer_start) real = REAL_KNOWN(uv_timer_start);
    struct registration *registration;
    struct thread *thread;

    if (likely(timer && !interval && uv_is_quick((const void *)real, caller)) &&
        (registration = fired(timer, callback)) && thread_is_plain(thread = thread_self)) {
        struct context *context = context_take_bought(thread, FAMILY_UV_HANDLE);

        if (likely(context)) {
            int error;

            registration->context = context;
            error = real(timer, run_timer, timeout, 0);
            return likely(!error) ? 0 : not_started(registration, error);
        }
    }
    return start_any(timer, callback, timeout, interval, caller);
}

static APART int stop_any(struct uv_timer_s *timer, const void *caller)
{
    STOP_BY(caller, uv_timer_stop, timer);
}

int hook_uv_timer_stop(struct uv_timer_s *timer)
{
    const void *caller = __builtin_return_address(0);
    REAL_TYPE(uv_timer_stop) real = REAL_KNOWN(uv_timer_stop);

    if (likely(real && uv_is_code(caller)))
        return real(timer);
    return stop_any(timer, caller);
}

/* A program that calls it starts the timer anew. */
static APART int again_any(struct uv_timer_s *timer, const void *caller)
{
    REAL_TYPE(uv_timer_again) real = REAL_FOR(uv_timer_again, caller);
    bool is_reentrant = caller_is_reentrant(&uv_place, (void *)real, caller);
    struct registration *registration = timer && !is_reentrant ? uv_registration_of(timer) : NULL;
    struct context *context = NULL;
    uint8_t flags;
    int error;

    if (!registration || !interval_of(timer, caller))
        return real(timer);
    context = registration_capture(FAMILY_UV_HANDLE, false, &flags);
    error = real(timer);
    if (!error)
        registration_arm(registration, context, flags);
    else if (context)
        context_rollback(FAMILY_UV_HANDLE, context);
    return error;
}

int hook_uv_timer_again(struct uv_timer_s *timer)
{
    const void *caller = __builtin_return_address(0);
    REAL_TYPE(uv_timer_again) real = REAL_KNOWN(uv_timer_again);

    if (likely(real && uv_is_code(caller)))
        return real(timer);
    return again_any(timer, caller);
}
