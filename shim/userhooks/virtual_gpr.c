/*
 * kind=virtual: what is submitted is run by a virtual function. The object gets a shadow of its vtable
 * (interpose/vtable.h) in which the slots that run it, and those that end it, are wrap thunks.
 * kind=relay: what is in flight is known by something else from now on.
 *
 * The rules of core_gpr.c hold. A type's shadow is made slowly, and found quickly from then on.
 */
#include "userhooks/virtual.h"

#include "families/handoff.h"
#include "userhooks/kinds_words.h"
#include "userhooks/tally.h"

const char named_virtual_slots[NAMED_SLOTS * 2];

static void **_Atomic *place_of(struct named_virtual *shadows, void *const *real)
{
    return &shadows->known[((uint32_t)((uintptr_t)real >> 3) * 2654435761u) >> 28];
}

/* Is what the shadow was made of still there? Another library's type may be at its address by now. */
static bool is_current(const struct named_virtual *shadows, void *const *shadow, void *const *real)
{
    const struct vtable_shadow *made =
        (const struct vtable_shadow *)(const void *)((const char *)(shadow - VTABLE_BEFORE) -
                                                     offsetof(struct vtable_shadow, words));

    if (made->real != real || made->set != &shadows->set || shadow[-1] != real[-1])
        return false;
    for (unsigned i = 0; i < shadows->set.count; i++) {
        if (made->replaced[i] != real[shadows->set.replaced[i].slot])
            return false;
    }
    return true;
}

static void **find_shadow(struct named_virtual *shadows, void **real, bool is_slow)
{
    void **_Atomic *place = place_of(shadows, real);
    void **shadow = atomic_load_explicit(place, memory_order_acquire);

    if (shadow && is_current(shadows, shadow, real))
        return shadow;
    if (!is_slow)
        return NULL;
    shadow = vtable_shadow(&shadows->set, real);
    if (shadow)
        atomic_store_explicit(place, shadow, memory_order_release);
    return shadow;
}

/* Slow, until there was one: what obj= names has a vtable in which the slots may be read. */
static bool has_virtual(struct thunk *thunk, uintptr_t object)
{
    const struct vtable_set *set = &thunk->hook->shadows->set;
    void *const *vtable;

    if (!suspect_is_object(object, sizeof(void *))) {
        named_found_fault(thunk, FAULT_OBJECT);
        return false;
    }
    vtable = *(void *const **)object;
    for (unsigned i = 0; i < set->count; i++) {
        if (!suspect_is_object((uintptr_t)(vtable + set->replaced[i].slot), sizeof(void *))) {
            named_found_fault(thunk, FAULT_VIRTUAL);
            return false;
        }
    }
    return true;
}

/* Does a value that anybody may have made up name an object that has a shadow of the set's? Slow. */
static bool has_shadow(const struct vtable_set *set, uintptr_t object)
{
    void *const *vtable;

    if (!suspect_is_object(object, sizeof(void *)))
        return false;
    vtable = *(void *const **)object;
    return suspect_is_object((uintptr_t)(vtable + set->replaced[0].slot), sizeof(void *)) &&
           vtable_is_shadow(set, vtable);
}

bool kinds_submit_virtual(struct named_hook *hook, struct thunk_frame *frame, struct wrap *wrap,
                          bool is_slow)
{
    struct table_key key = {0, 0, hook->spec.pair_id};
    struct named_virtual *shadows = hook->shadows;
    void **real, **shadow;
    struct context *kept;

    if (!shadows)
        return true;
    if (!kinds_find_key(hook, frame, *frame_argument(frame, hook->spec.obj), is_slow, &key.object))
        return false;
    if (!key.object)
        return kinds_had_nothing(hook);
    if (unlikely(!named_is_right(hook, kinds_thunk(frame)))) {
        if (!is_slow)
            return false;
        if (!has_virtual(kinds_thunk(frame), key.object))
            return true;
    }
    real = kinds_is_address(key.object) ? *(void ***)key.object : NULL;
    if (!real)
        return kinds_had_nothing(hook);
    shadow = vtable_is_shadow(&shadows->set, real) ? real : find_shadow(shadows, real, is_slow);
    if (!shadow) {
        if (is_slow) {
            context_count_bare(FAMILY_NAMED, BARE_ERROR);
            named_found_fault(kinds_thunk(frame), FAULT_VIRTUAL);
        }
        return is_slow;
    }
    if (!kinds_keep(hook, &key, is_slow, &kept))
        return false;
    if (kept && shadow != real)
        *(void ***)key.object = shadow;
    named_found_right(hook, kinds_thunk(frame));
    if (wrap) {
        wrap->ours[0] = (uint64_t)kept;
        wrap->theirs[0] = key.object;
        wrap->theirs[1] = 0;
    }
    return true;
}

