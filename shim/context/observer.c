/*
 * What capture, attach, detach and release know of who watches (observer.h): where to call, and whose a
 * context is.
 */
#include "context/observer.h"

#include "slots/slots.h"

const struct observer *observer;

size_t observer_context_size(void)
{
    return offsetof(struct context, key) + slots_key_count * sizeof(void *);
}

struct handoff **observer_place(const struct context *copy)
{
    return (struct handoff **)(void *)((char *)(uintptr_t)copy + observer_context_size());
}
