/*
 * GLib: main loop sources, with callbacks of any signature.
 *
 * Everything ends at g_source_set_callback_indirect, which we give callback functions of our own:
 * GLib then asks `get` for what to call, and gets a trampoline and the program's own data, so
 * finding and removing by data works as ever. ref, get and unref frame every dispatch: ref notes
 * which repeat the thread is about to dispatch, the trampoline takes it from that note.
 * GLib's convenience functions call each other directly, hence each is built anew from the public
 * constructors, as GLib does it.
 *
 * Source of the behaviour: GLib 2.74.6, gmain.c: ref and get are called under the context's lock,
 * ref by nobody but g_main_dispatch; get also by the functions that find sources by their data; the
 * last unref without the lock, by whoever lets go last. A source runs in one thread at a time.
 *
 * Ownership: as GLib has it, by count: the source has a reference, every dispatch has one, and who
 * lets the last go destroys the program's data. The count takes no atomic operation. A dispatch
 * and what happens in it are one thread's, so only the source's reference can be let go by another
 * thread, once, and after that no dispatch begins: source and callback part under the context's lock.
 *     - `inside` is the thread that dispatches it, NULL when none does. Set by ref under that lock;
 *       cleared by the last dispatch's unref, which does not look at the repeat afterwards.
 *     - While it is NULL, or one's own thread, one counts as if alone in the world.
 *     - Who lets the source's reference go while another thread is inside leaves that thread a remote release:
 *       the reference is now its own. A thread looks for remote releases when it has cleared `inside`.
 *     - Letters are written and read under a lock, so one that comes too late is taken back: see
 *       leave_remote_release.
 */
#include <signal.h>

#include "base/lock.h"
#include "context/stack.h"
#include "families/glib/task_origin.h"
#include "families/fork.h"
#include "families/handoff.h"
#include "interpose/reentry.h"
#include "interpose/next.h"
#include "families/registration.h"

typedef int source_function(void *data);
typedef void notify_function(void *data);

struct _GSourceCallbackFuncs {
    void (*ref)(void *data);
    void (*unref)(void *data);
    void (*get)(void *data, struct _GSource *source, source_function **function, void **user_data);
};

enum {
    SOURCE_INDIRECT =
        REGISTRATION_OTHER, /* function and data are the program's callback funcs and their data */
    SOURCE_VOID = REGISTRATION_OTHER *
                  2, /* its callback answers nothing: it is removed after it ran */
};

/* ---- dispatching ---- */

/* A dispatch of a repeat that this thread is in. */
struct dispatch {
    struct dispatch *outer;
    struct registration *registration; /* a reference is held until unref */
    void *function;                    /* NULL until `get` has answered */
    uintptr_t frame;                   /* where the call of ref came from */
};
_Static_assert(sizeof(struct dispatch) <= SLAB_SIZE, "a dispatch is a cell");

static __thread struct dispatch *dispatching;

#define FRAME() ((uintptr_t)__builtin_frame_address(0))

/* Leaves dispatches whose frame is at or below `frame`: done, or jumped out of. */
static inline void leave_dispatches(uintptr_t frame)
{
    while (dispatching && dispatching->frame <= frame) {
        struct dispatch *left = dispatching;

        /* A dispatch on another stack (a coroutine's) goes on later. */
        if (unlikely(left->frame != frame) && !stack_is_same(left->frame, frame))
            return;
        dispatching = left->outer;
        slab_free(left);
    }
}

static void source_ref(void *data)
{
    struct registration *registration = data;
    uintptr_t frame = FRAME();
    struct dispatch *dispatch;

    registration->refs++;
    if (unlikely(registration->flags & SOURCE_INDIRECT))
        ((struct _GSourceCallbackFuncs *)registration->function)->ref(registration->data);
    if (unlikely(dispatching != NULL))
        leave_dispatches(frame);
    dispatch = slab_new();
    atomic_store_explicit(&registration->reentry, thread_self, memory_order_relaxed);
    if (unlikely(!dispatch))
        return; /* `get` will answer the callback itself */
    *dispatch = (struct dispatch){dispatching, registration, NULL, frame};
    dispatching = dispatch;
}

static GUARDED long run_source(long a, long b, long c, long d, long e, long f)
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
static void source_end(struct registration *registration)
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

/* ---- remote releases: the source's reference, left to the thread that is inside ---- */

static struct lock remote_releases_lock;

/* Where a repeat whose source is gone has room: nobody will ask it for its callback again. */
static struct registration **remote_release_next(struct registration *remote_release)
{
    return (struct registration **)(remote_release->flags & SOURCE_INDIRECT
                                        ? &remote_release->more
                                        : &remote_release->function);
}

