/*
 * libuv: handles. Their callbacks run in the context of the call that started them (rule A9), again and
 * again; those of one-shot timers, signals and processes once.
 *
 * A handle has one registration from its first start to its close, in its reserved words or in a table
 * (uv.h). The words are not cleared by libuv's init functions: we do that, and a third word
 * says whether they are ours.
 *
 * Source of the behaviour: libuv 1.44.2. A start that fails changes nothing; uv_idle_start and its
 * like, and uv_fs_poll_start, do nothing when the handle is active, and say 0. Before a timer's
 * callback libuv stops it and calls uv_timer_again. After uv_close no callback comes but the close
 * callback (close.c), and one more of a datagram handle that its alloc or receive callback has closed. A handle belongs to its loop's thread (but for async.c).
 */
#include "interpose/next.h"
#include "families/libuv/handle.h"

#define EACH(...) __VA_ARGS__

/* ---- starting and stopping ---- */

bool uv_start_begin(struct uv_start *start, void *handle, bool is_once, const void *caller)
{
    start->context = registration_capture(FAMILY_UV_HANDLE, is_once, &start->flags);
    if (unlikely(!start->context) && !(start->flags & REGISTRATION_BARE))
        return false;
    uv_has_words(caller); /* finds out, before registration_of looks */
    start->registration = uv_registration_of(handle);
    start->is_new = !start->registration;
    if (start->is_new) {
        start->registration = registration_new(FAMILY_UV_HANDLE, NULL, NULL);
        if (!start->registration || !uv_registration_set(handle, start->registration, caller)) {
            if (start->registration)
                slab_free(start->registration);
            if (start->context)
                context_rollback(FAMILY_UV_HANDLE, start->context);
            context_count_bare(FAMILY_UV_HANDLE, BARE_MEMORY);
            return false;
        }
    }
    return true;
}

int uv_start_end(struct uv_start *start, void *handle, int error, void *function, void *more)
{
    if (likely(!error)) {
        start->registration->function = function;
        start->registration->more = more;
        if (more)
            start->registration->flags |= UV_READS;
        registration_arm(start->registration, start->context, start->flags);
        return 0;
    }
    if (start->context)
        context_rollback(FAMILY_UV_HANDLE, start->context);
    if (start->is_new) {
        uv_registration_clear(handle);
        registration_end(start->registration);
    }
    return error;
}

void uv_stopped(void *handle)
{
    struct registration *registration = uv_registration_of(handle);

    if (registration)
        registration_disarm(registration);
}

static bool is_active(void *handle, const void *caller)
{
    return NEXT(int (*)(const void *), "uv_is_active", caller)(handle) != 0;
}

STOP(uv_poll_stop, uv_poll_s)
STOP(uv_idle_stop, uv_idle_s)
STOP(uv_prepare_stop, uv_prepare_s)
STOP(uv_check_stop, uv_check_s)
STOP(uv_signal_stop, uv_signal_s)
STOP(uv_read_stop, uv_stream_s)
STOP(uv_udp_recv_stop, uv_udp_s)
STOP(uv_fs_event_stop, uv_fs_event_s)
STOP(uv_fs_poll_stop, uv_fs_poll_s)

/* ---- making ----
 * Only so that the words are known to hold nothing of ours: the memory may be any. */

static void made(void *handle, const void *caller)
{
    if (!handle)
        return;
    uv_has_words(caller);
    uv_registration_clear(handle);
}

#define INIT(name, kind, params, args)                                       \
    int hook_##name(struct uv_loop_s *loop, struct kind *handle EACH params) \
    {                                                                        \
        made(handle, __builtin_return_address(0));                           \
        return REAL(name)(loop, handle EACH args);                           \
    }

INIT(uv_timer_init, uv_timer_s, (), ())
INIT(uv_idle_init, uv_idle_s, (), ())
INIT(uv_prepare_init, uv_prepare_s, (), ())
INIT(uv_check_init, uv_check_s, (), ())
INIT(uv_signal_init, uv_signal_s, (), ())
INIT(uv_fs_event_init, uv_fs_event_s, (), ())
INIT(uv_fs_poll_init, uv_fs_poll_s, (), ())
INIT(uv_poll_init, uv_poll_s, (, int fd), (, fd))
INIT(uv_poll_init_socket, uv_poll_s, (, int fd), (, fd))
INIT(uv_tcp_init, uv_tcp_s, (), ())
INIT(uv_tcp_init_ex, uv_tcp_s, (, unsigned flags), (, flags))
INIT(uv_udp_init, uv_udp_s, (), ())
INIT(uv_udp_init_ex, uv_udp_s, (, unsigned flags), (, flags))
INIT(uv_pipe_init, uv_pipe_s, (, int is_ipc), (, is_ipc))
INIT(uv_tty_init, uv_tty_s, (, int fd, int unused), (, fd, unused))

