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
#include "context/internal.h"
#include "userhooks/named.h"

enum { SHARDS = 16, BUCKETS = 1024, ENTRIES_MAX = 8192, ENTRIES_AT_ONCE = 64 };

struct entry {
    struct entry *next;
    struct context *context;
    struct table_key key;
};

/* Everything under its lock. A bucket's list is in order of arrival. */
static struct shard {
    struct lock lock;
    uint32_t count;
    struct entry *free;
    struct entry *buckets[BUCKETS];
} shards[SHARDS];

/* A signal handler that hands work over while this thread is in here must not wait for it. */
static __thread bool is_within;

static uint64_t hash(const struct table_key *key)
{
    return ((key->object >> 3) + key->pair + (key->queue << 5)) * 0x9e3779b97f4a7c15u;
}

static bool is_same(const struct table_key *one, const struct table_key *other)
{
    return one->object == other->object && one->pair == other->pair && one->queue == other->queue;
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
    is_within = true;
    atomic_signal_fence(memory_order_seq_cst);
    lock_take(&shard->lock);
}

static void shard_unlock(struct shard *shard)
{
    lock_drop(&shard->lock);
    atomic_signal_fence(memory_order_seq_cst);
    is_within = false;
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

enum table_answer table_put(const struct table_key *key, struct context *context,
                            enum table_order order, bool may_be_slow, struct context **old)
{
    uint64_t code = hash(key);
    struct shard *shard = shard_of(code);
    struct entry **place, *entry;

    *old = NULL;
    if (is_within)
        return TABLE_FULL;
    for (;;) {
        bool is_full;

        shard_lock(shard);
        place = bucket_of(shard, code);
        if (order == TABLE_REPLACE) {
            for (entry = *place; entry && !is_same(&entry->key, key); entry = entry->next)
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
    while (*place && order != TABLE_FIRST)
        place = &(*place)->next;
    *entry = (struct entry){*place, context, *key};
    *place = entry;
    shard_unlock(shard);
    return TABLE_DONE;
}

/* Lock held. */
static struct context *take_entry(struct shard *shard, struct entry **place)
{
    struct entry *entry = *place;

    *place = entry->next;
    entry->next = shard->free;
    shard->free = entry;
    shard->count--;
    return entry->context;
}

struct context *table_take(const struct table_key *key)
{
    uint64_t code = hash(key);
    struct shard *shard = shard_of(code);
    struct context *context = NULL;

    if (is_within)
        return NULL;
    shard_lock(shard);
    for (struct entry **place = bucket_of(shard, code); *place; place = &(*place)->next) {
        if (!is_same(&(*place)->key, key))
            continue;
        context = take_entry(shard, place);
        break;
    }
    shard_unlock(shard);
    return context;
}

bool table_has(const struct table_key *key)
{
    uint64_t code = hash(key);
    struct shard *shard = shard_of(code);
    const struct entry *entry;

    if (is_within)
        return false;
    shard_lock(shard);
    entry = *bucket_of(shard, code);
    while (entry && !is_same(&entry->key, key))
        entry = entry->next;
    shard_unlock(shard);
    return entry != NULL;
}

struct context *table_look(const struct table_key *key)
{
    uint64_t code = hash(key);
    struct shard *shard = shard_of(code);
    struct context *context = NULL;

    if (is_within)
        return NULL;
    shard_lock(shard);
    for (struct entry *entry = *bucket_of(shard, code); entry && !context; entry = entry->next) {
        if (is_same(&entry->key, key))
            context = entry->context;
    }
    if (context)
        atomic_fetch_add_explicit(&context->refs, 1, memory_order_relaxed);
    shard_unlock(shard);
    return context;
}

struct context *table_take_last(const struct table_key *key, const struct context *context)
{
    uint64_t code = hash(key);
    struct shard *shard = shard_of(code);
    struct entry **last = NULL;
    struct context *taken = NULL;

    if (is_within)
        return NULL;
    shard_lock(shard);
    for (struct entry **place = bucket_of(shard, code); *place; place = &(*place)->next)
        if (is_same(&(*place)->key, key) && (!context || (*place)->context == context))
            last = place;
    if (last)
        taken = take_entry(shard, last);
    shard_unlock(shard);
    return taken;
}

size_t table_take_queue(const struct table_key *key, struct context **contexts, size_t n)
{
    size_t taken = 0;

    if (is_within)
        return 0;
    for (unsigned i = 0; i < SHARDS && taken < n; i++) {
        shard_lock(&shards[i]);
        for (unsigned j = 0; shards[i].count && j < BUCKETS && taken < n; j++) {
            for (struct entry **place = &shards[i].buckets[j]; *place && taken < n;) {
                if ((*place)->key.pair == key->pair && (*place)->key.queue == key->queue)
                    contexts[taken++] = take_entry(&shards[i], place);
                else
                    place = &(*place)->next;
            }
        }
        shard_unlock(&shards[i]);
    }
    return taken;
}

void table_fork_lock(void)
{
    for (unsigned i = 0; i < SHARDS; i++)
        lock_take_for_fork(&shards[i].lock);
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
        lock_drop_after_fork(&shards[i].lock);
    }
}
