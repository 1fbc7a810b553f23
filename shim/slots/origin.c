/*
 * A table by owner, under one short lock. It lists what is current as far as anybody knows: an owner
 * has few of these, so every step is short. What has changed leaves the list for good, and lives on
 * while contexts refer to it.
 *
 * Rules: no foreign code under the lock. A place is read under the lock, and its owner, which tells
 * before it goes, takes the lock for that: so the place is there.
 */
#include "slots/origin.h"

#include <stddef.h>
#include <stdint.h>

#include "base/lock.h"
#include "base/mem.h"
#include "slots/slots.h"

enum { BUCKETS = 256 };

struct origin {
    struct origin *next; /* while listed */
    const struct slot *slot;
    const void *owner;
    void *const *place;
    void *value;
    const void *after;             /* CHANGED: what the owner has instead, as far as known */
    uint32_t held, attaches_since; /* contexts; attaches of the owner since */
    enum origin_state state;
    struct origin *around, **link; /* those with a place; or the next that has changed */
};

bool origins_on, origins_tell;

static struct lock origins_lock;
static struct origin *origins[BUCKETS];
static struct origin *next_place; /* of origins_with_place: where to go on */
struct origin *origins_with_place, *_Atomic origins_changed;
atomic_bool origins_were_listed;

/* A handler may have interrupted this thread while it has the lock: what it sets is noted for later. */
static __thread struct {
    unsigned depth;
    const void *owner; /* has set something meanwhile */
} own;

static struct origin **bucket_of(const void *owner)
{
    return &origins[((uintptr_t)owner >> 6) * 0x9e3779b97f4a7c15u >> 56];
}

/* ---- under the lock ---- */

/* Takes it off the list. */
static void end(struct origin *origin, enum origin_state state)
{
    struct origin **link = bucket_of(origin->owner);

    while (*link != origin)
        link = &(*link)->next;
    *link = origin->next;
    origin->state = state;
    if (origin->link) {
        if (next_place == origin)
            next_place = origin->around;
        if ((*origin->link = origin->around))
            origin->around->link = origin->link;
        origin->link = NULL;
    }
    if (origins_tell && state == ORIGIN_CHANGED) {
        origin->held++;
        origin->around = atomic_load_explicit(&origins_changed, memory_order_relaxed);
        atomic_store_explicit(&origins_changed, origin, memory_order_relaxed);
    }
}

static bool is_copied(const struct origin *origin)
{
    return origin->slot->key_index == SLOT_NO_KEY;
}

static void end_of_owner(const void *owner, const struct slot *slot)
{
    struct origin *origin, *next;

    for (origin = *bucket_of(owner); origin; origin = next) {
        next = origin->next;
        if (origin->owner == owner && is_copied(origin) && !origin->attaches_since &&
            (!slot || origin->slot == slot))
            end(origin, ORIGIN_CHANGED);
    }
}

static void take(void)
{
    own.depth++;
    atomic_signal_fence(memory_order_seq_cst);
    lock_take(&origins_lock);
}

static void drop(void)
{
    const void *owner;

    for (;;) {
        if ((owner = __atomic_exchange_n(&own.owner, NULL, __ATOMIC_RELAXED)))
            end_of_owner(owner, NULL);
        lock_drop(&origins_lock);
        atomic_signal_fence(memory_order_seq_cst);
        own.depth--;
        if (!__atomic_load_n(&own.owner, __ATOMIC_RELAXED))
            return;
        take(); /* the handler ran behind the look above */
    }
}

/* Looks into its place, if there is one and the owner's own value is in it. */
static void look(struct origin *origin)
{
    void *now;

    if (!origin->place || origin->attaches_since || origin->state != ORIGIN_CURRENT)
        return;
    now = __atomic_load_n(origin->place, __ATOMIC_RELAXED);
    if (now == origin->value)
        return;
    origin->after = now;
    end(origin, ORIGIN_CHANGED);
}

/* Only the owner itself lists what it has: where nobody's is, it has nothing. */
bool origin_owns_any(const void *owner)
{
    return __atomic_load_n(bucket_of(owner), __ATOMIC_RELAXED) != NULL;
}

/* Visits what one owner has; the visitor may end it. */
static void each(const void *owner, void (*visit)(struct origin *origin, const void *arg),
                 const void *arg)
{
    struct origin *origin, *next;

    if (!origin_owns_any(owner))
        return;
    take();
    for (origin = *bucket_of(owner); origin; origin = next) {
        next = origin->next;
        if (origin->owner == owner)
            visit(origin, arg);
    }
    drop();
}

/* ---- references ---- */

/* Under the lock: one more reference; NULL: it is not listed. */
static struct origin *find(const struct slot *slot, const void *value, const void *owner)
{
    for (struct origin *origin = *bucket_of(owner); origin; origin = origin->next) {
        if (origin->owner == owner && origin->slot == slot && origin->value == value &&
            !origin->attaches_since) {
            origin->held++;
            return origin;
        }
    }
    return NULL;
}

static void list(struct origin *fresh)
{
    struct origin **bucket = bucket_of(fresh->owner);

    atomic_store_explicit(&origins_were_listed, true, memory_order_relaxed);
    fresh->next = *bucket;
    *bucket = fresh;
    if (!fresh->place)
        return;
    if ((fresh->around = origins_with_place))
        origins_with_place->link = &fresh->around;
    fresh->link = &origins_with_place;
    origins_with_place = fresh;
}

