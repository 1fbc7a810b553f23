/*
 * Coroutines of the C library: makecontext, swapcontext, setcontext, and jumps between stacks.
 *
 * A coroutine starts in the context of its makecontext. From then on everything that is attached on
 * its stack stays with that stack (context/coroutine.h), over any number of switches and from thread to
 * thread; each hook only exchanges the thread's attach state for the one of the stack that the real
 * function is about to go to. uc_link is followed inside libc, so the entry function's end does the
 * same for it.
 *
 * OpenSSL's fibres begin with nothing: they are kept and serve one job after the other, and each job
 * brings its own context (openssl.c). So do the stacks on which oneTBB goes on while a task is suspended.
 *
 * longjmp is how OpenSSL's ASYNC, QEMU and others switch once a stack has been entered. Jumps that
 * stay on their stack need nothing: the frames that they left are found later (scope_drop_stale).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <ucontext.h>

#include "base/mem.h"
#include "context/coroutine.h"
#include "context/coroutine_list.h"
#include "families/handoff.h"
#include "interpose/reentry.h"

struct entry {
    void (*function)(void);
    const ucontext_t *link;
    uint64_t signals; /* what the function is to have blocked, then what it had */
    bool is_blocked;  /* while its context is attached */
    int count;
    long arguments[];
};

enum { ARGUMENTS_MAX = 32 };

typedef void function_6(long, long, long, long, long, long);
#define EIGHT_LONGS long, long, long, long, long, long, long, long
typedef void function_32(EIGHT_LONGS, EIGHT_LONGS, EIGHT_LONGS, EIGHT_LONGS);

/* A function is not harmed by arguments that it does not look at. */
static void call_entry(struct entry *entry)
{
    long a[ARGUMENTS_MAX] = {0};

    for (int i = 0; i < entry->count; i++)
        a[i] = entry->arguments[i];
    if (entry->is_blocked)
        coroutine_unblock_signals(&entry->signals);
    if (entry->count <= 6)
        ((function_6 *)entry->function)(a[0], a[1], a[2], a[3], a[4], a[5]);
    else
        ((function_32 *)entry->function)(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9],
                                         a[10], a[11], a[12], a[13], a[14], a[15], a[16], a[17],
                                         a[18], a[19], a[20], a[21], a[22], a[23], a[24], a[25],
                                         a[26], a[27], a[28], a[29], a[30], a[31]);
    /* A handler that switches must not come between what is left of us; the C library unblocks, for uc_link. */
    coroutine_block_signals(&entry->signals);
}

static GUARDED void run_attached(struct context *context, struct entry *entry)
{
    GUARDED_FRAME();
    SCOPE_RUN(context, FRAME_OWNED, call_entry(entry));
}

static void run_entry(long word)
{
    struct coroutine *coroutine = (struct coroutine *)word;
    struct entry *entry = coroutine->more;
    const ucontext_t *link = entry->link;
    struct context *context = coroutine->start;
    struct coroutines *own = thread_self->coroutines;
    uint64_t signals;

    if (own)
        coroutine_arrive(own, coroutine);
    coroutine->start = NULL;
    entry->is_blocked = !guard_is_clear() &&
                        atomic_load_explicit(&coroutines_preempt, memory_order_relaxed);
    if (entry->is_blocked)
        coroutine_block_signals(&entry->signals);
    run_attached(context, entry);
    signals = entry->signals;
    own = coroutine_own_slow();
    if (own && own->current == coroutine)
        coroutine_end(own, coroutine,
                      link ? coroutine_find(own, link, arch_context_sp(link)) : &own->main_stack);
    if (!link)
        coroutine_unblock_signals(&signals);
}

/*
 * Not by asking the loader whose code the caller is: it answers under a lock that a forked child may
 * find held for ever. A library that came by dlopen is known once the program has called `entrance`.
 */
static bool is_code_of(struct library_named *library, struct library_place *by_dlopen,
                       enum hook_id entrance, const void *caller)
{
    void *function = hook_real[entrance];

    if (address_is_of(library, caller))
        return true;
    return function && !library->size && caller_is_reentrant(by_dlopen, function, caller);
}

static bool begins_with_nothing(const void *caller)
{
    static struct library_named libcrypto = {.name = "libcrypto"}, libtbb = {.name = "libtbb"};
    static struct library_place libcrypto_by_dlopen, libtbb_by_dlopen;

    return (family_is_on(FAMILY_OPENSSL) &&
            is_code_of(&libcrypto, &libcrypto_by_dlopen, HOOK_ASYNC_start_job, caller)) ||
           (family_is_on(FAMILY_TBB) &&
            is_code_of(&libtbb, &libtbb_by_dlopen,
                       HOOK__ZN3tbb6detail2r15spawnERNS0_2d14taskERNS2_18task_group_contextE,
                       caller));
}

