/*
 * GLib: what happens to a source's callback: ref, get, the dispatch itself, unref.
 *
 * Ownership: as GLib has it, by count: the source has a reference, every dispatch has one, and who
 * lets the last go destroys the program's data. The count takes no atomic operation. A dispatch
 * and what happens in it are one thread's, so only the source's reference can be let go by another
 * thread, once, and after that no dispatch begins: source and callback part under the context's lock.
 *     - `dispatcher` is the thread that dispatches it, NULL when none does. Set by ref under that lock;
 *       cleared by the last dispatch's unref, which does not look at the registration afterwards.
 *     - While it is NULL, or one's own thread, one counts as if alone in the world.
 *     - A thread that lets the source's reference go while another one dispatches it leaves that one a remote release:
 *       the reference is now its own. A thread looks for remote releases when it has cleared `dispatcher`.
 *     - Remote releases are written and read under a lock, so one that comes too late is taken back: see
 *       source_leave_release.
 */
#include "families/glib/source.h"

#include "context/stack.h"
#include "families/handoff.h"

/* A dispatch of a registration that this thread is in. */
struct dispatch {
    struct dispatch *outer;
    struct registration *registration; /* a reference is held until unref */
    void *function;                    /* NULL until `get` has answered */
    uintptr_t frame;                   /* where the call of ref came from */
};
_Static_assert(sizeof(struct dispatch) <= SLAB_SIZE, "a dispatch is a slab object");

static __thread struct dispatch *dispatching;
/* For a thread that is in no other; in use while it is in that list. */
static __thread struct dispatch outermost;

#define FRAME() ((uintptr_t)__builtin_frame_address(0))

/* Leaves dispatches whose frame is at or below `frame`: done, or jumped out of. */
static APART void leave_any(uintptr_t frame)
{
    while (dispatching && dispatching->frame <= frame) {
        struct dispatch *left = dispatching;

        /* A dispatch on another stack (a coroutine's) goes on later. */
        if (unlikely(left->frame != frame) && !stack_is_same(left->frame, frame))
            return;
        dispatching = left->outer;
        if (left != &outermost)
            slab_free(left);
    }
}

/* The same, in line where there is none, or one alone, which is done. */
static inline __attribute__((always_inline)) void leave_dispatches(uintptr_t frame)
{
    struct dispatch *left = dispatching;

    if (!left)
        return;
    if (likely(left == &outermost && left->frame == frame))
        dispatching = NULL;
    else
        leave_any(frame);
}

/* The registration's dispatch, from that frame, is begun. No memory: `get` will answer the callback itself. */
static APART void begin_any(struct registration *registration, uintptr_t frame)
{
    struct dispatch *dispatch;

    if (unlikely(registration->flags & SOURCE_INDIRECT))
        ((struct _GSourceCallbackFuncs *)registration->function)->ref(registration->data);
    leave_any(frame);
    dispatch = dispatching ? slab_new() : &outermost;
    atomic_store_explicit(&registration->dispatcher, thread_self, memory_order_relaxed);
    if (unlikely(!dispatch))
        return;
    *dispatch = (struct dispatch){dispatching, registration, NULL, frame};
    dispatching = dispatch;
}

static void source_ref(void *data)
{
    struct registration *registration = data;

    registration->refs++;
    if (unlikely(registration->flags & SOURCE_INDIRECT || dispatching)) {
        begin_any(registration, FRAME());
        return;
    }
    atomic_store_explicit(&registration->dispatcher, thread_self, memory_order_relaxed);
    outermost.outer = NULL;
    outermost.registration = registration;
    outermost.function = NULL;
    outermost.frame = FRAME();
    dispatching = &outermost;
}

static GUARDED long run_source_any(long a, long b, long c, long d, long e, long f)
{
    GUARDED_REGISTRATION_FRAME();
    struct dispatch *dispatch = dispatching;
    long (*function)(long, long, long, long, long, long);
    struct registration *registration;
    long result;

    /* What lies below us was jumped out of while this dispatch went on. Not "or at": dispatch functions
     * end with a jump to their callback, and then we stand where ref stood. */
    while (unlikely(dispatch && dispatch->frame < FRAME()) &&
           stack_is_same(dispatch->frame, FRAME()))
        dispatch = dispatch->outer;
    if (unlikely(!dispatch))
        return 0;
    registration = dispatch->registration;
    function = (long (*)(long, long, long, long, long, long))dispatch->function;
    REGISTRATION_RUN_HELD(registration, result = function(a, b, c, d, e, f));
    return unlikely(registration->flags & SOURCE_VOID) ? 0 : result;
}

