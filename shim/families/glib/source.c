/*
 * GLib: main loop sources, with callbacks of any signature.
 *
 * Everything ends at g_source_set_callback_indirect, which we give callback functions of our own:
 * GLib then asks `get` for what to call, and gets a trampoline and the program's own data, so
 * finding and removing by data works as ever. ref, get and unref frame every dispatch: ref notes
 * which registration the thread is about to dispatch, the trampoline takes it from that note.
 * GLib's convenience functions call each other directly, hence each is built anew from the public
 * constructors, as GLib does it.
 *
 * Source of the behaviour: GLib 2.74.6, gmain.c: ref and get are called under the context's lock,
 * ref by nobody but g_main_dispatch; get also by the functions that find sources by their data; the
 * last unref without the lock, by whoever lets go last. A source runs in one thread at a time.
 *
 * What a dispatch does, and whoever owns what in it: source_dispatch.c.
 */
#include <signal.h>

#include "families/glib/task_origin.h"
#include "families/handoff.h"
#include "interpose/reentry.h"
#include "interpose/next.h"
#include "families/registration.h"
#include "families/glib/source.h"

static struct library_named gio = {.name = "libgio-2.0"};

/*
 * The context for a callback, NULL: none. GIO's own sources (its pool manager, its workers) are made
 * for the first task that needs them and live on: they must not keep that one's context. What GIO does for
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

static inline __attribute__((always_inline)) void
source_fill(struct registration *registration, void *function, void *data, notify_function *notify,
            struct context *context, uint8_t flags)
{
    registration_init(registration, FAMILY_GLIB_SOURCE, function, data);
    registration->more = (void *)notify;
    registration->refs = 1; /* the source's */
    registration->context = context;
    registration->flags = flags;
}

static APART struct registration *source_registration_any(const void *caller, void *function,
                                                          void *data, notify_function *notify,
                                                          bool is_once)
{
    uint8_t flags;
    struct context *context = source_context(caller, function, data, is_once, &flags);
    struct registration *registration;

    if (unlikely(!context) && !(flags & REGISTRATION_BARE))
        return NULL;
    registration = slab_new();
    if (unlikely(!registration)) {
        if (context)
            context_release(context);
        context_count_bare(FAMILY_GLIB_SOURCE, BARE_MEMORY);
        return NULL;
    }
    source_fill(registration, function, data, notify, context, flags);
    return registration;
}

/* What a source gets in place of a callback; NULL: let it have the callback itself. In line what is as it is most of the time. */
static struct registration *source_registration(const void *caller, void *function, void *data,
                                                notify_function *notify, bool is_once)
{
    struct thread *thread = thread_self;
    struct registration *registration;
    struct context *context;

    if (unlikely(atomic_load_explicit(&glib_has_tasks, memory_order_relaxed) ||
                 registration_is_off || address_is_of(&gio, caller) || !thread_is_plain(thread) ||
                 thread->snapshot.refs <= 0 || !(registration = slab_take(thread))))
        return source_registration_any(caller, function, data, notify, is_once);
    context = context_take_bought(thread, FAMILY_GLIB_SOURCE);
    if (unlikely(!context)) { /* a handler has come since */
        slab_free(registration);
        return source_registration_any(caller, function, data, notify, is_once);
    }
    source_fill(registration, function, data, notify, context, is_once ? REGISTRATION_ONCE : 0);
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
        SET_INDIRECT(caller)(source, registration, &glib_source_funcs);
    else
        REAL(g_source_set_callback)(source, function, data, notify);
}

void hook_g_source_set_callback_indirect(struct _GSource *source, void *data,
                                         struct _GSourceCallbackFuncs *funcs)
{
    struct registration *registration = NULL;

    if (likely(source && funcs && data && funcs != &glib_source_funcs))
        registration = source_registration(__builtin_return_address(0), funcs, data, NULL, false);
    if (registration) {
        registration->flags |= SOURCE_INDIRECT;
        REAL(g_source_set_callback_indirect)(source, registration, &glib_source_funcs);
    } else {
        REAL(g_source_set_callback_indirect)(source, data, funcs);
    }
}

/* ---- the convenience functions ---- */

enum { PRIORITY_DEFAULT = 0, PRIORITY_DEFAULT_IDLE = 200 };

typedef unsigned attach_function(struct _GSource *source, struct _GMainContext *context);
typedef void priority_function(struct _GSource *source, int priority);
typedef void unref_function(struct _GSource *source);

/* Gives a fresh source its registration and its place in a main context, and lets go of it. */
static unsigned attach(const void *caller, struct _GSource *source,
                       struct registration *registration, int priority, int default_priority,
                       struct _GMainContext *context)
{
    unsigned id;

    if (priority != default_priority)
        NEXT(priority_function *, "g_source_set_priority", caller)(source, priority);
    SET_INDIRECT(caller)(source, registration, &glib_source_funcs);
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

unsigned hook_g_timeout_add_seconds_once(unsigned interval, void (*function)(void *), void *data)
{
    ADD(true, function, data, NULL, true, SOURCE_VOID, PRIORITY_DEFAULT, PRIORITY_DEFAULT,
        NEW_SECONDS(interval), REAL(g_timeout_add_seconds_once)(interval, function, data));
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
