/*
 * Memory for suites, in place of base/mem.c: it can be told to fail, and what was freed is not soon used
 * again and holds rubbish, so that who looks at it is seen.
 */
#ifndef UNIT_MEMORY_H
#define UNIT_MEMORY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/mem.h"

#if defined __SANITIZE_ADDRESS__
enum { MEMORY_WAITING = 1 }; /* it has a place of its own for them */
#else
enum { MEMORY_WAITING = 2000 };
#endif

static _Atomic long blocks_made, fail_from = -1, fail_count;
static void *freed_blocks[MEMORY_WAITING];
static unsigned freed_count;
static pthread_mutex_t freed_lock = PTHREAD_MUTEX_INITIALIZER;

static bool fails(void)
{
    long number = atomic_fetch_add(&blocks_made, 1), from = atomic_load(&fail_from);

    return from >= 0 && number >= from && number < from + atomic_load(&fail_count);
}

void *mem_alloc(size_t size)
{
    return fails() ? NULL : calloc(1, size);
}

void *mem_alloc_dirty(size_t size)
{
    void *block = mem_alloc(size);

    return block ? memset(block, 0xa5, size) : NULL;
}

void mem_free(void *block, size_t size)
{
    void *oldest;

    if (!block)
        return;
    memset(block, 0x5a, size);
    pthread_mutex_lock(&freed_lock);
    oldest = freed_blocks[freed_count % MEMORY_WAITING];
    freed_blocks[freed_count++ % MEMORY_WAITING] = block;
    pthread_mutex_unlock(&freed_lock);
    free(oldest);
}

void *mem_map(size_t size)
{
    void *pages =
        fails() ? MAP_FAILED
                : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return pages == MAP_FAILED ? NULL : pages;
}

void mem_unmap(void *pages, size_t size)
{
    munmap(pages, size);
}

void mem_fork_lock(void)
{
    pthread_mutex_lock(&freed_lock);
}

void mem_fork_unlock(void)
{
    pthread_mutex_unlock(&freed_lock);
}

#endif
