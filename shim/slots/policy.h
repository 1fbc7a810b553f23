/*
 * Values that live long enough (rule 16): what a context keeps of a slot whose policy is not share.
 *
 * Such a slot is *held*: a context keeps one word that stands for the value, made at capture and let
 * go with the context; each attach is lent a value of its own, made from that word, which is taken
 * back at detach only if the slot still holds it (rules 3 and 19). NULL stands for "no value".
 *
 *              hold                lend                take back         let go
 *   copy=N     malloc and copy     malloc and copy     free              free
 *   string     malloc and copy     malloc and copy     free              free
 *   clone=F    F(value)            F(held)             free=F            free=F
 *   ref=F      F(value)            F(held)             unref=F           unref=F
 *   weak       its origin          the value, if the   -                 -
 *                                  owner still has it
 *                                  (fn, swap: has called no setter since)
 *
 * What a task may free itself comes from the program's own allocator or functions; these and the
 * program's are called with no lock held. A function that is referenced stays loaded.
 */
#ifndef BATON_SLOTS_POLICY_H
#define BATON_SLOTS_POLICY_H

#include <errno.h>

#include "slots/slots.h"

#pragma GCC visibility push(hidden)

/* Some slot is held: captures build, attaches lend. */
extern bool slots_have_owned;

static inline bool slot_is_owned(const struct slot *slot)
{
    return slot->is_owned;
}

/*
 * May two captures have one context between them, as long as policy_same? Of a key, where the value's bytes or its
 * address say all: what the context keeps is let go when the owner changes its value, or ends.
 */
bool policy_is_shareable(const struct slot *slot);

/* Calls one of the slot's two functions, for what it does. */
static inline void policy_call(void *function, void *value)
{
    int saved_errno = errno;

    ((void *(*)(void *))function)(value);
    errno = saved_errno;
}

/* Is what a context keeps what policy_hold would make of `value` now? Only of such a slot. */
bool policy_same(const struct slot *slot, void *owned, void *value);

/* Its functions are to be looked for. False: too many names. */
bool policy_note_names(struct slot *slot, struct slot_error *error, const char *text);

/* Finds the policy's functions. False: not all are loaded; slot->reason says which. */
bool policy_resolve(struct slot *slot);

/*
 * owner: whose value it is (weak): a thread, or the attach of a task; place: where the value is kept
 * if that can be looked at (tls), or NULL. NULL: it could not be made, the slot is carried empty.
 */
void *policy_hold(const struct slot *slot, void *value, const void *owner, void *const *place);
void *policy_lend(const struct slot *slot, void *owned);
void policy_take_back(const struct slot *slot, void *borrowed);
void policy_let_go(const struct slot *slot, void *owned);

/* Keys that are held, those last whose functions are the program's: these see no copy that another task was lent. Once
 * their key indexes are known (policies_begin). */
struct policy_held {
    const struct slot *slot;
    uint32_t key_index;
    enum slot_policy policy; /* the slot's */
};
extern struct policy_held policies_held[SLOTS_MAX + 1] /* the last has no slot */
    __attribute__((visibility("hidden")));
extern unsigned policies_held_count __attribute__((visibility("hidden")));
void policies_begin(void); /* once */
/* What they have in common: whoever moves them knows what is left out. */
enum policies_mix { POLICIES_MIXED, POLICIES_REFS, POLICIES_COPIES /* of bytes or strings */ };
enum policies_mix policies_mix(void);

/* May what is lent be kept, for the next to be lent it (policy_lend_again)? Not what functions of the program's make, and
 * nothing that a leak checker would take for lost. */
static inline bool policy_may_keep(enum slot_policy policy)
{
    return (policy == POLICY_COPY || policy == POLICY_STRING) && !slots_always_build;
}

/* As policy_lend; `kept`, which may be NULL, is what was lent before of the slot, and kept. It is lent again if its
 * bytes are as they should be, or ended. Either may be NULL. */
void *policy_lend_copy(const struct slot *slot, void *owned, void *kept);

static inline void *policy_lend_again(const struct slot *slot, void *owned, void *kept)
{
    return slot->policy == POLICY_COPY || slot->policy == POLICY_STRING
               ? policy_lend_copy(slot, owned, kept)
               : policy_lend(slot, owned);
}

/* Exit has begun: functions of the program's are not called any more by policy_let_go. */
void policies_end(void);

#pragma GCC visibility pop

#endif
