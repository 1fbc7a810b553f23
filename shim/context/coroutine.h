/*
 * Coroutines: one flow of execution on one stack. A thread's own stack is its *main* coroutine; every
 * coroutine is one more. What is attached belongs to the coroutine, not to the thread: a switch of
 * stacks puts the thread's attach state aside and takes up the one of the stack it goes to.
 *
 * Ownership: a suspended coroutine's state (attached contexts, scope entries, saved values) is the coroutine's;
 * while the coroutine runs, the same state is in the thread block and the coroutine's copy means nothing.
 * A coroutine runs in one thread at a time, and its switches happen one after the other: the program's
 * own hand over of the coroutine orders them. It is ended by its entry function's return, or dropped
 * when its stack is used for another one (rule C15); main stacks are never dropped.
 */
#ifndef BATON_CONTEXT_COROUTINE_H
#define BATON_CONTEXT_COROUTINE_H

#include <string.h>

#include "context/context.h"

struct coroutine {
    struct thread_state state; /* while suspended */
    uintptr_t sp;              /* where it was left; how it is recognised first */
    void *values; /* copied values while suspended (slots_suspend); NULL: none are copied */
    void *
        front; /* thread_front of an attach that has no scope entry, while suspended; NULL: it has exchanged no words */
    uint32_t epoch; /* slots_epoch when they were saved */
    bool has_values;
    bool is_counted;       /* in the report's records, as it holds a context from its making */
    bool is_unlisted;      /* its stack has been given to another coroutine while it ran */
    uint8_t away;          /* enum coroutine_away */
    bool is_astray;        /* left on a stack that is not its own */
    uintptr_t low, size;   /* its stack; size 0: a main one */
    struct context *start; /* of the entry function, until that has it */
    void *more;            /* the family's, mem_alloc(more_size) */
    size_t more_size;
    const void
        *record; /* the family's: a switch that brings it is this coroutine's last; or NULL */
};

/*
 * Where a signal handler may switch as well, it may have interrupted any instruction of a switch, and the switch may
 * go on much later. What is said of a coroutine follows from the stack that one is on, not from what a switch had got to:
 *
 *  - Who leaves by swapcontext puts the thread's state into its own, is AWAY from then on, and only then writes `current`.
 *    Both are single stores. What is copied into the thread's state after that is also in the coroutine that comes, so
 *    nothing is lost if the copy is never finished, or made twice, or torn.
 *  - Who comes back by swapcontext (coroutine_arrive) looks whether `current` is itself, and is away no more.
 *  - Who finds `current` away has interrupted a switch between these two: it takes the coroutine whose stack it is on for
 *    what runs (coroutine_find_current). The interrupted switch will go on with its copy, so from then on that coroutine's own
 *    state counts and the thread's does not (AWAY_TORN), until it has come back to where it was interrupted. The
 *    one that comes then finds that it is not `current`, and makes itself so.
 *  - Where more than the state is exchanged, signals are blocked meanwhile (AWAY_WHOLE: the thread's state is never torn).
 *  - Whoever is entered by what does not come back to us (setcontext to a getcontext, longjmp, uc_link) is said to be here
 *    by who leaves; with signals blocked, which the C library then sets as the target has them. So is who was left by such a
 *    call, or before handlers were known to switch, when swapcontext goes there.
 *
 * Claim, shown by tests/unit/test_model_switches.c over three flows of one thread and all steps of their switches at which up to
 * two handlers may come and switch: whoever is come back to has attached what it had, its overlay too, and what a handler leaves
 * to be mended is mended before the program goes on.
 *
 * So far as only the state is concerned that holds on one thread: a coroutine that is preempted on one and goes on
 * on another has the first one's variables in its registers, here as in the C library.
 */
enum coroutine_away { HERE, AWAY, AWAY_WHOLE, AWAY_TORN };

enum { COROUTINES_RECENT = 64 };

/* What a thread knows of coroutines; made at its first switch, kept with its block. */
struct coroutines {
    struct coroutine *current;
    struct coroutine main_stack;
    struct coroutine
        *recent[COROUTINES_RECENT]; /* by the program's context pointer: a guess, checked by sp */
};

/* Not zero once a coroutine besides the main ones has been made: until then switches need not be looked at. */
extern _Atomic uint32_t coroutines_made __attribute__((visibility("hidden")));

/*
 * A coroutine for the stack [low, low + size), which is about to be started at stack pointer `sp` from
 * the program's context `hint`. Takes over the reference to `start` and the block `more`; both may be
 * NULL for a stack that begins with nothing attached. Drops what was on that stack before. NULL: no
 * memory, nothing taken.
 */
struct coroutine *coroutine_new(uintptr_t low, size_t size, struct context *start, void *more,
                                size_t more_size);
