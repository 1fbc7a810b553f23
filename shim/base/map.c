/*
 * Open addressing with linear probing; an entry that is taken out closes the gap behind it, so there
 * are no tombstones. Rules: nothing is allocated from the program; no foreign code under the lock.
 */
#include "base/map.h"

#include <stdint.h>
#include <string.h>

#include "base/mem.h"

enum { MAP_ROOM_FIRST = 64, MAP_ROOM_KEPT = 8192 };

static struct lock maps_lock;
static struct map *maps;

static size_t place_of(const struct map *map, const void *key)
{
    return (size_t)(((uintptr_t)key >> 4) * 0x9e3779b97f4a7c15u >> 20) & (map->capacity - 1);
}

/* The place of `key`, or the free one where it would go. The map has room. */
static size_t probe(const struct map *map, const void *key)
{
    size_t place = place_of(map, key);

    while (map->entries[place].key && map->entries[place].key != key)
        place = (place + 1) & (map->capacity - 1);
    return place;
}

static bool grow(struct map *map)
{
    struct map larger = {.capacity = map->capacity ? map->capacity * 2 : MAP_ROOM_FIRST};

    larger.entries = mem_alloc(larger.capacity * sizeof *larger.entries);
    if (!larger.entries)
        return false;
    for (size_t i = 0; i < map->capacity; i++) {
        if (map->entries[i].key)
            larger.entries[probe(&larger, map->entries[i].key)] = map->entries[i];
    }
    mem_free(map->entries, map->capacity * sizeof *map->entries);
    map->entries = larger.entries;
    map->capacity = larger.capacity;
    return true;
}

/* Of what is empty; it grows again from the start. */
static void let_go(struct map *map)
{
    mem_free(map->entries, map->capacity * sizeof *map->entries);
    map->entries = NULL;
    map->capacity = 0;
}

bool map_put(struct map *map, const void *key, void *value, void **old)
{
    bool is_in = false;
    size_t place;

    if (old)
        *old = NULL;
    if (!__atomic_load_n(&map->is_known, __ATOMIC_ACQUIRE)) {
        lock_take(&maps_lock);
        if (!map->is_known) {
            map->next = maps;
            maps = map;
            __atomic_store_n(&map->is_known, true, __ATOMIC_RELEASE);
        }
        lock_drop(&maps_lock);
    }
    lock_take(&map->lock);
    if ((map->used + 1) * 4 <= map->capacity * 3 || grow(map) || map->used + 1 < map->capacity) {
        place = probe(map, key);
        if (map->entries[place].key) {
            if (old)
                *old = map->entries[place].value;
        } else {
            map->used++;
        }
        map->entries[place] = (struct map_entry){key, value};
        is_in = true;
    }
    lock_drop(&map->lock);
    return is_in;
}

void *map_find(struct map *map, const void *key)
{
    void *value = NULL;

    if (!__atomic_load_n(&map->used, __ATOMIC_RELAXED))
        return NULL;
    lock_take(&map->lock);
    if (map->capacity)
        value = map->entries[probe(map, key)].value;
    lock_drop(&map->lock);
    return value;
}

void *map_take(struct map *map, const void *key)
{
    void *value = NULL;
    size_t gap;

    if (!__atomic_load_n(&map->used, __ATOMIC_RELAXED))
        return NULL;
    lock_take(&map->lock);
    if (map->capacity && map->entries[gap = probe(map, key)].key) {
        value = map->entries[gap].value;
        /* Entries behind the gap that would not be found any more move into it. */
        for (size_t place = (gap + 1) & (map->capacity - 1); map->entries[place].key;
             place = (place + 1) & (map->capacity - 1)) {
            size_t home = place_of(map, map->entries[place].key);

            if (((place - home) & (map->capacity - 1)) >= ((place - gap) & (map->capacity - 1))) {
                map->entries[gap] = map->entries[place];
                gap = place;
            }
        }
        map->entries[gap] = (struct map_entry){0};
        map->used--;
        if (!map->used && map->capacity > MAP_ROOM_KEPT)
            let_go(map);
    }
    lock_drop(&map->lock);
    return value;
}

size_t map_keys(struct map *map, bool (*is)(const struct map_entry *entry, const void *arg),
                const void *arg, const void **keys, size_t n)
{
    size_t found = 0;

    lock_take(&map->lock);
    for (size_t i = 0; i < map->capacity && found < n; i++)
        if (map->entries[i].key && is(&map->entries[i], arg))
            keys[found++] = map->entries[i].key;
    lock_drop(&map->lock);
    return found;
}

/* Maps are only ever added, at the front, under the lock that is taken here. */
void map_fork_lock(void)
{
    lock_take_for_fork(&maps_lock);
    for (struct map *map = maps; map; map = map->next)
        lock_take_for_fork(&map->lock);
}

void map_fork_unlock(void)
{
    for (struct map *map = maps; map; map = map->next)
        lock_drop_after_fork(&map->lock);
    lock_drop_after_fork(&maps_lock);
}
