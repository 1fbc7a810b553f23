/*
 * libuv: requests. Their callbacks run once, in the loop, in the context of the submit.
 *
 * Source of the behaviour: libuv 1.44.2. A callback comes exactly once for a submit that answered 0,
 * also when cancelled or when its handle is closed; never for one that failed. No callback means
 * a synchronous call (or, for uv_write and its like, nobody to tell). libuv submits requests of its
 * own through the same functions: uv_fs_poll's stat, uv_write's uv_write2.
 */
#include "context/fast.h"
#include "families/libuv/uv.h"

#define IS_OURS(callback, request, name) \
    (likely((callback) && (request)) &&  \
     !caller_is_reentrant(&uv_place, (void *)REAL(name), __builtin_return_address(0)))
#define CAPTURE(request, callback)                                           \
    uv_request_capture(FAMILY_UV_REQUEST, request, (void *)(callback), NULL, \
                       __builtin_return_address(0))

#define EACH(...) __VA_ARGS__
#define WORDS_ARE_OURS() (atomic_load_explicit(&uv_words, memory_order_relaxed) == UV_WORDS_FREE)

/* ---- the file system ---- */

typedef void fs_callback(struct uv_fs_s *request);

static GUARDED void run_fs_any(struct uv_fs_s *request)
{
    GUARDED_FRAME();
    struct uv_carried carried = uv_request_take(request);

    SCOPE_RUN(carried.context, FRAME_OWNED, ((fs_callback *)carried.function)(request));
}

static GUARDED void run_fs(struct uv_fs_s *request)
{
    GUARDED_FRAME();
    struct uv_request *words = (struct uv_request *)request;
    struct thread *thread = thread_self;

    if (unlikely(!WORDS_ARE_OURS() || !thread_is_plain(thread))) {
        run_fs_any(request);
        return;
    }
    SCOPE_RUN_PLAIN(thread, words->reserved[WORD_CONTEXT], FRAME_OWNED,
                    ((fs_callback *)words->reserved[WORD_FUNCTION])(request));
}

#define FS(name, params, args)                                                    \
    int hook_##name(struct uv_loop_s *loop, struct uv_fs_s *request, EACH params, \
                    fs_callback *callback)                                        \
    {                                                                             \
        int error;                                                                \
                                                                                  \
        if (!IS_OURS(callback, request, name) || !CAPTURE(request, callback))     \
            return REAL(name)(loop, request, EACH args, callback);                \
        error = REAL(name)(loop, request, EACH args, run_fs);                     \
        if (unlikely(error))                                                      \
            uv_request_rollback(FAMILY_UV_REQUEST, request);                      \
        return error;                                                             \
    }

FS(uv_fs_close, (int file), (file))
FS(uv_fs_open, (const char *path, int flags, int mode), (path, flags, mode))
FS(uv_fs_read, (int file, const struct uv_buf_t *buffers, unsigned count, long offset),
   (file, buffers, count, offset))
FS(uv_fs_unlink, (const char *path), (path))
FS(uv_fs_write, (int file, const struct uv_buf_t *buffers, unsigned count, long offset),
   (file, buffers, count, offset))
FS(uv_fs_copyfile, (const char *path, const char *to, int flags), (path, to, flags))
FS(uv_fs_mkdir, (const char *path, int mode), (path, mode))
FS(uv_fs_mkdtemp, (const char *pattern), (pattern))
FS(uv_fs_mkstemp, (const char *pattern), (pattern))
FS(uv_fs_rmdir, (const char *path), (path))
FS(uv_fs_scandir, (const char *path, int flags), (path, flags))
FS(uv_fs_opendir, (const char *path), (path))
FS(uv_fs_readdir, (struct uv_dir_s * dir), (dir))
FS(uv_fs_closedir, (struct uv_dir_s * dir), (dir))
FS(uv_fs_stat, (const char *path), (path))
FS(uv_fs_fstat, (int file), (file))
FS(uv_fs_rename, (const char *path, const char *to), (path, to))
FS(uv_fs_fsync, (int file), (file))
FS(uv_fs_fdatasync, (int file), (file))
FS(uv_fs_ftruncate, (int file, long length), (file, length))
FS(uv_fs_sendfile, (int out, int in, long offset, unsigned long length), (out, in, offset, length))
FS(uv_fs_access, (const char *path, int mode), (path, mode))
FS(uv_fs_chmod, (const char *path, int mode), (path, mode))
FS(uv_fs_utime, (const char *path, double accessed, double modified), (path, accessed, modified))
FS(uv_fs_futime, (int file, double accessed, double modified), (file, accessed, modified))
FS(uv_fs_lutime, (const char *path, double accessed, double modified), (path, accessed, modified))
FS(uv_fs_lstat, (const char *path), (path))
FS(uv_fs_link, (const char *path, const char *to), (path, to))
FS(uv_fs_symlink, (const char *path, const char *to, int flags), (path, to, flags))
FS(uv_fs_readlink, (const char *path), (path))
FS(uv_fs_realpath, (const char *path), (path))
FS(uv_fs_fchmod, (int file, int mode), (file, mode))
FS(uv_fs_chown, (const char *path, unsigned user, unsigned group), (path, user, group))
FS(uv_fs_fchown, (int file, unsigned user, unsigned group), (file, user, group))
FS(uv_fs_lchown, (const char *path, unsigned user, unsigned group), (path, user, group))
FS(uv_fs_statfs, (const char *path), (path))

