/*
 * Chunks of records. See record.h for the idea and the ownership.
 *
 * A chunk is written by the thread that hands out its records (through thread.record_next), by the
 * owners of the records, and its `freed` by any thread, atomically. It is recycled by the one whose
 * addition makes `freed` reach RECORDS_IN_CHUNK: that can only happen when all have been handed out,
 * so no thread has it as its current chunk any more.
 * Checked in every interleaving of one that makes and two that free: tests/unit/test_model_records.c.
 */
#include "context/pool/record.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/mem.h"
#include "base/sandbox.h"
#include "base/sys.h"

/*
 * Pages come and go in groups of chunks: a system call and two page faults for each chunk cost more
 * than the handoffs that it carries (24 to 30 ns each from 1e5 in flight on, 16 to 20 with groups).
 *
 * After a burst all but a few free groups go back to the system. If a burst comes again within
 * KEEP_MS, as many are kept as had to be fetched again: 1e6 in flight, again and again, are 52 ns a
 * handoff without this, 39 with it. They go back when for KEEP_MS none of them was needed, which the
 * giver of the next chunk sees.
 */
enum {
    REGION_CHUNKS = 128,
    REGION_SIZE = REGION_CHUNKS * RECORD_CHUNK_SIZE,
    GROUP_CHUNKS = 16,
    GROUPS = REGION_CHUNKS / GROUP_CHUNKS,
    WARM_MIN = 2, /* free groups that always keep their pages */
    KEEP_MS = 1000,
    POPULATE_WRITE = 23, /* MADV_POPULATE_WRITE, Linux 5.14; refused before: pages come by faults */
};

struct record_chunk {
    _Atomic uint32_t freed;
    uint32_t is_reserve;
    uint32_t unused[2];
    char records[RECORDS_IN_CHUNK][RECORD_SIZE];
};
_Static_assert(sizeof(struct record_chunk) <= RECORD_CHUNK_SIZE, "a chunk fits its place");

/*
 * Under the lock. A group is on one list, or on none while all of its chunks are used or while its
 * pages come or go.
 */
struct group {
    struct group *next, *previous;
    uint32_t free;     /* a bit a chunk */
    uint32_t given_ms; /* when its pages went back after a burst; 0: they did not */
};

/* First chunk of a region, outside of what is given back. */
struct record_region {
    struct group groups[GROUPS];
};

static struct lock chunks_lock;
static struct group *groups_partial; /* some chunks are free */
static struct group *groups_warm;    /* all are, and have their pages */
static struct group *groups_cold;    /* all are, without pages */
static unsigned groups_warm_count, groups_used;
static unsigned groups_warm_max = WARM_MIN;
static uint32_t groups_needed_ms; /* when a warm group was taken, or had better been there */

static void group_link(struct group **list, struct group *group)
{
    group->previous = NULL;
    group->next = *list;
    if (*list)
        (*list)->previous = group;
    *list = group;
}

static void group_unlink(struct group **list, struct group *group)
{
    if (group->next)
        group->next->previous = group->previous;
    if (group->previous)
        group->previous->next = group->next;
    else
        *list = group->next;
}

static struct record_region *region_of(const void *place)
{
    return (struct record_region *)((uintptr_t)place & ~(uintptr_t)(REGION_SIZE - 1));
}

/* The region's first chunk is not one: it holds the groups. */
static uint32_t group_all(const struct group *group)
{
    return group == region_of(group)->groups ? (1u << GROUP_CHUNKS) - 2 : (1u << GROUP_CHUNKS) - 1;
}

static char *group_pages(const struct group *group)
{
    struct record_region *region = region_of(group);

    return (char *)region + (size_t)(group - region->groups) * GROUP_CHUNKS * RECORD_CHUNK_SIZE;
}

static void group_advise(const struct group *group, int advice)
{
    size_t first = group_all(group) & 1 ? 0 : RECORD_CHUNK_SIZE;

    if (sandbox_allows(SANDBOX_ADVISE))
        (void)SYS_CALL(madvise, group_pages(group) + first,
                       GROUP_CHUNKS * RECORD_CHUNK_SIZE - first, advice);
}

static uint32_t now_ms(void)
{
    struct timespec now = clock_read(CLOCK_MONOTONIC_COARSE);

    return (uint32_t)(now.tv_sec * 1000 + now.tv_nsec / 1000000) | 1;
}

