/* The counts of named hooks: see tally.h. */
#include "userhooks/tally.h"

#include "base/mem.h"

static struct named_tally others[NAMED_MAX];

void tally_begin(struct thread *thread)
{
    if (thread != &thread_unknown && !thread->named)
        thread->named = mem_alloc(named_count * sizeof *thread->named);
}

struct summing {
    unsigned index;
    const struct thread *without;
    struct named_tally sum;
};

static void add_thread(struct thread *thread, void *arg)
{
    struct summing *summing = arg;

    if (!thread->named || thread == summing->without)
        return;
    summing->sum.fired += thread->named[summing->index].fired;
    summing->sum.carried += thread->named[summing->index].carried;
}

void tally_sum(const struct named_hook *hook, struct named_tally *sum)
{
    struct summing summing = {hook->index, NULL, {hook->fired, hook->carried}};

    thread_each(add_thread, &summing);
    *sum = summing.sum;
}

void tally_fork(void)
{
    for (unsigned i = 0; i < named_count; i++) {
        struct summing summing = {i, thread_self, {0, 0}};

        thread_each(add_thread, &summing);
        others[i] = summing.sum;
    }
}

void tally_fork_child(void)
{
    for (unsigned i = 0; i < named_count; i++) {
        atomic_fetch_add(&named_hooks[i].fired, others[i].fired);
        atomic_fetch_add(&named_hooks[i].carried, others[i].carried);
    }
}