struct origin *origin_get(const struct slot *slot, void *value, const void *owner,
                          void *const *place)
{
    struct origin *fresh, *origin;

    take();
    origin = find(slot, value, owner);
    drop();
    if (origin || !(fresh = mem_alloc(sizeof *fresh)))
        return origin;
    *fresh =
        (struct origin){.slot = slot, .owner = owner, .place = place, .value = value, .held = 1};
    take();
    if (!(origin = find(slot, value, owner))) /* a handler's, in the meantime */
        list(origin = fresh);
    drop();
    if (origin != fresh)
        mem_free(fresh, sizeof *fresh);
    return origin;
}

struct origin *origin_ref(struct origin *origin)
{
    take();
    origin->held++;
    drop();
    return origin;
}

void origin_put(struct origin *origin)
{
    bool is_last;

    take();
    is_last = --origin->held == 0;
    if (is_last && origin->state == ORIGIN_CURRENT)
        end(origin, ORIGIN_GONE);
    drop();
    if (is_last)
        mem_free(origin, sizeof *origin);
}

/* ---- asking ---- */

enum origin_state origin_look(struct origin *origin)
{
    enum origin_state state;

    take();
    look(origin);
    state = origin->state;
    drop();
    return state;
}

void *origin_value(const struct origin *origin)
{
    return origin->value;
}

const void *origin_after(const struct origin *origin)
{
    return origin->after;
}

const struct slot *origin_slot(const struct origin *origin)
{
    return origin->slot;
}

void origin_look_around(unsigned most)
{
    if (!__atomic_load_n(&origins_with_place, __ATOMIC_RELAXED))
        return;
    take();
    for (unsigned i = 0; i < most && origins_with_place; i++) {
        struct origin *origin = next_place ? next_place : origins_with_place;

        next_place = origin->around;
        look(origin);
    }
    drop();
}

struct origin *origin_changed(void)
{
    struct origin *origin;

    if (!atomic_load_explicit(&origins_changed, memory_order_relaxed))
        return NULL;
    take();
    origin = atomic_load_explicit(&origins_changed, memory_order_relaxed);
    if (origin)
        atomic_store_explicit(&origins_changed, origin->around, memory_order_relaxed);
    drop();
    return origin;
}

/* ---- telling ---- */

void origin_set(const void *owner, const struct slot *slot)
{
    if (own.depth) {
        __atomic_store_n(&own.owner, owner, __ATOMIC_RELAXED);
        return;
    }
    take();
    end_of_owner(owner, slot);
    drop();
}

struct change {
    const struct slot *slot;
    const void *to;
};

static void visit_seen(struct origin *origin, const void *arg)
{
    const struct change *change = arg;

    if (origin->slot != change->slot || origin->value == change->to || origin->attaches_since)
        return;
    origin->after = change->to;
    end(origin, ORIGIN_CHANGED);
}

void origin_seen(const void *owner, const struct slot *slot, const void *now)
{
    const struct change change = {slot, now};

    each(owner, visit_seen, &change);
}

static void visit_aside(struct origin *origin, const void *arg)
{
    if (!is_copied(origin))
        return;
    look(origin);
    origin->attaches_since++;
}

void origin_set_aside(const void *owner)
{
    each(owner, visit_aside, NULL);
}

static void visit_back(struct origin *origin, const void *arg)
{
    if (!is_copied(origin))
        return;
    if (origin->attaches_since)
        origin->attaches_since--;
    else
        end(origin, ORIGIN_GONE);
}

void origin_back(const void *owner)
{
    each(owner, visit_back, NULL);
}

static void visit_switched(struct origin *origin, const void *arg)
{
    if (is_copied(origin))
        end(origin, ORIGIN_GONE);
}

void origin_switched(const void *owner)
{
    each(owner, visit_switched, NULL);
}

static void visit_gone(struct origin *origin, const void *arg)
{
    look(origin);
    if (origin->state == ORIGIN_CURRENT)
        end(origin, ORIGIN_GONE);
}

void origin_gone(const void *owner)
{
    each(owner, visit_gone, NULL);
}

static bool is_of_slot(const struct origin *origin, const void *slot)
{
    return origin->slot == slot;
}

/* A copied value is always a thread's. */
static bool is_of_another_thread(const struct origin *origin, const void *thread)
{
    return is_copied(origin) && origin->owner != thread;
}

static void end_all(bool (*is_over)(const struct origin *origin, const void *arg), const void *arg)
{
    struct origin *origin, *next;

    take();
    for (unsigned i = 0; i < BUCKETS; i++) {
        for (origin = origins[i]; origin; origin = next) {
            next = origin->next;
            if (is_over(origin, arg))
                end(origin, ORIGIN_GONE);
        }
    }
    drop();
}

void origin_slot_gone(const struct slot *slot)
{
    end_all(is_of_slot, slot);
}

void origin_forked(const void *thread)
{
    end_all(is_of_another_thread, thread);
}

void origin_fork_lock(void)
{
    lock_take_for_fork(&origins_lock);
}

void origin_fork_unlock(void)
{
    lock_drop_after_fork(&origins_lock);
}