/* Its pages go back. Lock held; dropped meanwhile. The group is on no list. */
static void group_give_back(struct group *group)
{
    lock_drop(&chunks_lock);
    group_advise(group, MADV_DONTNEED);
    lock_take(&chunks_lock);
    group_link(&groups_cold, group);
}

static void warm_trim(void)
{
    if (now_ms() - groups_needed_ms < KEEP_MS)
        return;
    groups_warm_max = WARM_MIN;
    while (groups_warm_count > groups_warm_max) {
        struct group *group = groups_warm;

        group_unlink(&groups_warm, group);
        groups_warm_count--;
        group->given_ms = 0;
        group_give_back(group);
    }
}

/* Where regions are, which stay. Past REGIONS_KNOWN of them every place may be in one. */
enum { REGIONS_KNOWN = 128 };
static struct record_region *_Atomic regions[REGIONS_KNOWN];
static _Atomic unsigned regions_count;

static void note_region(struct record_region *region)
{
    unsigned count = atomic_load(&regions_count);

    if (count < REGIONS_KNOWN)
        atomic_store(&regions[count], region);
    atomic_store(&regions_count, count + 1);
}

bool record_is_at(const void *place)
{
    unsigned count = atomic_load(&regions_count);
    size_t in_chunk = (uintptr_t)place & (RECORD_CHUNK_SIZE - 1);
    bool is_ours = count > REGIONS_KNOWN;

    for (unsigned i = 0; i < count && i < REGIONS_KNOWN; i++)
        is_ours |= atomic_load(&regions[i]) == region_of(place);
    return is_ours && in_chunk >= offsetof(struct record_chunk, records) &&
           (in_chunk - offsetof(struct record_chunk, records)) % RECORD_SIZE == 0;
}

/* Memory for a region, aligned to its size, that nobody has touched. */
static struct record_region *map_region(void)
{
    char *pages = mem_map(2 * REGION_SIZE);
    struct record_region *region;

    if (!pages)
        return NULL;
    region = region_of(pages + REGION_SIZE - 1);
    if ((char *)region != pages)
        mem_unmap(pages, (size_t)((char *)region - pages));
    mem_unmap((char *)region + REGION_SIZE, (size_t)(pages + REGION_SIZE - (char *)region));
    return region;
}

/* The first one, for a program that goes into a sandbox before it hands anything over. */
static struct record_region *prepared;

void record_prepare(void)
{
    if (!prepared && !atomic_load(&regions_count))
        prepared = map_region();
}

/* A fresh region, its groups on the cold list. Lock held. */
static void chunks_grow(void)
{
    struct record_region *region = prepared ? prepared : map_region();

    prepared = NULL;
    if (!region)
        return;
    note_region(region);
    for (unsigned i = GROUPS; i-- > 0;) {
        region->groups[i].free = group_all(&region->groups[i]);
        group_link(&groups_cold, &region->groups[i]);
    }
}

/* A group with a free chunk, off its list. Lock held; dropped and taken again while pages come. */
static struct group *group_take(void)
{
    struct group *group = groups_partial;

    if (group) {
        group_unlink(&groups_partial, group);
        return group;
    }
    group = groups_warm;
    if (group) {
        group_unlink(&groups_warm, group);
        if (groups_warm_count-- > WARM_MIN)
            groups_needed_ms = now_ms();
        groups_used++;
        return group;
    }
    if (!groups_cold)
        chunks_grow();
    group = groups_cold;
    if (!group)
        return NULL;
    group_unlink(&groups_cold, group);
    if (group->given_ms && now_ms() - group->given_ms < KEEP_MS) {
        groups_warm_max++;
        groups_needed_ms = now_ms();
    }
    /* A program with few handoffs never needs a whole group's pages at once. */
    if (groups_used++ > 1) {
        lock_drop(&chunks_lock);
        group_advise(group, POPULATE_WRITE);
        lock_take(&chunks_lock);
    }
    return group;
}

