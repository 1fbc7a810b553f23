/* Between dangling.c, which finds what dangles, and dangling_say.c. */
#ifndef BATON_CONTEXT_DANGLING_SAY_H
#define BATON_CONTEXT_DANGLING_SAY_H

#include <stdbool.h>

struct slot;

/* A value was changed in place; `site` (NULL: not known) hands over what it was. Counted each time. */
void dangling_say_changed(const struct slot *slot, const void *site);
/* A value was replaced while `count` handoffs of that place still hold it; counted apart, once for all places. */
void dangling_say_replaced(const struct slot *slot, const void *site, unsigned count,
                           bool is_freed);
void dangling_note_replaced(const struct slot *slot);

void dangling_say_fork_lock(void);
void dangling_say_fork_unlock(void);

#endif
