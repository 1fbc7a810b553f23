/*
 * Carried keys as the program sees them: what a set means on an attached thread and on one that is on
 * its own, and what the slots room tells of keys that come, go and are destroyed.
 */
#include "context/dangling.h"
#include "context/draft.h"
#include "context/fast.h"
#include "context/internal.h"
#include "context/strict.h"
#include "context/thread.h"
#include "context/values.h"
#include "slots/moves.h"
#include "slots/origin.h"
#include "slots/keys.h"
#include "slots/slots.h"

/*
 * Told by the slots room. A key index that gets a fresh key for the first time is empty in every
 * context there is, so nothing need be checked; otherwise every context is compared with the epoch
 * from now on, unless there has not been one yet.
 */
static void note_slots_changed(bool may_have_values)
{
    if (may_have_values && atomic_load(&contexts_built)) {
        atomic_store(&context_reads_slow, 1);
        guard_raise(GUARD_EPOCH);
    }
    moves_plan();
}

static APART int set_key_any(unsigned key, const void *value, int (*real)(unsigned, const void *),
                             size_t number, struct thread *thread, uintptr_t sp)
{
    unsigned key_index = (unsigned)number - 1;
    int error;

    if (thread_is_attached(thread) && unlikely((thread->frame_mark & ~(uintptr_t)FRAME_FLAGS) < sp))
        scope_drop_stale(thread, sp);
    if (!thread_is_attached(thread)) {
        void *old = dangling_on ? slots_calls.key_read(key) : NULL;

        error = real(key, value);
        if (old && error == 0 && !context_key_is_owned(key_index))
            dangling_replaced(context_key_slot(key_index), old, value);
        if (dangling_on && value)
            strict_key_set(thread);
        if (error == 0 && origins_on && thread != &thread_unknown)
            origin_seen(thread, context_key_slot(key_index), value);
        if (error == 0 && thread->snapshot.context &&
            thread->snapshot.context->key[key_index] != value)
            draft_note(thread, key_index, (void *)(uintptr_t)value);
        return error;
    }
    return overlay_set_key(thread, key, key_index, value, real);
}

int context_set_open(unsigned key, const void *value, int (*real)(unsigned, const void *),
                     void **place)
{
    int error = real(key, value);

    if (error == 0) {
        *place = (void *)(uintptr_t)value;
        thread_note_set(thread_self, key, value);
    }
    return error;
}

int context_set_number(unsigned key, const void *value, int (*real)(unsigned, const void *),
                       size_t number)
{
    struct thread *thread = thread_self;

    if (likely(!thread->attached && !origins_on && !dangling_on))
        return draft_set_key(key, value, real, number, thread);
    return set_key_any(key, value, real, number, thread, (uintptr_t)__builtin_dwarf_cfa());
}

int context_set_key(unsigned key, unsigned key_index, const void *value,
                    int (*real)(unsigned, const void *))
{
    void *function = (void *)real;

    return set_carried(key, (size_t)key_index + 1, value, &function);
}

/*
 * glibc destroys a value because its owner ends. The thread's own cache must not keep it: threads
 * that we did not start come here before their block is given back.
 */
static bool destroy_later(unsigned key_index, void *value)
{
    struct thread *thread = thread_self;

    if (!thread_is_attached(thread)) {
        context_drop_snapshot(thread);
    } else { /* frames that nobody has unwound, of a thread that nobody watches */
        thread_leave(thread);
        thread = thread_self;
    }
    if (context_key_is_owned(key_index)) {
        if (origins_on)
            origin_seen(thread, context_key_slot(key_index), NULL);
        return false;
    }
    return values_defer(key_index, key_bindings[key_index].since, value);
}

void keys_begin(void)
{
    slots_calls.changed = note_slots_changed;
    slots_calls.stale = guard_note_stale;
    slots_calls.destroying = destroy_later;
    slots_calls.key_gone = values_forget;
}
