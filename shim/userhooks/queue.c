/*
 * Items that leave a queue without being taken: kind=drop, and kind=ref, which says how often a queue
 * must be dropped before it is gone.
 *
 * A reference that is not seen being taken (a call inside the queue's own library) lets go too early:
 * what still waits runs without a context. A queue that begins has nothing in it, whatever was known
 * of its address.
 */
#include "base/map.h"
#include "userhooks/named.h"

enum { AT_ONCE = 64 };

static struct lock refs_lock;
static struct map extra_refs; /* queue: references beyond the first */

/* True: that was the last one. */
static bool give_back(uintptr_t queue)
{
    uintptr_t extra;

    lock_take(&refs_lock);
    extra = (uintptr_t)map_take(&extra_refs, (void *)queue);
    if (extra > 1)
        map_put(&extra_refs, (void *)queue, (void *)(extra - 1), NULL);
    lock_drop(&refs_lock);
    return !extra;
}

static void take_one_more(uintptr_t queue)
{
    lock_take(&refs_lock);
    map_put(&extra_refs, (void *)queue,
            (void *)((uintptr_t)map_find(&extra_refs, (void *)queue) + 1), NULL);
    lock_drop(&refs_lock);
}

static void let_go(struct named_hook *hook, struct context *context)
{
    atomic_fetch_add_explicit(&hook->evicted, 1, memory_order_relaxed);
    context_release(context);
}

static void drop_queue(struct named_hook *hook, uintptr_t queue)
{
    struct table_key key = {.queue = queue, .pair = hook->spec.pair_id};
    struct context *contexts[AT_ONCE];
    size_t count;

    while ((count = table_take_queue(&key, contexts, AT_ONCE)))
        while (count)
            let_go(hook, contexts[--count]);
}

void queue_call(struct named_hook *hook, uintptr_t queue, uintptr_t item)
{
    struct table_key key = {item, queue, hook->spec.pair_id};
    struct context *context;

    if (!thread_enter())
        return;
    if (hook->spec.kind == NAMED_REF) {
        take_one_more(queue);
    } else if (hook->spec.obj) {
        context = table_take_last(&key, NULL);
        if (context)
            let_go(hook, context);
    } else if (queue) {
        bool is_last = give_back(queue);

        if (hook->spec.queue_at) /* a new one */
            while (!is_last)
                is_last = give_back(queue);
        if (is_last)
            drop_queue(hook, queue);
    }
}

void queue_fork_lock(void)
{
    lock_take_for_fork(&refs_lock);
}

void queue_fork_unlock(void)
{
    lock_drop_after_fork(&refs_lock);
}
