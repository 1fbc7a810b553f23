/*
 * libuv: uv_async_t. Its callback runs in the context of the sender; of several sends that become one
 * callback, the last.
 *
 * The context of the last send waits in the registration's `more`. A send is two steps for the loop, the
 * exchange here and libuv's own: the callback of an earlier send may come between them, and takes
 * the newer context. So a context stays for the callback that its own send causes: the first callback
 * leaves a reference marked SENT_SEEN, the second takes it away; more cannot come of one send.
 *
 * uv_async_send may be called by any thread and by signal handlers. A handler does what atomic operations
 * can do: it references a cached context, and what it replaces waits in the registration's `context` to be
 * released by the callback; where that is not enough, SENT_BARE says that the last send has none.
 */
#include "context/handler.h"
#include "families/libuv/uv.h"

typedef void async_callback(struct uv_async_s *async);

/* In the low bits of the waiting context. */
enum { SENT_SEEN = 1, SENT_BARE = 2, SENT_FLAGS = 3 };

static inline struct context *sent_context(void *sent)
{
    return (struct context *)((uintptr_t)sent & ~(uintptr_t)SENT_FLAGS);
}

static inline void *sent_as(struct context *context, unsigned flags)
{
    return (void *)((uintptr_t)context | flags);
}

/* What a signal handler has replaced. */
static void release_replaced(struct registration *registration)
{
    struct context *replaced;

    if (likely(!__atomic_load_n(&registration->context, __ATOMIC_RELAXED)))
        return;
    replaced = __atomic_exchange_n(&registration->context, NULL, __ATOMIC_ACQ_REL);
    if (replaced)
        context_release(replaced);
}

/* The context for the callback that begins, one reference; NULL: none. */
static struct context *receive(struct registration *registration)
{
    void *sent = __atomic_exchange_n(&registration->more, NULL, __ATOMIC_ACQ_REL), *none = NULL;
    struct context *context = sent_context(sent);

    release_replaced(registration);
    if (!context)
        return NULL;
    if ((uintptr_t)sent & SENT_BARE) {
        context_release(context);
        return NULL;
    }
    if (!((uintptr_t)sent & SENT_SEEN)) {
        context_ref(context);
        if (!__atomic_compare_exchange_n(&registration->more, &none, sent_as(context, SENT_SEEN),
                                         false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            context_release(context); /* somebody has sent again */
    }
    return context;
}

static GUARDED void run_async(struct uv_async_s *async)
{
    GUARDED_FRAME();
    struct registration *registration = uv_registration_of(async);
    async_callback *callback = (async_callback *)registration->function;
    struct context *context = receive(registration);

    if (!context) {
        callback(async);
        return;
    }
    SCOPE_RUN(context, FRAME_OWNED, callback(async));
}

void uv_async_end(struct registration *registration)
{
    struct context *context =
        sent_context(__atomic_exchange_n(&registration->more, NULL, __ATOMIC_ACQ_REL));

    release_replaced(registration);
    if (context)
        context_release(context);
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
    struct context *context = context_capture_signal(FAMILY_UV_HANDLE), *none = NULL;
    void *sent = __atomic_load_n(&registration->more, __ATOMIC_ACQUIRE);

    if (!context || __atomic_load_n(&registration->context, __ATOMIC_ACQUIRE)) {
        if (context)
            context_unref_signal(context); /* its thread has it as well: not the last */
        __atomic_fetch_or((uintptr_t *)(void *)&registration->more, SENT_BARE, __ATOMIC_ACQ_REL);
        context_count_bare_signal(FAMILY_UV_HANDLE);
        return;
    }
    sent = __atomic_exchange_n(&registration->more, sent_as(context, 0), __ATOMIC_ACQ_REL);
    /* Taken by another handler's at this very moment: the one we cannot keep is lost, not freed twice. */
    if (sent_context(sent))
        __atomic_compare_exchange_n(&registration->context, &none, sent_context(sent), false,
                                    __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static void send_context(struct registration *registration)
{
    struct context *context, *old;

    if (unlikely(handler_is_running())) {
        send_from_handler(registration);
        return;
    }
    context = context_capture(FAMILY_UV_HANDLE);
    if (unlikely(!context)) {
        __atomic_fetch_or((uintptr_t *)(void *)&registration->more, SENT_BARE, __ATOMIC_ACQ_REL);
        return;
    }
    old = sent_context(
        __atomic_exchange_n(&registration->more, sent_as(context, 0), __ATOMIC_ACQ_REL));
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
