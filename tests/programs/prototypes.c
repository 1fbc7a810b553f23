// Every row of hooks.def for threads, keys, the loader and libuv has the type of the library's own header.
// libs: libuv
// flags: -Ishim -D_GNU_SOURCE
// link: -ldl
#include <dlfcn.h>
#include <pthread.h>
#include <unistd.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <threads.h>
#include <uv.h>

/* Exported by the C library, declared nowhere. */
extern __typeof__(pthread_key_create) __pthread_key_create;
extern __typeof__(pthread_getspecific) __pthread_getspecific;
extern __typeof__(pthread_setspecific) __pthread_setspecific;

/* What families/libuv/uv.h knows of the structures of the versions whose words it uses (interpose/versions.def). */
#if UV_VERSION_HEX >= 0x012c00 && UV_VERSION_HEX <= 0x012cff
_Static_assert(offsetof(uv_req_t, data) == 0 && offsetof(uv_req_t, reserved) == 16 &&
                   sizeof(((uv_req_t *)0)->reserved) == 48,
               "uv_req_t has changed");
_Static_assert(offsetof(uv_handle_t, data) == 0 && offsetof(uv_handle_t, loop) == 8 &&
                   offsetof(uv_handle_t, u) == 48 && sizeof(((uv_handle_t *)0)->u) == 32,
               "uv_handle_t has changed");
_Static_assert(offsetof(uv_timer_t, repeat) == 136, "uv_timer_t has changed");
#endif

/* uv_stat_t has no tag: a row cannot name it. */
struct uv_stat_t;
#define uv_fs_poll_start row_uv_fs_poll_start
extern int row_uv_fs_poll_start(uv_fs_poll_t *,
                                void (*)(uv_fs_poll_t *, int, const struct uv_stat_t *, const struct uv_stat_t *),
                                const char *, unsigned);

/* The options of uv_spawn that families/libuv/handle.c copies. */
_Static_assert(sizeof(uv_process_options_t) == 64 && offsetof(uv_process_options_t, exit_cb) == 0,
               "uv_process_options_t has changed");

#if UV_VERSION_HEX < 0x012e00
extern int uv_pipe_connect2(uv_connect_t *, uv_pipe_t *, const char *, size_t, unsigned, uv_connect_cb);
#endif

#define WANT_PTHREAD 1
#define WANT_KEYS 1
#define WANT_LOADER 1
#define WANT_LOOKUP 1
#define WANT_UV_WORK 1
#define WANT_UV_THREAD 1
#define WANT_UV_REQUEST 1
#define WANT_UV_HANDLE 1
#include "prototypes.h"
