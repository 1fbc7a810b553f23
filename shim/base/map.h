/*
 * Addresses to words: what is known of a foreign object that has no room for us.
 *
 * Any thread, not in a signal handler. The lock is the map's own and is held for the look-up only,
 * so what the caller does with the answer must be safe by the object's own rules. A map is a static
 * variable, zeroed; its memory grows, and what is large goes when it is empty.
 */
#ifndef BATON_BASE_MAP_H
#define BATON_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/lock.h"

struct map_entry {
    const void *key; /* NULL: free */
    void *value;
};

struct map {
    struct lock lock;
    bool is_known; /* in the list of maps that fork takes */
    struct map *next;
    struct map_entry *entries;
    size_t capacity, used; /* room is a power of two, or 0 */
};

/* Sets the value of `key`; *old (if not NULL) gets the one that it replaces, or NULL. False: no memory. */
bool map_put(struct map *map, const void *key, void *value, void **old);
/* NULL: not there. */
void *map_find(struct map *map, const void *key);
/* As map_find, and takes it out. */
void *map_take(struct map *map, const void *key);
/* Writes down up to n keys that `is` says yes to, under the lock: it may look at the entry only. */
size_t map_keys(struct map *map, bool (*is)(const struct map_entry *entry, const void *arg),
                const void *arg, const void **keys, size_t n);

void map_fork_lock(void);
void map_fork_unlock(void);

#endif
