/*
 * Which tasks look at what they were given: for the report. Of keys that the overlay shows each read is seen; of
 * thread-local words, and of what is moved by functions, none is.
 */
#ifndef BATON_CONTEXT_READS_H
#define BATON_CONTEXT_READS_H

#include <stdatomic.h>
#include <stdbool.h>

#include "context/context.h"
#include "context/internal.h"

struct slot;

extern bool reads_are_counted; /* since reads_begin (guard.c) */

/* From now on reads are counted (thread.counts.read: attaches in which a value that was given was read). */
void reads_begin(void);
/* Whether that number is all there is to see: nothing but such keys is carried. */
bool reads_are_all(void);
/* The slot's reads can be seen, handoffs had a value of it, and no task read one. */
bool reads_missed(const struct slot *slot);
/* Some context had variables of the C interface, whose reads are not counted. */
extern atomic_bool reads_have_variables; /* guard.c */
/* The attach, which has no scope entry and no overlay yet, was counted. */
static inline bool reads_are_marked(const struct thread *thread)
{
    return reads_are_counted && !thread->depth && thread->frame_mark & FRAME_SLOW &&
           (!scope_has_front || thread->is_read);
}

#endif