/* The object is gone: so is what waits for it. */
static bool forget(const struct table_key *key, bool is_slow)
{
    struct context *context;

    if (!is_slow)
        return !table_has(key);
    while ((context = table_take(key)))
        context_release(context);
    return true;
}

void *kinds_run_virtual(struct thunk *thunk, struct thunk_frame *frame, struct wrap *wrap,
                        bool is_slow)
{
    struct named_hook *hook = thunk->hook;
    const struct vtable_set *set = &hook->shadows->set;
    struct table_key key = {*frame_argument(frame, hook->spec.cbarg), 0, hook->spec.pair_id};
    const char *slot = atomic_load_explicit(&thunk->original, memory_order_relaxed);
    unsigned which = (unsigned)(slot - named_virtual_slots);
    void **vtable, *function;
    struct context *context;

    if (unlikely(!atomic_load_explicit(&hook->has_place, memory_order_relaxed))) {
        unsigned position = hook->spec.cbarg;

        if (!is_slow)
            return NULL;
        if (has_shadow(set, key.object)) {
            atomic_store_explicit(&hook->has_place, true, memory_order_relaxed);
        } else {
            for (position = 1; position <= NAMED_ARGUMENTS; position++) {
                if (has_shadow(set, *frame_argument(frame, position)))
                    break;
            }
            named_record_missing(hook, position <= NAMED_ARGUMENTS ? position : 0);
            if (position > NAMED_ARGUMENTS)
                return kinds_run_nothing(hook, wrap);
            key.object = *frame_argument(frame, position);
        }
    }
    vtable = *(void ***)key.object;
    /* Two hooks may have shadowed the same object, one after the other. */
    while (vtable_is_shadow(set, vtable))
        vtable = vtable_real(vtable);
    function = vtable[set->replaced[which].slot];
    if (which >= hook->spec.slots_count) {
        wrap->stack_words = WRAP_JUMP;
        return forget(&key, is_slow) ? function : NULL;
    }
    if (!is_slow && !kinds_enter_is_fast(thread_self, wrap))
        return NULL;
    /* A task in several parts is done with after the last. */
    context = which + 1u == hook->spec.slots_count ? table_take(&key) : table_look(&key);
    if (!context) {
        named_missed(hook);
        wrap->stack_words = WRAP_JUMP;
        return function;
    }
    named_met(hook);
    kinds_enter(wrap, context);
    return function;
}

bool kinds_relay(struct named_hook *hook, struct thunk_frame *frame, bool is_slow)
{
    struct table_key from = {0, 0, hook->spec.pair_id};
    struct table_key to = {*frame_argument(frame, hook->spec.to), 0, hook->spec.pair_id};
    struct context *context, *old;

    if (!kinds_key(hook, frame, *frame_argument(frame, hook->spec.obj), is_slow, &from.object))
        return false;
    if (!from.object || !to.object)
        return kinds_had_nothing(hook);
    if (!is_slow)
        return !table_has(&from);
    context = hook->spec.is_keeping ? table_look(&from) : table_take(&from);
    if (!context)
        return true;
    if (table_put(&to, context, TABLE_REPLACE, true, &old) == TABLE_FULL) {
        context_count_bare(FAMILY_NAMED, BARE_FULL);
        old = context;
    } else {
        tally_carried(hook, 1);
    }
    if (old)
        context_release(old);
    return true;
}
