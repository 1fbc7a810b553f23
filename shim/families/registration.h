/*
 * Callbacks that run again and again: timers, watches, sources, persistent events (rule A9).
 *
 * A struct registration is what the library gets instead of the program's callback, or what is found
 * from it: the callback and the context of the registration. What the callback sets is there when
 * it runs the next time, and for nobody else.
 *
 * Ownership: what the program registered owns its registration, which owns a reference to its context. A callback
 * may register itself anew, remove itself, or run inside itself (a nested loop) while it runs:
 *     - the run in progress only borrows the context. Whoever arms or disarms meanwhile leaves the old
 *       reference to that run, which finds `arms` changed and lets it go;
 *     - registration_end during a run leaves the slab object to that run as well;
 *     - a run inside a run takes a reference of its own and keeps nothing.
 * A run that is left by an exception ends as if it had set nothing; one that ends its thread takes the
 * context along (baton_registration_personality). After a longjmp the next run finds that there is no such
 * attach any more (registration_is_left).
 *
 * All of this is for one thread at a time; a family whose registrations are touched by several at
 * once brings the lock (libevent) or never changes a registration after it was made (GLib, by REGISTRATION_RUN_HELD).
 */
#ifndef BATON_FAMILIES_REGISTRATION_H
#define BATON_FAMILIES_REGISTRATION_H

#include "context/pool/slab.h"
#include "context/scope.h"
#include "interpose/hooks.h"

enum registration_flags {
    REGISTRATION_ONCE = 1,  /* its callback runs at most once for each time it is armed */
    REGISTRATION_BARE = 2,  /* BATON_PERIODIC=off: run in the thread's own values, leave no trace */
    REGISTRATION_ENDED = 4, /* its registration is gone; the run in progress frees it */
    REGISTRATION_REARMED = 8, /* by the run in progress, which owns the context that it had */
    REGISTRATION_OTHER = 16,  /* free for the family's use, from here */
};

struct registration {
    void *function;
    void *data;
    void *more;              /* the family's: a second callback, a destroy function */
    struct context *context; /* one reference; NULL: none, run without */
    union {                  /* the family's: GLib and libevent have different needs */
        uint32_t number;
        struct thread *_Atomic dispatcher; /* dispatches it, see source.c */
    };
    union {
        uint32_t arms; /* changes whenever context is replaced */
        uint32_t refs; /* of a registration that is never armed anew */
    };
    uint16_t running;
    uint8_t flags, family;
};
_Static_assert(sizeof(void *) != 8 || sizeof(struct registration) == SLAB_SIZE,
               "a registration is a slab object");

/* hooks_init: BATON_PERIODIC=off. */
extern bool registration_is_off __attribute__((visibility("hidden")));

/* Of a new object. */
static inline __attribute__((always_inline)) void
registration_init(struct registration *registration, enum family family, void *function, void *data)
{
    registration->function = function;
    registration->data = data;
    registration->more = NULL;
    registration->context = NULL;
    atomic_init(&registration->dispatcher, NULL); /* and so number is 0 */
    registration->arms = 0;
    registration->running = 0;
    registration->flags = 0;
    registration->family = (uint8_t)family;
}

/* NULL when there is no memory: register the program's callback itself. */
static inline struct registration *registration_new(enum family family, void *function, void *data)
{
    struct registration *registration = slab_new();

    if (likely(registration != NULL))
        registration_init(registration, family, function, data);
    return registration;
}

/*
 * The context for a registration of `family`, or NULL: it shall run without (counted), and *flags says
 * whether as BARE. once: it is a handoff like any other, BATON_PERIODIC does not speak of it.
 */
static inline struct context *registration_capture(enum family family, bool once, uint8_t *flags)
{
    *flags = once ? REGISTRATION_ONCE : 0;
    if (unlikely(registration_is_off) && !once) {
        *flags = REGISTRATION_BARE;
        context_count_bare(family, BARE_PERIODIC);
        return NULL;
    }
    return context_capture(family);
}

/* A registration that has captured for its registration. NULL: register the program's callback (counted). */
struct registration *registration_new_armed(enum family family, void *function, void *data,
                                            bool once);
/* The same with a slab object of its own behind `more`, for what does not fit: SIZE bytes, copied from there. */
struct registration *registration_new_wide(enum family family, void *function, void *data,
                                           bool once, const void *more, size_t size);

/* Gives the registration a context (or none) for its next runs, in exchange for the one it has. */
static inline void registration_arm(struct registration *registration, struct context *context,
                                    uint8_t flags)
{
    struct context *old = registration->context;

    registration->context = context;
    registration->flags =
        (uint8_t)((registration->flags & ~(REGISTRATION_ONCE | REGISTRATION_BARE)) | flags);
    registration->arms++;
    if (!old)
        return;
    if (registration->running && !(registration->flags & REGISTRATION_REARMED))
        registration->flags |= REGISTRATION_REARMED;
    else
        context_release(old);
}

