/*
 * The order of a GThreadPool's queue: the program's sort function, and move_to_front, both by the program's
 * own pointers.
 *
 * Rule: the queue's own lock is held while items are moved, as GLib holds it; none of ours is.
 */
#include "base/lock.h"
#include "base/mem.h"
#include "families/fork.h"
#include "families/glib/pool.h"
#include "families/handoff.h"
#include "interpose/next.h"

typedef int compare_function(const void *a, const void *b, void *user_data);

/* ---- sorting ---- */

struct sorting {
    struct sorting *next;
    const struct _GThreadPool *pool;
    compare_function *compare;
    void *user_data;
};

/* One entry a pool that was ever sorted; an address that is used again takes over its entry. */
static struct lock sortings_lock;
static struct sorting *sortings;

static int compare_items(const void *a, const void *b, void *arg)
{
    const struct sorting *sorting = arg;
    const struct record *one = a, *other = b;

    return sorting->compare(pool_is_wake_up(a) ? a : one->data,
                            pool_is_wake_up(b) ? b : other->data, sorting->user_data);
}

void hook_g_thread_pool_set_sort_function(struct _GThreadPool *pool, compare_function *compare,
                                          void *user_data)
{
    struct sorting *sorting;

    if (!pool || (!pool_is_ours(pool) && !pool_is_freed(pool)) || !compare) {
        REAL(g_thread_pool_set_sort_function)(pool, compare, user_data);
        return;
    }
    lock_take(&sortings_lock);
    for (sorting = sortings; sorting && sorting->pool != pool; sorting = sorting->next)
        ;
    lock_drop(&sortings_lock);
    if (!sorting) {
        sorting = mem_alloc(sizeof *sorting);
        if (!sorting)
            return; /* unsorted rather than wrong */
        sorting->pool = pool;
        lock_take(&sortings_lock);
        sorting->next = sortings;
        sortings = sorting;
        lock_drop(&sortings_lock);
    }
    sorting->compare = compare;
    sorting->user_data = user_data;
    REAL(g_thread_pool_set_sort_function)(pool, compare_items, sorting);
}

/* ---- move to front ---- */

struct queue_api {
    void (*lock)(struct _GAsyncQueue *);
    void (*unlock)(struct _GAsyncQueue *);
    int (*length)(struct _GAsyncQueue *);
    void *(*pop)(struct _GAsyncQueue *);
    void (*push)(struct _GAsyncQueue *, void *);
    void (*push_front)(struct _GAsyncQueue *, void *);
};

static bool find_queue_api(struct queue_api *api, const void *caller)
{
    void **functions = (void **)api;
    static const char *const names[] = {"g_async_queue_lock",
                                        "g_async_queue_unlock",
                                        "g_async_queue_length_unlocked",
                                        "g_async_queue_try_pop_unlocked",
                                        "g_async_queue_push_unlocked",
                                        "g_async_queue_push_front_unlocked"};

    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        functions[i] = next_find_for(names[i], caller);
        if (!functions[i])
            return false;
    }
    return true;
}

/*
 * The program names its own pointer; the queue holds records. All items are taken out and put back
 * in order, the oldest one with that pointer last and in front: what GLib does with the pointer
 * itself, in one pass under the queue's own lock.
 */
int hook_g_thread_pool_move_to_front(struct _GThreadPool *pool, void *data)
{
    struct queue_api api;
    void **items = NULL;
    void *found = NULL;
    size_t size;
    int count, kept = 0;

    if (!pool || !pool_is_ours(pool) || !find_queue_api(&api, __builtin_return_address(0)))
        return REAL(g_thread_pool_move_to_front)(pool, data);
    api.lock(pool->queue);
    count = api.length(pool->queue); /* waiting threads count as negative */
    size = count > 0 ? (size_t)count * sizeof *items : 0;
    if (size)
        items = mem_map(size);
    while (items && kept < count) {
        void *item = api.pop(pool->queue);

        if (!item)
            break;
        if (!found && !pool_is_wake_up(item) && ((struct record *)item)->data == data)
            found = item;
        else
            items[kept++] = item;
    }
    for (int i = 0; i < kept; i++)
        api.push(pool->queue, items[i]);
    if (found)
        api.push_front(pool->queue, found);
    api.unlock(pool->queue);
    if (items)
        mem_unmap(items, size);
    return found != NULL;
}

void glib_order_fork_lock(void)
{
    lock_take_for_fork(&sortings_lock);
}

void glib_order_fork_unlock(void)
{
    lock_drop_after_fork(&sortings_lock);
}
