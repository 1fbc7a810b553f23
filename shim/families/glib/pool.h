/* A GThreadPool of ours: one whose items are records. Between pool.c and pool_order.c. */
#ifndef BATON_FAMILIES_GLIB_POOL_H
#define BATON_FAMILIES_GLIB_POOL_H

#include <stdbool.h>
#include <stdint.h>

/* The public head of a pool (gthreadpool.h), and the queue that follows it. */
struct _GThreadPool {
    void (*func)(void *data, void *user_data);
    void *user_data;
    int exclusive;
    struct _GAsyncQueue *queue;
};

enum { POOL_KINDS = 64 };

/* GLib's own item, which wakes a worker up. */
static inline bool pool_is_wake_up(const void *item)
{
    return (uintptr_t)item == 1;
}

/* In pool.c: the trampolines. A pool is ours if its function lies there. */
extern const char pool_bank_start[] __asm__("__start_baton_pool_bank")
    __attribute__((visibility("hidden")));

/* More than the trampolines take (new_pool asks); what follows them is ours too, and no pool's function. */
enum { POOL_BANK_SIZE = POOL_KINDS * 1024 };

static inline bool pool_is_ours(const struct _GThreadPool *pool)
{
    return (uintptr_t)pool->func - (uintptr_t)pool_bank_start < POOL_BANK_SIZE;
}

/* One of ours that is being freed has another function, which does the same: a push into it goes the slow way. */
extern const char pool_freed_start[] __asm__("__start_baton_pool_freed")
    __attribute__((visibility("hidden")));

enum { POOL_FREED_SIZE = POOL_KINDS * 256 };

static inline bool pool_is_freed(const struct _GThreadPool *pool)
{
    return (uintptr_t)pool->func - (uintptr_t)pool_freed_start < POOL_FREED_SIZE;
}

#endif