/*
 * A handler that switches leaves contexts that have its signal blocked, next to others that have not. Until two
 * masks have been seen no handler is taken to switch: then the real function is called last, so that a context that is
 * left knows nothing of a frame of ours (after a longjmp to where swapcontext was called it is as good as before).
 */
#define NO_MASK UINT64_MAX /* equal to none: SIGKILL is in none */
static _Atomic uint64_t mask_seen = NO_MASK;

static inline uint64_t mask_of(const ucontext_t *context)
{
    return *(const uint64_t *)(const void *)&context->uc_sigmask;
}

static bool is_preemptive(const ucontext_t *target)
{
    uint64_t mask = mask_of(target), seen = NO_MASK;

    if (atomic_load_explicit(&coroutines_preempt, memory_order_relaxed))
        return true;
    if (atomic_compare_exchange_strong(&mask_seen, &seen, mask) || seen == mask)
        return false;
    atomic_store_explicit(&coroutines_preempt, true, memory_order_relaxed);
    atomic_store_explicit(&mask_seen, NO_MASK, memory_order_relaxed);
    return true;
}

void hook_makecontext(ucontext_t *target, void (*function)(void), int count, ...)
{
    uint64_t signals;
    struct coroutine *coroutine = NULL;
    struct context *context = NULL;
    struct entry *entry = NULL;
    bool is_empty = begins_with_nothing(__builtin_return_address(0));
    size_t size = sizeof *entry + (size_t)(count > 0 ? count : 0) * sizeof(long);
    va_list list;

    (void)is_preemptive(target);
    coroutine_block_signals(&signals);
    if (is_empty)
        coroutine = coroutine_new((uintptr_t)target->uc_stack.ss_sp, target->uc_stack.ss_size, NULL,
                                  NULL, 0);
    else if (function && count >= 0 && count <= ARGUMENTS_MAX &&
             (context = context_capture(FAMILY_UCONTEXT)))
        entry = mem_alloc(size);
    if (entry) {
        entry->function = function;
        entry->link = target->uc_link;
        entry->count = count;
        va_start(list, count);
        for (int i = 0; i < count; i++)
            entry->arguments[i] = va_arg(list, long);
        va_end(list);
        coroutine = coroutine_new((uintptr_t)target->uc_stack.ss_sp, target->uc_stack.ss_size,
                                  context, entry, size);
    }
    if (!entry || !coroutine) {
        long a[ARGUMENTS_MAX] = {0};

        if (context) {
            context_rollback(FAMILY_UCONTEXT, context);
            context_count_bare(FAMILY_UCONTEXT, BARE_MEMORY);
            mem_free(entry, size);
        }
        va_start(list, count);
        for (int i = 0; i < count && i < ARGUMENTS_MAX; i++)
            a[i] = va_arg(list, long);
        va_end(list);
        REAL(makecontext)
        (target, function, count < ARGUMENTS_MAX ? count : ARGUMENTS_MAX, a[0], a[1], a[2], a[3],
         a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11], a[12], a[13], a[14], a[15], a[16], a[17],
         a[18], a[19], a[20], a[21], a[22], a[23], a[24], a[25], a[26], a[27], a[28], a[29], a[30],
         a[31]);
        if (coroutine)
            coroutine_made(coroutine, target, arch_context_sp(target));
        coroutine_unblock_signals(&signals);
        return;
    }
    REAL(makecontext)(target, (void (*)(void))run_entry, 1, (long)coroutine);
    coroutine_made(coroutine, target, arch_context_sp(target));
    coroutine_unblock_signals(&signals);
}

static __attribute__((noinline)) struct coroutines *own_coroutines(void)
{
    return coroutine_own_slow();
}

/*
 * Where handlers switch, too. A switch that one makes may have interrupted another, which goes on: its `away` is put back.
 * Who was left by a call without a frame of ours will not look whether a handler came between, so none comes until the C library
 * sets the signals as he has them; ours are set when we are come back to.
 */
