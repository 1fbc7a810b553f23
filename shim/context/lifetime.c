/*
 * The memory of contexts and the references to them, from the first to the last.
 *
 * Rules: nothing here allocates from the program, prints, or changes errno; what a last reference runs
 * (destructors, free functions) is foreign code and is called with no lock held.
 *
 * That batches free a context once, and not while anybody has it: in every interleaving of one who hands over, changes
 * and hands over again with two who run, hand on and let go (tests/unit/test_model_contexts.c).
 */
#include <string.h>

#include "base/mem.h"
#include "context/dangling.h"
#include "context/internal.h"
#include "context/observer.h"
#include "context/pool/blocks.h"
#include "context/pool/listed.h"
#include "context/slot_counts.h"
#include "context/strict.h"
#include "context/thread.h"
#include "context/values.h"
#include "context/variables.h"
#include "slots/bytes.h"
#include "slots/policy.h"
#include "slots/keys.h"
#include "slots/slots.h"

/* ---- memory ---- */

size_t overlay_size(void)
{
    return sizeof(struct overlay_part) + context_bits * sizeof(uint64_t) +
           (slots_have_owned_keys ? slots_key_count * sizeof(void *) : 0);
}

static size_t bytes_of(bool is_overlay)
{
    return context_before + context_bytes + (is_overlay ? overlay_size() : dangling_bytes);
}

struct context *context_alloc(bool is_overlay)
{
    char *buffer = is_overlay                       ? mem_alloc_dirty(bytes_of(true))
                   : likely(!dangling_on)           ? blocks_alloc(thread_self)
                   : thread_self != &thread_unknown ? listed_alloc(thread_self)
                                                    : mem_alloc_dirty(bytes_of(false));

    return buffer ? (struct context *)(void *)(buffer + context_before) : NULL;
}

void context_give_back(struct context *context, bool is_overlay)
{
    if (is_overlay)
        mem_free(context_copied(context), bytes_of(true));
    else if (likely(!dangling_on))
        blocks_free(thread_self, context_copied(context));
    else
        listed_free(context_copied(context));
}

/* Two words at once; of our memcpy's callers some may touch no vector register. */
typedef uint64_t __attribute__((vector_size(16), aligned(8), may_alias)) pair;
enum { PAIRS = 16, WIDE_LEAST = 256 };
_Static_assert(PAIRS * sizeof(pair) == WIDE_LEAST, "what is many for one is many for the other");
_Static_assert((offsetof(struct context, key) - offsetof(struct context, flags)) % sizeof(pair) ==
                   0,
               "a context is copied in pairs");

static inline void copy_copied(struct context *to, const struct context *from)
{
    if (unlikely(context_before != 0))
        memcpy(context_copied(to), context_copied(from), context_before);
}

#ifdef ARCH_WIDE
typedef uint64_t __attribute__((vector_size(32), aligned(8), may_alias)) wide;

static APART ARCH_WIDE void copy_wide(struct context *to, const struct context *from)
{
    char *out = (char *)to + context_bytes;
    const char *in = (const char *)from + context_bytes;
    ptrdiff_t at = (ptrdiff_t)offsetof(struct context, flags) - (ptrdiff_t)context_bytes;

    do {
#pragma GCC unroll 8
        for (ptrdiff_t i = 0; i < WIDE_LEAST; i += (ptrdiff_t)sizeof(wide))
            *(wide *)(void *)(out + at + i) = *(const wide *)(const void *)(in + at + i);
        at += WIDE_LEAST;
        __asm__("" : "+r"(at)); /* one register is counted with, and both are found by it */
    } while (at <= -WIDE_LEAST);
    for (; at <= -(ptrdiff_t)sizeof(wide); at += (ptrdiff_t)sizeof(wide)) {
        *(wide *)(void *)(out + at) = *(const wide *)(const void *)(in + at);
        __asm__("" : "+r"(at));
    }
    if (at)
        *(pair *)(void *)(out + at) = *(const pair *)(const void *)(in + at);
    copy_copied(to, from);
}
#endif

