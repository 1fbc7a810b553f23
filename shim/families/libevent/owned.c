/*
 * libevent: what ends with an object of libevent's. See owned.h.
 *
 * event_mm_free_ is called for everything that libevent frees: what no object owns anything by is told
 * by a count, without a lock.
 */
#include "families/libevent/owned.h"

#include "base/map.h"
#include "families/handoff.h"

static struct map owners;

/* How much is owned by the objects whose addresses fall together. */
enum { COUNTS = 1024 };
static _Atomic uint32_t counts[COUNTS];

static inline _Atomic uint32_t *count_of(const void *object)
{
    return &counts[((uintptr_t)object >> 4) * 0x9e3779b97f4a7c15u >> 54];
}

bool owned_add(struct owned *owned, const void *object)
{
    owned->object = object;
    owned->next = map_find(&owners, object);
    if (!map_put(&owners, object, owned, NULL))
        return false;
    atomic_fetch_add_explicit(count_of(object), 1, memory_order_relaxed);
    return true;
}

struct owned *owned_find(const void *object, void (*end)(struct owned *))
{
    struct owned *owned = map_find(&owners, object);

    while (owned && owned->end != end)
        owned = owned->next;
    return owned;
}

void owned_take(struct owned *owned)
{
    struct owned *first = map_find(&owners, owned->object);

    if (first != owned) {
        while (first->next != owned)
            first = first->next;
        first->next = owned->next;
    } else if (owned->next) {
        map_put(&owners, owned->object, owned->next, NULL);
    } else {
        map_take(&owners, owned->object);
    }
    atomic_fetch_sub_explicit(count_of(owned->object), 1, memory_order_relaxed);
}

void owned_end(struct owned *owned)
{
    if (!owned)
        return;
    owned_take(owned);
    owned->end(owned);
}

static __attribute__((noinline)) void object_is_freed(void *object)
{
    struct owned *owned = map_take(&owners, object), *next;

    for (; owned; owned = next) {
        next = owned->next;
        atomic_fetch_sub_explicit(count_of(object), 1, memory_order_relaxed);
        owned->end(owned);
    }
}

void hook_event_mm_free_(void *block)
{
    if (unlikely(atomic_load_explicit(count_of(block), memory_order_relaxed)) && block)
        object_is_freed(block);
    REAL(event_mm_free_)(block);
}

/* ---- callbacks ---- */

struct owned_callback *owned_callback_new(size_t size, void *function, void *data, bool is_once,
                                          void (*end)(struct owned *))
{
    struct registration *registration =
        registration_new_armed(FAMILY_LIBEVENT, function, data, is_once);
    struct owned_callback *callback;

    if (!registration)
        return NULL;
    callback = handoff_alloc(size);
    if (!callback) {
        registration_rollback(registration);
        registration_end(registration);
        context_count_bare(FAMILY_LIBEVENT, BARE_MEMORY);
        return NULL;
    }
    callback->owned.end = end;
    callback->registration = registration;
    callback->size = size;
    return callback;
}

void owned_callback_end(struct owned *owned)
{
    struct owned_callback *callback = (struct owned_callback *)owned;

    registration_end(callback->registration);
    handoff_free(callback, callback->size);
}

void owned_callback_rollback(struct owned_callback *callback)
{
    registration_rollback(callback->registration);
    owned_callback_end(&callback->owned);
}