static bool is_reentrant(const struct registration *registration)
{
    const struct dispatch *dispatch = dispatching;

    while (dispatch && dispatch->registration != registration)
        dispatch = dispatch->outer;
    return dispatch != NULL;
}

/*
 * A remote release for a dispatch that the thread, or the one that had its block before, was thrown out of is
 * dropped: such a dispatch keeps its reference for good, with GLib's own count too.
 */
static __attribute__((noinline)) void do_remote_releases(struct thread *self)
{
    struct registration *remote_release, *next, *kept = NULL, *mine = NULL;

    lock_take(&remote_releases_lock);
    for (remote_release =
             atomic_load_explicit(&self->guests[GUEST_glib_sources], memory_order_relaxed);
         remote_release; remote_release = next) {
        bool is_left = !atomic_load_explicit(&remote_release->reentry, memory_order_relaxed);

        next = *remote_release_next(remote_release);
        if (is_left || is_reentrant(remote_release)) {
            *remote_release_next(remote_release) = is_left ? mine : kept;
            *(is_left ? &mine : &kept) = remote_release;
        }
    }
    atomic_store_explicit(&self->guests[GUEST_glib_sources], kept, memory_order_relaxed);
    lock_drop(&remote_releases_lock);
    for (; mine; mine = next) {
        next = *remote_release_next(mine);
        source_end(mine);
    }
}

/*
 * The source's reference goes to `reader`, which is inside. False: it has left; the caller has it.
 *
 * The reader clears `inside` and looks for remote releases, with no fence in between: that would be the atomic
 * operation. So it may have looked before this remote release was there though we still see it inside; then
 * its store is done and on its way to us, and we wait for longer than a processor holds back a store
 * (nanoseconds; whatever interrupts the reader lets it out at once). If it took still longer,
 * the remote release would be read at the end of that thread's next dispatch.
 */
enum { PATIENCE = 500 };

static __attribute__((noinline)) bool leave_remote_release(struct registration *registration,
                                                           struct thread *reader)
{
    struct thread *reentry;

    lock_take(&remote_releases_lock);
    *remote_release_next(registration) =
        atomic_load_explicit(&reader->guests[GUEST_glib_sources], memory_order_relaxed);
    atomic_store_explicit(&reader->guests[GUEST_glib_sources], registration, memory_order_seq_cst);
    for (unsigned i = 0;
         (reentry = atomic_load_explicit(&registration->reentry, memory_order_acquire)) &&
         i < PATIENCE;
         i++)
        arch_pause();
    if (!reentry) /* still the first: others write under the lock */
        atomic_store_explicit(&reader->guests[GUEST_glib_sources],
                              *remote_release_next(registration), memory_order_relaxed);
    lock_drop(&remote_releases_lock);
    return reentry;
}

static void source_unref(void *data)
{
    struct registration *registration = data;
    struct thread *reentry, *self;

    leave_dispatches(FRAME());
    if (unlikely(registration->flags & SOURCE_INDIRECT))
        ((struct _GSourceCallbackFuncs *)registration->function)->unref(registration->data);
    self = thread_self;
    reentry = atomic_load_explicit(&registration->reentry, memory_order_acquire);
    if (unlikely(reentry && reentry != self)) {
        if (leave_remote_release(registration, reentry))
            return;
    } else if (--registration->refs) {
        if (likely(registration->refs ==
                   1)) { /* the source's, or a dispatch's that alone knows of it */
            atomic_store_explicit(&registration->reentry, NULL, memory_order_release);
            if (unlikely(
                    atomic_load_explicit(&self->guests[GUEST_glib_sources], memory_order_relaxed)))
                do_remote_releases(self);
        }
        return;
    }
    source_end(registration);
}

void glib_source_fork_lock(void)
{
    lock_take_for_fork(&remote_releases_lock);
}

void glib_source_fork_unlock(void)
{
    lock_drop_after_fork(&remote_releases_lock);
}

static struct _GSourceCallbackFuncs source_funcs = {source_ref, source_unref, source_get};

/* ---- registering ---- */

static struct library_named gio = {.name = "libgio-2.0"};

/*
 * The context for a callback, NULL: none. GIO's own sources (its pool manager, its workers) are made
 * for the first who needs them and live on: they must not keep that one's context. What GIO does for
 * a task of the program has the task, or the program's function.
 */
