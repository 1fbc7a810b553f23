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

/* Else it is a number, or an error as (void *)-1 is: never to be followed, however right the hook was before. */
static inline bool kinds_is_address(uintptr_t value)
{
    return value - NO_ADDRESS < -2 * (uintptr_t)NO_ADDRESS && value % sizeof(void *) == 0;
}

/* The function that is called. Where it is not needed on the quick way it is worked out on the other. */
static inline struct thunk *kinds_thunk(const struct thunk_frame *frame)
{
    return (struct thunk *)(void *)((char *)thunks + frame->offset);
}

/* Kinds that hand something over count a call that has nothing by themselves. */
static inline void kinds_count_wrong(struct named_hook *hook, uintptr_t object)
{
    enum named_kind kind = hook->spec.kind;

    if (object &&
        (kind == NAMED_RUN || kind == NAMED_GET || kind == NAMED_DROP || kind == NAMED_REF))
        named_unmet(hook);
}

/* What lies OFFSET bytes behind what the program gave; 0 where nothing can. It is looked at until the function was right,
 * which the caller says. False: call again with is_slow. */
static inline bool kinds_read(struct named_hook *hook, const struct thunk_frame *frame,
                              uintptr_t object, uint32_t offset, bool is_slow, uintptr_t *value)
{
    *value = 0;
    if (!kinds_is_address(object)) {
        kinds_count_wrong(hook, object);
        return true;
    }
    if (unlikely(!named_is_right(hook, kinds_thunk(frame)))) {
        if (!is_slow)
            return false;
        if (!named_has_pointer(kinds_thunk(frame), object + offset)) {
            kinds_count_wrong(hook, object);
            return true;
        }
    }
    *value = *(const uintptr_t *)(object + offset);
    return true;
}

/* What is in flight is known by: the object, or what is found one pointer further; 0: by nothing. False: call again
 * with is_slow. */
static inline bool kinds_find_key(struct named_hook *hook, const struct thunk_frame *frame,
                                  uintptr_t object, bool is_slow, uintptr_t *key)
{
    if (unlikely(hook->spec.has_data) &&
        !kinds_read(hook, frame, object, hook->spec.data, is_slow, &object))
        return false;
    *key = unlikely(hook->spec.is_narrow) ? (uint32_t)object : object;
    return true;
}

/* kinds_key of an item that has data. */
bool kinds_data_key(struct named_hook *hook, const struct thunk_frame *frame, uintptr_t object,
                    bool is_slow, uintptr_t *key);

/* The same where the function is right once that could be read. */
static inline bool kinds_key(struct named_hook *hook, const struct thunk_frame *frame,
                             uintptr_t object, bool is_slow, uintptr_t *key)
{
    if (unlikely(hook->spec.has_data))
        return kinds_data_key(hook, frame, object, is_slow, key);
    *key = unlikely(hook->spec.is_narrow) ? (uint32_t)object : object;
    return true;
}

/*
 * The compiler may know that the function leaves these registers alone and use them again for its
 * next call: they hold the program's own values when the function returns (GCC: -fipa-ra).
 */
static inline void kinds_put_back_arguments(const struct named_hook *hook,
                                            struct thunk_frame *frame, const struct wrap *wrap)
{
    uint64_t *fn = frame_argument(frame, hook->spec.fn),
             *arg = frame_argument(frame, hook->spec.arg);

    if (!wrap->ours[0])
        return;
    if (*fn == wrap->ours[0])
        *fn = wrap->theirs[0];
    if (*arg == wrap->ours[1])
        *arg = wrap->theirs[1];
}

/* Captures for the key. True: done, and *kept is the context that the table has for it now; NULL when
 * nothing is handed over. False: call again with is_slow. */
bool kinds_keep(struct named_hook *hook, const struct table_key *key, bool is_slow,
                struct context **kept);
/* Attaches for the time of the wrapped call; takes over the reference. */
void kinds_enter(struct wrap *wrap, struct context *context);
/* After a task: false means call again with is_slow. */
bool kinds_leave(struct wrap *wrap, bool is_slow);
/* In front of a submit function; WRAP is NULL in an entry thunk. False: call again with is_slow; if that was so, its item is
 * not believed yet (probe_submit). */
bool kinds_submit_call(struct named_hook *hook, struct thunk_frame *frame, struct wrap *wrap,
                       bool is_slow);
/* What a callback of kind=call gets in place of its data; NULL: the context was let go, and counted. */
void *kinds_node(struct named_hook *hook, void *function, void *data, struct context *context);
/* The function gets these in place of the callback and its data. */
void kinds_exchange(const struct named_hook *hook, struct thunk_frame *frame, struct wrap *wrap,
                    void *function, void *data);
/* Is what a callback got ours? */
bool kinds_is_node(const struct named_hook *hook, uint64_t value);
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
