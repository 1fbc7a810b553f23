/*
 * Chunks of records. See record.h for the idea and the ownership.
 *
 * A chunk is written by the thread that hands out its records (through thread.record_next), by the
 * owners of the records, and its `freed` by any thread, atomically. It is recycled by the one whose
 * addition makes `freed` reach RECORDS_IN_CHUNK: that can only happen when all have been handed out,
 * so no thread has it as its current chunk any more.
 */
#include "context/record.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>

#include "base/lock.h"
#include "base/mem.h"

enum {
    REGION_CHUNKS = 128,
    REGION_SIZE = REGION_CHUNKS * RECORD_CHUNK_SIZE,
    WARM_MAX = 16, /* free chunks that keep their pages; beyond, pages go back to the system */
};

struct record_chunk {
    _Atomic uint32_t freed;
    uint32_t is_reserve;
    uint32_t unused[2];
    char records[RECORDS_IN_CHUNK][RECORD_SIZE];
};
_Static_assert(sizeof(struct record_chunk) <= RECORD_CHUNK_SIZE, "a chunk fits its place");

/* First chunk of a region: links of the region's free chunks, outside of pages that are given back. */
struct record_region {
    struct record_chunk *next_free[REGION_CHUNKS];
};

static struct lock chunks_lock;
static struct record_chunk *chunks_warm, *chunks_cold;
static unsigned chunks_warm_count;

static struct record_chunk **chunk_link(struct record_chunk *chunk)
{
    uintptr_t region = (uintptr_t)chunk & ~(uintptr_t)(REGION_SIZE - 1);

    return &((struct record_region *)region)->next_free[((uintptr_t)chunk - region) / RECORD_CHUNK_SIZE];
}

/* A fresh region, aligned to its size, its chunks on the cold list. Lock held. */
static void chunks_grow(void)
{
    char *pages = mem_map(2 * REGION_SIZE);
    char *region;

    if (!pages)
        return;
    region = (char *)(((uintptr_t)pages + REGION_SIZE - 1) & ~(uintptr_t)(REGION_SIZE - 1));
    if (region != pages)
        mem_unmap(pages, (size_t)(region - pages));
    mem_unmap(region + REGION_SIZE, (size_t)(pages + REGION_SIZE - region));
    for (unsigned i = REGION_CHUNKS - 1; i > 0; i--) {
        struct record_chunk *chunk = (struct record_chunk *)(void *)(region + i * RECORD_CHUNK_SIZE);

        *chunk_link(chunk) = chunks_cold;
        chunks_cold = chunk;
    }
}

void *record_chunk_take(void)
{
    struct record_chunk *chunk;

    lock_take(&chunks_lock);
    if (!chunks_warm && !chunks_cold)
        chunks_grow();
    chunk = chunks_warm;
    if (chunk) {
        chunks_warm = *chunk_link(chunk);
        chunks_warm_count--;
    } else if ((chunk = chunks_cold)) {
        chunks_cold = *chunk_link(chunk);
    }
    lock_drop(&chunks_lock);
    if (chunk)
        atomic_store_explicit(&chunk->freed, 0, memory_order_relaxed);
    return chunk;
}

void record_chunk_give(void *given)
{
    struct record_chunk *chunk = given;
    int saved_errno = errno;
    bool is_warm;

    lock_take(&chunks_lock);
    is_warm = chunks_warm_count < WARM_MAX;
    if (is_warm) {
        *chunk_link(chunk) = chunks_warm;
        chunks_warm = chunk;
        chunks_warm_count++;
    }
    lock_drop(&chunks_lock);
    if (is_warm)
        return;
    madvise(chunk, RECORD_CHUNK_SIZE, MADV_DONTNEED);
    lock_take(&chunks_lock);
    *chunk_link(chunk) = chunks_cold;
    chunks_cold = chunk;
    lock_drop(&chunks_lock);
    errno = saved_errno;
}

struct record *record_new_slow(void)
{
    struct thread *thread = thread_enter();
    struct record_chunk *chunk;

    if (!thread)
        return NULL;
    if (thread->record_next == thread->record_end) {
        chunk = record_chunk_take();
        if (!chunk)
            return NULL;
        thread->record_next = chunk->records[0];
        thread->record_end = chunk->records[0] + sizeof chunk->records;
    }
    return record_new();
}

static struct record_chunk reserve __attribute__((aligned(RECORD_CHUNK_SIZE))) = {.is_reserve = 1};
static _Atomic uint32_t reserve_used;

/* Records of the reserve are told freed at once (record_free_slow), so that the wait ends. */
struct record *record_new_sure(void)
{
    struct record *record = record_new();

    while (!record) {
        uint32_t place = atomic_load(&reserve_used);

        if (place < RECORDS_IN_CHUNK) {
            if (atomic_compare_exchange_weak(&reserve_used, &place, place + 1))
                record = (struct record *)(void *)reserve.records[place];
        } else {
            sched_yield();
            record = record_new();
        }
    }
    return record;
}

static void chunk_freed(struct record_chunk *chunk, uint32_t count)
{
    if (atomic_fetch_add_explicit(&chunk->freed, count, memory_order_acq_rel) + count != RECORDS_IN_CHUNK)
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
    struct record_chunk *chunk = thread->freed_chunk;
    uint32_t freed = thread->freed;

    thread->freed_chunk = NULL;
    thread->freed = 0;
    if (freed)
        chunk_freed(chunk, freed);
}

void record_free_slow(struct thread *thread, struct record_chunk *chunk)
{
    thread = thread_enter();
    if (!thread || chunk->is_reserve) {
        chunk_freed(chunk, 1); /* the chunk must not be lost for want of a thread block */
        return;
    }
    if (chunk != thread->freed_chunk) {
        record_flush(thread);
        thread->freed_chunk = chunk;
    }
    thread->freed++;
    thread->records_freed++;
}

void record_fork_lock(void)
{
    lock_take(&chunks_lock);
}

void record_fork_unlock(void)
{
    lock_drop(&chunks_lock);
}
