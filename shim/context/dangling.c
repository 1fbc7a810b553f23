/*
 * A list of which contexts hold which values, in buckets by value, under one short lock. While it is on every capture builds
 * a context of its own, behind which lies what it holds, and every release is told at once: each step
 * takes as long with one handoff in flight as with many.
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
#include "context/changed.h"
#include "context/internal.h"
#include "context/observer.h"
#include "context/pool/listed.h"
#include "slots/origin.h"
#include "slots/slots.h"
#include "base/sys.h"

enum { BUCKETS = 1 << 14, SITES = 16, FRAMES = 24, PAGE = 4096, SAID_MAX = 64, LOOKED_AT = 8 };
enum { PAGES = 256, ASK_AGAIN = 1024 };
enum { LATEST = 64 };
#define SITE_UNKNOWN ((const void *)1)

struct holding {
    struct holding *next, **link; /* in its bucket */
    const struct slot *slot;
    const void *value, *site;
    struct origin
        *origin;  /* of a copied slot; NULL: what becomes of the value is not known, or is said */
    uint64_t sum; /* of its first bytes when it was handed over; 0: not looked at */
};

/* Behind each context. */
struct holdings {
    uint64_t born; /* 0: it is not handed over, or is gone */
    const void *site;
    uint32_t count, again;
    struct holding list[];
};

bool dangling_on;
size_t dangling_bytes;

static struct lock holdings_lock;
static struct holding **buckets;
static unsigned replaced[SLOTS_MAX], changed_in_place[SLOTS_MAX];

static size_t behind; /* bytes of a context */

static inline struct holdings *holdings_of(const struct context *context)
{
    return (struct holdings *)(void *)((char *)(uintptr_t)context + behind);
}

static struct holding **bucket_of(const void *value)
{
    return &buckets[((uintptr_t)value >> 4) * 0x9e3779b97f4a7c15u >> 50];
}

bool dangling_start(void)
{
    buckets = mem_map(BUCKETS * sizeof(struct holding *));
    if (!buckets)
        return false;
    behind = offsetof(struct context, key) + slots_key_count * sizeof(void *);
    dangling_bytes = sizeof(struct holdings) + slots_count * sizeof(struct holding);
    return true;
}

void dangling_begin(struct context *context)
{
    struct holdings *holdings = holdings_of(context);

    holdings->count = holdings->again = 0;
    holdings->site = NULL;
}

/* The innermost return address outside of this library. */
static const void *find_site(void)
{
    static struct elf_module own;
    void *frames[FRAMES];
    const void *caller = slots_calls.caller ? slots_calls.caller() : NULL;
    int count = 0;

    if (caller)
        return caller;
    if (slots_calls.backtrace)
        count = slots_calls.backtrace(frames, FRAMES);

    if (!own.hi && !elf_module_at((const void *)find_site, &own))
        return NULL;
    for (int i = 0; i < count; i++) {
        uintptr_t address = (uintptr_t)frames[i];

        if (address < own.lo || address >= own.hi)
            return frames[i];
    }
    return NULL;
}

/* A page that is there: most numbers are none. What was found is kept; where nothing was, for a while. */
static bool is_address(const void *value)
{
    static struct {
        _Atomic uintptr_t page; /* | 1: there is none */
        _Atomic uint32_t asked;
    } pages[PAGES];
    uintptr_t page = (uintptr_t)value & ~(uintptr_t)(PAGE - 1), known;
    unsigned place = (unsigned)(page * 0x9e3779b97f4a7c15u >> 56), resident = 0;
    int saved_errno;
    bool is_there;

    if (page < DANGLING_LEAST || page >> 47)
        return false;
    known = atomic_load_explicit(&pages[place].page, memory_order_relaxed);
    if (likely(known == page))
        return true;
    if (known == (page | 1) &&
        atomic_fetch_add_explicit(&pages[place].asked, 1, memory_order_relaxed) % ASK_AGAIN)
        return false;
    saved_errno = errno;
    is_there = SYS_CALL(mincore, page, 1L, &resident) == 0;
    errno = saved_errno;
    atomic_store_explicit(&pages[place].page, page | !is_there, memory_order_relaxed);
    return is_there;
}

