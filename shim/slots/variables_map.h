/*
 * The variables of the C interface (include/baton.h): persistent maps from variables to values.
 *
 * A map is immutable and shared: a context holds one reference, so copying and swapping contexts
 * costs the same for one variable and for a thousand; setting one makes a new map that shares all
 * but the path to it (a hash array mapped trie, at most seven nodes). NULL is the empty map.
 *
 * Any thread; no lock is held while the free function of a value runs.
 */
#ifndef BATON_SLOTS_VARIABLES_MAP_H
#define BATON_SLOTS_VARIABLES_MAP_H

#include <stdbool.h>
#include <stdint.h>

struct var {
    uint32_t hash; /* a bijection of its number: two variables never have the same */
    const char *name;
    void *initial;
    void (*free_value)(void *value); /* may be NULL */
};

/* One value of one variable; freed with the last map or token that has it. */
struct vars_entry {
    _Atomic int64_t refs;
    const struct var *var;
    void *value;
};

struct vars_map;

/* Some variable has a free function: holders of values let go of them at once. */
extern bool vars_end;

/* The name is copied. Never freed. NULL: no memory. */
struct var *vars_new_var(const char *name, void *initial, void (*free_value)(void *));

/* One reference. NULL: no memory, the value stays the caller's. */
struct vars_entry *vars_entry_new(const struct var *var, void *value);
struct vars_entry *vars_entry_ref(struct vars_entry *entry);
void vars_entry_unref(struct vars_entry *entry); /* NULL is allowed */

struct vars_map *vars_ref(struct vars_map *map);
void vars_unref(struct vars_map *map);

/* The map's own entry, or NULL. */
struct vars_entry *vars_find(const struct vars_map *map, const struct var *var);

/* A new map in *out, one reference; `map` stays as it is. The map takes a reference to `entry`, whose
 * variable it then has; without: it has not. False: no memory. */
bool vars_with(struct vars_map *map, struct vars_entry *entry, struct vars_map **out);
bool vars_without(struct vars_map *map, const struct var *var, struct vars_map **out);

uint32_t vars_count(const struct vars_map *map);
/* Until visit answers other than 0, which is the answer. */
int vars_each(const struct vars_map *map, int (*visit)(const struct vars_entry *entry, void *arg),
              void *arg);

#endif
