/*
 * Values that `share` leaves dangling (BATON_STRICT): the owner replaced one, or set it to NULL, while
 * handoffs still hold it. Off, nothing here is called.
 *
 * Of keys that is known at once. A thread-local variable is looked at whenever its thread hands over,
 * and, a few at a time, whenever anything is handed over, starts, ends or is let go; behind functions, only the owner's own handoffs and tasks show it.
 */
#ifndef BATON_CONTEXT_DANGLING_H
#define BATON_CONTEXT_DANGLING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "context/context.h"
#include "slots/origin.h"

#pragma GCC visibility push(hidden)

/* What is less is a number. */
#define DANGLING_LEAST ((uintptr_t)65536)

extern bool dangling_on; /* set before any capture, and before context_init */

/* Before any capture. False: no memory; it must stay off then. */
bool dangling_start(void);
/* Bytes behind each context that is no overlay, for what it holds; 0 while this is off. */
extern size_t dangling_bytes;
/* Once it is known which slots there are, and where: context_init. */
void dangling_plan(void);

/* There, what it holds follows: of dangling.c. */
struct dangling_holdings {
    uint64_t born; /* 0: it is not handed over, or is gone */
    const void *site;
    uint32_t count, again;
};
extern size_t dangling_behind; /* bytes of a context */

static inline struct dangling_holdings *dangling_holdings(const struct context *context)
{
    return (struct dangling_holdings *)(void *)((char *)(uintptr_t)context + dangling_behind);
}

/* A new one holds nothing. */
static inline void dangling_begin(struct context *context)
{
    struct dangling_holdings *holdings = dangling_holdings(context);

    holdings->count = holdings->again = 0;
    holdings->site = NULL;
}

/* `context` holds `value` of a key's slot from now on; where it was handed over is looked up here. */
void dangling_hold(struct context *context, const struct slot *slot, const void *value);
/* The same for what it holds of copied slots, which the calling thread has just captured. */
void dangling_hold_copied(const struct thread *thread, struct context *context);

/* A context that is not empty is all there; `over` (NULL: none) is what the thread that made it runs in. The
 * answer is how often in a row it was handed over at this place by what ran in one from there. */
uint32_t dangling_list(struct context *context, const struct context *over, uint64_t now);
/* A repeating callback goes on from `next`: it was handed over where and when `context` was. */
void dangling_succeeds(const struct context *context, struct context *next);
/* Where it was handed over; NULL: not known. */
const void *dangling_site(const struct context *context);

struct dangling_held {
    const struct context *context;
    const void *site;
    uint64_t born; /* arch_ticks */
};

/* All that are alive, while other threads go on: a context may be gone meanwhile, its memory stays. */
void dangling_each(void (*visit)(const struct dangling_held *held, void *arg), void *arg);

/* Was that said already of this place? It is from now on. */
bool dangling_is_said(const void *reason, const void *site);
/* "in FUNCTION+0xOFFSET of MODULE", into `place`. */
const char *dangling_place(const void *site, char *place, size_t size);

/* The value of a slot was replaced by another (NULL: freed, presumably). Says so once for every place
 * that hands it over. */
void dangling_replaced(const struct slot *slot, const void *value, const void *by);
/* Looks at what can be looked at, at some of it where there are many owners. */
void dangling_look_slow(void);
static inline void dangling_look(void)
{
    if (unlikely(origin_has_news()))
        dangling_look_slow();
}

void dangling_let_go_held(struct dangling_holdings *holdings);
static inline void dangling_let_go(struct context *context)
{
    struct dangling_holdings *holdings = dangling_holdings(context);

    dangling_look();
    holdings->born = 0;
    if (unlikely(holdings->count))
        dangling_let_go_held(holdings);
}

/* How often one was changed in place and handed over again (changed.h) while a handoff held it as it was. */
unsigned dangling_changed(const struct slot *slot);

/* How many values of a slot were replaced while handoffs held them. */
unsigned dangling_count(const struct slot *slot);

void dangling_fork_lock(void);
void dangling_fork_unlock(void);

#pragma GCC visibility pop

#endif
