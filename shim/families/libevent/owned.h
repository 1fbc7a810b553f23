/*
 * Callbacks of objects that libevent frees without a word: an evbuffer's entries, HTTP servers,
 * connections and requests, DNS ports.
 *
 * Whatever libevent frees goes through event_mm_free_, by the procedure linkage table (2.1.12). What
 * is owned by an object ends there: exactly then, whether a call, an error or another object's end
 * was the reason, and without knowing how any of them is laid out.
 */
#ifndef BATON_FAMILIES_LIBEVENT_OWNED_H
#define BATON_FAMILIES_LIBEVENT_OWNED_H

#include "families/libevent/libevent.h"

/* The beginning of what is owned. Used as the object may be: by one thread, or under its lock. */
struct owned {
    struct owned *next; /* of the same object */
    const void *object;
    void (*end)(struct owned *owned); /* object and list have forgotten it; frees it */
};

/* False: no memory, nothing done. */
HIDDEN bool owned_add(struct owned *owned, const void *object);
/* The newest that has this `end`; NULL: none. */
HIDDEN struct owned *owned_find(const void *object, void (*end)(struct owned *));
/* Takes it away from its object; the caller ends it. */
HIDDEN void owned_take(struct owned *owned);
/* Takes it away and ends it; NULL is none. */
HIDDEN void owned_end(struct owned *owned);

/* A callback with its data that runs again and again: most owned things are one, or begin with one. */
struct owned_callback {
    struct owned owned;
    struct registration *registration;
    size_t size; /* of the whole */
};
/* NULL: run it bare (counted). end as above; owned_callback_end does for most. */
HIDDEN struct owned_callback *owned_callback_new(size_t size, void *function, void *data,
                                                 bool is_once, void (*end)(struct owned *));
HIDDEN void owned_callback_end(struct owned *owned);
/* The registration was refused, or there is nobody to own it: as if nothing had been captured. */
HIDDEN void owned_callback_rollback(struct owned_callback *callback);

#endif
