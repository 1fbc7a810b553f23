/*
 * Objects in flight: the contexts of those that were handed over by address.
 *
 * An address names an object only while it is in flight: what is submitted again replaces what was
 * there (an event that was removed, its memory used again), unless the hook is fifo, where the same
 * object may wait many times. Entries of objects that are never run stay; past ENTRIES_MAX in one
 * shard the oldest in its bucket goes, and that is counted.
 *
 * Compiled without vector registers. Locks are held for a few instructions, around nothing foreign.
 */
#include <stdatomic.h>

#include "base/lock.h"
#include "base/mem.h"
#include "hooks/named.h"

enum { SHARDS = 16, BUCKETS = 1024, ENTRIES_MAX = 8192, ENTRIES_AT_ONCE = 64 };

struct entry {
    struct entry *next;
    uintptr_t key;
    struct context *context;
    uint32_t pair;
};

/* Everything under its lock. A bucket's list is in order of arrival. */
static struct shard {
    struct lock lock;
    uint32_t count;
    struct entry *free;
    struct entry *buckets[BUCKETS];
} shards[SHARDS];

/* A signal handler that hands work over while this thread is in here must not wait for it. */
static __thread bool is_inside;

static uint64_t hash(uint32_t pair, uintptr_t key)
{
    return ((key >> 3) + pair) * 0x9e3779b97f4a7c15u;
}

static struct shard *shard_of(uint64_t code)
{
    return &shards[code >> 60];
}

static struct entry **bucket_of(struct shard *shard, uint64_t code)
{
    return &shard->buckets[code >> 48 & (BUCKETS - 1)];
}

static void shard_lock(struct shard *shard)
{
    is_inside = true;
    atomic_signal_fence(memory_order_seq_cst);
    lock_take(&shard->lock);
}

static void shard_unlock(struct shard *shard)
{
    lock_drop(&shard->lock);
    atomic_signal_fence(memory_order_seq_cst);
    is_inside = false;
}

/* More free entries; without the lock, because memory may come from the system. */
static bool refill(struct shard *shard)
{
    struct entry *block = mem_alloc(ENTRIES_AT_ONCE * sizeof *block);

    if (!block)
        return false;
    for (unsigned i = 0; i + 1 < ENTRIES_AT_ONCE; i++)
        block[i].next = &block[i + 1];
    shard_lock(shard);
    block[ENTRIES_AT_ONCE - 1].next = shard->free;
    shard->free = block;
    shard_unlock(shard);
    return true;
}

enum table_answer table_put(uint32_t pair, uintptr_t key, struct context *context, bool is_fifo,
                            bool may_be_slow, struct context **old)
{
    uint64_t code = hash(pair, key);
    struct shard *shard = shard_of(code);
    struct entry **place, *entry;

    *old = NULL;
    if (is_inside)
        return TABLE_FULL;
    for (;;) {
        bool is_full;

        shard_lock(shard);
        place = bucket_of(shard, code);
        if (!is_fifo) {
            for (entry = *place; entry && (entry->key != key || entry->pair != pair);
                 entry = entry->next)
                ;
            if (entry) {
                if (may_be_slow) {
                    *old = entry->context;
                    entry->context = context;
                }
                shard_unlock(shard);
                return may_be_slow ? TABLE_DONE : TABLE_SLOW;
            }
        }
        is_full = shard->count >= ENTRIES_MAX && *place;
        if ((shard->free && !is_full) || (is_full && may_be_slow))
            break;
        shard_unlock(shard);
        if (!may_be_slow)
            return TABLE_SLOW;
        if (!refill(shard))
            return TABLE_FULL;
    }
    if (shard->count >= ENTRIES_MAX && *place) {
        entry = *place;
        *place = entry->next;
        *old = entry->context;
    } else {
        entry = shard->free;
        shard->free = entry->next;
        shard->count++;
    }
    while (*place)
        place = &(*place)->next;
    *entry = (struct entry){NULL, key, context, pair};
    *place = entry;
    shard_unlock(shard);
    return TABLE_DONE;
}

struct context *table_take(uint32_t pair, uintptr_t key)
{
    uint64_t code = hash(pair, key);
    struct shard *shard = shard_of(code);
    struct context *context = NULL;

    if (is_inside)
        return NULL;
    shard_lock(shard);
    for (struct entry **place = bucket_of(shard, code); *place; place = &(*place)->next) {
        struct entry *entry = *place;

        if (entry->key != key || entry->pair != pair)
            continue;
        *place = entry->next;
        context = entry->context;
        entry->next = shard->free;
        shard->free = entry;
        shard->count--;
        break;
    }
    shard_unlock(shard);
    return context;
}

void table_fork_lock(void)
{
    for (unsigned i = 0; i < SHARDS; i++)
        lock_take(&shards[i].lock);
}

/* What was in flight belongs to the parent's workers: the child forgets it, and owns none of it. */
void table_fork_unlock(bool is_child)
{
    for (unsigned i = 0; i < SHARDS; i++) {
        for (unsigned j = 0; is_child && j < BUCKETS; j++) {
            while (shards[i].buckets[j]) {
                struct entry *entry = shards[i].buckets[j];

                shards[i].buckets[j] = entry->next;
                entry->next = shards[i].free;
                shards[i].free = entry;
            }
        }
        if (is_child)
            shards[i].count = 0;
        lock_drop(&shards[i].lock);
    }
}
