/*
 * A list of who holds what, in buckets by value, under one short lock. Slow and exact: while it is on
 * every capture builds a context of its own and every release is told at once.
 *
 * Numbers are not looked at: a value below 64 KiB is no address. Whether the program really frees what
 * it replaced cannot be known; it is said because nothing keeps it from doing so.
 */
#include "context/dangling.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include "base/elf.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"
#include "slots/slots.h"

enum { BUCKETS = 256, SITES = 16, FRAMES = 24, LOWEST_ADDRESS = 65536, SAID_MAX = 64 };

struct holding {
    struct holding *next;
    const void *context, *value, *site;
    unsigned column;
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
    int count = slots_backtrace ? slots_backtrace(frames, FRAMES) : 0;

    if (!own.hi && !elf_module_at((const void *)find_site, &own))
        return NULL;
    for (int i = 0; i < count; i++) {
        uintptr_t address = (uintptr_t)frames[i];

        if (address < own.lo || address >= own.hi)
            return frames[i];
    }
    return NULL;
}

void dangling_hold(const void *context, unsigned column, const void *value)
{
    struct holding *holding, **bucket = bucket_of(value);

    if ((uintptr_t)value < LOWEST_ADDRESS || !(holding = mem_alloc(sizeof *holding)))
        return;
    *holding = (struct holding){NULL, context, value, find_site(), column};
    lock_take(&holdings_lock);
    holding->next = *bucket;
    *bucket = holding;
    lock_drop(&holdings_lock);
}

void dangling_let_go(const void *context)
{
    struct holding *gone = NULL;

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

        mem_free(gone, sizeof *gone);
        gone = next;
    }
}

/* Once for every slot and place. The table is never full for long programs: then nothing more is said. */
static bool is_said(unsigned column, const void *site)
{
    static struct {
        const void *site;
        unsigned column;
    } said[SAID_MAX];
    static unsigned said_count;
    bool is_known = false;

    lock_take(&holdings_lock);
    for (unsigned i = 0; i < said_count; i++)
        is_known |= said[i].site == site && said[i].column == column;
    if (!is_known && said_count < SAID_MAX) {
        said[said_count].site = site;
        said[said_count++].column = column;
    } else {
        is_known = true;
    }
    lock_drop(&holdings_lock);
    return is_known;
}

static void say(unsigned column, const void *site, unsigned count, bool is_freed)
{
    const struct slot *slot = key_bindings[column].slot;
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

void dangling_replaced(unsigned column, const void *value, const void *by)
{
    int saved_errno = errno;
    struct {
        const void *site;
        unsigned count;
    } sites[SITES];
    unsigned sites_count = 0;

    if ((uintptr_t)value < LOWEST_ADDRESS || value == by)
        return;
    lock_take(&holdings_lock);
    for (struct holding *holding = *bucket_of(value); holding; holding = holding->next) {
        unsigned i = 0;

        if (holding->value != value || holding->column != column)
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
    replaced[column] += sites_count > 0;
    lock_drop(&holdings_lock);
    for (unsigned i = 0; i < sites_count; i++) {
        if (!is_said(column, sites[i].site))
            say(column, sites[i].site, sites[i].count, by == NULL);
    }
    errno = saved_errno;
}

unsigned dangling_count(unsigned column)
{
    return replaced[column];
}

void dangling_fork_lock(void)
{
    lock_take(&holdings_lock);
}

void dangling_fork_unlock(void)
{
    lock_drop(&holdings_lock);
}
