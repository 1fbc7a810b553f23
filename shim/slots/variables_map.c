/*
 * A hash array mapped trie with reference counts. See variables.h.
 *
 * A node has a bit for each of its 32 places and a pointer for each bit that is set; a pointer with
 * bit 0 set leads to an entry, the others to nodes one level down. Hashes are all different, so two
 * entries part at some level and there are no collision nodes.
 */
#include "slots/variables_map.h"

#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include "base/mem.h"

enum { BITS = 5, PLACES = 1 << BITS };

struct node {
    _Atomic int64_t refs;
    uint32_t bits;
    uintptr_t child[]; /* as many as bits has */
};

struct vars_map {
    _Atomic int64_t refs;
    uint32_t count;
    struct node *root;
};

bool vars_end;

/* ---- variables and entries ---- */

struct var *vars_new_var(const char *name, void *initial, void (*free_value)(void *))
{
    static _Atomic uint32_t last;
    size_t size = strlen(name) + 1;
    struct var *var = mem_alloc(sizeof *var + size);

    if (!var)
        return NULL;
    /* Multiplying by an odd number is a bijection; it spreads the numbers over all bits. */
    var->hash = (atomic_fetch_add(&last, 1) + 1) * 0x9e3779b1u;
    var->name = memcpy(var + 1, name, size);
    var->initial = initial;
    var->free_value = free_value;
    vars_end |= free_value != NULL;
    return var;
}

struct vars_entry *vars_entry_new(const struct var *var, void *value)
{
    struct vars_entry *entry = mem_alloc(sizeof *entry);

    if (entry) {
        atomic_init(&entry->refs, 1);
        entry->var = var;
        entry->value = value;
    }
    return entry;
}

struct vars_entry *vars_entry_ref(struct vars_entry *entry)
{
    if (entry)
        atomic_fetch_add_explicit(&entry->refs, 1, memory_order_relaxed);
    return entry;
}

void vars_entry_unref(struct vars_entry *entry)
{
    void (*free_value)(void *);
    void *value;

    if (!entry || atomic_fetch_sub_explicit(&entry->refs, 1, memory_order_acq_rel) != 1)
        return;
    free_value = entry->var->free_value;
    value = entry->value;
    mem_free(entry, sizeof *entry);
    if (free_value)
        free_value(value);
}

/* ---- nodes ---- */

static bool is_entry(uintptr_t child)
{
    return child & 1;
}

static struct vars_entry *as_entry(uintptr_t child)
{
    return (struct vars_entry *)(child - 1);
}

static struct node *as_node(uintptr_t child)
{
    return (struct node *)child;
}

static unsigned place_of(uint32_t hash, unsigned level)
{
    return hash >> (level * BITS) & (PLACES - 1);
}

static unsigned index_of(uint32_t bits, unsigned place)
{
    return (unsigned)__builtin_popcount(bits & ((1u << place) - 1));
}

static size_t node_size(uint32_t bits)
{
    return sizeof(struct node) + (size_t)__builtin_popcount(bits) * sizeof(uintptr_t);
}

static struct node *node_new(uint32_t bits)
{
    struct node *node = mem_alloc(node_size(bits));

    if (node) {
        atomic_init(&node->refs, 1);
        node->bits = bits;
    }
    return node;
}

static void child_ref(uintptr_t child)
{
    if (is_entry(child))
        vars_entry_ref(as_entry(child));
    else
        atomic_fetch_add_explicit(&as_node(child)->refs, 1, memory_order_relaxed);
}

static void node_unref(struct node *node);

static void child_unref(uintptr_t child)
{
    if (is_entry(child))
        vars_entry_unref(as_entry(child));
    else
        node_unref(as_node(child));
}

static void node_unref(struct node *node)
{
    unsigned count;

    if (!node || atomic_fetch_sub_explicit(&node->refs, 1, memory_order_acq_rel) != 1)
        return;
    count = (unsigned)__builtin_popcount(node->bits);
    for (unsigned i = 0; i < count; i++)
        child_unref(node->child[i]);
    mem_free(node, node_size(node->bits));
}

/* A copy whose children are those of `node` (may be NULL), with `child` at `place`; takes `child`. */
static struct node *node_put(const struct node *node, unsigned place, uintptr_t child)
{
    uint32_t old = node ? node->bits : 0, bits = old | 1u << place;
    struct node *copy = node_new(bits);
    unsigned at = index_of(bits, place), from = 0;

    if (!copy) {
        child_unref(child);
        return NULL;
    }
    for (unsigned i = 0; i < (unsigned)__builtin_popcount(bits); i++) {
        if (i == at) {
            copy->child[i] = child;
            from += old >> place & 1;
            continue;
        }
        copy->child[i] = node->child[from++];
        child_ref(copy->child[i]);
    }
    return copy;
}

