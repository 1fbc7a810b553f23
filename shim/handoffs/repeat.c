/* What a repeating callback needs seldom: see repeat.h. */
#include "handoffs/repeat.h"

#include <string.h>

bool repeat_is_off;

struct repeat *repeat_new_armed(enum family family, void *function, void *data, bool once)
{
    uint8_t flags;
    struct context *context = repeat_capture(family, once, &flags);
    struct repeat *repeat;

    if (!context && !(flags & REPEAT_BARE))
        return NULL;
    repeat = repeat_new(family, function, data);
    if (!repeat) {
        if (context)
            context_rollback(family, context);
        context_count_bare(family, BARE_MEMORY);
        return NULL;
    }
    repeat_arm(repeat, context, flags);
    return repeat;
}

struct repeat *repeat_new_wide(enum family family, void *function, void *data, bool once,
                               const void *more, size_t size)
{
    struct repeat *repeat = repeat_new_armed(family, function, data, once);

    if (!repeat)
        return NULL;
    repeat->more = cell_new();
    if (!repeat->more) {
        repeat_rollback(repeat);
        repeat_end(repeat);
        context_count_bare(family, BARE_MEMORY);
        return NULL;
    }
    memcpy(repeat->more, more, size);
    return repeat;
}

void repeat_rollback(struct repeat *repeat)
{
    if (repeat->context) {
        context_rollback((enum family)repeat->family, context_ref(repeat->context));
        repeat_disarm(repeat);
    }
}

struct context *repeat_borrow(struct repeat *repeat)
{
    if (repeat->context)
        return context_ref(repeat->context);
    return repeat->flags & REPEAT_BARE ? context_here() : NULL;
}

bool repeat_apply_age(struct repeat *repeat)
{
    if (context_is_too_old(repeat->context)) {
        context_count_bare((enum family)repeat->family, BARE_LIMIT);
        context_release(repeat->context); /* no run has borrowed it: it may keep what it sets */
        repeat->context = context_empty;
    }
    return true;
}