/* ---- names and random numbers ---- */

typedef void addrinfo_callback(struct uv_getaddrinfo_s *request, int status,
                               struct addrinfo *addresses);

static GUARDED void run_addrinfo(struct uv_getaddrinfo_s *request, int status,
                                 struct addrinfo *addresses)
{
    GUARDED_FRAME();
    struct uv_carried carried = uv_request_take(request);

    SCOPE_RUN(carried.context, FRAME_OWNED,
              ((addrinfo_callback *)carried.function)(request, status, addresses));
}

int hook_uv_getaddrinfo(struct uv_loop_s *loop, struct uv_getaddrinfo_s *request,
                        addrinfo_callback *callback, const char *node, const char *service,
                        const struct addrinfo *hints)
{
    int error;

    if (!IS_OURS(callback, request, uv_getaddrinfo) || !CAPTURE(request, callback))
        return REAL(uv_getaddrinfo)(loop, request, callback, node, service, hints);
    error = REAL(uv_getaddrinfo)(loop, request, run_addrinfo, node, service, hints);
    if (unlikely(error))
        uv_request_rollback(FAMILY_UV_REQUEST, request);
    return error;
}

typedef void nameinfo_callback(struct uv_getnameinfo_s *request, int status, const char *host,
                               const char *service);

static GUARDED void run_nameinfo(struct uv_getnameinfo_s *request, int status, const char *host,
                                 const char *service)
{
    GUARDED_FRAME();
    struct uv_carried carried = uv_request_take(request);

    SCOPE_RUN(carried.context, FRAME_OWNED,
              ((nameinfo_callback *)carried.function)(request, status, host, service));
}

int hook_uv_getnameinfo(struct uv_loop_s *loop, struct uv_getnameinfo_s *request,
                        nameinfo_callback *callback, const struct sockaddr *address, int flags)
{
    int error;

    if (!IS_OURS(callback, request, uv_getnameinfo) || !CAPTURE(request, callback))
        return REAL(uv_getnameinfo)(loop, request, callback, address, flags);
    error = REAL(uv_getnameinfo)(loop, request, run_nameinfo, address, flags);
    if (unlikely(error))
        uv_request_rollback(FAMILY_UV_REQUEST, request);
    return error;
}

typedef void random_callback(struct uv_random_s *request, int status, void *buffer,
                             unsigned long length);

static GUARDED void run_random(struct uv_random_s *request, int status, void *buffer,
                               unsigned long length)
{
    GUARDED_FRAME();
    struct uv_carried carried = uv_request_take(request);

    SCOPE_RUN(carried.context, FRAME_OWNED,
              ((random_callback *)carried.function)(request, status, buffer, length));
}

int hook_uv_random(struct uv_loop_s *loop, struct uv_random_s *request, void *buffer,
                   unsigned long length, unsigned flags, random_callback *callback)
{
    int error;

    if (!IS_OURS(callback, request, uv_random) || !CAPTURE(request, callback))
        return REAL(uv_random)(loop, request, buffer, length, flags, callback);
    error = REAL(uv_random)(loop, request, buffer, length, flags, run_random);
    if (unlikely(error))
        uv_request_rollback(FAMILY_UV_REQUEST, request);
    return error;
}

/* ---- streams and datagrams: callbacks of one shape ----
 * uv_write goes on to uv_write2 by a jump, which then seems to be called by the program: the callback
 * is told by itself. */

typedef void status_callback(void *request, int status);

static GUARDED void run_status_any(void *request, int status)
{
    GUARDED_FRAME();
    struct uv_carried carried = uv_request_take(request);

    SCOPE_RUN(carried.context, FRAME_OWNED, ((status_callback *)carried.function)(request, status));
}