/* Where it was handed over when it was like that, if that is not done; the latest are looked at. NULL: none is left. */
static const void *find_before(const struct holding *holding, uint64_t sum)
{
    const struct holding *before = holding->next;

    for (unsigned i = 0; before && i < LATEST; i++, before = before->next) {
        if (before->value == holding->value && before->slot == holding->slot && before->sum == sum)
            return before->site ? before->site : SITE_UNKNOWN;
    }
    return NULL;
}

static void say_changed(const struct slot *slot, const void *site)
{
    char place[256];

    if (dangling_is_said(&changed_in_place[slot - slots], site))
        return;
    log_msg(
        LOG_LEVEL_ERROR,
        "BATON_CARRY=\"%s\": what it points to was changed in place, or freed and given out anew, "
        "and handed over again while a handoff still holds it, handed over %s: all of them see "
        "what it is now; where each is to see its own, copy it (copy=N), or carry what is in it "
        "(an adapter, fn:)",
        slot->item, dangling_place(site == SITE_UNKNOWN ? NULL : site, place, sizeof place));
}

static void add(struct context *context, const struct slot *slot, const void *value,
                struct origin *origin)
{
    struct holdings *holdings = holdings_of(context);
    const void *changed = NULL;
    uint64_t before;
    struct holding *holding = &holdings->list[holdings->count++], **bucket = bucket_of(value);

    if (holding == holdings->list)
        holdings->site = find_site();
    holding->slot = slot;
    holding->value = value;
    holding->site = holdings->site;
    holding->origin = origin;
    holding->sum = slot->policy == POLICY_SHARE ? changed_sum(value) : 0;
    lock_take(&holdings_lock);
    if ((holding->next = *bucket))
        holding->next->link = &holding->next;
    holding->link = bucket;
    *bucket = holding;
    if (holding->sum && (before = changed_note(slot, value, holding->sum)))
        changed = find_before(holding, before);
    if (changed)
        changed_in_place[slot - slots]++;
    lock_drop(&holdings_lock);
    if (changed)
        say_changed(slot, changed);
}

void dangling_hold(struct context *context, const struct slot *slot, const void *value)
{
    if (is_address(value))
        add(context, slot, value, NULL);
}

/* Whose value a task hands on that it was lent: the owner is whose it was before. */
static struct origin *origin_of(const struct context *context, const struct slot *slot)
{
    const struct holdings *holdings = holdings_of(context);
    struct origin *origin = NULL;

    lock_take(&holdings_lock);
    for (size_t i = 0; i < holdings->count && !origin; i++) {
        if (holdings->list[i].slot == slot && holdings->list[i].origin)
            origin = origin_ref(holdings->list[i].origin);
    }
    lock_drop(&holdings_lock);
    return origin;
}

void dangling_hold_copied(const struct thread *thread, struct context *context)
{
    struct context *over = thread->attached;
    bool owns_any = origin_owns_any(thread);

    if (over && over->flags & CONTEXT_OVERLAY)
        over = over->base;
    if (over)
        over = observer_behind(over);
    for (unsigned i = 0; i < slots_count; i++) {
        const struct slot *slot = &slots[i];
        struct origin *origin;
        void *value;

        if (!slot_is_watched(slot))
            continue;
        value = slot_word(slot, context_copied(context));
        if (owns_any)
            origin_seen(thread, slot, value);
        if ((uintptr_t)value < DANGLING_LEAST || !is_address(value))
            continue;
        origin = over && slot_word(slot, context_copied(over)) == value
                     ? origin_of(over, slot)
                     : origin_get(slot, value, thread,
                                  slot->kind->place ? slot->kind->place(slot) : NULL);
        add(context, slot, value, origin);
    }
    dangling_look();
}

uint32_t dangling_list(struct context *context, const struct context *over, uint64_t now)
{
    struct holdings *holdings = holdings_of(context);
    const struct holdings *before;

    if (!holdings->site && slots_calls.caller) /* no stack is looked at for that */
        holdings->site = slots_calls.caller();
    if (unlikely(over != NULL)) {
        before = holdings_of(over);
        if (holdings->site && before->site == holdings->site)
            holdings->again = before->again + 1;
    }
    __atomic_store_n(&holdings->born, now, __ATOMIC_RELEASE);
    return holdings->again;
}

