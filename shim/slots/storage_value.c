/*
 * What a thread has in a QThreadStorage that is carried: read, lent and put back.
 *
 * Rules: a thread's list is looked at only once the thread has done so itself, because to ask makes Qt's data for
 * a thread that had nothing to do with it, and a QThread that starts has not got its own yet. Until then what is
 * lent waits in cells of ours, under a key; the first look moves it to Qt's. Where Qt's list is may change at
 * each call, so it is asked for each time.
 */
#include <errno.h>

#include "base/mem.h"
#include "slots/storage_parts.h"
#include "slots/kind.h"

enum { KEYS_CHEAP = 32 };

/* Of a thread that has not looked at its list: what it will find there. Its own. */
struct waiting {
    void *cell[STORAGE_ITEMS];
};

struct lock storages_lock;
struct storage_item *storage_items[STORAGE_ITEMS];
unsigned storage_items_count;
/* Under it a thread has its struct waiting, or, once it has looked, has_looked; NULL: neither. */
static pthread_key_t waiting_key;
static _Atomic int key_state; /* 1: made; -1: cannot be */
static char has_looked;

/* ---- which threads have looked ---- */

static void end_waiting(void *value)
{
    struct waiting *waiting = value;

    if (value == &has_looked)
        return;
    for (unsigned i = 0; i < storage_items_count; i++)
        storage_type_destroy(&storage_items[i]->type, waiting->cell[i]);
    mem_free(waiting, sizeof *waiting);
}

bool storage_has_key(void)
{
    int state = atomic_load_explicit(&key_state, memory_order_acquire);

    if (state == 0 && slots_calls.key_create) { /* else too early */
        lock_take(&storages_lock);
        state = atomic_load_explicit(&key_state, memory_order_relaxed);
        if (state == 0) {
            state = slots_calls.key_create(&waiting_key, end_waiting) == 0 &&
                            waiting_key < KEYS_CHEAP
                        ? 1
                        : -1;
            atomic_store_explicit(&key_state, state, memory_order_release);
        }
        lock_drop(&storages_lock);
    }
    return state > 0;
}

void storage_looks(void)
{
    struct waiting *waiting;

    if (!storage_has_key() || (waiting = slots_calls.key_read(waiting_key)) == (void *)&has_looked)
        return;
    slots_calls.key_write(waiting_key, &has_looked);
    for (unsigned i = 0; waiting && i < storage_items_count; i++) {
        const struct storage *storage = storage_items[i]->storage;
        void *at = storage ? atomic_load(&storage->at) : NULL;
        void **cell = at && waiting->cell[i] ? storage->set(at, NULL) : NULL;

        if (cell)
            *cell = waiting->cell[i];
        else
            storage_type_destroy(&storage_items[i]->type, waiting->cell[i]);
    }
    if (waiting)
        mem_free(waiting, sizeof *waiting);
}

/* ---- the thread's value ---- */

static void **waiting_cell(const struct storage_item *item, struct waiting *waiting, bool is_wanted)
{
    if (!waiting && is_wanted) {
        waiting = mem_alloc(sizeof *waiting);
        if (!waiting)
            return NULL;
        *waiting = (struct waiting){{NULL}};
        if (slots_calls.key_write(waiting_key, waiting) != 0) {
            mem_free(waiting, sizeof *waiting);
            return NULL;
        }
    }
    return waiting ? &waiting->cell[item->number] : NULL;
}

/* Where it stands. NULL: the thread has none, or the storage has ended. IS_WANTED: there is one, as far as memory goes. */
static void **cell_of(const struct slot *slot, bool is_wanted)
{
    const struct storage_item *item = storage_item_of(slot);
    const struct storage *storage = item->storage;
    void *at = atomic_load_explicit(&storage->at, memory_order_acquire), *waiting, **cell;

    if (!at)
        return NULL;
    waiting = slots_calls.key_read(waiting_key);
    if (waiting != &has_looked)
        return waiting_cell(item, waiting, is_wanted);
    cell = storage->get(at);
    return cell || !is_wanted ? cell : storage->set(at, NULL);
}

/* Lets go of what is in a cell. Qt deletes what its own list has. */
static void **empty_cell(const struct slot *slot, void **cell)
{
    const struct storage *storage = storage_item_of(slot)->storage;

    if (slots_calls.key_read(waiting_key) == &has_looked)
        return storage->set(storage->place, NULL);
    storage_type_destroy(&storage_item_of(slot)->type, *cell);
    return cell;
}

static bool copy_of(const struct slot *slot, const void *object, void **copy)
{
    *copy = NULL;
    if (!object || storage_type_clone(&storage_item_of(slot)->type, object, copy))
        return true;
    slot_failed(slot);
    return false;
}

bool storage_hold(const struct slot *slot, void **owned)
{
    int saved_errno = errno;
    void *const *cell = cell_of(slot, false);

    copy_of(slot, cell ? *cell : NULL, owned);
    errno = saved_errno;
    return *owned != NULL;
}

/* The thread's own value is aside meanwhile, in *borrowed. */
bool storage_lend(const struct slot *slot, void *owned, void **borrowed)
{
    int saved_errno = errno;
    void *copy, **cell = NULL;
    bool is_lent = copy_of(slot, owned, &copy);

    *borrowed = NULL;
    if (is_lent)
        cell = cell_of(slot, copy != NULL);
    if (cell) {
        *borrowed = *cell;
        *cell = copy;
    } else if (is_lent && copy) {
        storage_type_destroy(&storage_item_of(slot)->type, copy);
    }
    errno = saved_errno;
    return is_lent;
}

/* What a thread has at its end Qt deletes, or the destructor of our key. */
void storage_reclaim(const struct slot *slot, void *borrowed, bool is_thread)
{
    int saved_errno = errno;
    void **cell;

    if (is_thread && !borrowed)
        return;
    cell = cell_of(slot, borrowed != NULL);
    if (cell && *cell)
        cell = empty_cell(slot, cell);
    if (cell)
        *cell = borrowed;
    else
        storage_type_destroy(&storage_item_of(slot)->type, borrowed);
    errno = saved_errno;
}

void storage_let_go(const struct slot *slot, void *owned)
{
    int saved_errno = errno;

    storage_type_destroy(&storage_item_of(slot)->type, owned);
    errno = saved_errno;
}

bool storage_can_exchange(const struct slot *slot)
{
    return true;
}

void storage_exchange(const struct slot *slot, void **state)
{
    int saved_errno = errno;
    void **cell = cell_of(slot, *state != NULL), *before;

    if (cell) {
        before = *cell;
        *cell = *state;
        *state = before;
    }
    errno = saved_errno;
}

void storages_fork_lock(void)
{
    lock_take_for_fork(&storages_lock);
}

void storages_fork_unlock(void)
{
    lock_drop_after_fork(&storages_lock);
}
