/* The families' locks around fork (shim/fork.c takes them). A file with a lock of its own is one more
 * name in this list; no section of a family holds two of them. */
#ifndef BATON_FAMILIES_FORK_H
#define BATON_FAMILIES_FORK_H

#define FAMILIES_WITH_LOCKS(X) \
    X(glib)                    \
    X(glib_order)              \
    X(glib_source)             \
    X(libevent) X(libevent_evbuffer) X(libevent_once) X(notification) X(pending)

#define FORK_DECLARE(name)       \
    void name##_fork_lock(void); \
    void name##_fork_unlock(void);
FAMILIES_WITH_LOCKS(FORK_DECLARE)
#undef FORK_DECLARE

#endif