static struct context *source_context(const void *caller, const void *function, const void *data,
                                      bool is_once, uint8_t *flags)
{
    struct context *context;

    *flags = REGISTRATION_ONCE;
    if ((context = glib_task_context(data)))
        return context;
    if (unlikely(address_is_of(&gio, caller)) && address_is_of(&gio, function)) {
        context_count_bare(FAMILY_GLIB_SOURCE, BARE_INHERIT);
        return NULL;
    }
    return registration_capture(FAMILY_GLIB_SOURCE, is_once, flags);
}

/* What a source gets in place of a callback; NULL: let it have the callback itself. */
static struct registration *source_registration(const void *caller, void *function, void *data,
                                                notify_function *notify, bool is_once)
{
    uint8_t flags;
    struct context *context = source_context(caller, function, data, is_once, &flags);
    struct registration *registration;

    if (unlikely(!context) && !(flags & REGISTRATION_BARE))
        return NULL;
    registration = registration_new(FAMILY_GLIB_SOURCE, function, data);
    if (unlikely(!registration)) {
        if (context)
            context_release(context);
        context_count_bare(FAMILY_GLIB_SOURCE, BARE_MEMORY);
        return NULL;
    }
    registration->more = (void *)notify;
    registration->refs = 1; /* the source's */
    registration->context = context;
    registration->flags = flags;
    return registration;
}

#define SET_INDIRECT(caller) \
    NEXT(REAL_TYPE(g_source_set_callback_indirect), "g_source_set_callback_indirect", caller)

void hook_g_source_set_callback(struct _GSource *source, source_function *function, void *data,
                                notify_function *notify)
{
    const void *caller = __builtin_return_address(0);
    struct registration *registration = NULL;

    if (likely(source && function))
        registration = source_registration(caller, (void *)function, data, notify, false);
    if (registration)
        SET_INDIRECT(caller)(source, registration, &source_funcs);
    else
        REAL(g_source_set_callback)(source, function, data, notify);
}

void hook_g_source_set_callback_indirect(struct _GSource *source, void *data,
                                         struct _GSourceCallbackFuncs *funcs)
{
    struct registration *registration = NULL;

    if (likely(source && funcs && data && funcs != &source_funcs))
        registration = source_registration(__builtin_return_address(0), funcs, data, NULL, false);
    if (registration) {
        registration->flags |= SOURCE_INDIRECT;
        REAL(g_source_set_callback_indirect)(source, registration, &source_funcs);
    } else {
        REAL(g_source_set_callback_indirect)(source, data, funcs);
    }
}

/* ---- the convenience functions ---- */

enum { PRIORITY_DEFAULT = 0, PRIORITY_DEFAULT_IDLE = 200 };

typedef unsigned attach_function(struct _GSource *source, struct _GMainContext *context);
typedef void priority_function(struct _GSource *source, int priority);
typedef void unref_function(struct _GSource *source);

/* Gives a fresh source its repeat and its place in a main context, and lets go of it. */
static unsigned attach(const void *caller, struct _GSource *source,
                       struct registration *registration, int priority, int default_priority,
                       struct _GMainContext *context)
{
    unsigned id;

    if (priority != default_priority)
        NEXT(priority_function *, "g_source_set_priority", caller)(source, priority);
    SET_INDIRECT(caller)(source, registration, &source_funcs);
    id = NEXT(attach_function *, "g_source_attach", caller)(source, context);
    NEXT(unref_function *, "g_source_unref", caller)(source);
    return id;
}

/* The constructor failed: as if nothing had been captured. */
static void reclaim(struct registration *registration)
{
    if (registration->context)
        context_rollback(FAMILY_GLIB_SOURCE, registration->context);
    slab_free(registration);
}

typedef struct _GSource *new_idle(void);
typedef struct _GSource *new_timeout(unsigned interval);
typedef struct _GSource *new_child(int pid);
typedef struct _GSource *new_io(struct _GIOChannel *channel, unsigned condition);
typedef struct _GSource *new_fd(int fd, unsigned condition);
typedef struct _GSource *new_signal(int number);

/*
 * The body of one: CONSTRUCT is the call of the public constructor; REAL_CALL is what to do when there is
 * no context to carry or the arguments are wrong, which GLib shall say itself.
 */
