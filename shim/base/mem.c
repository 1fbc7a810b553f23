/*
 * Size-class free lists over mapped pages.
 *
 * Used where a handoff is not in its steady state: contexts are built when a value changed, tables
 * grow, long-lived registrations. Blocks are recycled, never returned to the system one by one;
 * what is larger than a class is mapped and unmapped whole. Handoff records have an arena of their
 * own (context/pool/record.c), which is what keeps the hot path free of this lock.
 */
#include "base/mem.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/lock.h"
#include "base/sandbox.h"
#include "base/sys.h"

enum {
    CLASS_MIN_SHIFT = 5, /* 32 bytes */
    CLASS_COUNT = 9,     /* up to 8 KiB */
    REGION_SIZE = 256 * 1024,
};

static struct lock mem_lock;

/* ---- pages ---- */

/* In a sandbox that the program must not give memory back in (base/sandbox.h), what is let go waits for who wants as much. */
struct kept {
    struct kept *next;
    size_t size;
};

static struct lock kept_lock;
static struct kept *_Atomic kept;

static void *take_kept(size_t size)
{
    struct kept *last = NULL, *found;

    lock_take(&kept_lock);
    for (found = kept; found && found->size != size; found = found->next)
        last = found;
    if (found && last)
        last->next = found->next;
    else if (found)
        kept = found->next;
    lock_drop(&kept_lock);
    return found ? memset(found, 0, size) : NULL;
}

void *mem_map(size_t size)
{
    void *pages = atomic_load_explicit(&kept, memory_order_relaxed) != NULL ? take_kept(size)
                                                                            : NULL;

    return pages || !sandbox_allows(SANDBOX_MAP) ? pages : sys_map(size, -1);
}

void mem_unmap(void *pages, size_t size)
{
    struct kept *freed = pages;

    if (sandbox_allows(SANDBOX_UNMAP)) {
        sys_unmap(pages, size);
    } else if (size) {
        lock_take(&kept_lock);
        freed->size = size;
        freed->next = kept;
        kept = freed;
        lock_drop(&kept_lock);
    }
}

/* ---- blocks ---- */

#ifdef __SANITIZE_ADDRESS__

/* Suites under AddressSanitizer: what was let go is poisoned, and not soon used again. */
void *mem_alloc(size_t size)
{
    return calloc(1, size);
}

void *mem_alloc_dirty(size_t size)
{
    return malloc(size);
}

void mem_free(void *block, size_t size)
{
    (void)size;
    free(block);
}

#else

struct free_block {
    struct free_block *next;
};

static struct free_block *mem_free_list[CLASS_COUNT];
static char *mem_region;
static size_t mem_region_left;

static unsigned mem_class(size_t size)
{
    return size <= (size_t)1 << CLASS_MIN_SHIFT
               ? 0
               : (unsigned)(64 - CLASS_MIN_SHIFT - __builtin_clzll((unsigned long long)size - 1));
}

void *mem_alloc(size_t size)
{
    void *block = mem_alloc_dirty(size);

    return block && mem_class(size) < CLASS_COUNT ? memset(block, 0, size) : block;
}

void *mem_alloc_dirty(size_t size)
{
    unsigned class = mem_class(size);
    size_t capacity = (size_t)1 << (CLASS_MIN_SHIFT + class);
    void *block;

    if (class >= CLASS_COUNT)
        return mem_map(size);
    lock_take(&mem_lock);
    block = mem_free_list[class];
    if (block) {
        mem_free_list[class] = mem_free_list[class]->next;
    } else {
        if (mem_region_left < capacity) {
            /* What is left of the old region is at most one block of a larger class: let it go. */
            char *region = mem_map(REGION_SIZE);

            if (!region) {
                lock_drop(&mem_lock);
                return NULL;
            }
            mem_region = region;
            mem_region_left = REGION_SIZE;
        }
        block = mem_region;
        mem_region += capacity;
        mem_region_left -= capacity;
    }
    lock_drop(&mem_lock);
    return block;
}

void mem_free(void *block, size_t size)
{
    unsigned class = mem_class(size);
    struct free_block *freed = block;

    if (!block)
        return;
    if (class >= CLASS_COUNT) {
        mem_unmap(block, size);
        return;
    }
    lock_take(&mem_lock);
    freed->next = mem_free_list[class];
    mem_free_list[class] = freed;
    lock_drop(&mem_lock);
}

#endif

void mem_fork_lock(void)
{
    lock_take_for_fork(&mem_lock);
    lock_take_for_fork(&kept_lock);
}

void mem_fork_unlock(void)
{
    lock_drop_after_fork(&kept_lock);
    lock_drop_after_fork(&mem_lock);
}
