/*
 * fn:get=F,set=F[,free=F] and swap:F: contexts behind a pair of functions.
 *
 * The value is what `get` returns and `set` takes: one pointer or integer in a register. Foreign
 * code: both run with no lock held. Who owns the value:
 *     (nothing)  a number, or a pointer that stays valid while tasks run;
 *     free=F     get makes a copy, set copies it again; we free it with F;
 *     ,move      get makes a copy and set takes it over (log4cxx NDC); one that was never set is
 *                got rid of by setting it and putting back what was there.
 */
#include <string.h>

#include "elf/elf.h"
#include "slots/slots.h"

typedef uintptr_t getter(void);
typedef uintptr_t setter(uintptr_t value);

enum { GET, SET, FREE };

bool slots_watch_setters, slots_setters_known;

static bool fn_add_names(struct slot *slot, char *text, struct slot_error *error)
{
    for (unsigned i = GET; i <= FREE; i++) {
        if (slot->fn.name[i] &&
            !slot_name_add(&slot->fn.id[i], slot->fn.name[i], slot->fn.module[i], NULL, ELF_FUNC)) {
            *error = (struct slot_error){"fewer names", text};
            return false;
        }
    }
    return true;
}

/* Stands where a value of policy move was: the setter has it now. */
#define TAKEN UINTPTR_MAX

static bool fn_parse(struct slot *slot, char *text, struct slot_error *error)
{
    static const char *const words[3] = {"get=", "set=", "free="};
    char *part = text;

    slot->size = sizeof(uintptr_t);
    slot->fn.setter = SET;
    while (*part) {
        char *next = part + strcspn(part, ",");
        bool is_last = !*next, is_known = false;

        *next = '\0';
        for (unsigned i = 0; i < 3; i++) {
            if (!strncmp(part, words[i], strlen(words[i])) && part[strlen(words[i])]) {
                char *name = part + strlen(words[i]);

                form_cut_module(name, &slot->fn.module[i]);
                slot->fn.name[i] = name;
                is_known = true;
            }
        }
        if (!is_known) {
            *error = (struct slot_error){"get=FUNCTION,set=FUNCTION[,free=FUNCTION]", part};
            return false;
        }
        part = is_last ? next : next + 1;
    }
    if (!slot->fn.name[GET] || !slot->fn.name[SET]) {
        *error = (struct slot_error){"both get=FUNCTION and set=FUNCTION", text};
        return false;
    }
    if (slot->fn.name[FREE] && slot->policy != POLICY_SHARE && slot->policy != POLICY_MOVE) {
        *error = (struct slot_error){"either free=FUNCTION (the getter makes copies) or a policy",
                                     slot->fn.name[FREE]};
        return false;
    }
    slot->is_cloned = slot->fn.name[FREE] != NULL;
    return fn_add_names(slot, text, error);
}

static bool swap_parse(struct slot *slot, char *text, struct slot_error *error)
{
    slot->size = sizeof(uintptr_t);
    slot->fn.setter = GET;
    if (!*text) {
        *error = (struct slot_error){
            "the name of a function that sets a value and returns the old one", text};
        return false;
    }
    form_cut_module(text, &slot->fn.module[GET]);
    slot->fn.name[GET] = text;
    return fn_add_names(slot, text, error);
}

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
    static const char *const reasons[3] = {
        "no loaded module has the function of get=", "no loaded module has the function of set=",
        "no loaded module has the function of free="};
    struct elf_search found = {.where = {.name = "?"}};

    for (unsigned i = FREE + 1; i-- > GET;) {
        if (!slot->fn.name[i])
            continue;
        if (!slot_name_find(slot->fn.id[i], &found)) {
            slot->reason = reasons[i];
            return;
        }
        if (found.query.found.is_local && found.query.found.matches > 1) {
            slot_refuse(slot, "several static functions have this name");
            return;
        }
        if (!slots_force && slot_deny_function(slot->fn.name[i], found.where.name)) {
            slot_refuse(slot, slot_deny_function(slot->fn.name[i], found.where.name));
            return;
        }
        slot->fn.function[i] = elf_symbol_address(&found.query.found);
    }
    if (slot_watches_setter(slot) && !fn_is_watched(slot))
        return;
    for (unsigned i = GET; i <= FREE; i++) {
        if (slot->fn.function[i])
            slot_pin(slot->fn.function[i]);
    }
    if (slot_watches_setter(slot)) /* what we set is no change by the owner */
        slot->fn.function[slot->fn.setter] = slot->fn.real_setter;
    slot_bound(slot, found.where.name, slot->fn.name[GET]);
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