#define ADD(is_valid, function, data, notify, is_once, extra_flags, priority, default_priority,    \
            CONSTRUCT, REAL_CALL)                                                                  \
    do {                                                                                           \
        const void *caller = __builtin_return_address(0);                                          \
        struct registration *registration = NULL;                                                  \
        struct _GSource *source;                                                                   \
                                                                                                   \
        if (likely((function) && (is_valid)))                                                      \
            registration = source_registration(caller, (void *)(function), data, notify, is_once); \
        if (unlikely(!registration))                                                               \
            return REAL_CALL;                                                                      \
        registration->flags |= (extra_flags);                                                      \
        source = CONSTRUCT;                                                                        \
        if (unlikely(!source)) {                                                                   \
            reclaim(registration);                                                                 \
            return REAL_CALL;                                                                      \
        }                                                                                          \
        return attach(caller, source, registration, priority, default_priority, NULL);             \
    } while (0)

#define NEW_IDLE() NEXT(new_idle *, "g_idle_source_new", caller)()
#define NEW_TIMEOUT(interval) NEXT(new_timeout *, "g_timeout_source_new", caller)(interval)
#define NEW_SECONDS(interval) NEXT(new_timeout *, "g_timeout_source_new_seconds", caller)(interval)

unsigned hook_g_idle_add(source_function *function, void *data)
{
    ADD(true, function, data, NULL, false, 0, PRIORITY_DEFAULT_IDLE, PRIORITY_DEFAULT_IDLE,
        NEW_IDLE(), REAL(g_idle_add)(function, data));
}

unsigned hook_g_idle_add_full(int priority, source_function *function, void *data,
                              notify_function *notify)
{
    ADD(true, function, data, notify, false, 0, priority, PRIORITY_DEFAULT_IDLE, NEW_IDLE(),
        REAL(g_idle_add_full)(priority, function, data, notify));
}

unsigned hook_g_idle_add_once(void (*function)(void *), void *data)
{
    ADD(true, function, data, NULL, true, SOURCE_VOID, PRIORITY_DEFAULT_IDLE, PRIORITY_DEFAULT_IDLE,
        NEW_IDLE(), REAL(g_idle_add_once)(function, data));
}

unsigned hook_g_timeout_add(unsigned interval, source_function *function, void *data)
{
    ADD(true, function, data, NULL, false, 0, PRIORITY_DEFAULT, PRIORITY_DEFAULT,
        NEW_TIMEOUT(interval), REAL(g_timeout_add)(interval, function, data));
}

unsigned hook_g_timeout_add_full(int priority, unsigned interval, source_function *function,
                                 void *data, notify_function *notify)
{
    ADD(true, function, data, notify, false, 0, priority, PRIORITY_DEFAULT, NEW_TIMEOUT(interval),
        REAL(g_timeout_add_full)(priority, interval, function, data, notify));
}

unsigned hook_g_timeout_add_once(unsigned interval, void (*function)(void *), void *data)
{
    ADD(true, function, data, NULL, true, SOURCE_VOID, PRIORITY_DEFAULT, PRIORITY_DEFAULT,
        NEW_TIMEOUT(interval), REAL(g_timeout_add_once)(interval, function, data));
}

unsigned hook_g_timeout_add_seconds(unsigned interval, source_function *function, void *data)
{
    ADD(true, function, data, NULL, false, 0, PRIORITY_DEFAULT, PRIORITY_DEFAULT,
        NEW_SECONDS(interval), REAL(g_timeout_add_seconds)(interval, function, data));
}

unsigned hook_g_timeout_add_seconds_full(int priority, unsigned interval, source_function *function,
                                         void *data, notify_function *notify)
{
    ADD(true, function, data, notify, false, 0, priority, PRIORITY_DEFAULT, NEW_SECONDS(interval),
        REAL(g_timeout_add_seconds_full)(priority, interval, function, data, notify));
}

unsigned hook_g_child_watch_add(int pid, void (*function)(int, int, void *), void *data)
{
    ADD(pid > 0, function, data, NULL, true, 0, PRIORITY_DEFAULT, PRIORITY_DEFAULT,
        NEXT(new_child *, "g_child_watch_source_new", caller)(pid),
        REAL(g_child_watch_add)(pid, function, data));
}

unsigned hook_g_child_watch_add_full(int priority, int pid, void (*function)(int, int, void *),
                                     void *data, notify_function *notify)
{
    ADD(pid > 0, function, data, notify, true, 0, priority, PRIORITY_DEFAULT,
        NEXT(new_child *, "g_child_watch_source_new", caller)(pid),
        REAL(g_child_watch_add_full)(priority, pid, function, data, notify));
}

typedef int io_function(struct _GIOChannel *channel, unsigned condition, void *data);

unsigned hook_g_io_add_watch(struct _GIOChannel *channel, unsigned condition, io_function *function,
                             void *data)
{
    ADD(channel, function, data, NULL, false, 0, PRIORITY_DEFAULT, PRIORITY_DEFAULT,
        NEXT(new_io *, "g_io_create_watch", caller)(channel, condition),
        REAL(g_io_add_watch)(channel, condition, function, data));
}

