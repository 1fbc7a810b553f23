/* What the files of qt:NAME share: storage.c has the item and knows which storages there are, storage_value.c moves what
 * threads have. */
#ifndef BATON_SLOTS_STORAGE_PARTS_H
#define BATON_SLOTS_STORAGE_PARTS_H

#include "base/lock.h"
#include "slots/slots.h"
#include "slots/storage.h"

enum { STORAGE_ITEMS = 32 };

/* One that was made. Where a slot is bound to it, it stays: another at its address is the same variable. */
struct storage {
    void *place;
    _Atomic(void *) at; /* NULL: it has ended */
    void (*end)(void *);
    storage_get *get;
    storage_set *set;
    bool is_bound;
};

struct storage_item {
    struct storage_type type;
    struct storage *storage; /* once bound */
    unsigned number;         /* its cell of those that wait */
    void *_Atomic place;     /* the variable, once it is there */
};

extern struct storage_item *storage_items[STORAGE_ITEMS];
extern unsigned storage_items_count;
extern struct lock storages_lock;

static inline struct storage_item *storage_item_of(const struct slot *slot)
{
    return slot->tls.storage;
}

/* The key under which it is known of each thread whether it has looked. False: there is none. */
bool storage_has_key(void);

/* The kind's functions (struct slot_kind). */
bool storage_hold(const struct slot *slot, void **owned);
bool storage_lend(const struct slot *slot, void *owned, void **borrowed);
void storage_reclaim(const struct slot *slot, void *borrowed, bool is_thread);
void storage_let_go(const struct slot *slot, void *owned);
bool storage_can_exchange(const struct slot *slot);
void storage_exchange(const struct slot *slot, void **state);

#endif
