/*
 * fn:get=F,set=F[,free=F], fn:fill=F,size=N,set=F and swap:F: contexts behind a pair of functions.
 *
 * The value is what `get` returns and `set` takes: one pointer or integer in a register. `fill` writes it to an
 * address instead; then it has any size, and `put` takes it back by address, too. Foreign code: both run
 * with no lock held. Who owns the value:
 *     (nothing)  a number, or a pointer that stays valid while tasks run;
 *     free=F     get makes a copy, set copies it again; we free it with F;
 *     ,move      get makes a copy and set takes it over (log4cxx NDC); one that was never set is
 *                got rid of by setting it and putting back what was there.
 * A get= that writes to an address, as one of fill= does, would write anywhere: the first time it is given one, and if it
 * writes there it is let alone from then on.
 */
#include "slots/fn.h"
#include "slots/kind.h"

#include <errno.h>
#include <string.h>

#include "elf/elf.h"
#include "slots/moves.h"

typedef uintptr_t getter(void);
typedef uintptr_t setter(uintptr_t value);
typedef uintptr_t filler(void *value);

/* Values of struct slot's object: what fill= does was seen to be wrong; what get= does was seen. */
enum { OVERFLOWS = 1, RETURNS = 2, WRITES = 3 };

bool slots_watch_setters, slots_setters_known;

/* Stands where a value of policy move was: the setter has it now. */
#define TAKEN UINTPTR_MAX

/* The hook stands behind the landing pad, if there is one. */
static bool is_hooked_at_entry(const struct slot *slot, const void *function)
{
    static const unsigned char landing_pad[4] = {0xf3, 0x0f, 0x1e, 0xfa};
    uintptr_t entry = (uintptr_t)function;

    if (!slot->fn.entry)
        return false;
    return slot->fn.entry == entry || (slot->fn.entry == entry + sizeof landing_pad &&
                                       !memcmp(function, landing_pad, sizeof landing_pad));
}

/* Only the owner's thread can ask the getter: that it changes the value is seen at the setter. */
static bool fn_is_watched(struct slot *slot)
{
    if (!slots_setters_known)
        return false;
    if (is_hooked_at_entry(slot, slot->fn.function[slot->fn.setter]))
        return true;
    slot_refuse(slot, "weak has to see the calls of the function that sets the value, which needs "
                      "baton run (baton check says whether it can)");
    return false;
}

static void fn_resolve(struct slot *slot)
{
    const char *module;

    if (!fn_find(slot, &module) || (slot_watches_setter(slot) && !fn_is_watched(slot)))
        return;
    for (unsigned i = FN_GET; i <= FN_FREE; i++) {
        if (slot->fn.function[i])
            slot_pin(slot->fn.function[i]);
    }
    if (slot_watches_setter(slot)) /* what we set is no change by the owner */
        slot->fn.function[slot->fn.setter] = slot->fn.real_setter;
    slot_bound(slot, module, slot->fn.name[FN_GET]);
}

static void word_store(void *value, uintptr_t word)
{
    memcpy(value, &word, sizeof word);
}

static uintptr_t word_load(const void *value)
{
    uintptr_t word;

    memcpy(&word, value, sizeof word);
    return word;
}

static uintptr_t state_of(const struct slot *slot)
{
    return atomic_load_explicit(&((struct slot *)(uintptr_t)slot)->fn.object, memory_order_relaxed);
}

/*
 * fill= writes into room of its own, with more behind it: one that writes more than the item says is noticed, and
 * let alone from then on. It answers what it likes; one that fails leaves nothing.
 */
static void fill(const struct slot *slot, void *value)
{
    enum { BEHIND = 64, MARK = 0xa5 };
    unsigned char room[FN_FILL_MOST + BEHIND] __attribute__((aligned(16)));
    struct slot *own = (struct slot *)(uintptr_t)slot;
    unsigned i = 0;

    memset(value, 0, slot->size);
    if (state_of(slot) != OVERFLOWS) {
        memset(room, 0, slot->size);
        memset(room + slot->size, MARK, BEHIND);
        ((filler *)slot->fn.function[FN_GET])(room);
        while (i < BEHIND && room[slot->size + i] == MARK)
            i++;
        if (i == BEHIND)
            memcpy(value, room, slot->size);
        else
            atomic_store(&own->fn.object, OVERFLOWS);
    }
    if (state_of(slot) == OVERFLOWS)
        slot_failed_as(slot, "the function of fill= writes more bytes than size= says");
}

/* The first answers, until one has shown what the function is. Only then is it called without us (fn_pair). */
static __attribute__((noinline)) uintptr_t get_first(const struct slot *slot)
{
    struct slot *own = (struct slot *)(uintptr_t)slot;
    uintptr_t word = 0, none = 0;

    if (state_of(slot) != WRITES && fn_answers(slot, &word)) {
        if (atomic_compare_exchange_strong(&own->fn.object, &none, RETURNS))
            moves_plan();
        return word;
    }
    atomic_store(&own->fn.object, WRITES);
    slot_failed_as(slot, "the function of get= writes to an address: fill=F,size=N fits it");
    return 0;
}

