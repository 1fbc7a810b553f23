// Every row of hooks.def for GLib and GIO has the type of the library's own header.
// libs: gio-2.0
// flags: -Ishim -D_GNU_SOURCE -DGLIB_DISABLE_DEPRECATION_WARNINGS
#include <gio/gio.h>
#include <glib-unix.h>
#include <stddef.h>

/* An enum is not an int to the compiler, but passes as one. */
_Static_assert(sizeof(GThreadPriority) == sizeof(int) && sizeof(GIOCondition) == sizeof(int),
               "an enum passes as an int");
typedef gboolean io_function(GIOChannel *, guint, gpointer);
typedef gboolean fd_function(gint, guint, gpointer);
#define g_thread_create_full row_g_thread_create_full
extern GThread *row_g_thread_create_full(GThreadFunc, gpointer, gulong, gboolean, gboolean, int, GError **);
#define g_io_add_watch row_g_io_add_watch
extern guint row_g_io_add_watch(GIOChannel *, guint, io_function *, gpointer);
#define g_io_add_watch_full row_g_io_add_watch_full
extern guint row_g_io_add_watch_full(GIOChannel *, gint, guint, io_function *, gpointer, GDestroyNotify);
#define g_unix_fd_add row_g_unix_fd_add
extern guint row_g_unix_fd_add(gint, guint, fd_function *, gpointer);
#define g_unix_fd_add_full row_g_unix_fd_add_full
extern guint row_g_unix_fd_add_full(gint, gint, guint, fd_function *, gpointer, GDestroyNotify);

/* What families/glib/pool.c and glib_source.c know of the library's structures. */
_Static_assert(offsetof(GThreadPool, func) == 0 && offsetof(GThreadPool, user_data) == 8 &&
                   offsetof(GThreadPool, exclusive) == 16 && sizeof(GThreadPool) == 24,
               "GThreadPool has changed");
_Static_assert(offsetof(GSourceCallbackFuncs, ref) == 0 && offsetof(GSourceCallbackFuncs, unref) == 8 &&
                   offsetof(GSourceCallbackFuncs, get) == 16 && sizeof(GSourceCallbackFuncs) == 24,
               "GSourceCallbackFuncs has changed");

/* Of GLib 2.70, 2.74 and 2.78: an older header has none, a newer one the same. */
extern GThreadPool *g_thread_pool_new_full(GFunc, gpointer, GDestroyNotify, gint, gboolean, GError **);
extern guint g_idle_add_once(void (*)(gpointer), gpointer);
extern guint g_timeout_add_once(guint, void (*)(gpointer), gpointer);
extern guint g_timeout_add_seconds_once(guint, void (*)(gpointer), gpointer);

#define WANT_GLIB_THREAD 1
#define WANT_GLIB_POOL 1
#define WANT_GLIB_SOURCE 1
#define WANT_GLIB_TASK 1
#define WANT_GLIB_QUEUE 1
#include "prototypes.h"
