/* The families' locks around fork. A file with a lock of its own is one more name in this list. */
#ifndef BATON_INTERPOSE_FORK_H
#define BATON_INTERPOSE_FORK_H

#define FILES_WITH_LOCKS(X) \
    X(glib)                 \
    X(glib_source)          \
    X(libevent) X(libevent_evbuffer) X(libevent_once) X(notification) X(waiting) X(reentry)

#define FORK_DECLARE(name)       \
    void name##_fork_lock(void); \
    void name##_fork_unlock(void);
FILES_WITH_LOCKS(FORK_DECLARE)
#undef FORK_DECLARE

/* For init.c: before the locks of the rooms below are taken, and after they are let go. */
void handoffs_fork_lock(void);
void handoffs_fork_unlock(void);

#endif
