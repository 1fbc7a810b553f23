/*
 * sd-event: sources. A callback runs in the context of the call that added its source.
 *
 * A source gets our callback with a registration as its userdata, and our destroy callback, which tells that
 * it is ours and lets go of everything when the source is freed, however that happens. What the
 * program asks of a source or sets on it (userdata, destroy callback, prepare callback) is translated.
 * A floating source (no place to store it) is added as one that is not, and made floating then.
 *
 * Source of the behaviour: systemd 252, sd-event.c. A source that is unreferenced by its own callback
 * is freed after the callback. A callback may be NULL: that means something of its own.
 */
#include <signal.h>

#include "interpose/reentry.h"
#include "interpose/next.h"
#include "families/registration.h"

typedef int plain_callback(struct sd_event_source *source, void *userdata);
typedef int io_callback(struct sd_event_source *source, int fd, unsigned events, void *userdata);
typedef int one_callback(struct sd_event_source *source, unsigned long what, void *userdata);
typedef void destroy_callback(void *userdata);

/* What does not fit into a registration. */
struct others {
    destroy_callback *destroy;
    plain_callback *prepare;
};

static struct library_place systemd_place;

/* ---- running ---- */

/*
 * Any source can be made to run again and again after it was added (a defer source is added to run
 * once). One that shall run once has been switched off by now.
 */
static void apply_periodic(struct registration *registration, struct sd_event_source *source,
                           const void *caller)
{
    int enabled = 0;

    if (!(registration->flags & REGISTRATION_ONCE) || registration->running)
        return;
    NEXT(int (*)(struct sd_event_source *, int *), "sd_event_source_get_enabled", caller)
    (source, &enabled);
    if (enabled != 1) /* SD_EVENT_ON */
        return;
    context_count_bare(FAMILY_SDEVENT, BARE_PERIODIC);
    registration_arm(registration, NULL, REGISTRATION_BARE);
}
#define APPLY_PERIODIC(registration, source)                                   \
    do {                                                                       \
        if (unlikely(registration_is_off))                                     \
            apply_periodic(registration, source, __builtin_return_address(0)); \
    } while (0)

static GUARDED int run_plain(struct sd_event_source *source, void *userdata)
{
    GUARDED_REGISTRATION_FRAME();
    struct registration *registration = userdata;
    plain_callback *callback = (plain_callback *)registration->function;
    void *data = registration->data;
    int result;

    APPLY_PERIODIC(registration, source);
    REGISTRATION_RUN(registration, result = callback(source, data));
    return result;
}

static GUARDED int run_io(struct sd_event_source *source, int fd, unsigned events, void *userdata)
{
    GUARDED_REGISTRATION_FRAME();
    struct registration *registration = userdata;
    io_callback *callback = (io_callback *)registration->function;
    void *data = registration->data;
    int result;

    APPLY_PERIODIC(registration, source);
    REGISTRATION_RUN(registration, result = callback(source, fd, events, data));
    return result;
}

/* A time, or a pointer to what has happened. */
static GUARDED int run_one(struct sd_event_source *source, unsigned long what, void *userdata)
{
    GUARDED_REGISTRATION_FRAME();
    struct registration *registration = userdata;
    one_callback *callback = (one_callback *)registration->function;
    void *data = registration->data;
    int result;

    APPLY_PERIODIC(registration, source);
    REGISTRATION_RUN(registration, result = callback(source, what, data));
    return result;
}

static GUARDED int run_prepare(struct sd_event_source *source, void *userdata)
{
    GUARDED_REGISTRATION_FRAME();
    struct registration *registration = userdata;
    plain_callback *callback = ((struct others *)registration->more)->prepare;
    void *data = registration->data;
    int result;

    REGISTRATION_RUN(registration, result = callback(source, data));
    return result;
}

static void run_destroy(void *userdata)
{
    struct registration *registration = userdata;
    destroy_callback *destroy = ((struct others *)registration->more)->destroy;
    void *data = registration->data;

    registration_end_wide(registration);
    if (destroy)
        destroy(data);
}

/* ---- adding ---- */

static struct registration *new_registration(void *callback, void *userdata, bool is_once)
{
    static const struct others none;

    return registration_new_wide(FAMILY_SDEVENT, callback, userdata, is_once, &none, sizeof none);
}

/* The real function has answered. */
static int added(int result, struct sd_event_source *source, struct sd_event_source **wanted,
                 struct registration *registration, const void *caller)
{
    if (result < 0) {
        registration_rollback(registration);
        registration_end_wide(registration);
        return result;
    }
    NEXT(int (*)(struct sd_event_source *, destroy_callback *),
         "sd_event_source_set_destroy_callback", caller)
    (source, run_destroy);
    if (wanted) {
        *wanted = source;
    } else {
        NEXT(int (*)(struct sd_event_source *, int), "sd_event_source_set_floating", caller)
        (source, 1);
        NEXT(struct sd_event_source * (*)(struct sd_event_source *), "sd_event_source_unref",
             caller)
        (source);
    }
    return result;
}