/* ---- one argument: idle, prepare, check ---- */

static GUARDED void run_plain(void *handle)
{
    GUARDED_REGISTRATION_FRAME();
    struct registration *registration = uv_registration_of(handle);
    void (*callback)(void *) = (void (*)(void *))registration->function;

    REGISTRATION_RUN(registration, callback(handle));
}

#define PLAIN(name, kind)                                                                \
    int hook_##name(struct kind *handle, void (*callback)(struct kind *))                \
    {                                                                                    \
        START(name, handle, callback, NULL, run_plain, false, is_active(handle, caller), \
              REAL(name)(handle, callback),                                              \
              REAL(name)(handle, (void (*)(struct kind *))(void *)run_plain));           \
    }

PLAIN(uv_idle_start, uv_idle_s)
PLAIN(uv_prepare_start, uv_prepare_s)
PLAIN(uv_check_start, uv_check_s)

/* ---- poll, signal, listen ---- */

typedef void poll_callback(struct uv_poll_s *poll, int status, int events);

static GUARDED void run_poll(struct uv_poll_s *poll, int status, int events)
{
    GUARDED_REGISTRATION_FRAME();
    struct registration *registration = uv_registration_of(poll);
    poll_callback *callback = (poll_callback *)registration->function;

    REGISTRATION_RUN(registration, callback(poll, status, events));
}

int hook_uv_poll_start(struct uv_poll_s *poll, int events, poll_callback *callback)
{
    START(uv_poll_start, poll, callback, NULL, run_poll, false, false,
          REAL(uv_poll_start)(poll, events, callback), REAL(uv_poll_start)(poll, events, run_poll));
}

typedef void signal_callback(struct uv_signal_s *signal, int number);

static GUARDED void run_signal(struct uv_signal_s *signal, int number)
{
    GUARDED_REGISTRATION_FRAME();
    struct registration *registration = uv_registration_of(signal);
    signal_callback *callback = (signal_callback *)registration->function;

    if (registration->flags & REGISTRATION_ONCE)
        REGISTRATION_RUN_ONCE(registration, callback(signal, number));
    else
        REGISTRATION_RUN(registration, callback(signal, number));
}

int hook_uv_signal_start(struct uv_signal_s *signal, signal_callback *callback, int number)
{
    START(uv_signal_start, signal, callback, NULL, run_signal, false, false,
          REAL(uv_signal_start)(signal, callback, number),
          REAL(uv_signal_start)(signal, run_signal, number));
}

int hook_uv_signal_start_oneshot(struct uv_signal_s *signal, signal_callback *callback, int number)
{
    START(uv_signal_start_oneshot, signal, callback, NULL, run_signal, true, false,
          REAL(uv_signal_start_oneshot)(signal, callback, number),
          REAL(uv_signal_start_oneshot)(signal, run_signal, number));
}

typedef void connection_callback(struct uv_stream_s *server, int status);

static GUARDED void run_connection(struct uv_stream_s *server, int status)
{
    GUARDED_REGISTRATION_FRAME();
    struct registration *registration = uv_registration_of(server);
    connection_callback *callback = (connection_callback *)registration->function;

    REGISTRATION_RUN(registration, callback(server, status));
}

int hook_uv_listen(struct uv_stream_s *server, int backlog, connection_callback *callback)
{
    START(uv_listen, server, callback, NULL, run_connection, false, false,
          REAL(uv_listen)(server, backlog, callback),
          REAL(uv_listen)(server, backlog, run_connection));
}

/* ---- reading: two callbacks, one context ---- */

typedef void alloc_callback(struct uv_handle_s *handle, unsigned long size,
                            struct uv_buf_t *buffer);
typedef void read_callback(struct uv_stream_s *stream, long count, const struct uv_buf_t *buffer);
typedef void recv_callback(struct uv_udp_s *udp, long count, const struct uv_buf_t *buffer,
                           const struct sockaddr *address, unsigned flags);

static GUARDED void run_alloc(struct uv_handle_s *handle, unsigned long size,
                              struct uv_buf_t *buffer)
{
    GUARDED_REGISTRATION_FRAME();
    struct registration *registration = uv_registration_of(handle);
    alloc_callback *callback = (alloc_callback *)registration->more;

    REGISTRATION_RUN(registration, callback(handle, size, buffer));
}

static GUARDED void run_read(struct uv_stream_s *stream, long count, const struct uv_buf_t *buffer)
{
    GUARDED_REGISTRATION_FRAME();
    struct registration *registration = uv_registration_of(stream);
    read_callback *callback = (read_callback *)registration->function;

    REGISTRATION_RUN(registration, callback(stream, count, buffer));
}