static APART void copy_many(struct context *to, const struct context *from)
{
    pair *out = (pair *)(void *)&to->flags, *end = (pair *)(void *)((char *)to + context_bytes);
    const pair *in = (const pair *)(const void *)&from->flags;

#ifdef ARCH_WIDE
    if (bytes_are_wide()) {
        copy_wide(to, from);
        return;
    }
#endif
    for (; end - out >= PAIRS; out += PAIRS, in += PAIRS) {
#pragma GCC unroll 16
        for (unsigned i = 0; i < PAIRS; i++)
            out[i] = in[i];
    }
    for (; out < end; out++) {
        *out = *in++;
        arch_forget(*out);
    }
    copy_copied(to, from);
}

void context_copy_values(struct context *to, const struct context *from)
{
    pair *out = (pair *)(void *)&to->flags, *end = (pair *)(void *)((char *)to + context_bytes);
    const pair *in = (const pair *)(const void *)&from->flags;

    if (end - out >= PAIRS) {
#ifdef ARCH_WIDE
        if (likely(atomic_load_explicit(&bytes_width, memory_order_relaxed) == BYTES_WIDE)) {
            copy_wide(to, from);
            return;
        }
#endif
        copy_many(to, from);
        return;
    }
    for (; out < end; out++) {
        *out = *in++;
        arch_forget(*out);
    }
    copy_copied(to, from);
}

bool context_make_empty(void)
{
    char *empty;

    context_before = slots_block_bytes();
    context_bits = (slots_key_count + 63) / 64 * (slots_have_owned_keys ? 2 : 1);
    context_bytes = offsetof(struct context, key) + (slots_key_count + 1) / 2 * sizeof(pair);
    context_borrowed_at =
        (unsigned)((context_bytes - offsetof(struct context, key) + sizeof(struct overlay_part)) /
                   sizeof(void *)) +
        context_bits;
    if (dangling_on)
        listed_begin(bytes_of(false));
    blocks_begin(bytes_of(false));
    empty = mem_alloc(bytes_of(false));
    if (!empty)
        return false;
    context_empty = (struct context *)(void *)(empty + context_before);
    context_empty->flags = CONTEXT_EMPTY;
    atomic_store(&context_empty->refs, INT64_MAX / 2);
    context_empty->epoch = UINT32_MAX; /* its values are right for every binding */
    return true;
}

/* ---- references ---- */

static APART void free_any(struct context *context)
{
    unsigned flags = context->flags;

    if (unlikely(flags & (CONTEXT_WATCHED | CONTEXT_TAGGED))) {
        observer->free(context);
        if (flags & CONTEXT_WATCHED)
            return;
    }
    if (flags & CONTEXT_COUNTED) {
        for (unsigned key_index = 0; key_index < slots_key_count; key_index++) {
            if (context_holds_counted(context, key_index))
                values_let_go(key_index, key_bindings[key_index].since, context->key[key_index]);
        }
    }
    for (unsigned key_index = 0; slots_have_owned_keys && key_index < slots_key_count;
         key_index++) {
        if (context_key_is_owned(key_index))
            policy_let_go(context_key_slot(key_index), context->key[key_index]);
    }
    if (dangling_on) {
        dangling_let_go(context);
        strict_gone(thread_self);
    }
    if (slots_owns_values && slots_have_copied)
        slots_release(context_copied(context));
    vars_unref(context->vars);
    context_note_gone(thread_self);
    if (likely(!atomic_load_explicit(&contexts_looked_at, memory_order_relaxed)))
        context_give_back(context, false);
}

