/*
 * Chunks of slab objects. See slab object.h for the idea.
 *
 * A chunk has a list of its free slab objects and is on the list of open chunks while that is not empty;
 * when all of its slab objects are free it goes back to where records take their chunks from, so memory
 * that a burst of registrations needed returns to the system. Everything in a chunk but the slab objects
 * that are out is written under the lock.
 */
#include "context/pool/slab.h"

#include "base/lock.h"
#include "context/pool/record.h"

struct slab_chunk {
    struct slab_chunk *next, *prev; /* open chunks */
    void *free;
    uint32_t used;  /* slab objects that are out: in use, or at hand in a thread */
    uint32_t fresh; /* slab objects that were never out, from the end of the chunk */
    void *unused[2];
    char slab_objects[][SLAB_SIZE];
};

enum { SLAB_IN_CHUNK = (RECORD_CHUNK_SIZE - sizeof(struct slab_chunk)) / SLAB_SIZE };
_Static_assert(sizeof(struct slab_chunk) % 16 == 0 && SLAB_SIZE % 16 == 0,
               "slab objects are aligned");

static struct lock slab_lock;
static struct slab_chunk *chunks_open;

static struct slab_chunk *chunk_of(void *object)
{
    return (struct slab_chunk *)((uintptr_t)object & ~(uintptr_t)(RECORD_CHUNK_SIZE - 1));
}

static void chunk_open(struct slab_chunk *chunk)
{
    chunk->prev = NULL;
    chunk->next = chunks_open;
    if (chunks_open)
        chunks_open->prev = chunk;
    chunks_open = chunk;
}

static void chunk_close(struct slab_chunk *chunk)
{
    if (chunk->prev)
        chunk->prev->next = chunk->next;
    else
        chunks_open = chunk->next;
    if (chunk->next)
        chunk->next->prev = chunk->prev;
}

static bool chunk_is_full(const struct slab_chunk *chunk)
{
    return !chunk->free && !chunk->fresh;
}

/* Lock held. */
static void *take_one(void)
{
    struct slab_chunk *chunk = chunks_open;
    void *object;

    if (!chunk) {
        chunk = record_chunk_take();
        if (!chunk)
            return NULL;
        chunk->free = NULL;
        chunk->used = 0;
        chunk->fresh = SLAB_IN_CHUNK;
        chunk_open(chunk);
    }
    object = chunk->free;
    if (object)
        chunk->free = *(void **)object;
    else
        object = chunk->slab_objects[SLAB_IN_CHUNK - chunk->fresh--];
    chunk->used++;
    if (chunk_is_full(chunk))
        chunk_close(chunk);
    return object;
}

/* Lock held. Answers a chunk that nobody uses any more. */
static struct slab_chunk *give_one(void *object)
{
    struct slab_chunk *chunk = chunk_of(object);

    if (chunk_is_full(chunk))
        chunk_open(chunk);
    *(void **)object = chunk->free;
    chunk->free = object;
    if (--chunk->used)
        return NULL;
    chunk_close(chunk);
    return chunk;
}

static void give(void **first, unsigned count)
{
    struct slab_chunk *unused = NULL;

    lock_take(&slab_lock);
    while (count-- && *first) {
        void *object = *first;
        struct slab_chunk *chunk;

        *first = *(void **)object;
        chunk = give_one(object);
        if (chunk) {
            chunk->next = unused;
            unused = chunk;
        }
    }
    lock_drop(&slab_lock);
    while (unused) {
        struct slab_chunk *chunk = unused;

        unused = chunk->next;
        record_chunk_give(chunk);
    }
}

void *slab_new_slow(void)
{
    struct thread *thread = thread_enter();
    void *object;

    if (!thread)
        return NULL;
    lock_take(&slab_lock);
    object = take_one();
    for (unsigned i = 1; object && i < SLAB_BATCH; i++) {
        void *more = take_one();

        if (!more)
            break;
        *(void **)more = thread->slab.objects;
        thread->slab.objects = more;
        thread->slab.count++;
    }
    lock_drop(&slab_lock);
    if (object)
        thread->records.made++;
    return object;
}

void slab_free_slow(void *object)
{
    struct thread *thread = thread_enter();

    if (!thread) {
        *(void **)object = NULL;
        give(&object, 1); /* uncounted: there is nobody to count for */
        return;
    }
    if (thread->slab.count >= SLAB_AT_HAND) {
        give(&thread->slab.objects, SLAB_BATCH);
        thread->slab.count -= SLAB_BATCH;
    }
    slab_free(object);
}

void slab_flush(struct thread *thread)
{
    if (thread->slab.objects)
        give(&thread->slab.objects, UINT32_MAX);
    thread->slab.count = 0;
}

void slab_fork_lock(void)
{
    lock_take_for_fork(&slab_lock);
}

void slab_fork_unlock(void)
{
    lock_drop_after_fork(&slab_lock);
}
