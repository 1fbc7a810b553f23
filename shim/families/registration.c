/* What a repeating callback needs seldom: see registration.h. */
#include "families/registration.h"

#include <string.h>

#include "context/unwind.h"

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

void registration_ran_rearmed(struct registration *registration, struct context *context)
{
    registration->flags &= (uint8_t)~REGISTRATION_REARMED;
    context_release(context);
    if (registration->flags & REGISTRATION_ENDED)
        slab_free(registration);
}

bool registration_is_left(struct registration *registration, uintptr_t sp)
{
    /* The context that a rearmed run had is not known: then any run in progress may be this one's. */
    const struct context *context =
        registration->flags & REGISTRATION_REARMED ? NULL : registration->context;

    if (scope_keeps(thread_self, context, sp))
        return false;
    registration->running = 0;
    registration->flags &= (uint8_t)~REGISTRATION_REARMED;
    return true;
}

/* A run is left by an exception or by the end of its thread. */
static void run_unwound(struct registration *registration, struct context *context, bool ends)
{
    registration->running = 0;
    if (registration->flags & REGISTRATION_REARMED) {
        registration_ran_rearmed(registration, context);
    } else if (ends) { /* as in the plain run: what the thread had ends with it */
        registration->context = NULL;
        context_release(context);
    }
}

personality_routine baton_registration_personality;

__attribute__((used, visibility("hidden"))) int
baton_registration_personality(int version, int actions, uint64_t exception_class,
                               struct _Unwind_Exception *exception,
                               struct _Unwind_Context *unwinding)
{
    const void *unwinder = __builtin_return_address(0);

    if (actions & UNWIND_CLEANUP_PHASE) {
        struct context *context = unwind_leave(unwinding, unwinder, actions);
        struct registration *registration = context ? unwind_pinned(unwinding, unwinder) : NULL;

        if (registration)
            run_unwound(registration, context, (actions & UNWIND_FORCED) != 0);
    }
    return UNWIND_CONTINUE;
}

ARCH_PERSONALITY(baton_registration_personality);
