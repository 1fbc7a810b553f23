/*
 * A list of who holds what, in buckets by value, under one short lock. Slow and exact: while it is on
 * every capture builds a context of its own and every release is told at once.
 *
 * Numbers are not looked at: where no memory is, there is no object. Whether the program really frees
 * what it replaced cannot be known; it is said because nothing keeps it from doing so.
 */
#include "context/dangling.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include "elf/elf.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"
#include "context/internal.h"
#include "slots/origin.h"
#include "slots/slots.h"
#include "base/sys.h"

enum { BUCKETS = 256, SITES = 16, FRAMES = 24, PAGE = 4096, SAID_MAX = 64, LOOKED_AT = 16 };

struct holding {
    struct holding *next;
    const struct context *context;
    const struct slot *slot;
    const void *value, *site;
    struct origin
        *origin; /* of a copied slot; NULL: what becomes of the value is not known, or is said */
};

bool dangling_on;

static struct lock holdings_lock;
static struct holding *holdings[BUCKETS];
static unsigned replaced[SLOTS_MAX];

static struct holding **bucket_of(const void *value)
{
    return &holdings[((uintptr_t)value >> 4) * 0x9e3779b1u >> 16 & (BUCKETS - 1)];
}

/* The innermost return address outside of this library. */
static const void *find_site(void)
{
    static struct elf_module own;
    void *frames[FRAMES];
    int count = slots_calls.backtrace ? slots_calls.backtrace(frames, FRAMES) : 0;

    if (!own.hi && !elf_module_at((const void *)find_site, &own))
        return NULL;
    for (int i = 0; i < count; i++) {
        uintptr_t address = (uintptr_t)frames[i];

        if (address < own.lo || address >= own.hi)
            return frames[i];
    }
    return NULL;
}

/* A page that is there: most numbers are none. */
static bool is_address(const void *value)
{
    int saved_errno = errno;
    unsigned char resident;
    bool is_there = SYS_CALL(mincore, (uintptr_t)value & ~(uintptr_t)(PAGE - 1), 1L, &resident) ==
                    0;

    errno = saved_errno;
    return is_there;
}

static void add(const struct context *context, const struct slot *slot, const void *value,
                struct origin *origin)
{
    struct holding *holding = mem_alloc(sizeof *holding), **bucket = bucket_of(value);

    if (!holding) {
        if (origin)
            origin_put(origin);
        return;
    }
    *holding = (struct holding){NULL, context, slot, value, find_site(), origin};
    lock_take(&holdings_lock);
    holding->next = *bucket;
    *bucket = holding;
    lock_drop(&holdings_lock);
}

void dangling_hold(const struct context *context, const struct slot *slot, const void *value)
{
    if (is_address(value))
        add(context, slot, value, NULL);
}

/* Whose value a task hands on that it was lent: the owner is whose it was before. */
static struct origin *origin_of(const struct context *context, const struct slot *slot,
                                const void *value)
{
    struct origin *origin = NULL;

    lock_take(&holdings_lock);
    for (struct holding *holding = *bucket_of(value); holding; holding = holding->next) {
        if (holding->context == context && holding->slot == slot && holding->origin)
            origin = origin_ref(holding->origin);
        if (origin)
            break;
    }
    lock_drop(&holdings_lock);
    return origin;
}

void dangling_hold_copied(const struct thread *thread, const struct context *context)
{
    const struct context *over = thread->attached;

    if (over && over->flags & CONTEXT_OVERLAY)
        over = over->base;
    for (unsigned i = 0; i < slots_count; i++) {
        const struct slot *slot = &slots[i];
        struct origin *origin;
        void *value;

        if (!slot_is_watched(slot))
            continue;
        value = slot_word(slot, context_copied(context));
        origin_seen(thread, slot, value);
        if (!is_address(value))
            continue;
        origin = over && slot_word(slot, context_copied(over)) == value
                     ? origin_of(over, slot, value)
                     : origin_get(slot, value, thread,
                                  slot->kind->place ? slot->kind->place(slot) : NULL);
        add(context, slot, value, origin);
    }
    dangling_look();
}

void dangling_let_go(const struct context *context)
{
    struct holding *gone = NULL;

    dangling_look();
    lock_take(&holdings_lock);
    for (unsigned i = 0; i < BUCKETS; i++) {
        struct holding **link = &holdings[i];

        while (*link) {
            struct holding *holding = *link;

            if (holding->context != context) {
                link = &holding->next;
                continue;
            }
            *link = holding->next;
            holding->next = gone;
            gone = holding;
        }
    }
    lock_drop(&holdings_lock);
    while (gone) {
        struct holding *next = gone->next;

        if (gone->origin)
            origin_put(gone->origin);
        mem_free(gone, sizeof *gone);
        gone = next;
    }
}