static __attribute__((noinline)) int swap_preemptive(struct coroutines *own, ucontext_t *left,
                                                     const ucontext_t *target)
{
    bool is_plain = guard_is_clear() && !own->current->is_unlisted, is_astray, was_astray,
         is_frameless;
    struct coroutine *from, *to;
    uintptr_t was_at;
    uint64_t signals;
    uint8_t was;
    int result;

    if (!is_plain)
        coroutine_block_signals(&signals);
    from = coroutine_find_current(own, arch_sp());
    was = from->away;
    was_at = from->sp;
    was_astray = from->is_astray;
    from->sp = arch_sp();
    is_astray = coroutine_list_find(from->sp) != (from->size ? from : NULL);
    if (is_astray)
        atomic_fetch_add_explicit(&coroutines_astray, 1, memory_order_relaxed);
    from->is_astray = is_astray;
    own->recent[coroutine_slot(left)] = from;
    to = coroutine_find(own, target, arch_context_sp(target));
    is_frameless = from != to && !to->away;
    if (is_frameless && is_plain)
        coroutine_block_signals(&signals);
    if (from != to) {
        if (is_plain) {
            coroutine_leave_plain(thread_self, own, from, to);
        } else {
            from->away = was ? was : AWAY_WHOLE;
            coroutine_switch_keeping_control(thread_self, own, to);
        }
    }
    if (!is_plain && !is_frameless)
        coroutine_unblock_signals(&signals);
    result = REAL(swapcontext)(left, target);
    own = thread_self->coroutines;
    coroutine_arrive(own, from);
    if (is_frameless)
        coroutine_unblock_signals(&signals);
    from->away = was;
    from->sp = was_at;
    from->is_astray = was_astray;
    if (is_astray)
        atomic_fetch_sub_explicit(&coroutines_astray, 1, memory_order_relaxed);
    return result;
}

/* Rare half of swapcontext: a thread's first switch, values to exchange, a coroutine that is not at hand. */
static __attribute__((noinline)) int swap_slow(ucontext_t *left, const ucontext_t *target,
                                               uintptr_t sp)
{
    struct coroutines *own = thread_self->coroutines;

    if (!own && atomic_load_explicit(&coroutines_made, memory_order_relaxed))
        own = own_coroutines();
    if (own && is_preemptive(target))
        return swap_preemptive(own, left, target);
    if (own) {
        own->current->sp = sp;
        own->recent[coroutine_slot(left)] = own->current;
        coroutine_switch_keeping_control(thread_self, own,
                                         coroutine_find(own, target, arch_context_sp(target)));
    }
    return REAL_LIBC(swapcontext)(left, target);
}

int hook_swapcontext(ucontext_t *left, const ucontext_t *target)
{
    struct thread *thread = thread_self;
    struct coroutines *own = thread->coroutines;
    uintptr_t sp = (uintptr_t)__builtin_dwarf_cfa(); /* what the program is resumed with */
    struct coroutine *from, *to;

    if (unlikely(!own))
        return swap_slow(left, target, sp);
    from = own->current;
    to = own->recent[coroutine_slot(target)];
    if (unlikely(from->away || from->is_unlisted || !guard_is_clear() || !to ||
                 to->sp != arch_context_sp(target) ||
                 mask_of(target) != atomic_load_explicit(&mask_seen, memory_order_relaxed)))
        return swap_slow(left, target, sp);
    own->recent[coroutine_slot(left)] = from;
    from->sp = sp;
    if (likely(from != to))
        coroutine_exchange(thread, own, to);
    return REAL_LIBC(swapcontext)(left, target);
}

/* Going away without being kept: `from` may be resumed by an older context all the same. */
static void leave_for(const void *hint, uintptr_t sp, bool sets_signals)
{
    struct coroutines *own;
    struct coroutine *current, *to;
    uint64_t signals;

    if (unlikely((thread_self->building | thread_self->moving) != 0))
        scope_jumps_out(thread_self, arch_sp(), sp);
    if (!sp || !atomic_load_explicit(&coroutines_made, memory_order_relaxed) ||
        !(own = own_coroutines()))
        return;
    current = coroutine_find_current(own, arch_sp());
    if (current->size && sp - 1 - current->low < current->size) {
        current->away = HERE;
        return;
    }
    to = coroutine_find(own, hint, sp);
    if (sets_signals && to != current)
        coroutine_block_signals(&signals);
    to->sp = sp;
    coroutine_switch(thread_self, own, to);
    to->away = HERE;
}

int hook_setcontext(const ucontext_t *target)
{
    leave_for(target, arch_context_sp(target), true);
    return REAL(setcontext)(target);
}

void hook_longjmp(struct __jmp_buf_tag *environment, int value)
{
    leave_for(environment, arch_jump_sp(environment), false);
    REAL(longjmp)(environment, value);
}

void hook__longjmp(struct __jmp_buf_tag *environment, int value)
{
    leave_for(environment, arch_jump_sp(environment), false);
    REAL(_longjmp)(environment, value);
}

void hook_siglongjmp(struct __jmp_buf_tag *environment, int value)
{
    leave_for(environment, arch_jump_sp(environment), false);
    REAL(siglongjmp)(environment, value);
}

void hook___longjmp_chk(struct __jmp_buf_tag *environment, int value)
{
    leave_for(environment, arch_jump_sp(environment), false);
    REAL(__longjmp_chk)(environment, value);
}
