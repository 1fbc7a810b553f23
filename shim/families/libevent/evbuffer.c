/*
 * libevent: callbacks that tell that an evbuffer has changed, at once or later. They run again and again,
 * in the context of the call that added them.
 *
 * An entry of the buffer owns its registration, which is its argument. Entries are removed by what the program
 * knows of them, its own function and argument, so each buffer has a list, newest first as libevent's.
 *
 * Source of the behaviour: libevent 2.1.12. A buffer's callbacks run under its lock, and what adds and
 * removes them takes it, so none runs while it is removed but the one that removes itself. libevent
 * sets callbacks of its own (sockets, pairs, filters) through the same functions.
 */
#include "base/map.h"
#include "families/fork.h"
#include "families/handoff.h"
#include "families/libevent/owned.h"

typedef void change_callback(struct evbuffer *buffer, const struct evbuffer_cb_info *info,
                             void *arg);
typedef void length_callback(struct evbuffer *buffer, size_t before, size_t after, void *arg);

struct watch {
    struct owned_callback callback; /* the entry's */
    struct evbuffer *buffer;
    struct watch *next;
    bool is_old; /* of evbuffer_setcb */
};

static struct lock watches_lock;
static struct map watches; /* buffer: the newest */

/* evbuffer_setcb makes its entry by evbuffer_add_cb, from inside: the entry is learnt there. */
static __thread struct watch *being_set;

static GUARDED void run_change(struct evbuffer *buffer, const struct evbuffer_cb_info *info,
                               void *arg)
{
    GUARDED_REGISTRATION_FRAME();
    struct registration *registration = arg;
    change_callback *callback = (change_callback *)registration->function;
    void *data = registration->data;

    REGISTRATION_RUN(registration, callback(buffer, info, data));
}

static GUARDED void run_length(struct evbuffer *buffer, size_t before, size_t after, void *arg)
{
    GUARDED_REGISTRATION_FRAME();
    struct registration *registration = arg;
    length_callback *callback = (length_callback *)registration->function;
    void *data = registration->data;

    REGISTRATION_RUN(registration, callback(buffer, before, after, data));
}

/* The entry was freed. */
static void end_watch(struct owned *owned)
{
    struct watch *watch = (struct watch *)owned, *first;

    lock_take(&watches_lock);
    first = map_find(&watches, watch->buffer);
    if (first != watch) {
        while (first && first->next != watch)
            first = first->next;
        if (first)
            first->next = watch->next;
    } else if (watch->next) {
        map_put(&watches, watch->buffer, watch->next, NULL);
    } else {
        map_take(&watches, watch->buffer);
    }
    lock_drop(&watches_lock);
    owned_callback_end(owned);
}

/* NULL: run it bare (counted). */
static struct watch *new_watch(struct evbuffer *buffer, void *function, void *data, bool is_old)
{
    struct watch *watch =
        (struct watch *)owned_callback_new(sizeof *watch, function, data, false, end_watch);

    if (!watch)
        return NULL;
    watch->buffer = buffer;
    watch->is_old = is_old;
    return watch;
}

/* The entry is there, or could not be made (NULL). Without memory to find it again it is kept for good. */
static void added(struct watch *watch, const void *entry)
{
    if (!entry) {
        owned_callback_rollback(&watch->callback);
        return;
    }
    lock_take(&watches_lock);
    watch->next = map_find(&watches, watch->buffer);
    map_put(&watches, watch->buffer, watch, NULL);
    lock_drop(&watches_lock);
    owned_add(&watch->callback.owned, entry);
}

struct evbuffer_cb_entry *hook_evbuffer_add_cb(struct evbuffer *buffer, change_callback *function,
                                               void *data)
{
    struct watch *watch = being_set;
    struct evbuffer_cb_entry *entry;

    if (unlikely(watch) && !function && data == watch->callback.registration) {
        being_set = NULL;
        entry = REAL(evbuffer_add_cb)(buffer, function, data);
        added(watch, entry);
        return entry;
    }
    watch = function && !IS_REENTRANT(evbuffer_add_cb)
                ? new_watch(buffer, (void *)function, data, false)
                : NULL;
    if (!watch)
        return REAL(evbuffer_add_cb)(buffer, function, data);
    entry = REAL(evbuffer_add_cb)(buffer, run_change, watch->callback.registration);
    added(watch, entry);
    return entry;
}

/* Takes every other callback of the buffer away: their entries end, and so do they. */
int hook_evbuffer_setcb(struct evbuffer *buffer, length_callback *function, void *data)
{
    struct watch *watch = function && !IS_REENTRANT(evbuffer_setcb)
                              ? new_watch(buffer, (void *)function, data, true)
                              : NULL;
    int error;

    if (!watch)
        return REAL(evbuffer_setcb)(buffer, function, data);
    being_set = watch;
    error = REAL(evbuffer_setcb)(buffer, run_length, watch->callback.registration);
    if (being_set) { /* it failed before, or makes its entry in another way */
        being_set = NULL;
        if (error)
            added(watch, NULL);
    }
    return error;
}

int hook_evbuffer_remove_cb(struct evbuffer *buffer, change_callback *function, void *data)
{
    const struct watch *watch;
    const struct registration *registration = NULL;
    bool is_old = false;

    lock_take(&watches_lock);
    for (watch = map_find(&watches, buffer); watch && !registration; watch = watch->next) {
        if (watch->callback.registration->function == (void *)function &&
            watch->callback.registration->data == data) {
            registration = watch->callback.registration;
            is_old = watch->is_old;
        }
    }
    lock_drop(&watches_lock);
    if (!registration || IS_REENTRANT(evbuffer_remove_cb))
        return REAL(evbuffer_remove_cb)(buffer, function, data);
    return REAL(evbuffer_remove_cb)(
        buffer, is_old ? (change_callback *)(void *)run_length : run_change, (void *)registration);
}

void libevent_evbuffer_fork_lock(void)
{
    lock_take_for_fork(&watches_lock);
}

void libevent_evbuffer_fork_unlock(void)
{
    lock_drop_after_fork(&watches_lock);
}
