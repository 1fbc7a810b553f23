/*
 * Which items of BATON_HOOKS go with each other: puts with gets, submits with runs.
 *
 * All of one pair have one number, by which the table of what is in flight tells pairs apart. An item that
 * needs another and finds none is a mistake.
 */
#include <string.h>

#include "userhooks/spec.h"

/* Items of a preset go with each other only. */
static bool is_pair(const struct named_spec *one, const struct named_spec *other)
{
    return !strcmp(one->pair, other->pair) &&
           !strcmp(one->preset ? one->preset : "", other->preset ? other->preset : "");
}

static bool is_queue(const struct named_spec *spec)
{
    return spec->kind == NAMED_PUT || spec->kind == NAMED_GET || spec->kind == NAMED_REF ||
           (spec->kind == NAMED_DROP && !spec->is_object);
}

size_t spec_pair(struct named_spec *specs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        bool has_partner = !spec_partner(&specs[i]);

        specs[i].pair_id = (uint32_t)i;
        for (size_t j = count; j-- > 0;) {
            if (!spec_partner(&specs[i]) || !spec_partner(&specs[j]) ||
                is_queue(&specs[i]) != is_queue(&specs[j]) || !is_pair(&specs[i], &specs[j]))
                continue;
            specs[i].pair_id = (uint32_t)j; /* ends as the first of the pair */
            has_partner |= specs[j].kind == spec_partner_kind(&specs[i]);
        }
        if (!has_partner)
            return i;
    }
    return count;
}
