/*
 * The stacks of a trace, the nodes of its chains, and the modules that they lie in: each stands once.
 *
 * Rules: the tables only grow, so readers, in this process and outside of it, need no lock; a thread that adds
 * takes one. What has no room is 0.
 */
#include <string.h>

#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"
#include "elf/elf.h"
#include "observe/store_parts.h"

enum { INDEX = 1 << 16, FRAMES_MAX = 256 };
enum { TABLE_GROW = 65536 }; /* bytes of a table that are got ready at a time */

/* Ends of what may be touched; 0: all of it. */
static size_t stacks_ready, nodes_ready;
static struct lock tables_lock;
/* By hash, open addressing: words of stacks, numbers of nodes; 0: free. */
static _Atomic uint32_t *stack_index, *node_index;

bool store_make_tables(void)
{
    if (!stack_index)
        stack_index = mem_map(2 * INDEX * sizeof *stack_index);
    if (!stack_index)
        return false;
    node_index = stack_index + INDEX;
    return true;
}

bool store_begin_tables(const struct trace_header *header)
{
    stacks_ready = nodes_ready = TABLE_GROW;
    return store_populate((char *)(uintptr_t)header + header->stacks_at, TABLE_GROW) &&
           store_populate((char *)(uintptr_t)header + header->nodes_at, TABLE_GROW);
}

void store_open_tables(void)
{
    stacks_ready = nodes_ready = 0;
}

void store_forget_tables(void)
{
    if (stack_index)
        memset((void *)stack_index, 0, 2 * INDEX * sizeof *stack_index);
}

/* Of a table at `table` of `size` bytes: up to `end` it may be touched. */
static bool get_ready(size_t *ready, uint64_t table, size_t end, size_t size)
{
    size_t more = *ready + TABLE_GROW < size ? TABLE_GROW : size - *ready;

    if (!*ready || end <= *ready)
        return true;
    if (!store_populate((char *)store_trace + table + *ready, more))
        return false;
    *ready += more;
    return end <= *ready;
}

/* ---- stacks and nodes ---- */

static void note_module(uint64_t address)
{
    struct trace_module *modules =
        (struct trace_module *)(void *)((char *)store_trace + store_trace->modules_at);
    uint32_t count = atomic_load(&store_trace->modules_used);
    struct elf_module module;
    const uint8_t *id;
    size_t len = 0;

    for (uint32_t i = 0; i < count; i++) {
        if (address >= modules[i].lo && address < modules[i].hi)
            return;
    }
    if (count >= TRACE_MODULES || !elf_module_at((const void *)(uintptr_t)address, &module))
        return;
    id = elf_module_build_id(&module, &len);
    modules[count].lo = module.lo;
    modules[count].hi = module.hi;
    modules[count].base = module.base;
    modules[count].build_id_len = (uint32_t)(id && len <= 20 ? len : 0);
    memcpy(modules[count].build_id, id ? id : (const uint8_t *)"", modules[count].build_id_len);
    if (module.is_main)
        store_name_program(modules[count].path, sizeof modules[count].path);
    else
        fmt_buf(modules[count].path, sizeof modules[count].path, "%s", module.path);
    atomic_store(&store_trace->modules_used, count + 1);
}

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 29;
}

static bool is_stack(uint32_t at, const void *const *frames, unsigned count)
{
    const uint64_t *words = store_stack_words() + at;

    return words[0] == count && !memcmp(words + 1, frames, count * sizeof *words);
}

uint32_t store_stack(const void *const *frames, unsigned count)
{
    uint64_t hash = count, *words;
    uint32_t at, place, used;

    if (count > FRAMES_MAX)
        count = FRAMES_MAX;
    for (unsigned i = 0; i < count; i++)
        hash = mix(hash, (uintptr_t)frames[i]);
    place = (uint32_t)(hash >> 32) % INDEX;
    while ((at = atomic_load_explicit(&stack_index[place], memory_order_acquire))) {
        if (is_stack(at, frames, count))
            return at;
        place = (place + 1) % INDEX;
    }
    lock_take(&tables_lock);
    while ((at = atomic_load(&stack_index[place])) && !is_stack(at, frames, count))
        place = (place + 1) % INDEX;
    used = atomic_load(&store_trace->stack_words_used);
    if (!at && used + count + 1 <= TRACE_STACK_WORDS && used < INDEX / 4 * 3 * 2 &&
        get_ready(&stacks_ready, store_trace->stacks_at, (used + count + 1) * sizeof *words,
                  TRACE_STACK_WORDS * sizeof *words)) {
        words = (uint64_t *)(uintptr_t)(store_stack_words() + used);
        words[0] = count;
        for (unsigned i = 0; i < count; i++) {
            words[1 + i] = (uintptr_t)frames[i];
            note_module(words[1 + i]);
        }
        atomic_store(&store_trace->stack_words_used, used + count + 1);
        atomic_store_explicit(&stack_index[place], used, memory_order_release);
        at = used;
    }
    lock_drop(&tables_lock);
    return at;
}

/* A chain that comes back to where it was (a task that submits itself) is the node that it was. */
static uint32_t node_before(uint32_t parent, uint32_t stack)
{
    const struct trace_node *nodes = store_nodes();

    for (unsigned steps = 0; parent && steps < 64; steps++) {
        if (nodes[parent].stack == stack)
            return parent;
        parent = nodes[parent].parent;
    }
    return 0;
}

uint32_t store_node(uint32_t parent, uint32_t stack)
{
    struct trace_node *nodes = (struct trace_node *)(uintptr_t)store_nodes();
    uint64_t key = (uint64_t)parent << 32 | stack;
    uint32_t place = (uint32_t)(mix(0, key) >> 32) % INDEX, at, used;

    while ((at = atomic_load_explicit(&node_index[place], memory_order_acquire))) {
        if (nodes[at].parent == parent && nodes[at].stack == stack)
            return at;
        place = (place + 1) % INDEX;
    }
    if ((at = node_before(parent, stack)))
        return at;
    lock_take(&tables_lock);
    while ((at = atomic_load(&node_index[place])) &&
           (nodes[at].parent != parent || nodes[at].stack != stack))
        place = (place + 1) % INDEX;
    used = atomic_load(&store_trace->nodes_used);
    if (!at && used < TRACE_NODES &&
        get_ready(&nodes_ready, store_trace->nodes_at, (used + 1) * sizeof *nodes,
                  TRACE_NODES * sizeof *nodes)) {
        nodes[used] = (struct trace_node){parent, stack};
        atomic_store(&store_trace->nodes_used, used + 1);
        atomic_store_explicit(&node_index[place], used, memory_order_release);
        at = used;
    }
    lock_drop(&tables_lock);
    return at;
}

void store_tables_fork_lock(void)
{
    lock_take_for_fork(&tables_lock);
}

void store_tables_fork_unlock(void)
{
    lock_drop_after_fork(&tables_lock);
}
