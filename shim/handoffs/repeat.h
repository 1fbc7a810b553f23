/*
 * Callbacks that run again and again: timers, watches, sources, persistent events (rule A9).
 *
 * A repeat is what a library's registration gets instead of the program's callback, or what is found
 * from it: the callback and the context of the registration. What the callback sets is there when
 * it runs the next time, and for nobody else.
 *
 * Ownership: the registration owns the repeat, the repeat owns a reference to its context. A callback
 * may register itself anew, remove itself, or run inside itself (a nested loop) while it runs:
 *     - the run in progress only borrows the context. Who arms or disarms meanwhile leaves the old
 *       reference to that run, which finds `arms` changed and lets it go;
 *     - repeat_end during a run leaves the cell to that run as well;
 *     - a run inside a run takes a reference of its own and keeps nothing.
 * A run that never comes back (an exception, longjmp) leaves `running` up: from then on the callback
 * runs as if inside itself, which is safe and keeps nothing.
 *
 * All of this is for one thread at a time; a family whose registrations are touched by several at
 * once brings the lock (libevent) or never changes a repeat after it was made (GLib, by REPEAT_RUN_HELD).
 */
#ifndef BATON_HANDOFFS_REPEAT_H
#define BATON_HANDOFFS_REPEAT_H

#include "context/cell.h"
#include "context/scope.h"
#include "handoffs/hooks.h"

enum repeat_flags {
    REPEAT_ONCE = 1,  /* its callback runs at most once for each time it is armed */
    REPEAT_BARE = 2,  /* BATON_PERIODIC=off: run in the thread's own values, leave no trace */
    REPEAT_ENDED = 4, /* its registration is gone; the run in progress frees it */
    REPEAT_OTHER = 8, /* free for the family's use, from here */
};

struct repeat {
    void *function;
    void *data;
    void *more;              /* the family's: a second callback, a destroy function */
    struct context *context; /* one reference; NULL: none, run without */
    union {                  /* the family's: GLib and libevent have different needs */
        uint32_t number;
        struct thread *_Atomic inside; /* dispatches it, see glib_source.c */
    };
    union {
        uint32_t arms; /* changes whenever context is replaced */
        uint32_t refs; /* of a repeat that is never armed anew */
    };
    uint16_t running;
    uint8_t flags, family;
};
_Static_assert(sizeof(void *) != 8 || sizeof(struct repeat) == CELL_SIZE, "a repeat is a cell");

/* hooks_init: BATON_PERIODIC=off. */
extern bool repeat_is_off __attribute__((visibility("hidden")));

/* NULL when there is no memory: register the program's callback itself. */
static inline struct repeat *repeat_new(enum family family, void *function, void *data)
{
    struct repeat *repeat = cell_new();

    if (unlikely(!repeat))
        return NULL;
    repeat->function = function;
    repeat->data = data;
    repeat->more = NULL;
    repeat->context = NULL;
    atomic_init(&repeat->inside, NULL); /* and so number is 0 */
    repeat->arms = 0;
    repeat->running = 0;
    repeat->flags = 0;
    repeat->family = (uint8_t)family;
    return repeat;
}

/*
 * The context for a registration of `family`, or NULL: it shall run without (counted), and *flags says
 * whether as BARE. once: it is a handoff like any other, BATON_PERIODIC does not speak of it.
 */
static inline struct context *repeat_capture(enum family family, bool once, uint8_t *flags)
{
    *flags = once ? REPEAT_ONCE : 0;
    if (unlikely(repeat_is_off) && !once) {
        *flags = REPEAT_BARE;
        context_count_bare(family, BARE_PERIODIC);
        return NULL;
    }
    return context_capture(family);
}

/* A repeat that has captured for its registration. NULL: register the program's callback (counted). */
struct repeat *repeat_new_armed(enum family family, void *function, void *data, bool once);
/* The same with a cell of its own behind `more`, for what does not fit: SIZE bytes, copied from there. */
struct repeat *repeat_new_wide(enum family family, void *function, void *data, bool once,
                               const void *more, size_t size);

/* Gives the repeat a context (or none) for its next runs, in exchange for the one it has. */
static inline void repeat_arm(struct repeat *repeat, struct context *context, uint8_t flags)
{
    struct context *old = repeat->context;

    repeat->context = context;
    repeat->flags = (uint8_t)((repeat->flags & ~(REPEAT_ONCE | REPEAT_BARE)) | flags);
    repeat->arms++;
    if (old && !repeat->running)
        context_release(old);
}

