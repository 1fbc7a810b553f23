/*
 * What is said of values that dangle, and of what else strict.c finds: once for every reason and place.
 *
 * Rules: nothing is said under a lock; the place is looked up when it is said, and not before.
 */
#include "context/dangling_say.h"

#include "base/lock.h"
#include "base/log.h"
#include "context/dangling.h"
#include "elf/elf.h"
#include "slots/slots.h"

enum { SAID_MAX = 64 };

static struct lock said_lock;
static unsigned replaced[SLOTS_MAX], changed_in_place[SLOTS_MAX];

/* Once for every slot (or other reason) and place. The table is never full for long programs: then nothing more
 * is said. */
bool dangling_is_said(const void *reason, const void *site)
{
    static struct {
        const void *site, *reason;
    } said[SAID_MAX];
    static unsigned said_count;
    bool is_known = false;

    lock_take(&said_lock);
    for (unsigned i = 0; i < said_count; i++)
        is_known |= said[i].site == site && said[i].reason == reason;
    if (!is_known && said_count < SAID_MAX) {
        said[said_count].site = site;
        said[said_count++].reason = reason;
    } else {
        is_known = true;
    }
    lock_drop(&said_lock);
    return is_known;
}

const char *dangling_place(const void *site, char *place, size_t size)
{
    char function[128] = "";
    uintptr_t start = 0, end;
    struct elf_module module;

    if (!site || !elf_module_at(site, &module))
        fmt_buf(place, size, "at a place that is not known%s",
                slots_calls.backtrace ? "" : " (libunwind.so.8 is not there)");
    else if (elf_function_at(site, &start, &end, function, sizeof function))
        fmt_buf(place, size, "in %s+0x%lx of %s", function,
                (unsigned long)((uintptr_t)site - start), module.name);
    else
        fmt_buf(place, size, "at %s+0x%lx", module.name,
                (unsigned long)((uintptr_t)site - module.base));
    return place;
}

void dangling_say_changed(const struct slot *slot, const void *site)
{
    char place[256];

    __atomic_fetch_add(&changed_in_place[slot - slots], 1, __ATOMIC_RELAXED);
    if (dangling_is_said(&changed_in_place[slot - slots], site))
        return;
    log_msg(
        LOG_LEVEL_ERROR,
        "BATON_CARRY=\"%s\": what it points to was changed in place, or freed and given out anew, "
        "and handed over again while a handoff still holds it, handed over %s: all of them see "
        "what it is now; where each is to see its own, copy it (copy=N), or carry what is in it "
        "(an adapter, fn:)",
        slot->item, dangling_place(site, place, sizeof place));
}

void dangling_say_replaced(const struct slot *slot, const void *site, unsigned count, bool is_freed)
{
    char place[256];

    if (dangling_is_said(slot, site))
        return;
    log_msg(LOG_LEVEL_ERROR,
            "BATON_CARRY=\"%s\": a value was %s while %u %s it, handed over %s: if its memory is "
            "freed the task reads "
            "what is not there; copy it (copy=N, string), clone=F,free=F, ref=F,unref=F, or drop "
            "it (weak)",
            slot->item, is_freed ? "set to NULL" : "replaced", count,
            count == 1 ? "handoff still holds" : "handoffs still hold",
            dangling_place(site, place, sizeof place));
}

void dangling_note_replaced(const struct slot *slot)
{
    __atomic_fetch_add(&replaced[slot - slots], 1, __ATOMIC_RELAXED);
}

unsigned dangling_changed(const struct slot *slot)
{
    return changed_in_place[slot - slots];
}

unsigned dangling_count(const struct slot *slot)
{
    return replaced[slot - slots];
}

void dangling_say_fork_lock(void)
{
    lock_take_for_fork(&said_lock);
}

void dangling_say_fork_unlock(void)
{
    lock_drop_after_fork(&said_lock);
}