void coroutine_made(struct coroutine *coroutine, const void *hint, uintptr_t sp);

struct coroutine *coroutine_find_slow(struct coroutines *own, const void *hint, uintptr_t sp);
void coroutine_switch_slow(struct coroutines *own, struct coroutine *to);
struct coroutines *coroutine_own_slow(void);

/* How many are astray: a handler has come when the C library, on its way to them, was still on the stack that has ended. */
extern _Atomic uint32_t coroutines_astray __attribute__((visibility("hidden")));
/* Some handler switches, as far as is known: a context had signals blocked. */
extern atomic_bool coroutines_preempt __attribute__((visibility("hidden")));
void coroutine_block_signals(uint64_t *before);
void coroutine_unblock_signals(const uint64_t *before);
/* What runs, for who is about to leave it from stack pointer `sp`: `current`, unless a switch was interrupted. */
struct coroutine *coroutine_find_current(struct coroutines *own, uintptr_t sp);
/* `here` was come back to, and is not `current`. */
void coroutine_arrive_slow(struct coroutines *own, struct coroutine *here);

static inline bool coroutine_is_main_stack(const struct thread *thread)
{
    return !thread->coroutines || thread->coroutines->current == &thread->coroutines->main_stack;
}

static inline unsigned coroutine_slot(const void *hint)
{
    return (uint32_t)(uintptr_t)hint * 2654435761u / (UINT32_MAX / COROUTINES_RECENT + 1);
}

/* The coroutine whose stack `sp` is on: the thread's main one if no other is known. */
static inline __attribute__((always_inline)) struct coroutine *
coroutine_find(struct coroutines *own, const void *hint, uintptr_t sp)
{
    struct coroutine *guess = own->recent[coroutine_slot(hint)];

    return likely(guess && guess->sp == sp) ? guess : coroutine_find_slow(own, hint, sp);
}

/* Nothing is copied: the saved values are the same nothing for everybody. */
static inline __attribute__((always_inline)) void
coroutine_exchange(struct thread *thread, struct coroutines *own, struct coroutine *to)
{
    memcpy(&own->current->state, &thread->state, offsetof(struct thread_state, saved));
    memcpy(&thread->state, &to->state, offsetof(struct thread_state, saved));
    own->current = to;
}

/* Makes `to` what the calling thread runs; the switch itself must follow at once. */
static inline __attribute__((always_inline)) void
coroutine_switch(struct thread *thread, struct coroutines *own, struct coroutine *to)
{
    struct coroutine *from = own->current;

    if (from == to)
        return;
    if (unlikely(!guard_is_clear() || from->is_unlisted)) {
        coroutine_switch_slow(own, to);
        return;
    }
    coroutine_exchange(thread, own, to);
}

/*
 * As coroutine_switch, before a real function that saves the processor's floating-point control for the stack that is left and
 * loads what the other has: it finds what that stack had, not what `to` is to have.
 */
static inline __attribute__((always_inline)) void
coroutine_switch_keeping_control(struct thread *thread, struct coroutines *own,
                                 struct coroutine *to)
{
    uint64_t control;

    if (likely(guard_is_clear())) {
        coroutine_switch(thread, own, to);
        return;
    }
    control = arch_fenv_read();
    coroutine_switch(thread, own, to);
    if (unlikely(arch_fenv_read() != control))
        arch_fenv_write(control);
}

/* The same for swapcontext, whose arrival is coroutine_arrive: in an order that may be interrupted anywhere. */
static inline __attribute__((always_inline)) void coroutine_leave_plain(struct thread *thread,
                                                                        struct coroutines *own,
                                                                        struct coroutine *from,
                                                                        struct coroutine *to)
{
    memcpy(&from->state, &thread->state, offsetof(struct thread_state, saved));
    atomic_signal_fence(memory_order_seq_cst);
    from->away = AWAY;
    atomic_signal_fence(memory_order_seq_cst);
    own->current = to;
    atomic_signal_fence(memory_order_seq_cst);
    memcpy(&thread->state, &to->state, offsetof(struct thread_state, saved));
}

/* Back on the stack of `here`, on whichever thread. */
static inline __attribute__((always_inline)) void coroutine_arrive(struct coroutines *own,
                                                                   struct coroutine *here)
{
    if (unlikely(own->current != here))
        coroutine_arrive_slow(own, here);
    atomic_signal_fence(memory_order_seq_cst);
    here->away = HERE;
}

/* The current coroutine's entry function has returned and control goes to `to`: drops the coroutine. */
void coroutine_end(struct coroutines *own, struct coroutine *ended, struct coroutine *to);

/* For thread.c: the thread ends wherever it is. */
void coroutine_thread_ends(struct thread *thread);

#endif
