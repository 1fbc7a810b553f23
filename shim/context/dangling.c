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
#include "base/mem.h"
#include "base/sandbox.h"
#include "context/changed.h"
#include "context/dangling_say.h"
#include "context/internal.h"
#include "context/observer.h"
#include "context/pool/listed.h"
#include "slots/origin.h"
#include "slots/kind.h"
#include "slots/slots.h"
#include "base/sys.h"

enum { BUCKETS = 1 << 14, SITES = 16, FRAMES = 24, PAGE = 4096, LOOKED_AT = 8 };
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

_Static_assert((DANGLING_LEAST & (DANGLING_LEAST - 1)) == 0, "numbers have few bits");

bool dangling_on;
size_t dangling_bytes, dangling_behind;

static struct lock holdings_lock;
static struct holding **buckets;

static inline struct holding *list_of(struct dangling_holdings *holdings)
{
    return (struct holding *)(void *)(holdings + 1);
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
    dangling_behind = offsetof(struct context, key) + slots_key_count * sizeof(void *);
    dangling_bytes = sizeof(struct dangling_holdings) + slots_count * sizeof(struct holding);
    return true;
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
    is_there = sandbox_allows(SANDBOX_PAGES) ? SYS_CALL(mincore, page, 1L, &resident) == 0
                                             : sandbox_is_readable((const void *)page, 1);
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

static void add(struct context *context, const struct slot *slot, const void *value,
                struct origin *origin)
{
    struct dangling_holdings *holdings = dangling_holdings(context);
    const void *changed = NULL;
    uint64_t before;
    struct holding *holding = &list_of(holdings)[holdings->count++], **bucket = bucket_of(value);

    if (holding == list_of(holdings))
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
    lock_drop(&holdings_lock);
    if (changed)
        dangling_say_changed(slot, changed == SITE_UNKNOWN ? NULL : changed);
}

void dangling_hold(struct context *context, const struct slot *slot, const void *value)
{
    if (is_address(value))
        add(context, slot, value, NULL);
}

/* Whose value a task hands on that it was lent: the owner is whose it was before. */
static struct origin *origin_of(const struct context *context, const struct slot *slot)
{
    struct dangling_holdings *holdings = dangling_holdings(context);
    const struct holding *list = list_of(holdings);
    struct origin *origin = NULL;

    lock_take(&holdings_lock);
    for (size_t i = 0; i < holdings->count && !origin; i++) {
        if (list[i].slot == slot && list[i].origin)
            origin = origin_ref(list[i].origin);
    }
    lock_drop(&holdings_lock);
    return origin;
}

static void hold_copied(const struct thread *thread, struct context *context,
                        const struct context *over, const struct slot *slot)
{
    void *value = slot_word(slot, context_copied(context));
    struct origin *origin;

    if (origin_may_own_any(thread))
        origin_seen(thread, slot, value);
    if ((uintptr_t)value < DANGLING_LEAST || !is_address(value))
        return;
    origin =
        over && slot_word(slot, context_copied(over)) == value
            ? origin_of(over, slot)
            : origin_get(slot, value, thread, slot->kind->place ? slot->kind->place(slot) : NULL);
    add(context, slot, value, origin);
}

/* What the calling thread runs in, without what it has set there. */
static const struct context *attached_to(const struct thread *thread)
{
    struct context *over = thread->attached;

    if (over && over->flags & CONTEXT_OVERLAY)
        over = over->base;
    return over ? observer_behind(over) : NULL;
}

/* What is bound at the start for good, and is looked at each time; where there is more, all slots are asked. */
static struct word {
    intptr_t from_end; /* of a block of values, where its context begins */
    const struct slot *slot;
} words[SLOTS_MAX];
static unsigned words_count;

void dangling_plan(void)
{
    for (unsigned i = 0; slots_are_words && i < slots_count; i++) {
        if (slot_is_watched(&slots[i])) {
            words[words_count].slot = &slots[i];
            words[words_count++].from_end = (intptr_t)slots[i].offset - (intptr_t)context_before;
        }
    }
}

static APART void hold_any(const struct thread *thread, struct context *context)
{
    const struct context *over = attached_to(thread);

    for (unsigned i = 0; i < (slots_are_words ? words_count : slots_count); i++) {
        const struct slot *slot = slots_are_words ? words[i].slot : &slots[i];

        if (slot_is_watched(slot))
            hold_copied(thread, context, over, slot);
    }
    dangling_look();
}

void dangling_hold_copied(const struct thread *thread, struct context *context)
{
    uintptr_t bits = 0; /* of all values: one is no number if they together are none */

    for (const struct word *word = words, *end = word + words_count; word < end; word++)
        bits |= *(const uintptr_t *)(const void *)((const char *)context + word->from_end);
    if (unlikely(bits >= DANGLING_LEAST || !slots_are_words ||
                 atomic_load_explicit(&origins_were_listed, memory_order_relaxed)))
        hold_any(thread, context);
}

uint32_t dangling_list(struct context *context, const struct context *over, uint64_t now)
{
    struct dangling_holdings *holdings = dangling_holdings(context);
    const struct dangling_holdings *before;

    if (!holdings->site && slots_calls.caller) /* no stack is looked at for that */
        holdings->site = slots_calls.caller();
    if (unlikely(over != NULL)) {
        before = dangling_holdings(over);
        if (holdings->site && before->site == holdings->site)
            holdings->again = before->again + 1;
    }
    __atomic_store_n(&holdings->born, now, __ATOMIC_RELEASE);
    return holdings->again;
}

void dangling_succeeds(const struct context *context, struct context *next)
{
    const struct dangling_holdings *before = dangling_holdings(context);
    struct dangling_holdings *holdings = dangling_holdings(next);

    if (!before->born || !holdings->born)
        return;
    holdings->born = before->born;
    holdings->again = before->again;
    holdings->site = before->site;
    for (uint32_t i = 0; i < holdings->count; i++)
        list_of(holdings)[i].site = before->site;
}

const void *dangling_site(const struct context *context)
{
    return dangling_holdings(context)->site;
}

struct listing {
    void (*visit)(const struct dangling_held *held, void *arg);
    void *arg;
};

static void visit_block(void *block, void *arg)
{
    const struct context *context =
        (const struct context *)(const void *)((const char *)block + context_before);
    const struct dangling_holdings *holdings = dangling_holdings(context);
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

void dangling_let_go_held(struct dangling_holdings *holdings)
{
    struct holding *list = list_of(holdings);

    lock_take(&holdings_lock);
    for (size_t i = 0; i < holdings->count; i++) {
        struct holding *holding = &list[i];

        if ((*holding->link = holding->next))
            holding->next->link = holding->link;
    }
    lock_drop(&holdings_lock);
    for (size_t i = 0; i < holdings->count; i++) {
        if (list[i].origin)
            origin_put(list[i].origin);
    }
    holdings->count = 0;
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
    lock_drop(&holdings_lock);
    if (sites_count)
        dangling_note_replaced(slot);
    for (unsigned i = 0; i < sites_count; i++)
        dangling_say_replaced(slot, sites[i].site, sites[i].count, by == NULL);
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

void dangling_look_slow(void)
{
    struct origin *changed;

    origin_look_around(LOOKED_AT);
    while ((changed = origin_changed())) {
        dangling_replaced(origin_slot(changed), origin_value(changed), origin_after(changed));
        forget_origin(changed);
        origin_put(changed);
    }
}

void dangling_fork_lock(void)
{
    lock_take_for_fork(&holdings_lock);
    dangling_say_fork_lock();
}

void dangling_fork_unlock(void)
{
    dangling_say_fork_unlock();
    lock_drop_after_fork(&holdings_lock);
}
