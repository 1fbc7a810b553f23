/*
 * nng: asynchronous operations and threads. The callback of an aio runs in the context of the last operation
 * that was started on it, in one of nng's own threads.
 *
 * An aio gets our callback with a task of ours as its argument; the operation finds the task by the aio's
 * address and leaves its context there before nng knows of it, because the callback may run before the call
 * returns. An aio has one operation under way at a time. nng starts operations on aios of its own through the
 * same functions: those are not in the map and pass through.
 *
 * Source of the behaviour: nng 1.5.2. Every operation calls back once, also when it fails, is cancelled or
 * times out; only on an aio that has been stopped none begins. nng_aio_free returns after the last callback.
 * nng_aio_reap frees some time later: its task is let go when nng_aio_alloc answers that address again.
 */
#include "base/map.h"
#include "families/handoff.h"
#include "interpose/inherit.h"
#include "interpose/reentry.h"

typedef void aio_callback(void *arg);

/* By value in nng's calls. */
struct nng_socket_s {
    uint32_t id;
};
struct nng_ctx_s {
    uint32_t id;
};

struct task {
    aio_callback *callback;
    void *data;
    struct context *_Atomic context; /* of the operation under way; one reference */
};

static struct library_place nng_place;
static struct map tasks; /* by the address of their aio */

static void task_free(struct task *task)
{
    struct context *context = atomic_exchange(&task->context, NULL);

    if (context)
        context_release(context);
    mem_free(task, sizeof *task);
}

static GUARDED void run_aio(void *arg)
{
    GUARDED_FRAME();
    struct task *task = arg;
    aio_callback *callback =
        task->callback; /* which may start the next operation, or give the aio back */
    void *data = task->data;
    struct context *context = atomic_exchange(&task->context, NULL);

    if (!context) {
        callback(data);
        return;
    }
    SCOPE_RUN(context, FRAME_OWNED, callback(data));
}

int hook_nng_aio_alloc(struct nng_aio **aio, aio_callback *callback, void *data)
{
    const void *caller = __builtin_return_address(0);
    struct task *task = NULL;
    void *reaped = NULL;
    int error;

    if (callback && !caller_is_reentrant(&nng_place, (void *)REAL(nng_aio_alloc), caller))
        task = mem_alloc(sizeof *task);
    if (!task)
        return REAL(nng_aio_alloc)(aio, callback, data);
    task->callback = callback;
    task->data = data;
    error = REAL(nng_aio_alloc)(aio, run_aio, task);
    if (error)
        mem_free(task, sizeof *task);
    else if (map_put(&tasks, *aio, task, &reaped) && reaped)
        task_free(reaped);
    return error;
}

void hook_nng_aio_free(struct nng_aio *aio)
{
    struct task *task = aio ? map_take(&tasks, aio) : NULL;

    REAL(nng_aio_free)(aio);
    if (task)
        task_free(task);
}

/* An operation of the program's begins on the aio. */
static void begin(const void *real, struct nng_aio *aio, const void *caller)
{
    struct task *task;
    struct context *old;

    if (!aio || caller_is_reentrant(&nng_place, real, caller) || !(task = map_find(&tasks, aio)))
        return;
    old = atomic_exchange(&task->context, context_capture(FAMILY_NNG));
    if (old)
        context_release(old); /* of an operation that never began, on a stopped aio */
}

#define OPERATION(name, params, args)                                      \
    void hook_##name params                                                \
    {                                                                      \
        begin((const void *)REAL(name), aio, __builtin_return_address(0)); \
        REAL(name) args;                                                   \
    }

OPERATION(nng_sleep_aio, (int duration, struct nng_aio *aio), (duration, aio))
OPERATION(nng_send_aio, (struct nng_socket_s socket, struct nng_aio *aio), (socket, aio))
OPERATION(nng_recv_aio, (struct nng_socket_s socket, struct nng_aio *aio), (socket, aio))
OPERATION(nng_ctx_send, (struct nng_ctx_s ctx, struct nng_aio *aio), (ctx, aio))
OPERATION(nng_ctx_recv, (struct nng_ctx_s ctx, struct nng_aio *aio), (ctx, aio))
OPERATION(nng_stream_send, (struct nng_stream * stream, struct nng_aio *aio), (stream, aio))
OPERATION(nng_stream_recv, (struct nng_stream * stream, struct nng_aio *aio), (stream, aio))
OPERATION(nng_stream_dialer_dial, (struct nng_stream_dialer * dialer, struct nng_aio *aio),
          (dialer, aio))
OPERATION(nng_stream_listener_accept, (struct nng_stream_listener * listener, struct nng_aio *aio),
          (listener, aio))

#define HTTP(name) OPERATION(name, (struct nng_http_conn * conn, struct nng_aio * aio), (conn, aio))
#define HTTP_OF(name, what) \
    OPERATION(name, (struct nng_http_conn * conn, what, struct nng_aio * aio), (conn, message, aio))

HTTP(nng_http_conn_read)
HTTP(nng_http_conn_read_all)
HTTP(nng_http_conn_write)
HTTP(nng_http_conn_write_all)
HTTP_OF(nng_http_conn_read_req, struct nng_http_req *message)
HTTP_OF(nng_http_conn_read_res, struct nng_http_res *message)
HTTP_OF(nng_http_conn_write_req, struct nng_http_req *message)
HTTP_OF(nng_http_conn_write_res, struct nng_http_res *message)
OPERATION(nng_http_client_connect, (struct nng_http_client * client, struct nng_aio *aio),
          (client, aio))
OPERATION(nng_http_conn_transact,
          (struct nng_http_conn * conn, struct nng_http_req *request, struct nng_http_res *answer,
           struct nng_aio *aio),
          (conn, request, answer, aio))
OPERATION(nng_http_client_transact,
          (struct nng_http_client * client, struct nng_http_req *request,
           struct nng_http_res *answer, struct nng_aio *aio),
          (client, request, answer, aio))

/* An operation of the program's own making, which it finishes by nng_aio_finish. */
bool hook_nng_aio_begin(struct nng_aio *aio)
{
    const void *caller = __builtin_return_address(0);
    bool has_begun = REAL(nng_aio_begin)(aio);

    if (has_begun)
        begin((const void *)REAL(nng_aio_begin), aio, caller);
    return has_begun;
}

/* ---- threads ---- */

static GUARDED void run_thread(void *arg)
{
    GUARDED_FRAME();
    struct thread *self = arg;

    START_RUN(self, ((aio_callback *)self->start.function)(self->start.data));
}

int hook_nng_thread_create(struct nng_thread **thread, void (*function)(void *), void *data)
{
    struct thread *started = NULL;
    int error;

    if (function && creator_inherits(__builtin_return_address(0)))
        started = start_capture(FAMILY_NNG, (void *)function, data);
    if (!started)
        return REAL(nng_thread_create)(thread, function, data);
    error = REAL(nng_thread_create)(thread, run_thread, started);
    return error ? start_rollback(FAMILY_NNG, started, error) : 0;
}
