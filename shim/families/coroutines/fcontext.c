/*
 * Boost.Context: make_fcontext, jump_fcontext, ontop_fcontext, and with them boost::context::fiber,
 * callcc, coroutine2 and Boost.Fiber, over threads too.
 *
 * A coroutine starts in the context of its make_fcontext and keeps what it sets (context/coroutine.h).
 * A suspended one is named by the stack pointer that it was left with, so it is found by address. Jumps
 * go on to the real function with no frame of ours between: an exception that ends a fiber passes
 * through where it was suspended, and a function that runs on top of it sees the program's own frames.
 *
 * No stack is left by a return. The last switch away from one is an ontop_fcontext that brings the record
 * which its maker put at the stack's upper end and handed to the entry function (fiber_entry and
 * context_entry of Boost 1.61 and newer), because the next stack has to free this one. Where a program
 * frees a suspended stack itself, the context goes when the memory serves another stack.
 * Source: Boost 1.74, boost/context/fiber_fcontext.hpp and libs/context/src/asm.
 */
#include "base/mem.h"
#include "context/coroutine.h"
#include "families/handoff.h"

typedef void entry_function(struct fcontext_transfer);
typedef struct fcontext_transfer ontop_function(struct fcontext_transfer);

struct entry {
    entry_function *function;
};

/* How far above the stack's usable part the maker's record may lie: it is aligned to 256 bytes. */
enum { RECORD_ROOM = 4096 };

static GUARDED void run_attached(struct context *context, entry_function *function,
                                 struct fcontext_transfer transfer)
{
    GUARDED_FRAME();
    SCOPE_RUN(context, FRAME_OWNED, function(transfer));
}

static void run_entry(struct fcontext_transfer transfer)
{
    struct coroutine *coroutine = thread_self->coroutines->current;
    const struct entry *entry = coroutine->more;
    struct context *context = coroutine->start;
    uintptr_t place = (uintptr_t)transfer.data - coroutine->low;

    coroutine->start = NULL;
    if (place < coroutine->size + RECORD_ROOM)
        coroutine->record = transfer.data;
    run_attached(context, entry->function, transfer);
}

void *hook_make_fcontext(void *top, unsigned long size, entry_function *function)
{
    struct context *context = function ? context_capture(FAMILY_BOOST_CONTEXT) : NULL;
    struct entry *entry = context ? mem_alloc(sizeof *entry) : NULL;
    struct coroutine *coroutine = NULL;
    void *made;

    if (entry) {
        entry->function = function;
        coroutine = coroutine_new((uintptr_t)top - size, size, context, entry, sizeof *entry);
    }
    if (!coroutine) {
        if (context) {
            context_rollback(FAMILY_BOOST_CONTEXT, context);
            context_count_bare(FAMILY_BOOST_CONTEXT, BARE_MEMORY);
            mem_free(entry, sizeof *entry);
        }
        return REAL(make_fcontext)(top, size, function);
    }
    made = REAL(make_fcontext)(top, size, run_entry);
    coroutine_made(coroutine, made, (uintptr_t)made);
    return made;
}

static inline struct coroutines *own_coroutines(void)
{
    struct coroutines *own = thread_self->coroutines;

    if (likely(own != NULL))
        return own;
    return atomic_load_explicit(&coroutines_made, memory_order_relaxed) ? coroutine_own_slow()
                                                                        : NULL;
}

/* The stack that TO was left on. It is known by TO until it is left from somewhere else. */
static inline struct coroutine *find(struct coroutines *own, void *to)
{
    struct coroutine *found = coroutine_find(own, to, (uintptr_t)to);

    found->sp = (uintptr_t)to;
    return found;
}

struct fcontext_transfer hook_jump_fcontext(void *to, void *data)
{
    struct coroutines *own = own_coroutines();

    if (own)
        coroutine_switch_keeping_control(thread_self, own, find(own, to));
    return REAL(jump_fcontext)(to, data);
}

struct fcontext_transfer hook_ontop_fcontext(void *to, void *data, ontop_function *function)
{
    struct coroutines *own = own_coroutines();

    if (own) {
        struct coroutine *from = own->current;

        if (data && from->record == data)
            coroutine_end(own, from, find(own, to));
        else
            coroutine_switch_keeping_control(thread_self, own, find(own, to));
    }
    return REAL(ontop_fcontext)(to, data, function);
}
