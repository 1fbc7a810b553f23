/*
 * Where only a trace is wanted: the beginning and the end of a run, as its thread writes them, in line. They are one
 * record of the trace (observe/trace_format.h), whose last word is the end, and 0 until then. What does not hold here
 * the observer does (observer.h), in records of their own.
 *
 * A record is reserved by moving the thread's pointer on, in one instruction, so a signal handler of the thread
 * reserves another; its first word is there before any other, its time after all others, so who reads at any
 * moment, also after SIGKILL, knows which are whole.
 */
#ifndef BATON_CONTEXT_TRACE_H
#define BATON_CONTEXT_TRACE_H

#include "context/fast.h"
#include "context/observer.h"

/* Of the record of a run: its first word, its length, the words in it. */
enum { TRACE_RUN_HEAD = 2 | 4 << 8, TRACE_RUN_WORDS = 4 };
enum { TRACE_AT_TICKS = 1, TRACE_AT_ID, TRACE_AT_END };

/* Nothing but an observer is in the way of attaching and capturing in line. */
static inline __attribute__((always_inline)) bool trace_is_alone(const struct thread *thread)
{
    return likely((uintptr_t)thread->attached ==
                  atomic_load_explicit(&context_watched_guard, memory_order_relaxed));
}

/* Its runs are written in line, by this thread, in this process: the upper half of the flags says so. */
static inline __attribute__((always_inline)) bool trace_is_for(const struct thread *thread,
                                                               const struct context *context)
{
    uint16_t of = (uint16_t)(context->flags >> CONTEXT_WATCHED_SHIFT);

    return likely(of == thread->trace.of >> CONTEXT_WATCHED_SHIFT);
}

static inline __attribute__((always_inline)) void trace_begin(uint64_t *record, uint64_t head)
{
    record[0] = head;
    atomic_thread_fence(memory_order_release);
}

static inline __attribute__((always_inline)) void trace_commit(uint64_t *record, uint64_t ticks)
{
    atomic_thread_fence(memory_order_release);
    *(volatile uint64_t *)&record[TRACE_AT_TICKS] = ticks;
}

static inline __attribute__((always_inline)) struct observed *
trace_observed(const struct context *context)
{
    return (struct observed *)(void *)*observer_place(context);
}

/* Room for the record of a run. False: there is none at hand. */
static inline __attribute__((always_inline)) bool trace_reserve(struct thread *thread,
                                                                uint64_t **record)
{
    *record = arch_move_on(&thread->trace.next, TRACE_RUN_WORDS * sizeof **record);
    arch_forget(thread->trace.end); /* the end that there is now, not before */
    return likely(*record + TRACE_RUN_WORDS <= thread->trace.end);
}

/* On a thread that has nothing else attached. */
static inline __attribute__((always_inline)) void
trace_start(struct thread *thread, const struct context *context, uint64_t *record)
{
    struct observed *observed = trace_observed(context);

    trace_begin(record, TRACE_RUN_HEAD);
    record[TRACE_AT_ID] = observed->id;
    thread->trace.open = record;
    observed->runs++;
    trace_commit(record, arch_ticks());
}

/* The run that is attached, which nothing else is on top of, has its record. */
static inline bool trace_is_open(const struct thread *thread, const struct context *context)
{
    return thread->trace.open && thread->trace.open[TRACE_AT_ID] == trace_observed(context)->id;
}

static inline __attribute__((always_inline)) void trace_end(struct thread *thread)
{
    thread->trace.open[TRACE_AT_END] = arch_ticks();
    thread->trace.open = NULL;
}

/* ---- hooks and trampolines of their own ---- */

/*
 * context_capture for a hook that says itself who calls what (hook_call); NULL: nothing has changed, and
 * hook_call is to be set before context_capture is asked.
 */
static inline __attribute__((always_inline)) struct context *
trace_capture(unsigned family, unsigned call, const void *site)
{
    struct thread *thread = thread_self;
    struct context *context;

    if (unlikely(!trace_is_alone(thread)) ||
        unlikely(!(context = context_take_bought(thread, family))))
        return NULL;
    context = observer->capture_call(thread, context, OBSERVER_CALL(family, call), site);
    if (!context) /* never; the compiler cannot know */
        __builtin_unreachable();
    return context;
}

/* Nothing but a trace is in the way of attaching `context` in line, and there is room for the record of its run. */
static inline __attribute__((always_inline)) bool
trace_may_run(struct thread *thread, const struct context *context, uint64_t **record)
{
    return trace_is_alone(thread) && trace_is_for(thread, context) && trace_reserve(thread, record);
}

/*
 * SCOPE_RUN on a thread and in a context of which trace_may_run was asked, which gave `record`. The mark is as without
 * a trace: where it is still there, so is the context; and what record is open is this run's.
 */
#define SCOPE_RUN_TRACED(self, what, record, flags, CALL)                                     \
    do {                                                                                      \
        struct thread *traced_ = (self);                                                      \
                                                                                              \
        arch_sp_store(&traced_->frame_mark, flags);                                           \
        SCOPE_ATTACH(traced_, what);                                                          \
        trace_start(traced_, what, record);                                                   \
        CALL;                                                                                 \
        if (likely(arch_sp_is(&traced_->frame_mark, flags)) && likely(traced_->trace.open)) { \
            struct context *watched_ = traced_->attached;                                     \
                                                                                              \
            traced_->attached = NULL;                                                         \
            trace_end(traced_);                                                               \
            if ((flags)&FRAME_OWNED)                                                          \
                observer->finished(traced_, watched_);                                        \
        } else {                                                                              \
            scope_leave_here(arch_sp());                                                      \
        }                                                                                     \
    } while (0)

#endif