/* Its callback will not run until it is armed again. */
static inline void registration_disarm(struct registration *registration)
{
    if (registration->context)
        registration_arm(registration, NULL,
                         registration->flags & (REGISTRATION_ONCE | REGISTRATION_BARE));
}

/* The registration is gone. */
static inline void registration_end(struct registration *registration)
{
    registration_disarm(registration);
    if (registration->running)
        registration->flags |= REGISTRATION_ENDED;
    else
        slab_free(registration);
}

/* The same for a wide one. A run in progress has read what it needs behind `more`. */
static inline void registration_end_wide(struct registration *registration)
{
    slab_free(registration->more);
    registration_end(registration);
}

/* The real function failed: as if nothing had been captured. The registration remains, disarmed. */
void registration_rollback(struct registration *registration);

/* For a run that does not own the registration's context: a reference, or NULL for none. */
struct context *registration_borrow(struct registration *registration);
/* Past BATON_MAX_AGE the context becomes the empty one (rule A11), counted. True. */
bool registration_apply_age(struct registration *registration);

/*
 * The run in progress was left by longjmp: its attach is no more. True: the registration is as if that run
 * had set nothing. For the thread that is about to run it, which nobody else does meanwhile; sp: of the frame
 * that would run it.
 */
bool registration_is_left(struct registration *registration, uintptr_t sp);

static inline __attribute__((always_inline)) bool
registration_may_keep(struct registration *registration)
{
    return likely(registration->context) &&
           (likely(!registration->running) || registration_is_left(registration, arch_sp())) &&
           (likely(!context_may_be_old) || registration_apply_age(registration));
}

/* The run had a context that is not the registration's any more, or there is no registration any more. */
void registration_ran_rearmed(struct registration *registration, struct context *context);

/* The run is over; `context` is what its next one starts from. The registration may be gone afterwards. */
static inline __attribute__((always_inline)) void
registration_ran(struct registration *registration, struct context *context)
{
    registration->running = 0;
    if (likely(!(registration->flags & REGISTRATION_REARMED)))
        registration->context = context;
    else
        registration_ran_rearmed(registration, context);
}

/* First in a function that runs a registration by REGISTRATION_RUN or REGISTRATION_RUN_HELD. */
#define GUARDED_REGISTRATION_FRAME() GUARDED_FRAME_BY(baton_registration_personality)

/*
 * Runs CALL, the registration's callback, in its context, in a function that starts with
 * GUARDED_REGISTRATION_FRAME().
 * The registration is not touched after CALL but as described above; CALL must not read it.
 */
#define REGISTRATION_RUN(REPEAT, CALL)                                \
    do {                                                              \
        struct registration *registration_ = (REPEAT);                \
        struct context *carried_;                                     \
                                                                      \
        if (registration_may_keep(registration_)) {                   \
            ARCH_PIN(struct registration, pinned_, registration_);    \
            carried_ = pinned_->context;                              \
            pinned_->running = 1;                                     \
            SCOPE_RUN_KEEP(&carried_, CALL);                          \
            ARCH_UNPIN(pinned_);                                      \
            registration_ran(pinned_, carried_);                      \
        } else if ((carried_ = registration_borrow(registration_))) { \
            SCOPE_RUN(carried_, FRAME_OWNED, CALL);                   \
        } else {                                                      \
            CALL;                                                     \
        }                                                             \
    } while (0)

/* The same where the caller holds the registration during CALL, and nobody ever arms it anew or ends it. */
#define REGISTRATION_RUN_HELD(REPEAT, CALL)                           \
    do {                                                              \
        struct registration *registration_ = (REPEAT);                \
        struct context *carried_;                                     \
                                                                      \
        if (registration_may_keep(registration_)) {                   \
            ARCH_PIN(struct registration, pinned_, registration_);    \
            carried_ = pinned_->context;                              \
            pinned_->running = 1;                                     \
            SCOPE_RUN_KEEP(&carried_, CALL);                          \
            ARCH_UNPIN(pinned_);                                      \
            pinned_->running = 0;                                     \
            pinned_->context = carried_;                              \
        } else if ((carried_ = registration_borrow(registration_))) { \
            SCOPE_RUN(carried_, FRAME_OWNED, CALL);                   \
        } else {                                                      \
            CALL;                                                     \
        }                                                             \
    } while (0)

/* The same for a callback that will not run again unless it is armed anew: it takes the context along. */
#define REGISTRATION_RUN_ONCE(REPEAT, CALL)                \
    do {                                                   \
        struct registration *registration_ = (REPEAT);     \
        struct context *carried_;                          \
                                                           \
        if (registration_may_keep(registration_)) {        \
            carried_ = registration_->context;             \
            registration_->context = NULL;                 \
            registration_->arms++;                         \
        } else {                                           \
            carried_ = registration_borrow(registration_); \
        }                                                  \
        if (likely(carried_)) {                            \
            SCOPE_RUN(carried_, FRAME_OWNED, CALL);        \
        } else {                                           \
            CALL;                                          \
        }                                                  \
    } while (0)

#endif
