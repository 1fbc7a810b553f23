/* What a repeating callback needs seldom: see repeat.h. */
#include "families/registration.h"

#include <string.h>

bool registration_is_off;

struct registration *registration_new_armed(enum family family, void *function, void *data,
                                            bool once)
{
    uint8_t flags;
    struct context *context = registration_capture(family, once, &flags);
    struct registration *registration;

    if (!context && !(flags & REGISTRATION_BARE))
        return NULL;
    registration = registration_new(family, function, data);
    if (!registration) {
        if (context)
            context_rollback(family, context);
        context_count_bare(family, BARE_MEMORY);
        return NULL;
    }
    registration_arm(registration, context, flags);
    return registration;
}

struct registration *registration_new_wide(enum family family, void *function, void *data,
                                           bool once, const void *more, size_t size)
{
    struct registration *registration = registration_new_armed(family, function, data, once);

    if (!registration)
        return NULL;
    registration->more = slab_new();
    if (!registration->more) {
        registration_rollback(registration);
        registration_end(registration);
        context_count_bare(family, BARE_MEMORY);
        return NULL;
    }
    memcpy(registration->more, more, size);
    return registration;
}

void registration_rollback(struct registration *registration)
{
    if (registration->context) {
        context_rollback((enum family)registration->family, context_ref(registration->context));
        registration_disarm(registration);
    }
}

struct context *registration_borrow(struct registration *registration)
{
    if (registration->context)
        return context_ref(registration->context);
    return registration->flags & REGISTRATION_BARE ? context_here() : NULL;
}

bool registration_apply_age(struct registration *registration)
{
    if (context_is_too_old(registration->context)) {
        context_count_bare((enum family)registration->family, BARE_LIMIT);
        context_release(
            registration->context); /* no run has borrowed it: it may keep what it sets */
        registration->context = context_empty;
    }
    return true;
}
