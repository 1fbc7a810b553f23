/* What GLib's headers have since 2.70 and 2.74, by what older ones have. */
#ifndef OLDER_GLIB_H
#define OLDER_GLIB_H

#include <glib.h>

#if !GLIB_CHECK_VERSION(2, 70, 0)
/* Items that are dropped are nobody's. */
#define g_thread_pool_new_full(work, data, drop, threads, exclusive, error) \
    ((void)(drop), g_thread_pool_new(work, data, threads, exclusive, error))
#endif

#if !GLIB_CHECK_VERSION(2, 74, 0)
struct older_once {
    void (*function)(gpointer data);
    gpointer data;
};

static inline gboolean older_run_once(gpointer once)
{
    ((struct older_once *)once)->function(((struct older_once *)once)->data);
    return G_SOURCE_REMOVE;
}

static inline struct older_once *older_new_once(void (*function)(gpointer), gpointer data)
{
    struct older_once *once = g_new(struct older_once, 1);
    *once = (struct older_once){function, data};
    return once;
}

#define g_idle_add_once(function, data) \
    g_idle_add_full(G_PRIORITY_DEFAULT_IDLE, older_run_once, older_new_once(function, data), g_free)
#define g_timeout_add_once(ms, function, data) \
    g_timeout_add_full(G_PRIORITY_DEFAULT, ms, older_run_once, older_new_once(function, data), g_free)
#endif

#endif
