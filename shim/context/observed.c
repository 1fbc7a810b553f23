/*
 * Making contexts that belong to one handoff (observer.h).
 *
 * Rules: a watched copy owns nothing but its reference to `base`: values are counted, borrowed from and let
 * go there. So it is freed by its watcher alone, and never copied as a snapshot of anybody's.
 */
#include "context/observer.h"

#include <string.h>

#include "context/internal.h"
#include "slots/slots.h"

enum { KEYS_IN_LINE = 8 }; /* more are moved by memcpy */

void observer_set(const struct observer *table)
{
    observer = table;
    observer_place_at = offsetof(struct context, key) + slots_key_count * sizeof(void *);
    capture_choose();
    scope_choose();
    guard_raise(GUARD_OBSERVED);
}

size_t observer_copy_size(void)
{
    size_t context = offsetof(struct context, key) + slots_key_count * sizeof(void *);

    return (context_before + context + sizeof(struct handoff *) + 15) & ~(size_t)15;
}

struct context *observer_copy_at(void *memory)
{
    return (struct context *)(void *)((char *)memory + context_before);
}

void observer_fill(struct context *copy, struct context *context, struct handoff *handoff)
{
    if (context_before || slots_key_count > KEYS_IN_LINE) {
        context_copy_values(copy, context);
    } else {
        memcpy(&copy->flags, &context->flags,
               offsetof(struct context, base) - offsetof(struct context, flags));
        for (unsigned i = 0; i < slots_key_count; i++)
            copy->key[i] = context->key[i];
    }
    copy->flags = (context->flags & CONTEXT_EMPTY) | observer_flags();
    copy->base = context;
    *observer_place(copy) = handoff;
    atomic_store_explicit(&copy->refs, 1, memory_order_relaxed);
}

void observer_tag(struct context *context, struct handoff *handoff)
{
    context->base = (struct context *)(void *)handoff;
    context->flags |= CONTEXT_TAGGED;
}
