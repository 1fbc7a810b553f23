/*
 * The frames of a thread that hands work over.
 *
 * A stack is unwound once for each way of getting to a call: the next time the same call is made from
 * the same depth, and every return address is still where it was, it is the same stack. So a repeated
 * handoff costs a comparison a frame. The unwinder is libunwind, opened when it is asked for, never
 * otherwise; without it, and in a sandbox that forbids what it asks the system, frame pointers are followed, which only
 * programs built with them have. Both are bounded by the number of frames wanted.
 */
#include "observe/stacks.h"

#include <dlfcn.h>
#include <string.h>

#include "base/arch.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sandbox.h"
#include "elf/elf.h"
#include "interpose/hooks.h"
#include "observe/unwinder.h"

unsigned stacks_depth;

enum { OWN_FRAMES = 24, TOLD_NODES = 4 };

static unsigned site_place(const void *site)
{
    return (unsigned)((uintptr_t)site * 2654435761u >> 12) % WATCH_SITES;
}

static bool is_still_there(const struct watched_site *known)
{
    for (unsigned i = 0; i < known->count; i++) {
        if (*known->places[i] != known->frames[i])
            return false;
    }
    return true;
}

static unsigned follow_frames(struct watched_site *known, unsigned depth)
{
    const uintptr_t *frame = (const uintptr_t *)hook_call.frame;
    uintptr_t low = hook_call.sp;
    unsigned count = 0;

    known->frames[count++] = hook_call.site;
    while (count < depth && (uintptr_t)frame > low && (uintptr_t)frame - low < 1 << 20 &&
           (uintptr_t)frame % sizeof *frame == 0) {
        struct elf_module module;

        if (!elf_module_at((const void *)frame[1], &module))
            break;
        known->frames[count++] = (const void *)frame[1];
        low = (uintptr_t)frame;
        frame = (const uintptr_t *)frame[0];
    }
    return count;
}

static __attribute__((noinline)) uint32_t unwind(struct watched_site *known)
{
    unsigned depth = stacks_depth < WATCH_FRAMES ? stacks_depth : WATCH_FRAMES, count = 0;

    known->site = NULL;
    if (unwinder_is_there() && sandbox_allows(SANDBOX_UNWIND) && elf_walk_begin()) {
        count = unwinder_walk(hook_call.site, known->frames, (const void **)known->places, depth,
                              OWN_FRAMES);
        elf_walk_end();
    }
    known->count = count;
    if (!count) {
        count = follow_frames(known, depth);
        known->count = 0;
    }
    known->stack = store_stack(known->frames, count);
    if (known->count && known->places[0]) {
        known->site = hook_call.site;
        known->sp = hook_call.sp;
    }
    return known->stack;
}

uint32_t stacks_here(struct watcher *watcher)
{
    struct watched_site *known;

    if (!stacks_depth || (unlikely(!watcher->sites) &&
                          !(watcher->sites = mem_alloc(WATCH_SITES * sizeof *watcher->sites)))) {
        const void *site = hook_call.site;

        return store_stack(&site, 1);
    }
    known = &watcher->sites[site_place((const char *)hook_call.site + (hook_call.sp >> 4 << 14))];
    if (likely(known->site == hook_call.site && known->sp == hook_call.sp && is_still_there(known)))
        return known->stack;
    return unwind(known);
}

static void tell_frame(unsigned number, const void *address)
{
    uintptr_t start = 0, end = 0;
    struct elf_module module;
    char name[200];

    if (!elf_module_at((const char *)address - 1, &module))
        log_msg(LOG_LEVEL_ERROR, "    #%u %p", number, address);
    else if (elf_function_at((const char *)address - 1, &start, &end, name, sizeof name))
        log_msg(LOG_LEVEL_ERROR, "    #%u %s+0x%lx (%s+0x%lx)", number, name,
                (unsigned long)((uintptr_t)address - start), module.name,
                (unsigned long)((uintptr_t)address - module.base));
    else
        log_msg(LOG_LEVEL_ERROR, "    #%u %s+0x%lx", number, module.name,
                (unsigned long)((uintptr_t)address - module.base));
}

void stacks_tell(uint32_t node)
{
    for (unsigned steps = 0; node && steps < TOLD_NODES; steps++) {
        const struct trace_node *at = &store_nodes()[node];
        const uint64_t *words = store_stack_words() + at->stack;

        if (steps)
            log_msg(LOG_LEVEL_ERROR, "  submitted by");
        for (unsigned i = 0; at->stack && i < words[0] && i < WATCH_FRAMES; i++)
            tell_frame(i, (const void *)(uintptr_t)words[1 + i]);
        node = at->parent;
    }
}

void stacks_start(unsigned depth)
{
    stacks_depth = depth;
    if (depth && !unwinder_load())
        log_msg(LOG_LEVEL_WARN,
                "BATON_STACKS: libunwind.so.8 was not found: frame pointers are followed, which "
                "few programs have");
}
