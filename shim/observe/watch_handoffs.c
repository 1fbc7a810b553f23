/*
 * The blocks of handoffs that nobody has, and the memory of their copies of contexts.
 *
 * Rules: a thread takes and gives whole batches; what a thread that is not watched lets go goes one at a time.
 * In a forked child all of them are its parent's.
 */
#include "base/lock.h"
#include "base/sys.h"
#include "observe/watch_parts.h"

static struct lock free_lock;
static struct handoff *free_handoffs, *free_batches;
static char *copies; /* a watched copy for each handoff, at the same place in the row */
static size_t copy_size;

bool watch_make_copies(void)
{
    long result;

    copy_size = observer_copy_size();
    result = SYS_CALL(mmap, NULL, copy_size * LIVE_HANDOFFS, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0L);
    if (result < 0 && result > -4096)
        return false;
    copies = (char *)result;
    return true;
}

/* Free ones come and go by the batch, whole: `batch` of a first one is the first of the next batch. */
struct handoff *watch_more_handoffs(struct watcher *watcher)
{
    struct handoff *first = watcher->spare;
    uint32_t number;

    watcher->spare = NULL;
    watcher->free_count = WATCH_BATCH;
    if (!first) {
        lock_take(&free_lock);
        if ((first = free_batches)) {
            free_batches = first->batch;
        } else if ((first = free_handoffs)) { /* of threads that have no watcher */
            free_handoffs = first->next;
            first->next = NULL;
            watcher->free_count = 1;
        }
        lock_drop(&free_lock);
    }
    if (!first && (number = store_reserve_handoffs(WATCH_BATCH)) != UINT32_MAX) {
        first = &store_handoffs[number];
        for (unsigned i = 0; i < WATCH_BATCH; i++) {
            first[i].next = i + 1 < WATCH_BATCH ? &first[i + 1] : NULL;
            first[i].own = observer_copy_at(copies + (number + i) * copy_size);
            *observer_place(first[i].own) = &first[i];
        }
    }
    watcher->free = first;
    return first;
}

void watch_give_handoffs(struct watcher *watcher)
{
    struct handoff *first = watcher->free;

    watcher->free = NULL;
    watcher->free_count = 0;
    if (!watcher->spare) {
        watcher->spare = first;
        return;
    }
    lock_take(&free_lock);
    first->batch = free_batches;
    free_batches = first;
    lock_drop(&free_lock);
}

void watch_free_unwatched(struct handoff *handoff)
{
    handoff->id = 0;
    lock_take(&free_lock);
    handoff->next = free_handoffs;
    free_handoffs = handoff;
    lock_drop(&free_lock);
}

void watch_handoffs_fork_lock(void)
{
    lock_take_for_fork(&free_lock);
}

void watch_handoffs_fork_unlock(bool is_child)
{
    if (is_child)
        free_handoffs = free_batches = NULL;
    lock_drop_after_fork(&free_lock);
}
