// Every row of hooks.def has the type that the library's own header declares: it compiles or not.
// libs: glib-2.0 libuv
// flags: -Ishim -D_GNU_SOURCE -DGLIB_DISABLE_DEPRECATION_WARNINGS
// link: -ldl
#include <dlfcn.h>
#include <glib.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <threads.h>
#include <uv.h>

/* Exported by the C library, declared nowhere. */
extern __typeof__(pthread_key_create) __pthread_key_create;
extern __typeof__(pthread_getspecific) __pthread_getspecific;
extern __typeof__(pthread_setspecific) __pthread_setspecific;

/* An enum is not an int to the compiler, but passes as one. */
#define g_thread_create_full g_thread_create_full_with_int
extern GThread *g_thread_create_full_with_int(GThreadFunc, gpointer, gulong, gboolean, gboolean, int,
                                              GError **);
_Static_assert(sizeof(GThreadPriority) == sizeof(int), "an enum passes as an int");

#define HOOK(family, ret, name, params)                                        \
    _Static_assert(__builtin_types_compatible_p(__typeof__(name), ret params), \
                   #name " differs from its header");
#if __has_include("handoffs/hooks.def")
#include "handoffs/hooks.def"
#endif
#undef HOOK

/* What handoffs/uv.c and handoffs/glib.c know of the libraries' structures. */
_Static_assert(offsetof(uv_work_t, data) == 0 && offsetof(uv_work_t, reserved) == 16 &&
                   sizeof(((uv_work_t *)0)->reserved) == 48,
               "uv_req_t has changed");
_Static_assert(offsetof(GThreadPool, func) == 0 && offsetof(GThreadPool, user_data) == 8 &&
                   offsetof(GThreadPool, exclusive) == 16 && sizeof(GThreadPool) == 24,
               "GThreadPool has changed");

int main(void)
{
    puts("RIGHT");
    return 0;
}
