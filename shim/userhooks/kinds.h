/* Between the thunks (core_gpr.c) and what each kind of hook does (kinds_gpr.c, kinds_call_gpr.c). */
#ifndef BATON_USERHOOKS_KINDS_H
#define BATON_USERHOOKS_KINDS_H

#include "context/fast.h"
#include "context/internal.h"
#include "userhooks/core.h"

/* struct wrap.stack_words: leave no frame, jump to the target. */
#define WRAP_JUMP UINT64_MAX

/* No object lies below: what does is a number, where an item took an argument for an object. */
enum { NO_ADDRESS = 65536 };

static inline bool kinds_capture_is_fast(const struct thread *thread)
{
    return thread_is_plain(thread) && thread->snapshot.refs > 0;
}

/* Nothing to hand over, as when a pool is told to end; where it is so in every call, an argument is not what its item
 * says. */
static inline bool kinds_had_nothing(struct named_hook *hook)
{
    named_unmet(hook);
    return true;
}

/* Pools that the program made start their own threads, so workers mostly have a context already. */
static inline bool kinds_attach_is_fast(const struct thread *thread, const struct wrap *wrap)
{
    return thread_is_plain(thread) || scope_may_nest(thread, wrap_place(wrap) | FRAME_OWNED);
}

static inline bool kinds_release_is_fast(const struct thread *thread, const struct context *context)
{
    return context == thread->deferred.context && thread->deferred.releases > 1;
}

/* What is in flight is known by: the object, or what is found one pointer further. */
static inline uintptr_t kinds_key(const struct named_spec *spec, uintptr_t object)
{
    if (unlikely(spec->has_data) && object)
        object = object < NO_ADDRESS ? 0 : *(const uintptr_t *)(object + spec->data);
    return unlikely(spec->is_narrow) ? (uint32_t)object : object;
}

/* Captures for the key. True: done, and *kept is the context that the table has for it now; NULL when
 * nothing is handed over. False: call again with is_slow. */
bool kinds_keep(struct named_hook *hook, const struct table_key *key, bool is_slow,
                struct context **kept);
/* Attaches for the time of the wrapped call; takes over the reference. */
void kinds_enter(struct wrap *wrap, struct context *context);
/* After a task: false means call again with is_slow. */
bool kinds_leave(struct wrap *wrap, bool is_slow);
/* In front of a submit function; WRAP is NULL in an entry thunk. False: call again with is_slow. */
bool kinds_submit_call(struct named_hook *hook, struct thunk_frame *frame, struct wrap *wrap,
                       bool is_slow);
void kinds_put_back_arguments(const struct named_hook *hook, struct thunk_frame *frame,
                              const struct wrap *wrap);
/* Around a callback: the function to call, NULL: call again with is_slow. */
void *kinds_run_call(struct named_hook *hook, struct thunk_frame *frame, struct wrap *wrap,
                     bool is_slow);
void *kinds_run_repeat(struct named_hook *hook, struct thunk_frame *frame, struct wrap *wrap,
                       bool is_slow);
bool kinds_submit_object(struct named_hook *hook, struct thunk_frame *frame, struct wrap *wrap,
                         bool is_slow);
bool kinds_submit_done(struct named_hook *hook, struct thunk_frame *frame, const struct wrap *wrap,
                       bool is_slow);
bool kinds_drop(struct named_hook *hook, struct thunk_frame *frame, struct wrap *wrap,
                bool is_slow);
bool kinds_drop_done(struct named_hook *hook, struct thunk_frame *frame, const struct wrap *wrap,
                     bool is_slow);
bool kinds_submit_field(struct named_hook *hook, struct thunk_frame *frame, bool is_slow);
void *kinds_run_function(struct named_hook *hook, struct thunk_frame *frame, struct wrap *wrap,
                         bool is_slow);
void *kinds_run_field(struct thunk *thunk, struct thunk_frame *frame, struct wrap *wrap,
                      bool is_slow);
bool kinds_run_object(struct named_hook *hook, struct thunk_frame *frame, struct wrap *wrap,
                      bool is_slow);
/* virtual_gpr.c: in front of a submit, and around a virtual function of what was submitted. */
bool kinds_submit_virtual(struct named_hook *hook, struct thunk_frame *frame, struct wrap *wrap,
                          bool is_slow);
void *kinds_run_virtual(struct thunk *thunk, struct thunk_frame *frame, struct wrap *wrap,
                        bool is_slow);
bool kinds_relay(struct named_hook *hook, struct thunk_frame *frame, bool is_slow);
/* The callback got nothing where its item says, and nobody knows what was meant: counts, and answers a function that
 * does nothing. */
void *kinds_run_nothing(struct named_hook *hook, struct wrap *wrap);
/* Before and after a get. */
bool kinds_let_go(bool is_slow);
bool kinds_adopt(struct named_hook *hook, struct thunk_frame *frame, const struct wrap *wrap,
                 bool is_slow);

#endif