void *record_chunk_take(void)
{
    struct record_chunk *chunk = NULL;
    int saved_errno = errno;
    struct group *group;

    lock_take(&chunks_lock);
    group = group_take();
    if (group) {
        unsigned place = (unsigned)__builtin_ctz(group->free);

        group->free &= group->free - 1;
        if (group->free)
            group_link(&groups_partial, group);
        chunk = (struct record_chunk *)(void *)(group_pages(group) + place * RECORD_CHUNK_SIZE);
    }
    lock_drop(&chunks_lock);
    errno = saved_errno;
    if (chunk) {
        atomic_store_explicit(&chunk->freed, 0, memory_order_relaxed);
        chunk->is_reserve = 0; /* slab objects may have left anything here */
    }
    return chunk;
}

void record_chunk_give(void *given)
{
    struct record_region *region = region_of(given);
    unsigned place = (unsigned)(((char *)given - (char *)region) / RECORD_CHUNK_SIZE);
    struct group *group = &region->groups[place / GROUP_CHUNKS];
    int saved_errno = errno;

    lock_take(&chunks_lock);
    if (group->free)
        group_unlink(&groups_partial, group);
    group->free |= 1u << place % GROUP_CHUNKS;
    if (group->free != group_all(group)) {
        group_link(&groups_partial, group);
    } else {
        groups_used--;
        if (groups_warm_count < groups_warm_max) {
            groups_warm_count++;
            group_link(&groups_warm, group);
        } else {
            group->given_ms = now_ms();
            group_give_back(group);
        }
    }
    if (unlikely(groups_warm_count > WARM_MIN))
        warm_trim();
    lock_drop(&chunks_lock);
    errno = saved_errno;
}

struct record *record_new_slow(void)
{
    struct thread *thread = thread_enter();
    struct record_chunk *chunk;

    if (!thread)
        return NULL;
    if (thread->records.next == thread->records.end) {
        chunk = record_chunk_take();
        if (!chunk)
            return NULL;
        thread->records.next = chunk->records[0];
        thread->records.end = chunk->records[0] + sizeof chunk->records;
    }
    return record_new();
}

/* Aligned by hand: a variable of this alignment makes the loader move the whole library about. */
static char reserve_buffer[2 * RECORD_CHUNK_SIZE];
static _Atomic uint32_t reserve_used;

static struct record *reserve_record(uint32_t place)
{
    struct record_chunk *reserve =
        (struct record_chunk *)(((uintptr_t)reserve_buffer + RECORD_CHUNK_SIZE - 1) &
                                ~(uintptr_t)(RECORD_CHUNK_SIZE - 1));

    __atomic_store_n(&reserve->is_reserve, 1, __ATOMIC_RELAXED);
    return (struct record *)(void *)reserve->records[place];
}

/* Records of the reserve are told freed at once (record_free_slow), so that the wait ends. */
struct record *record_new_sure(void)
{
    struct record *record = record_new();

    while (!record) {
        uint32_t place = atomic_load(&reserve_used);

        if (place < RECORDS_IN_CHUNK) {
            if (atomic_compare_exchange_weak(&reserve_used, &place, place + 1))
                record = reserve_record(place);
        } else {
            lock_nap();
            record = record_new();
        }
    }
    return record;
}

static void chunk_freed(struct record_chunk *chunk, uint32_t count)
{
    if (atomic_fetch_add_explicit(&chunk->freed, count, memory_order_acq_rel) + count !=
        RECORDS_IN_CHUNK)
        return;
    if (chunk->is_reserve) {
        atomic_store(&chunk->freed, 0);
        atomic_store(&reserve_used, 0);
    } else {
        record_chunk_give(chunk);
    }
}

void record_flush(struct thread *thread)
{
    uintptr_t last = thread->records.freed_last;
    uint32_t freed = thread->records.untold;

    thread->records.freed_last = 0;
    thread->records.freed += freed;
    thread->records.untold = 0;
    if (freed)
        chunk_freed(record_chunk_of((const struct record *)last), freed);
}

void record_free_slow(struct thread *thread, struct record_chunk *chunk)
{
    thread = thread_enter();
    if (!thread || chunk->is_reserve) {
        chunk_freed(chunk, 1); /* the chunk must not be lost for want of a thread block */
        return;
    }
    if (record_last_of(chunk) != thread->records.freed_last) {
        record_flush(thread);
        thread->records.freed_last = record_last_of(chunk);
    }
    thread->records.untold++;
}

void record_fork_lock(void)
{
    lock_take_for_fork(&chunks_lock);
}

void record_fork_unlock(void)
{
    lock_drop_after_fork(&chunks_lock);
}
