/*
 * Between the files of this room: the private overlay of a task that set a carried key.
 *
 * It is a copy of the attached context that only the attached thread sees. It lives from the first
 * set until the attach is left; `base` is the context that was attached, whose reference (if the
 * attach owns one) stays with the attach.
 */
#ifndef BATON_CONTEXT_PRIVATE_H
#define BATON_CONTEXT_PRIVATE_H

#include "context/context.h"
#include "slots/slots.h"

struct private_part {
    struct context *frozen; /* what the task captured since its last set; one reference */
    uint64_t set[];         /* a bit a column: the task has set it */
};

void *context_copied(const struct context *context);
struct private_part *context_private(const struct context *context);

/* A private copy of an attached context; NULL: no memory. Freed by context_private_free. */
struct context *context_private_new(struct context *base);
void context_private_free(struct context *own);

static inline bool context_holds_counted(const struct context *context, unsigned column)
{
    const struct key_binding *binding = &key_bindings[column];

    return context->key[column] && binding->destructor && context->epoch >= binding->since;
}

/* GUARD_STALE is set: looks for what waits. */
void context_look_again(void);

/* A context of what the thread sees now, one reference; not counted as a capture. NULL: no memory. */
struct context *context_visible(struct thread *thread);

int scope_set_key(struct thread *thread, unsigned key, unsigned column, const void *value,
                  int (*real)(unsigned, const void *));

#endif
