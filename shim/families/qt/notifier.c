/*
 * QSocketNotifier: what it tells runs in the context in which it was made, or enabled again (rule A9).
 *
 * The notifier's own event function is a virtual one: a shadow vtable meets it, and delete.
 * Only for notifiers as they come, not for classes above them: their constructors put their own vptr in
 * place afterwards. A notifier is used by one thread at a time. Other events of it (deleteLater) are not
 * ours. Source: Qt 5.15.8 and 6.4.2, qsocketnotifier.cpp, qobject.h, qcoreevent.h.
 */
#include "base/map.h"
#include "families/qt/qt.h"
#include "families/registration.h"
#include "interpose/vtable.h"

enum { SLOT_DELETE = 4, SLOT_EVENT = 5 };
enum { EVENT_ACTIVATED = 50, EVENT_CLOSED = 211 };

struct QSocketNotifier {
    void **vptr;
};

/* Qt 5 keeps a pointer in front of the event's type. */
struct QEvent {
    void **vptr;
    union {
        uint16_t type_6;
        void *unused;
    };
    uint16_t type_5;
};

static struct map notifiers; /* to their registrations */

static _Bool run_event(struct QSocketNotifier *notifier, struct QEvent *event);
static void delete_notifier(struct QSocketNotifier *notifier);

static const struct vtable_set notifier_set = {
    .count = 2,
    .replaced = {{SLOT_EVENT, (void *)run_event}, {SLOT_DELETE, (void *)delete_notifier}},
};

typedef _Bool event_function(struct QSocketNotifier *, struct QEvent *);

static GUARDED _Bool run_registered(struct registration *registration,
                                    struct QSocketNotifier *notifier, struct QEvent *event,
                                    event_function *function)
{
    GUARDED_FRAME();
    _Bool result;

    REGISTRATION_RUN(registration, result = function(notifier, event));
    return result;
}

static _Bool run_event(struct QSocketNotifier *notifier, struct QEvent *event)
{
    event_function *function = (event_function *)vtable_real(notifier->vptr)[SLOT_EVENT];
    struct registration *registration = map_find(&notifiers, notifier);
    unsigned type;

    if (!registration)
        return function(notifier, event);
    type = registration->number == 5 ? event->type_5 : event->type_6;
    if (type != EVENT_ACTIVATED && type != EVENT_CLOSED)
        return function(notifier, event);
    return run_registered(registration, notifier, event, function);
}

/* It ends in one of two ways: by delete, or by its name where its type is known (on a stack, in an object). */
static void forget(struct QSocketNotifier *notifier)
{
    struct registration *registration = map_take(&notifiers, notifier);

    if (registration)
        registration_end(registration);
}

static void delete_notifier(struct QSocketNotifier *notifier)
{
    void **real = vtable_real(notifier->vptr);

    forget(notifier);
    notifier->vptr = real;
    ((void (*)(struct QSocketNotifier *))real[SLOT_DELETE])(notifier);
}

#define construct _ZN15QSocketNotifierC1ExNS_4TypeEP7QObject
#define destruct _ZN15QSocketNotifierD1Ev
#define set_enabled _ZN15QSocketNotifier10setEnabledEb
#define BODY_AS(name) hook_##name
#define BODY(name) BODY_AS(name)
#define REAL_OF(name) REAL(name)

void BODY(construct)(struct QSocketNotifier *notifier, long long socket, int type,
                     struct QObject *parent)
{
    int version = qt_version(FAMILY_QT_NOTIFIER, __builtin_return_address(0));
    struct registration *registration;
    void **shadow, *old = NULL;

    REAL_OF(construct)(notifier, socket, type, parent);
    if (!version)
        return;
    shadow = vtable_shadow(&notifier_set, notifier->vptr);
    if (!shadow) {
        context_count_bare(FAMILY_QT_NOTIFIER, BARE_LAYOUT);
        return;
    }
    registration = registration_new_armed(FAMILY_QT_NOTIFIER, NULL, notifier, false);
    if (!registration)
        return;
    registration->number = (uint32_t)version;
    if (!map_put(&notifiers, notifier, registration, &old)) {
        registration_end(registration);
        context_count_bare(FAMILY_QT_NOTIFIER, BARE_MEMORY);
        return;
    }
    if (old) /* of one that ended where nobody saw it, at the same place */
        registration_end(old);
    notifier->vptr = shadow;
}

void BODY(destruct)(struct QSocketNotifier *notifier)
{
    if (vtable_is_shadow(&notifier_set, notifier->vptr))
        forget(notifier);
    REAL_OF(destruct)(notifier);
}

/* Enabling one that is enabled changes nothing. */
void BODY(set_enabled)(struct QSocketNotifier *notifier, _Bool is_enabled)
{
    struct registration *registration =
        vtable_is_shadow(&notifier_set, notifier->vptr) ? map_find(&notifiers, notifier) : NULL;

    if (registration && !is_enabled) {
        registration_disarm(registration);
    } else if (registration && !registration->context) {
        uint8_t flags;
        struct context *context = registration_capture(FAMILY_QT_NOTIFIER, false, &flags);

        registration_arm(registration, context, flags);
    }
    REAL_OF(set_enabled)(notifier, is_enabled);
}