static bool fn_read(const struct slot *slot, void *value)
{
    uintptr_t word = ((getter *)slot->fn.function[GET])();

    word_store(value, word);
    return word != 0;
}

/*
 * Policy move: the value is taken out of the context in one atomic step, because two workers may
 * hold one context (a parallel region): the second finds it taken, and leaves the thread as it is.
 */
static void fn_write(const struct slot *slot, void *value)
{
    uintptr_t word = word_load(value);

    if (slot->policy == POLICY_MOVE && word)
        word = __atomic_exchange_n((uintptr_t *)value, TAKEN, __ATOMIC_ACQ_REL);
    if (slot->policy != POLICY_MOVE || word != TAKEN)
        ((setter *)slot->fn.function[SET])(word);
}

static bool fn_same(const struct slot *slot, const void *value)
{
    if (slot->policy == POLICY_MOVE || slot->fn.function[FREE])
        return false; /* every value is a copy of its own */
    return ((getter *)slot->fn.function[GET])() == word_load(value);
}

static void fn_release(const struct slot *slot, void *value)
{
    uintptr_t word = __atomic_exchange_n((uintptr_t *)value, 0, __ATOMIC_ACQ_REL);

    if (!word || (slot->policy == POLICY_MOVE && word == TAKEN))
        return;
    if (slot->fn.function[FREE]) {
        ((setter *)slot->fn.function[FREE])(word);
    } else if (slot->policy == POLICY_MOVE) {
        uintptr_t own = ((getter *)slot->fn.function[GET])();

        ((setter *)slot->fn.function[SET])(word);
        ((setter *)slot->fn.function[SET])(own);
    }
}

/* There is no asking without setting: the slot is empty for a moment, in this thread only. */
static bool swap_read(const struct slot *slot, void *value)
{
    setter *swap = (setter *)slot->fn.function[GET];
    uintptr_t word = swap(0);

    swap(word);
    word_store(value, word);
    return word != 0;
}

static void swap_write(const struct slot *slot, void *value)
{
    ((setter *)slot->fn.function[GET])(word_load(value));
}

static unsigned fn_names(const struct slot *slot, struct slot_meant *meant)
{
    unsigned count = 0;

    for (unsigned i = GET; i <= FREE; i++) {
        if (slot->fn.name[i])
            meant[count++] = (struct slot_meant){.name = slot->fn.name[i],
                                                 .module = slot->fn.module[i],
                                                 .id = slot->fn.id[i],
                                                 .want = ELF_FUNC};
    }
    return count;
}

static const struct slot_form fn_form = {
    .name = "fn",
    .shape = SHAPE_OPTIONS,
    .options = O_POLICIES | O_ENDERS | O_MOVE | O_GET | O_SET,
    .own = O_GET | O_SET | O_FREE,
    .item = "both functions, fn:get=FUNCTION,set=FUNCTION[,free=FUNCTION]",
    .extra = "get=F, set=F, free=F, move, " POLICY_WORDS,
};

const struct slot_kind slot_kind_fn = {
    .form = &fn_form,
    .parse = fn_parse,
    .names = fn_names,
    .has_setter = true,
    .may_dangle = true,
    .resolve = fn_resolve,
    .read = fn_read,
    .write = fn_write,
    .same = fn_same,
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
    .may_dangle = true,
    .resolve = fn_resolve,
    .read = swap_read,
    .write = swap_write,
};