#define EACH(...) __VA_ARGS__
#define ADD(name, type, trampoline, is_once, params, args)                                      \
    int hook_##name(struct sd_event *loop, struct sd_event_source **wanted EACH params,         \
                    type *callback, void *userdata)                                             \
    {                                                                                           \
        const void *caller = __builtin_return_address(0);                                       \
        struct sd_event_source *source = NULL;                                                  \
        struct registration *registration = NULL;                                               \
        int result;                                                                             \
                                                                                                \
        if (callback &&                                                                         \
            !caller_is_reentrant(&systemd_place, (void *)REAL(name), (void *)callback) &&       \
            (void *)callback != (void *)trampoline &&                                           \
            NEXT(void *, "sd_event_source_set_floating", caller))                               \
            registration = new_registration((void *)callback, userdata, is_once);               \
        if (!registration)                                                                      \
            return REAL(name)(loop, wanted EACH args, callback, userdata);                      \
        result = REAL(name)(loop, &source EACH args, (type *)(void *)trampoline, registration); \
        return added(result, source, wanted, registration, caller);                             \
    }

typedef int time_row(struct sd_event_source *, unsigned long, void *);
typedef int signal_row(struct sd_event_source *, const struct signalfd_siginfo *, void *);
typedef int child_row(struct sd_event_source *, const siginfo_t *, void *);
typedef int inotify_row(struct sd_event_source *, const struct inotify_event *, void *);

ADD(sd_event_add_io, io_callback, run_io, false, (, int fd, unsigned events), (, fd, events))
ADD(sd_event_add_time, time_row, run_one, true,
    (, int clock, unsigned long usec, unsigned long accuracy), (, clock, usec, accuracy))
ADD(sd_event_add_time_relative, time_row, run_one, true,
    (, int clock, unsigned long usec, unsigned long accuracy), (, clock, usec, accuracy))
ADD(sd_event_add_signal, signal_row, run_one, false, (, int number), (, number))
ADD(sd_event_add_child, child_row, run_one, true, (, int pid, int options), (, pid, options))
ADD(sd_event_add_child_pidfd, child_row, run_one, true, (, int pidfd, int options),
    (, pidfd, options))
ADD(sd_event_add_inotify, inotify_row, run_one, false, (, const char *path, unsigned mask),
    (, path, mask))
ADD(sd_event_add_inotify_fd, inotify_row, run_one, false, (, int fd, unsigned mask), (, fd, mask))
ADD(sd_event_add_defer, plain_callback, run_plain, true, (), ())
ADD(sd_event_add_post, plain_callback, run_plain, false, (), ())
ADD(sd_event_add_exit, plain_callback, run_plain, true, (), ())

/* ---- asking and setting ---- */

/* NULL: the source is somebody else's. */
static struct registration *registration_of(struct sd_event_source *source, const void *caller)
{
    int (*get)(struct sd_event_source *, destroy_callback **) =
        NEXT(int (*)(struct sd_event_source *, destroy_callback **),
             "sd_event_source_get_destroy_callback", caller);
    destroy_callback *destroy = NULL;

    if (!source || !get || get(source, &destroy) <= 0 || destroy != run_destroy)
        return NULL;
    return NEXT(void *(*)(struct sd_event_source *), "sd_event_source_get_userdata",
                caller)(source);
}

void *hook_sd_event_source_get_userdata(struct sd_event_source *source)
{
    struct registration *registration = registration_of(source, __builtin_return_address(0));

    return registration ? registration->data : REAL(sd_event_source_get_userdata)(source);
}

void *hook_sd_event_source_set_userdata(struct sd_event_source *source, void *userdata)
{
    struct registration *registration = registration_of(source, __builtin_return_address(0));
    void *old;

    if (!registration)
        return REAL(sd_event_source_set_userdata)(source, userdata);
    old = registration->data;
    registration->data = userdata;
    return old;
}

int hook_sd_event_source_set_destroy_callback(struct sd_event_source *source,
                                              destroy_callback *callback)
{
    struct registration *registration = registration_of(source, __builtin_return_address(0));

    if (!registration)
        return REAL(sd_event_source_set_destroy_callback)(source, callback);
    ((struct others *)registration->more)->destroy = callback;
    return 0;
}

int hook_sd_event_source_get_destroy_callback(struct sd_event_source *source,
                                              destroy_callback **callback)
{
    struct registration *registration = registration_of(source, __builtin_return_address(0));
    destroy_callback *destroy;

    if (!registration)
        return REAL(sd_event_source_get_destroy_callback)(source, callback);
    destroy = ((struct others *)registration->more)->destroy;
    if (callback)
        *callback = destroy;
    return destroy != NULL;
}

int hook_sd_event_source_set_prepare(struct sd_event_source *source, plain_callback *callback)
{
    struct registration *registration = registration_of(source, __builtin_return_address(0));

    if (!registration)
        return REAL(sd_event_source_set_prepare)(source, callback);
    ((struct others *)registration->more)->prepare = callback;
    return REAL(sd_event_source_set_prepare)(source, callback ? run_prepare : NULL);
}