/* Its callback will not run until it is armed again. */
static inline void repeat_disarm(struct repeat *repeat)
{
    if (repeat->context)
        repeat_arm(repeat, NULL, repeat->flags & (REPEAT_ONCE | REPEAT_BARE));
}

/* The registration is gone. */
static inline void repeat_end(struct repeat *repeat)
{
    repeat_disarm(repeat);
    if (repeat->running)
        repeat->flags |= REPEAT_ENDED;
    else
        cell_free(repeat);
}

/* The same for a wide one. A run in progress has read what it needs behind `more`. */
static inline void repeat_end_wide(struct repeat *repeat)
{
    cell_free(repeat->more);
    repeat_end(repeat);
}

/* The real function failed: as if nothing had been captured. The repeat remains, disarmed. */
void repeat_rollback(struct repeat *repeat);

/* For a run that does not own the repeat's context: a reference, or NULL for none. */
struct context *repeat_borrow(struct repeat *repeat);
/* Past BATON_MAX_AGE the context becomes the empty one (rule A11), counted. True. */
bool repeat_apply_age(struct repeat *repeat);

static inline __attribute__((always_inline)) bool repeat_may_keep(struct repeat *repeat)
{
    return likely(repeat->context && !repeat->running) &&
           (guard_is_clear() || repeat_apply_age(repeat));
}

/* The run is over; `context` is what its next one starts from. The repeat may be gone afterwards. */
static inline __attribute__((always_inline)) void repeat_ran(struct repeat *repeat,
                                                             struct context *context, uint32_t arms)
{
    repeat->running = 0;
    if (likely(repeat->arms == arms)) {
        repeat->context = context;
        return;
    }
    context_release(context);
    if (repeat->flags & REPEAT_ENDED)
        cell_free(repeat);
}

/*
 * Runs CALL, the repeat's callback, in its context, in a function that starts with GUARDED_FRAME().
 * The repeat is not touched after CALL but as described above; CALL must not read it.
 */
#define REPEAT_RUN(REPEAT, CALL)                          \
    do {                                                  \
        struct repeat *repeat_ = (REPEAT);                \
        struct context *carried_;                         \
                                                          \
        if (repeat_may_keep(repeat_)) {                   \
            uint32_t arms_ = repeat_->arms;               \
                                                          \
            carried_ = repeat_->context;                  \
            repeat_->running = 1;                         \
            SCOPE_RUN_KEEP(&carried_, CALL);              \
            repeat_ran(repeat_, carried_, arms_);         \
        } else if ((carried_ = repeat_borrow(repeat_))) { \
            SCOPE_RUN(carried_, MARK_OWNED, CALL);        \
        } else {                                          \
            CALL;                                         \
        }                                                 \
    } while (0)

/* The same where the caller holds the repeat during CALL, and nobody ever arms it anew or ends it. */
#define REPEAT_RUN_HELD(REPEAT, CALL)                     \
    do {                                                  \
        struct repeat *repeat_ = (REPEAT);                \
        struct context *carried_;                         \
                                                          \
        if (repeat_may_keep(repeat_)) {                   \
            carried_ = repeat_->context;                  \
            repeat_->running = 1;                         \
            SCOPE_RUN_KEEP(&carried_, CALL);              \
            repeat_->running = 0;                         \
            repeat_->context = carried_;                  \
        } else if ((carried_ = repeat_borrow(repeat_))) { \
            SCOPE_RUN(carried_, MARK_OWNED, CALL);        \
        } else {                                          \
            CALL;                                         \
        }                                                 \
    } while (0)

/* The same for a callback that will not run again unless it is armed anew: it takes the context along. */
#define REPEAT_RUN_ONCE(REPEAT, CALL)              \
    do {                                           \
        struct repeat *repeat_ = (REPEAT);         \
        struct context *carried_;                  \
                                                   \
        if (repeat_may_keep(repeat_)) {            \
            carried_ = repeat_->context;           \
            repeat_->context = NULL;               \
            repeat_->arms++;                       \
        } else {                                   \
            carried_ = repeat_borrow(repeat_);     \
        }                                          \
        if (likely(carried_)) {                    \
            SCOPE_RUN(carried_, MARK_OWNED, CALL); \
        } else {                                   \
            CALL;                                  \
        }                                          \
    } while (0)

#endif
