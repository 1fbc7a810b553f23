/* The counts of named hooks: see tally.h. */
#include "userhooks/tally.h"

#include "base/mem.h"

struct named_hook *named_hooks;
unsigned named_count;
bool tally_keeps_last;

static struct named_tally *others; /* by hook; NULL: there is no memory for it */

void tally_begin(struct thread *thread)
{
    if (thread != &thread_unknown && !tally_at(thread))
        atomic_store_explicit(
            &thread->guests[GUEST_named_counts],
            mem_alloc((named_count + 1) * sizeof(struct named_tally)), /* tally_last is the last */
            memory_order_release);
}

struct summing {
    unsigned index;
    const struct thread *without;
    struct named_tally sum;
};

static void add_thread(struct thread *thread, void *arg)
{
    struct summing *summing = arg;

    const struct named_tally *counts = tally_at(thread);

    if (!counts || thread == summing->without)
        return;
    summing->sum.fired += counts[summing->index].fired;
    summing->sum.carried += counts[summing->index].carried;
}

void tally_sum(const struct named_hook *hook, struct named_tally *sum)
{
    struct summing summing = {hook->index, NULL, {hook->fired, hook->carried}};

    thread_each(add_thread, &summing);
    *sum = summing.sum;
}

void tally_fork(void)
{
    if (!others && named_count)
        others = mem_alloc(named_count * sizeof *others);
    for (unsigned i = 0; others && i < named_count; i++) {
        struct summing summing = {i, thread_self, {0, 0}};

        thread_each(add_thread, &summing);
        others[i] = summing.sum;
    }
}

void tally_fork_child(void)
{
    for (unsigned i = 0; others && i < named_count; i++) {
        atomic_fetch_add(&named_hooks[i].fired, others[i].fired);
        atomic_fetch_add(&named_hooks[i].carried, others[i].carried);
    }
}