static void get(const struct slot *slot, void *value)
{
    int saved_errno = errno;

    if (slot->fn.is_filled)
        fill(slot, value);
    else if (state_of(slot) == RETURNS)
        word_store(value, ((getter *)slot->fn.function[FN_GET])());
    else
        word_store(value, get_first(slot));
    errno = saved_errno;
}

/* Of fewer bytes than a register has the rest is zero. */
static void set(const struct slot *slot, const void *value)
{
    unsigned char bytes[FN_FILL_MOST] __attribute__((aligned(16)));
    uintptr_t word = 0;
    int saved_errno = errno;

    if (!slot->fn.is_filled) {
        if (state_of(slot) != WRITES)
            ((setter *)slot->fn.function[FN_SET])(word_load(value));
    } else if (state_of(slot) != OVERFLOWS) {
        memcpy(slot->fn.takes_address ? (void *)bytes : &word, value, slot->size);
        ((setter *)slot->fn.function[FN_SET])(slot->fn.takes_address ? (uintptr_t)bytes : word);
    }
    errno = saved_errno;
}

static bool fn_read(const struct slot *slot, void *value)
{
    const char *byte = value;
    bool is_set = false;

    get(slot, value);
    for (unsigned i = 0; i < slot->size; i++)
        is_set |= byte[i] != 0;
    return is_set;
}

static bool fn_same(const struct slot *slot, const void *value)
{
    char now[FN_FILL_MOST];

    if (slot->policy == POLICY_MOVE || slot->fn.function[FN_FREE])
        return false; /* every value is a copy of its own */
    get(slot, now);
    return memcmp(now, value, slot->size) == 0;
}

/*
 * Policy move: the value is taken out of the context in one atomic step, because two workers may
 * hold one context (a parallel region): the second finds it taken, and leaves the thread as it is.
 * What is as it should be is not set where asking is all that a function of fill= does: to set a device
 * may start it.
 */
static void fn_write(const struct slot *slot, void *value)
{
    uintptr_t word;

    if (slot->policy != POLICY_MOVE) {
        if (!slot->fn.is_filled || !fn_same(slot, value))
            set(slot, value);
        return;
    }
    word = word_load(value);
    if (word)
        word = __atomic_exchange_n((uintptr_t *)value, TAKEN, __ATOMIC_ACQ_REL);
    if (word != TAKEN)
        set(slot, &word);
}

static uint64_t fn_get(const struct slot *slot)
{
    uintptr_t word = 0;

    get(slot, &word);
    return word;
}

static void fn_put(const struct slot *slot, uint64_t word)
{
    fn_write(slot, &word);
}

static bool fn_pair(const struct slot *slot, struct slot_pair *pair)
{
    if (slot->fn.is_filled || slot->policy == POLICY_MOVE)
        return false;
    pair->get = (uint64_t(*)(void))slot->fn.function[FN_GET];
    pair->set = (void (*)(uint64_t))slot->fn.function[FN_SET];
    return state_of(slot) == RETURNS;
}

static void fn_release(const struct slot *slot, void *value)
{
    uintptr_t word = __atomic_exchange_n((uintptr_t *)value, 0, __ATOMIC_ACQ_REL);

    if (!word || (slot->policy == POLICY_MOVE && word == TAKEN))
        return;
    if (slot->fn.function[FN_FREE]) {
        int saved_errno = errno;

        ((setter *)slot->fn.function[FN_FREE])(word);
        errno = saved_errno;
    } else if (slot->policy == POLICY_MOVE) {
        uintptr_t own;

        get(slot, &own);
        set(slot, &word);
        set(slot, &own);
    }
}

/* There is no asking without setting: the slot is empty for a moment, in this thread only. */
static bool swap_read(const struct slot *slot, void *value)
{
    setter *swap = (setter *)slot->fn.function[FN_GET];
    int saved_errno = errno;
    uintptr_t word = swap(0);

    swap(word);
    word_store(value, word);
    errno = saved_errno;
    return word != 0;
}

static void swap_write(const struct slot *slot, void *value)
{
    int saved_errno = errno;

    ((setter *)slot->fn.function[FN_GET])(word_load(value));
    errno = saved_errno;
}

const struct slot_kind slot_kind_fn = {
    .form = &fn_form,
    .check = fn_check,
    .parse = fn_parse,
    .names = fn_names,
    .has_setter = true,
    .calls_out = true,
    .may_dangle = true,
    .resolve = fn_resolve,
    .read = fn_read,
    .write = fn_write,
    .same = fn_same,
    .get = fn_get,
    .put = fn_put,
    .pair = fn_pair,
    .release = fn_release,
};

static const struct slot_form swap_form = {
    .name = "swap",
    .shape = SHAPE_WHAT,
    .options = O_POLICIES | O_ENDERS,
    .item = "a function that sets a value and returns the old one, swap:FUNCTION[@MODULE]",
    .extra = POLICY_WORDS,
};

static bool swap_check(const char *at, size_t len, struct slot_error *error)
{
    return form_check_symbol(at, len, swap_form.item, error);
}

const struct slot_kind slot_kind_swap = {
    .form = &swap_form,
    .check = swap_check,
    .parse = swap_parse,
    .names = fn_names,
    .has_setter = true,
    .calls_out = true,
    .may_dangle = true,
    .resolve = fn_resolve,
    .read = swap_read,
    .write = swap_write,
};