unsigned hook_g_io_add_watch_full(struct _GIOChannel *channel, int priority, unsigned condition,
                                  io_function *function, void *data, notify_function *notify)
{
    ADD(channel, function, data, notify, false, 0, priority, PRIORITY_DEFAULT,
        NEXT(new_io *, "g_io_create_watch", caller)(channel, condition),
        REAL(g_io_add_watch_full)(channel, priority, condition, function, data, notify));
}

typedef int fd_function(int fd, unsigned condition, void *data);

unsigned hook_g_unix_fd_add(int fd, unsigned condition, fd_function *function, void *data)
{
    ADD(true, function, data, NULL, false, 0, PRIORITY_DEFAULT, PRIORITY_DEFAULT,
        NEXT(new_fd *, "g_unix_fd_source_new", caller)(fd, condition),
        REAL(g_unix_fd_add)(fd, condition, function, data));
}

unsigned hook_g_unix_fd_add_full(int priority, int fd, unsigned condition, fd_function *function,
                                 void *data, notify_function *notify)
{
    ADD(true, function, data, notify, false, 0, priority, PRIORITY_DEFAULT,
        NEXT(new_fd *, "g_unix_fd_source_new", caller)(fd, condition),
        REAL(g_unix_fd_add_full)(priority, fd, condition, function, data, notify));
}

/* As g_unix_signal_source_new has it; the others it refuses. */
static bool can_watch(int number)
{
    return number == SIGHUP || number == SIGINT || number == SIGTERM || number == SIGUSR1 ||
           number == SIGUSR2 || number == SIGWINCH;
}

unsigned hook_g_unix_signal_add(int number, source_function *function, void *data)
{
    ADD(can_watch(number), function, data, NULL, false, 0, PRIORITY_DEFAULT, PRIORITY_DEFAULT,
        NEXT(new_signal *, "g_unix_signal_source_new", caller)(number),
        REAL(g_unix_signal_add)(number, function, data));
}

unsigned hook_g_unix_signal_add_full(int priority, int number, source_function *function,
                                     void *data, notify_function *notify)
{
    ADD(can_watch(number), function, data, notify, false, 0, priority, PRIORITY_DEFAULT,
        NEXT(new_signal *, "g_unix_signal_source_new", caller)(number),
        REAL(g_unix_signal_add_full)(priority, number, function, data, notify));
}

/* ---- invoke ---- */

typedef struct _GMainContext *context_function(void);
typedef int acquire_function(struct _GMainContext *context);
typedef void release_function(struct _GMainContext *context);

/*
 * As GLib has it: at once when the calling thread runs the main context, or may run it now; that is no
 * handoff. Otherwise an idle source.
 */
static void invoke(const void *caller, struct _GMainContext *context, int priority,
                   source_function *function, void *data, notify_function *notify,
                   REAL_TYPE(g_main_context_invoke_full) real)
{
    struct _GMainContext *own;
    struct registration *registration;

    if (!context)
        context = NEXT(context_function *, "g_main_context_default", caller)();
    if (!function || NEXT(acquire_function *, "g_main_context_is_owner", caller)(context)) {
        real(context, priority, function, data, notify);
        return;
    }
    own = NEXT(context_function *, "g_main_context_get_thread_default", caller)();
    if (!own)
        own = NEXT(context_function *, "g_main_context_default", caller)();
    if (own == context && NEXT(acquire_function *, "g_main_context_acquire", caller)(context)) {
        while (function(data))
            ;
        NEXT(release_function *, "g_main_context_release", caller)(context);
        if (notify)
            notify(data);
        return;
    }
    registration = source_registration(caller, (void *)function, data, notify, true);
    if (!registration)
        real(context, priority, function, data, notify);
    else
        attach(caller, NEW_IDLE(), registration, priority, PRIORITY_DEFAULT_IDLE, context);
}

void hook_g_main_context_invoke(struct _GMainContext *context, source_function *function,
                                void *data)
{
    const void *caller = __builtin_return_address(0);

    invoke(caller, context, PRIORITY_DEFAULT, function, data, NULL,
           NEXT(REAL_TYPE(g_main_context_invoke_full), "g_main_context_invoke_full", caller));
}

void hook_g_main_context_invoke_full(struct _GMainContext *context, int priority,
                                     source_function *function, void *data, notify_function *notify)
{
    invoke(__builtin_return_address(0), context, priority, function, data, notify,
           REAL(g_main_context_invoke_full));
}
