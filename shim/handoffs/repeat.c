/* What a repeating callback needs seldom: see repeat.h. */
#include "handoffs/repeat.h"

bool repeat_is_off;

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
        repeat_arm(repeat, context_empty, repeat->flags & (REPEAT_ONCE | REPEAT_BARE));
    }
    return true;
}