/* What most contexts are: nothing waits for their end. */
static inline __attribute__((always_inline)) bool is_free_at_once(const struct context *context)
{
    return likely(!dangling_on &&
                  !(context->flags & (CONTEXT_WATCHED | CONTEXT_TAGGED | CONTEXT_COUNTED)) &&
                  !context->vars && !slots_have_owned_keys && !slots_owns_values &&
                  !atomic_load_explicit(&contexts_looked_at, memory_order_relaxed));
}

void context_free(struct context *context)
{
    struct thread *thread = thread_self;

    if (unlikely(!is_free_at_once(context))) {
        free_any(context);
        return;
    }
    context_note_gone(thread);
    blocks_free(thread, context_copied(context));
}

struct context *context_ref(struct context *context)
{
    atomic_fetch_add_explicit(&context->refs, 1, memory_order_relaxed);
    return context;
}

void context_drop_snapshot(struct thread *thread)
{
    struct context *snapshot = thread->snapshot.context;
    int32_t snapshot_refs = thread->snapshot.stale_refs;

    if (!snapshot)
        return;
    if (likely(thread->snapshot.refs > 0)) /* less: in a handler, see context_take_one */
        snapshot_refs += thread->snapshot.refs;
    if (unlikely(slot_counts_on))
        slot_counts_tell_snapshot(thread);
    flush_begin(thread);
    thread->snapshot.context = NULL;
    thread->snapshot.refs = thread->snapshot.stale_refs = 0;
    thread->snapshot.draft = NO_DRAFT;
    context_put(snapshot, snapshot_refs + 1);
    flush_end(thread);
}

void context_flush_releases(struct thread *thread)
{
    struct context *context = thread->deferred.context;
    int32_t owed = DEFERRED_MAX - thread->deferred.releases;

    if (!context)
        return;
    if (unlikely(slot_counts_on))
        slot_counts_tell_deferred(thread);
    flush_begin(thread);
    thread->deferred.context = NULL;
    thread->deferred.releases = 0;
    if (owed > 0)
        context_put(context, owed);
    flush_end(thread);
}

/* The batch is full. */
static APART void release_batch(struct thread *thread, struct context *context)
{
    if (unlikely(slot_counts_on))
        slot_counts_tell_deferred(thread);
    flush_begin(thread);
    thread->deferred.releases = DEFERRED_MAX;
    thread->deferred.context = NULL;
    context_put(context, DEFERRED_MAX);
    flush_end(thread);
}

static APART void release_last(struct thread *thread, struct context *context)
{
    if (unlikely(slot_counts_on))
        slot_counts_add(thread, context, 0, 1);
    context_free(context);
}

static APART void release_another(struct thread *thread, struct context *context)
{
    if (context->flags & (CONTEXT_COUNTED | CONTEXT_ONCE)) {
        if (unlikely(slot_counts_on))
            slot_counts_add(thread, context, 0, 1);
        context_put(context, 1);
        return;
    }
    context_flush_releases(thread);
    thread->deferred.context = context;
    thread->deferred.from = DEFERRED_MAX;
    thread->deferred.releases = DEFERRED_MAX - 1;
}

/*
 * Contexts with counted values are let go at once, because a destructor may wait for them. The last
 * known reference is let go at once too: a batch would keep a dead context until this thread's next
 * task. What remains in batches is owed to contexts that their owner still caches.
 */
void context_release_slow(struct thread *thread, struct context *context)
{
    if (unlikely(thread == &thread_unknown)) {
        context_put(context, 1);
    } else if (context == thread->deferred.context) {
        release_batch(thread, context);
    } else if (atomic_load_explicit(&context->refs, memory_order_acquire) != 1) {
        release_another(thread, context);
    } else if (likely(!slot_counts_on) && is_free_at_once(context)) {
        /* Whoever has the only one can take another, and nobody else. */
        thread->contexts.gone++;
        blocks_free(thread, context_copied(context));
    } else {
        release_last(thread, context);
    }
}

void context_discard(struct context *context)
{
    context_put(context, 1);
}
