/*
 * Memory of our own: nothing in a hook may allocate from the program's allocator, which may be
 * interposed, may not be ready yet, or may be the very code that handed work over.
 */
#ifndef BATON_BASE_MEM_H
#define BATON_BASE_MEM_H

#include <stddef.h>

/* Zeroed memory, aligned to 16 bytes; NULL when the system has none. Any thread, not in a signal handler. */
void *mem_alloc(size_t size);
/* The same with whatever was there. */
void *mem_alloc_dirty(size_t size);

/* Gives back what mem_alloc(size) returned; the same size must be named. NULL is allowed. errno is kept. */
void mem_free(void *block, size_t size);

/* Pages straight from the system, zeroed; NULL when there are none. errno is kept. */
void *mem_map(size_t size);
void mem_unmap(void *pages, size_t size);

/* Around fork: take and drop the allocator's lock, so that the child's heap is consistent. */
void mem_fork_lock(void);
void mem_fork_unlock(void);

#endif
