/*
 * The policies. See policy.h for what each does.
 *
 * Rules: copies come from the program's allocator, because a task may take one over and free it;
 * everything else is our own memory. What is foreign is called with no lock held.
 */
#include "slots/policy.h"
#include "slots/kind.h"

#include <errno.h>
#include <string.h>

#include "elf/elf.h"
#include "slots/bytes.h"
#include "slots/object.h"
#include "slots/origin.h"

bool slots_have_owned;

/* ---- the four steps ---- */

typedef void *maker(void *value);
typedef void ender(void *value);

static void *make(const struct slot *slot, void *value)
{
    int saved_errno = errno;
    const char *why = NULL;
    void *made = NULL;

    switch (slot->policy) {
    case POLICY_COPY:
        made = object_copy(value, slot->copy_size, &why);
        break;
    case POLICY_STRING:
        made = object_copy_string(value, &why);
        break;
    case POLICY_CLONE:
        made = ((maker *)slot->policy_function[0])(value);
        break;
    case POLICY_REF:
        /* Many answer the object, some nothing (void): what they answer says nothing. */
        policy_call(slot->policy_function[0], value);
        made = value;
        break;
    default:
        break;
    }
    if (why)
        slot_failed_as(slot, why);
    else if (!made)
        slot_failed(slot);
    errno = saved_errno;
    return made;
}

static void end(const struct slot *slot, void *value)
{
    int saved_errno = errno;

    if (slot->policy == POLICY_CLONE || slot->policy == POLICY_REF)
        ((ender *)slot->policy_function[1])(value);
    else
        object_release(value);
    errno = saved_errno;
}

/* Of what we have made ourselves, size and all are known. */
static void *copy_again(const struct slot *slot, const void *owned)
{
    int saved_errno = errno;
    size_t size = slot->policy == POLICY_STRING ? strlen(owned) + 1 : slot->copy_size;
    void *copy = object_copy_again(owned, size);

    if (!copy)
        slot_failed(slot);
    errno = saved_errno;
    return copy;
}

void *policy_hold(const struct slot *slot, void *value, const void *owner, void *const *place)
{
    if (!value)
        return NULL;
    return slot->policy == POLICY_WEAK ? origin_get(slot, value, owner, place) : make(slot, value);
}

bool policy_is_shareable(const struct slot *slot)
{
    return slot->key_index != SLOT_NO_KEY &&
           (slot->policy == POLICY_COPY || slot->policy == POLICY_STRING ||
            slot->policy == POLICY_REF);
}

bool policy_same(const struct slot *slot, void *owned, void *value)
{
    if (!owned || !value || slot->policy == POLICY_REF)
        return owned == value;
    return slot->policy == POLICY_STRING ? object_is_string_copy(owned, value)
                                         : object_is_copy(owned, slot->copy_size, value);
}

void *policy_lend(const struct slot *slot, void *owned)
{
    if (!owned)
        return NULL;
    if (slot->policy == POLICY_WEAK)
        return origin_look(owned) == ORIGIN_CURRENT ? origin_value(owned) : NULL;
    if (slot->policy == POLICY_REF) {
        policy_call(slot->policy_function[0], owned);
        return owned;
    }
    return slot->policy == POLICY_CLONE ? make(slot, owned) : copy_again(slot, owned);
}

/* Within the block that is kept, whatever a task has written to it. */
static bool is_lendable(const struct slot *slot, const void *owned, void *kept)
{
    size_t size = slot->policy == POLICY_COPY ? slot->copy_size : strlen(owned) + 1;

    return (slot->policy == POLICY_COPY || object_copy_has_room(kept, size)) &&
           bytes_are_same(owned, kept, size);
}

static APART void *lend_in_place_of(const struct slot *slot, void *owned, void *kept)
{
    if (kept)
        end(slot, kept);
    return policy_lend(slot, owned);
}

void *policy_lend_copy(const struct slot *slot, void *owned, void *kept)
{
    if (kept && owned && is_lendable(slot, owned, kept))
        return kept;
    return lend_in_place_of(slot, owned, kept);
}

struct policy_held policies_held[SLOTS_MAX + 1];
unsigned policies_held_count;

void policies_begin(void)
{
    for (unsigned i = 0; slots_have_owned_keys && i < 2 * slots_count; i++) {
        const struct slot *slot = &slots[i % slots_count];
        bool calls_out = slot->policy == POLICY_CLONE || slot->policy == POLICY_REF;

        if (slot->is_owned && slot->key_index != SLOT_NO_KEY && calls_out == (i >= slots_count))
            policies_held[policies_held_count++] =
                (struct policy_held){slot, slot->key_index, slot->policy};
    }
}

enum policies_mix policies_mix(void)
{
    bool are_refs = true, are_copies = true;

    for (const struct policy_held *held = policies_held; held->slot; held++) {
        are_refs &= held->policy == POLICY_REF;
        are_copies &= held->policy == POLICY_COPY || held->policy == POLICY_STRING;
    }
    return are_refs ? POLICIES_REFS : are_copies ? POLICIES_COPIES : POLICIES_MIXED;
}

void policy_take_back(const struct slot *slot, void *borrowed)
{
    if (borrowed && slot->policy != POLICY_WEAK)
        end(slot, borrowed);
}

static bool is_over;

void policies_end(void)
{
    is_over = true;
}

void policy_let_go(const struct slot *slot, void *owned)
{
    if (!owned || (is_over && slot->policy_function[1]))
        return;
    if (slot->policy == POLICY_WEAK)
        origin_put(owned);
    else
        end(slot, owned);
}

/* ---- from the setting ---- */

bool policy_note_names(struct slot *slot, struct slot_error *error, const char *text)
{
    for (unsigned i = 0; i < 2; i++) {
        char *name = (char *)(uintptr_t)slot->policy_name[i];
        const char *module;

        if (!name)
            continue;
        form_cut_module(name, &module);
        if (!slot_name_add(&slot->policy_id[i], name, module, NULL, ELF_FUNC))
            return form_bad(error, text, "fewer names");
    }
    return true;
}

/* A context that is kept for the next capture would have what this one takes for lost. */
static void look_for_leak_checker(void)
{
    static bool has_looked;

    if (has_looked)
        return;
    has_looked = true;
    if (elf_lookup_global("__lsan_do_leak_check", NULL, NULL, NULL))
        slots_always_build = true;
}

bool policy_resolve(struct slot *slot)
{
    if (policy_is_shareable(slot))
        look_for_leak_checker();
    if (slot->policy == POLICY_COPY || slot->policy == POLICY_STRING) {
        if (object_find_heap())
            return true;
        slot->reason = "no loaded module has both malloc and free";
        return false;
    }
    for (unsigned i = 0; i < 2; i++) {
        struct elf_search found;

        if (!slot->policy_name[i] || slot->policy_function[i])
            continue;
        if (!slot_name_find(slot->policy_id[i], &found)) {
            slot->reason = i ? "no loaded module has the function of free= or unref="
                             : "no loaded module has the function of clone= or ref=";
            return false;
        }
        if (found.query.found.is_local && found.query.found.matches > 1) {
            slot->reason = "several static functions have the name of its policy's function";
            return false;
        }
        slot->policy_function[i] = elf_symbol_address(&found.query.found);
        slot_pin(slot->policy_function[i]);
    }
    return true;
}
