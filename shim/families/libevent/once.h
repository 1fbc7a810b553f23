/*
 * libevent's callbacks that come at most once and have no object of ours: what is under way is kept in
 * a list, to be dropped with its owner, which says nothing when it goes.
 */
#ifndef BATON_FAMILIES_LIBEVENT_ONCE_H
#define BATON_FAMILIES_LIBEVENT_ONCE_H

#include "context/pool/slab.h"
#include "families/libevent/libevent.h"

struct once {
    void *function;
    void *data;
    struct context *context;
    const void *owner;
    struct once *next, *prev;
};
_Static_assert(sizeof(struct once) <= SLAB_SIZE, "a once is a slab object");

/* Captures, and puts it into the list. NULL: run it bare (counted). */
HIDDEN struct once *once_new(void *function, void *data, const void *owner);
/* Its callback runs: what it has to know. */
HIDDEN struct once once_take(struct once *once);
/* The submit failed. */
HIDDEN void once_rollback(struct once *once);
/* Another owner takes the place of one. */
HIDDEN void once_move_all(const void *from, const void *to);

#endif
