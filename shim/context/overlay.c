/*
 * The private overlay of an attached thread: made when its task sets a carried key or a variable, or
 * where the task borrows values; see internal.h.
 *
 * Rules: only the owning thread touches it; policy functions (clone, free, ref, unref) are foreign code.
 */
#include <string.h>

#include "context/dangling.h"
#include "context/internal.h"
#include "context/reads.h"
#include "context/thread.h"
#include "context/variables.h"
#include "slots/origin.h"
#include "slots/policy.h"
#include "slots/keys.h"
#include "slots/slots.h"

static void overlay_part_clear(struct context *own)
{
    struct overlay_part *part = context_overlay_part(own);

    part->task_snapshot = NULL;
    part->vars_id = 0;
    for (unsigned i = 0; i < context_bits; i++) {
        part->set[i] = 0;
        arch_forget(part->set[i]); /* few: no call of memset */
    }
    if (unlikely(slots_have_owned_keys))
        memset(context_borrowed(own), 0, slots_key_count * sizeof(void *));
}

/* A context of an earlier epoch, one to be written to, or one that lends values, gets a private stand-in. */
struct context *overlay_new(struct context *base)
{
    struct thread *thread = thread_self;
    struct context *own = thread->spare_overlay;

    thread->spare_overlay = NULL;
    if (!own && !(own = context_alloc(true)))
        return NULL;
    overlay_part_clear(own);
    atomic_store_explicit(&own->refs, 0, memory_order_relaxed);
    context_copy_values(own, base);
    own->flags = CONTEXT_OVERLAY;
    if (own->vars)
        vars_ref(own->vars);
    own->base = base;
    own->epoch = atomic_load_explicit(&slots_epoch, memory_order_acquire);
    if (base->epoch >= own->epoch && !slots_have_owned_keys)
        return own;
    for (unsigned key_index = 0; key_index < slots_key_count; key_index++) {
        if (base->epoch < key_bindings[key_index].since)
            own->key[key_index] = NULL;
        if (context_key_is_owned(key_index))
            own->key[key_index] = NULL; /* until overlay_lend */
    }
    return own;
}

void overlay_lend(struct context *own)
{
    const struct context *base = own->base;

    for (unsigned key_index = 0; key_index < slots_key_count; key_index++) {
        if (context_key_is_owned(key_index) && base->epoch >= key_bindings[key_index].since)
            own->key[key_index] = context_borrowed(own)[key_index] =
                policy_lend(context_key_slot(key_index), base->key[key_index]);
    }
}

void overlay_clean(struct context *own)
{
    overlay_part_clear(own);
    own->flags = CONTEXT_OVERLAY;
    own->vars = NULL;
}

void overlay_free(struct context *own)
{
    struct overlay_part *part = context_overlay_part(own);
    struct thread *thread;

    if (part->task_snapshot)
        context_release(part->task_snapshot);
    own->flags = 0; /* not one that lending.h has emptied */
    if (origins_on)
        origin_gone(own);
    if (own->vars)
        vars_unref(own->vars);
    thread = thread_self;
    if (thread->batch.attached == own)
        thread->batch.attached = NULL; /* the next one may lie at its place */
    /* A thread whose tasks set keys needs one a task: it stays with the block, as its scope entries do. */
    if (thread->spare_overlay || thread == &thread_unknown)
        context_give_back(own, true);
    else
        thread->spare_overlay = own;
}

void context_drop_lent(struct thread *thread)
{
    struct context *own = thread->lending;

    if (!own)
        return;
    thread->lending = NULL;
    for (unsigned i = 0; i < policies_held_count; i++)
        policy_take_back(policies_held[i].slot, context_borrowed(own)[policies_held[i].key_index]);
    own->flags = 0;
    if (thread->spare_overlay)
        context_give_back(own, true);
    else
        thread->spare_overlay = own;
}

void context_drop_task_snapshot(struct context *own)
{
    struct overlay_part *part = context_overlay_part(own);
    struct context *task_snapshot = part->task_snapshot;

    if (!task_snapshot)
        return;
    part->task_snapshot = NULL;
    thread_self->batch.attached = NULL; /* references to what is not seen any more */
    context_release(task_snapshot);
}