static struct node *node_with(const struct node *node, struct vars_entry *entry, unsigned level,
                              bool *is_new)
{
    uint32_t hash = entry->var->hash;
    unsigned place = place_of(hash, level);
    uintptr_t child = node && node->bits >> place & 1 ? node->child[index_of(node->bits, place)]
                                                      : 0;
    struct node *below;

    if (!child || (is_entry(child) && as_entry(child)->var == entry->var)) {
        *is_new = !child;
        return node_put(node, place, (uintptr_t)vars_entry_ref(entry) + 1);
    }
    if (is_entry(child)) {
        struct vars_entry *other = as_entry(child);
        struct node *with_other = node_put(NULL, place_of(other->var->hash, level + 1),
                                           (uintptr_t)vars_entry_ref(other) + 1);

        if (!with_other)
            return NULL;
        below = node_with(with_other, entry, level + 1, is_new);
        node_unref(with_other);
    } else {
        below = node_with(as_node(child), entry, level + 1, is_new);
    }
    return below ? node_put(node, place, (uintptr_t)below) : NULL;
}

/* Without a variable that is known to be there. *is_empty: nothing is left, the answer is NULL. */
static struct node *node_without(const struct node *node, const struct var *var, unsigned level,
                                 bool *is_empty)
{
    unsigned place = place_of(var->hash, level), at = index_of(node->bits, place), to = 0;
    uintptr_t child = node->child[at];
    struct node *copy;

    *is_empty = false;
    if (!is_entry(child)) {
        struct node *below = node_without(as_node(child), var, level + 1, is_empty);

        if (below)
            return node_put(node, place, (uintptr_t)below);
        if (!*is_empty)
            return NULL;
    }
    *is_empty = node->bits == 1u << place;
    if (*is_empty)
        return NULL;
    copy = node_new(node->bits & ~(1u << place));
    if (!copy)
        return NULL;
    for (unsigned i = 0; i < (unsigned)__builtin_popcount(node->bits); i++) {
        if (i == at)
            continue;
        copy->child[to] = node->child[i];
        child_ref(copy->child[to++]);
    }
    return copy;
}

/* ---- maps ---- */

struct vars_map *vars_ref(struct vars_map *map)
{
    if (map)
        atomic_fetch_add_explicit(&map->refs, 1, memory_order_relaxed);
    return map;
}

void vars_unref(struct vars_map *map)
{
    struct node *root;

    if (!map || atomic_fetch_sub_explicit(&map->refs, 1, memory_order_acq_rel) != 1)
        return;
    root = map->root;
    mem_free(map, sizeof *map);
    node_unref(root);
}

static bool map_new(struct node *root, uint32_t count, struct vars_map **out)
{
    struct vars_map *map = mem_alloc(sizeof *map);

    if (!map) {
        node_unref(root);
        return false;
    }
    atomic_init(&map->refs, 1);
    map->count = count;
    map->root = root;
    *out = map;
    return true;
}

struct vars_entry *vars_find(const struct vars_map *map, const struct var *var)
{
    const struct node *node = map ? map->root : NULL;

    for (unsigned level = 0; node; level++) {
        unsigned place = place_of(var->hash, level);
        uintptr_t child;

        if (!(node->bits >> place & 1))
            return NULL;
        child = node->child[index_of(node->bits, place)];
        if (is_entry(child))
            return as_entry(child)->var == var ? as_entry(child) : NULL;
        node = as_node(child);
    }
    return NULL;
}

bool vars_with(struct vars_map *map, struct vars_entry *entry, struct vars_map **out)
{
    bool is_new = false;
    struct node *root = node_with(map ? map->root : NULL, entry, 0, &is_new);

    return root && map_new(root, vars_count(map) + is_new, out);
}

bool vars_without(struct vars_map *map, const struct var *var, struct vars_map **out)
{
    bool is_empty;
    struct node *root;

    if (!vars_find(map, var)) {
        *out = vars_ref(map);
        return true;
    }
    root = node_without(map->root, var, 0, &is_empty);
    if (!root) {
        *out = NULL;
        return is_empty;
    }
    return map_new(root, map->count - 1, out);
}

uint32_t vars_count(const struct vars_map *map)
{
    return map ? map->count : 0;
}

static int node_each(const struct node *node, int (*visit)(const struct vars_entry *, void *),
                     void *arg)
{
    int answer = 0;

    for (unsigned i = 0; !answer && i < (unsigned)__builtin_popcount(node->bits); i++)
        answer = is_entry(node->child[i]) ? visit(as_entry(node->child[i]), arg)
                                          : node_each(as_node(node->child[i]), visit, arg);
    return answer;
}

int vars_each(const struct vars_map *map, int (*visit)(const struct vars_entry *, void *),
              void *arg)
{
    return map ? node_each(map->root, visit, arg) : 0;
}