void dangling_succeeds(const struct context *context, struct context *next)
{
    const struct holdings *before = holdings_of(context);
    struct holdings *holdings = holdings_of(next);

    if (!before->born || !holdings->born)
        return;
    holdings->born = before->born;
    holdings->again = before->again;
    holdings->site = before->site;
    for (uint32_t i = 0; i < holdings->count; i++)
        holdings->list[i].site = before->site;
}

const void *dangling_site(const struct context *context)
{
    return holdings_of(context)->site;
}

struct listing {
    void (*visit)(const struct dangling_held *held, void *arg);
    void *arg;
};

static void visit_block(void *block, void *arg)
{
    const struct context *context =
        (const struct context *)(const void *)((const char *)block + context_before);
    const struct holdings *holdings = holdings_of(context);
    struct dangling_held held = {context, holdings->site,
                                 __atomic_load_n(&holdings->born, __ATOMIC_ACQUIRE)};
    const struct listing *listing = arg;

    if (held.born)
        listing->visit(&held, listing->arg);
}

void dangling_each(void (*visit)(const struct dangling_held *held, void *arg), void *arg)
{
    struct listing listing = {visit, arg};

    listed_each(visit_block, &listing);
}

void dangling_let_go(struct context *context)
{
    struct holdings *holdings = holdings_of(context);

    if (slots_have_copied)
        dangling_look();
    holdings->born = 0;
    if (!holdings->count)
        return;
    lock_take(&holdings_lock);
    for (size_t i = 0; i < holdings->count; i++) {
        struct holding *holding = &holdings->list[i];

        if ((*holding->link = holding->next))
            holding->next->link = holding->link;
    }
    lock_drop(&holdings_lock);
    for (size_t i = 0; i < holdings->count; i++) {
        if (holdings->list[i].origin)
            origin_put(holdings->list[i].origin);
    }
    holdings->count = 0;
}

/* Once for every slot (or other reason) and place. The table is never full for long programs: then nothing more
 * is said. */
bool dangling_is_said(const void *reason, const void *site)
{
    static struct {
        const void *site, *reason;
    } said[SAID_MAX];
    static unsigned said_count;
    bool is_known = false;

    lock_take(&holdings_lock);
    for (unsigned i = 0; i < said_count; i++)
        is_known |= said[i].site == site && said[i].reason == reason;
    if (!is_known && said_count < SAID_MAX) {
        said[said_count].site = site;
        said[said_count++].reason = reason;
    } else {
        is_known = true;
    }
    lock_drop(&holdings_lock);
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

static void say(const struct slot *slot, const void *site, unsigned count, bool is_freed)
{
    char place[256];

    log_msg(LOG_LEVEL_ERROR,
            "BATON_CARRY=\"%s\": a value was %s while %u %s it, handed over %s: if its memory is "
            "freed the task reads "
            "what is not there; copy it (copy=N, string), clone=F,free=F, ref=F,unref=F, or drop "
            "it (weak)",
            slot->item, is_freed ? "set to NULL" : "replaced", count,
            count == 1 ? "handoff still holds" : "handoffs still hold",
            dangling_place(site, place, sizeof place));
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
        if (!dangling_is_said(slot, sites[i].site))
            say(slot, sites[i].site, sites[i].count, by == NULL);
    }
    errno = saved_errno;
}

/* What is said of a value is said once: its holdings forget where it came from. */
static void forget_origin(struct origin *changed)
{
    lock_take(&holdings_lock);
    for (struct holding *holding = *bucket_of(origin_value(changed)); holding;
         holding = holding->next) {
        if (holding->origin == changed) {
            holding->origin = NULL;
            origin_put(changed);
        }
    }
    lock_drop(&holdings_lock);
}

void dangling_look(void)
{
    struct origin *changed;

    origin_look_around(LOOKED_AT);
    while ((changed = origin_changed())) {
        dangling_replaced(origin_slot(changed), origin_value(changed), origin_after(changed));
        forget_origin(changed);
        origin_put(changed);
    }
}

unsigned dangling_changed(const struct slot *slot)
{
    return changed_in_place[slot - slots];
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