/* Values that the slots still hold are baton's to end; what a task took over is not (rule 19). */
void overlay_reclaim(struct context *own, bool is_thread)
{
    struct overlay_part *part = context_overlay_part(own);

    for (unsigned key_index = 0; key_index < slots_key_count; key_index++) {
        uint64_t bit = (uint64_t)1 << key_index % 64;
        void *borrowed;

        if (!context_key_is_owned(key_index) || !(borrowed = context_borrowed(own)[key_index]))
            continue;
        if (!(context_void(own)[key_index / 64] & bit)) {
            if (own->key[key_index] != borrowed)
                continue;
            if (is_thread && part->set[key_index / 64] & bit)
                continue; /* the thread set it natively as well: the C library ends it */
            own->key[key_index] = NULL;
        }
        context_borrowed(own)[key_index] = NULL;
        policy_take_back(context_key_slot(key_index), borrowed);
    }
}

bool overlay_make(struct thread *thread)
{
    struct context *own;

    if (thread->attached->flags & CONTEXT_OVERLAY)
        return true;
    own = overlay_new(thread->attached);
    if (!own)
        return false;
    if (reads_are_marked(thread))
        own->flags |= CONTEXT_READ;
    thread->attached = own;
    thread->frame_mark |= FRAME_SLOW;
    return true;
}

/*
 * Keys that were made again since the attach are empty in it, whatever the task had set: a thread that deletes
 * a key looks after the values. Not after what the task borrowed.
 */
static void bring_up_to_date(struct context *own)
{
    struct overlay_part *part = context_overlay_part(own);
    uint32_t epoch = atomic_load_explicit(&slots_epoch, memory_order_acquire);

    for (unsigned key_index = 0; key_index < slots_key_count; key_index++) {
        uint64_t bit = (uint64_t)1 << key_index % 64;

        if (key_bindings[key_index].since <= own->epoch)
            continue;
        if (context_key_is_owned(key_index)) {
            if (own->key[key_index] && own->key[key_index] == context_borrowed(own)[key_index])
                context_void(own)[key_index / 64] |= bit;
            else if (!(context_void(own)[key_index / 64] & bit))
                context_borrowed(own)[key_index] = NULL;
        }
        own->key[key_index] = NULL;
        part->set[key_index / 64] &= ~bit;
    }
    own->flags |= CONTEXT_TOUCHED;
    own->epoch = epoch;
}

int overlay_set_key(struct thread *thread, unsigned key, unsigned key_index, const void *value,
                    int (*real)(unsigned, const void *))
{
    struct context *over = thread->attached;
    struct overlay_part *part;

    if (over->epoch < key_bindings[key_index].since && over->flags & CONTEXT_OVERLAY) {
        bring_up_to_date(over);
    } else if (!(over->flags & CONTEXT_OVERLAY)) {
        if (over->key[key_index] == value && over->epoch >= key_bindings[key_index].since &&
            !(thread->frame_mark & FRAME_THREAD))
            return 0;
        if (!overlay_make(thread))
            return 12; /* ENOMEM, as the real function answers */
        over = thread->attached;
    }
    if (thread->frame_mark & FRAME_THREAD) {
        /* The thread's own from now on: the C library destroys it when the thread ends (rule 13).
         * Last of what may fail, because then the value stays the caller's. */
        int error = real(key, value);

        if (error)
            return error;
    }
    part = context_overlay_part(over);
    if (part->task_snapshot)
        context_drop_task_snapshot(over);
    if (origins_on)
        origin_seen(over, context_key_slot(key_index), value);
    if (dangling_on && part->set[key_index / 64] >> key_index % 64 & 1 &&
        !context_key_is_owned(key_index))
        dangling_replaced(context_key_slot(key_index), over->key[key_index], value);
    over->key[key_index] = (void *)(uintptr_t)value;
    part->set[key_index / 64] |= (uint64_t)1 << key_index % 64;
    over->flags |= CONTEXT_TOUCHED;
    /* From now on nothing of the above is needed: until the task hands over, or a key comes or goes. */
    if (!slots_have_owned_keys && !origins_on && !dangling_on) {
        if (!(thread->frame_mark & FRAME_THREAD)) {
            over->flags |= CONTEXT_OPEN;
            return 0;
        }
        over->flags |= CONTEXT_OPEN_THREAD;
        thread->set_last = KEYS_TOGETHER_NONE; /* it may be of the block's last thread */
        thread_note_set(thread, key, value);
    }
    return 0;
}