/* Once for every slot and place. The table is never full for long programs: then nothing more is said. */
static bool is_said(const struct slot *slot, const void *site)
{
    static struct {
        const void *site;
        const struct slot *slot;
    } said[SAID_MAX];
    static unsigned said_count;
    bool is_known = false;

    lock_take(&holdings_lock);
    for (unsigned i = 0; i < said_count; i++)
        is_known |= said[i].site == site && said[i].slot == slot;
    if (!is_known && said_count < SAID_MAX) {
        said[said_count].site = site;
        said[said_count++].slot = slot;
    } else {
        is_known = true;
    }
    lock_drop(&holdings_lock);
    return is_known;
}

static void say(const struct slot *slot, const void *site, unsigned count, bool is_freed)
{
    char function[128] = "", place[256];
    uintptr_t start = 0, end;
    struct elf_module module;

    if (!site || !elf_module_at(site, &module))
        fmt_buf(place, sizeof place, "at a place that is not known (libunwind.so.8 is not there)");
    else if (elf_function_at(site, &start, &end, function, sizeof function))
        fmt_buf(place, sizeof place, "in %s+0x%lx of %s", function,
                (unsigned long)((uintptr_t)site - start), module.name);
    else
        fmt_buf(place, sizeof place, "at %s+0x%lx", module.name,
                (unsigned long)((uintptr_t)site - module.base));
    log_msg(LOG_LEVEL_ERROR,
            "BATON_CARRY=\"%s\": a value was %s while %u %s it, handed over %s: if its memory is "
            "freed the task reads "
            "what is not there; copy it (copy=N, string), clone=F,free=F, ref=F,unref=F, or drop "
            "it (weak)",
            slot->item, is_freed ? "set to NULL" : "replaced", count,
            count == 1 ? "handoff still holds" : "handoffs still hold", place);
}

void dangling_replaced(const struct slot *slot, const void *value, const void *by)
{
    int saved_errno = errno;
    struct {
        const void *site;
        unsigned count;
    } sites[SITES];
    unsigned sites_count = 0;

    if (value == by)
        return;
    lock_take(&holdings_lock);
    for (struct holding *holding = *bucket_of(value); holding; holding = holding->next) {
        unsigned i = 0;

        if (holding->value != value || holding->slot != slot)
            continue;
        while (i < sites_count && sites[i].site != holding->site)
            i++;
        if (i == SITES)
            continue;
        if (i == sites_count) {
            sites[i].site = holding->site;
            sites[sites_count++].count = 0;
        }
        sites[i].count++;
    }
    replaced[slot - slots] += sites_count > 0;
    lock_drop(&holdings_lock);
    for (unsigned i = 0; i < sites_count; i++) {
        if (!is_said(slot, sites[i].site))
            say(slot, sites[i].site, sites[i].count, by == NULL);
    }
    errno = saved_errno;
}

/* One at a time, taken from all of its holdings: it is said once, whoever looks. */
static struct origin *next_changed(void)
{
    struct origin *changed = NULL, *looked_at[LOOKED_AT];
    unsigned known = 0;

    lock_take(&holdings_lock);
    for (unsigned i = 0; i < BUCKETS && !changed; i++) {
        for (struct holding *holding = holdings[i]; holding && !changed; holding = holding->next) {
            bool is_known = !holding->origin;

            for (unsigned j = 0; j < known && !is_known; j++)
                is_known = looked_at[j] == holding->origin;
            if (is_known)
                continue;
            if (known < LOOKED_AT)
                looked_at[known++] = holding->origin;
            if (origin_look(holding->origin) == ORIGIN_CHANGED)
                changed = origin_ref(holding->origin);
        }
    }
    for (struct holding *holding = changed ? *bucket_of(origin_value(changed)) : NULL; holding;
         holding = holding->next) {
        if (holding->origin == changed) {
            holding->origin = NULL;
            origin_put(changed);
        }
    }
    lock_drop(&holdings_lock);
    return changed;
}

void dangling_look(void)
{
    struct origin *changed;

    while ((changed = next_changed())) {
        dangling_replaced(origin_slot(changed), origin_value(changed), origin_after(changed));
        origin_put(changed);
    }
}

unsigned dangling_count(const struct slot *slot)
{
    return replaced[slot - slots];
}

void dangling_fork_lock(void)
{
    lock_take_for_fork(&holdings_lock);
}

void dangling_fork_unlock(void)
{
    lock_drop_after_fork(&holdings_lock);
}