/* The callback has returned, and its attach is not as it was. */
static APART void left_otherwise(struct registration *registration, uintptr_t sp)
{
    registration->context = scope_leave_keep(thread_self, sp, registration->context);
}

/* REGISTRATION_RUN_HELD in line where nothing is attached, in no other dispatch. */
static GUARDED long run_source(long a, long b, long c, long d, long e, long f)
{
    GUARDED_REGISTRATION_FRAME();
    struct dispatch *dispatch = dispatching;
    struct thread *thread = thread_self;
    struct registration *registration;
    long result;

    if (unlikely(!dispatch || dispatch->frame < FRAME() || !thread_is_uncounted(thread)))
        return run_source_any(a, b, c, d, e, f);
    registration = dispatch->registration;
    if (unlikely(!registration->context || registration->running || context_may_be_old))
        return run_source_any(a, b, c, d, e, f);
    {
        ARCH_PIN(struct registration, pinned, registration);
        pinned->running = 1;
        arch_sp_store(&thread->frame_mark, FRAME_KEEP);
        SCOPE_ATTACH(thread, pinned->context);
        result =
            ((long (*)(long, long, long, long, long, long))dispatch->function)(a, b, c, d, e, f);
        ARCH_UNPIN(pinned);
        thread = thread_self;
        if (likely(thread->attached == pinned->context &&
                   arch_sp_is(&thread->frame_mark, FRAME_KEEP)))
            thread->attached = NULL;
        else
            left_otherwise(pinned, arch_sp());
        pinned->running = 0;
        return unlikely(pinned->flags & SOURCE_VOID) ? 0 : result;
    }
}

static void source_get(void *data, struct _GSource *source, source_function **function,
                       void **user_data)
{
    struct registration *registration = data;

    if (unlikely(registration->flags & SOURCE_INDIRECT)) {
        ((struct _GSourceCallbackFuncs *)registration->function)
            ->get(registration->data, source, function, user_data);
    } else {
        *function = (source_function *)registration->function;
        *user_data = registration->data;
    }
    if (likely(dispatching && dispatching->registration == registration && !dispatching->function &&
               *function)) {
        dispatching->function = (void *)*function;
        *function = (source_function *)(void *)run_source;
    }
}

/* Nobody has a reference any more. */
static APART void end_and_notify(struct registration *registration)
{
    notify_function *notify =
        registration->flags & SOURCE_INDIRECT ? NULL : (notify_function *)registration->more;
    void *data = registration->data;
    struct context *context = registration->context;

    slab_free(registration);
    if (context)
        context_release(context);
    if (notify)
        notify(data);
}

/* The same, in line where nobody wants to know and there is room. */
static inline __attribute__((always_inline)) void source_end(struct registration *registration)
{
    struct thread *thread = thread_self;
    struct context *context = registration->context;

    if (unlikely(registration->more || !context || slot_counts_on || !slab_has_room(thread))) {
        end_and_notify(registration);
        return;
    }
    slab_put(thread, registration);
    context_release_on(thread, context);
}

static bool is_dispatching(const struct registration *registration)
{
    const struct dispatch *dispatch = dispatching;

    while (dispatch && dispatch->registration != registration)
        dispatch = dispatch->outer;
    return dispatch != NULL;
}

static __attribute__((noinline)) void end_releases(struct thread *self)
{
    struct registration *next, *mine = source_take_releases(self, is_dispatching);

    for (; mine; mine = next) {
        next = *source_release_next(mine);
        source_end(mine);
    }
}

/* Another thread dispatches it. */
static APART void leave_to(struct registration *registration, struct thread *dispatcher)
{
    if (!source_leave_release(registration, dispatcher))
        source_end(registration);
}

static void source_unref(void *data)
{
    struct registration *registration = data;
    struct thread *dispatcher, *self;

    leave_dispatches(FRAME());
    if (unlikely(registration->flags & SOURCE_INDIRECT))
        ((struct _GSourceCallbackFuncs *)registration->function)->unref(registration->data);
    self = thread_self;
    dispatcher = atomic_load_explicit(&registration->dispatcher, memory_order_acquire);
    if (unlikely(dispatcher && dispatcher != self)) {
        leave_to(registration, dispatcher);
        return;
    }
    if (!--registration->refs) {
        source_end(registration);
        return;
    }
    if (unlikely(registration->refs !=
                 1)) /* the source's, or a dispatch's that alone knows of it */
        return;
    atomic_store_explicit(&registration->dispatcher, NULL, memory_order_release);
    if (unlikely(atomic_load_explicit(&self->guests[GUEST_glib_sources], memory_order_relaxed)))
        end_releases(self);
}

struct _GSourceCallbackFuncs glib_source_funcs = {source_ref, source_unref, source_get};