int hook_uv_read_start(struct uv_stream_s *stream, alloc_callback *alloc, read_callback *callback)
{
    START(uv_read_start, stream, alloc ? callback : NULL, alloc, run_read, false, false,
          REAL(uv_read_start)(stream, alloc, callback),
          REAL(uv_read_start)(stream, run_alloc, run_read));
}

static GUARDED void run_recv(struct uv_udp_s *udp, long count, const struct uv_buf_t *buffer,
                             const struct sockaddr *address, unsigned flags)
{
    GUARDED_REGISTRATION_FRAME();
    struct registration *registration = uv_registration_of(udp);
    recv_callback *callback = (recv_callback *)registration->function;

    REGISTRATION_RUN(registration, callback(udp, count, buffer, address, flags));
}

int hook_uv_udp_recv_start(struct uv_udp_s *udp, alloc_callback *alloc, recv_callback *callback)
{
    START(uv_udp_recv_start, udp, alloc ? callback : NULL, alloc, run_recv, false, false,
          REAL(uv_udp_recv_start)(udp, alloc, callback),
          REAL(uv_udp_recv_start)(udp, run_alloc, run_recv));
}

/* ---- watching files ---- */

typedef void fs_event_callback(struct uv_fs_event_s *event, const char *name, int events,
                               int status);
typedef void fs_poll_callback(struct uv_fs_poll_s *poll, int status, const void *before,
                              const void *after);

static GUARDED void run_fs_event(struct uv_fs_event_s *event, const char *name, int events,
                                 int status)
{
    GUARDED_REGISTRATION_FRAME();
    struct registration *registration = uv_registration_of(event);
    fs_event_callback *callback = (fs_event_callback *)registration->function;

    REGISTRATION_RUN(registration, callback(event, name, events, status));
}

int hook_uv_fs_event_start(struct uv_fs_event_s *event, fs_event_callback *callback,
                           const char *path, unsigned flags)
{
    START(uv_fs_event_start, event, callback, NULL, run_fs_event, false, false,
          REAL(uv_fs_event_start)(event, callback, path, flags),
          REAL(uv_fs_event_start)(event, run_fs_event, path, flags));
}

static GUARDED void run_fs_poll(struct uv_fs_poll_s *poll, int status, const void *before,
                                const void *after)
{
    GUARDED_REGISTRATION_FRAME();
    struct registration *registration = uv_registration_of(poll);
    fs_poll_callback *callback = (fs_poll_callback *)registration->function;

    REGISTRATION_RUN(registration, callback(poll, status, before, after));
}

typedef void fs_poll_row(struct uv_fs_poll_s *, int, const struct uv_stat_t *,
                         const struct uv_stat_t *);

int hook_uv_fs_poll_start(struct uv_fs_poll_s *poll, fs_poll_row *callback, const char *path,
                          unsigned interval)
{
    START(uv_fs_poll_start, poll, callback, NULL, run_fs_poll, false, is_active(poll, caller),
          REAL(uv_fs_poll_start)(poll, callback, path, interval),
          REAL(uv_fs_poll_start)(poll, (fs_poll_row *)(void *)run_fs_poll, path, interval));
}

/* ---- processes ---- */

typedef void exit_callback(struct uv_process_s *process, long status, int signal);

/* Of libuv 1 (1.40 to 1.50 compared); the callback comes first. */
struct uv_process_options_s {
    exit_callback *exit;
    const char *file;
    char **args, **env;
    const char *cwd;
    unsigned flags;
    int stdio_count;
    void *stdio;
    unsigned uid, gid;
};

static GUARDED void run_exit(struct uv_process_s *process, long status, int signal)
{
    GUARDED_REGISTRATION_FRAME();
    struct registration *registration = uv_registration_of(process);
    exit_callback *callback = (exit_callback *)registration->function;

    REGISTRATION_RUN_ONCE(registration, callback(process, status, signal));
}

/* The options of another libuv than 1 may be longer than our copy. */
int hook_uv_spawn(struct uv_loop_s *loop, struct uv_process_s *process,
                  const struct uv_process_options_s *options)
{
    struct uv_process_options_s copy;

    if (!options || !options->exit)
        return REAL(uv_spawn)(loop, process, options);
    if (!uv_has_words(__builtin_return_address(0)) && !atomic_load(&uv_is_one)) {
        context_count_bare(FAMILY_UV_HANDLE, BARE_ERROR);
        return REAL(uv_spawn)(loop, process, options);
    }
    made(process, __builtin_return_address(0));
    copy = *options;
    copy.exit = run_exit;
    START(uv_spawn, process, options->exit, NULL, run_exit, true, false,
          REAL(uv_spawn)(loop, process, options), REAL(uv_spawn)(loop, process, &copy));
}