static GUARDED void run_status(void *request, int status)
{
    GUARDED_FRAME();
    struct uv_request *words = request;
    struct thread *thread = thread_self;

    if (unlikely(!WORDS_ARE_OURS() || !thread_is_plain(thread))) {
        run_status_any(request, status);
        return;
    }
    SCOPE_RUN_PLAIN(thread, words->reserved[WORD_CONTEXT], FRAME_OWNED,
                    ((status_callback *)words->reserved[WORD_FUNCTION])(request, status));
}

static APART int status_failed(void *request, int error)
{
    uv_request_rollback(FAMILY_UV_REQUEST, request);
    return error;
}

/* Puts what a request carries into its words, where the program calls and everything is as it is most of the time. */
static inline __attribute__((always_inline)) bool
put_quickly(struct uv_request *request, void *callback, const void *real, const void *caller)
{
    struct thread *thread = thread_self;
    struct context *context;

    if (unlikely(!request || !callback || !uv_is_quick(real, caller) || !thread_is_plain(thread) ||
                 !(context = context_take_bought(thread, FAMILY_UV_REQUEST))))
        return false;
    request->reserved[WORD_FUNCTION] = callback;
    request->reserved[WORD_CONTEXT] = context;
    return true;
}

#define STATUS(name, kind, params, args)                                                     \
    static APART int name##_any(struct kind *request, EACH params,                           \
                                void (*callback)(struct kind *, int), const void *caller)    \
    {                                                                                        \
        REAL_TYPE(name) real = REAL_FOR(name, caller);                                       \
        int error;                                                                           \
                                                                                             \
        if (!callback || !request || (void *)callback == (void *)run_status ||               \
            caller_is_reentrant(&uv_place, (void *)real, caller) ||                          \
            !uv_request_capture(FAMILY_UV_REQUEST, request, (void *)callback, NULL, caller)) \
            return real(request, EACH args, callback);                                       \
        error = real(request, EACH args, (void (*)(struct kind *, int))(void *)run_status);  \
        return likely(!error) ? 0 : status_failed(request, error);                           \
    }                                                                                        \
    int hook_##name(struct kind *request, EACH params, void (*callback)(struct kind *, int)) \
    {                                                                                        \
        const void *caller = __builtin_return_address(0);                                    \
        REAL_TYPE(name) real = REAL_KNOWN(name);                                             \
        int error;                                                                           \
                                                                                             \
        if ((void *)callback == (void *)run_status && real)                                  \
            return real(request, EACH args, callback);                                       \
        if (unlikely(!put_quickly((struct uv_request *)(void *)request, (void *)callback,    \
                                  (const void *)real, caller)))                              \
            return name##_any(request, EACH args, callback, caller);                         \
        error = real(request, EACH args, (void (*)(struct kind *, int))(void *)run_status);  \
        return likely(!error) ? 0 : status_failed(request, error);                           \
    }

STATUS(uv_write, uv_write_s,
       (struct uv_stream_s * stream, const struct uv_buf_t *buffers, unsigned count),
       (stream, buffers, count))
STATUS(uv_write2, uv_write_s,
       (struct uv_stream_s * stream, const struct uv_buf_t *buffers, unsigned count,
        struct uv_stream_s *sent),
       (stream, buffers, count, sent))
STATUS(uv_shutdown, uv_shutdown_s, (struct uv_stream_s * stream), (stream))
STATUS(uv_tcp_connect, uv_connect_s, (struct uv_tcp_s * tcp, const struct sockaddr *address),
       (tcp, address))
/* uv_pipe_connect goes on to it. */
STATUS(uv_pipe_connect2, uv_connect_s,
       (struct uv_pipe_s * pipe, const char *name, unsigned long length, unsigned flags),
       (pipe, name, length, flags))
STATUS(uv_udp_send, uv_udp_send_s,
       (struct uv_udp_s * udp, const struct uv_buf_t *buffers, unsigned count,
        const struct sockaddr *address),
       (udp, buffers, count, address))

/* Tells its errors to the callback. */
void hook_uv_pipe_connect(struct uv_connect_s *request, struct uv_pipe_s *pipe, const char *name,
                          void (*callback)(struct uv_connect_s *, int))
{
    if (!IS_OURS(callback, request, uv_pipe_connect) || !CAPTURE(request, callback))
        REAL(uv_pipe_connect)(request, pipe, name, callback);
    else
        REAL(uv_pipe_connect)
    (request, pipe, name, (void (*)(struct uv_connect_s *, int))(void *)run_status);
}
