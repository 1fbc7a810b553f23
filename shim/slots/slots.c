/*
 * The slots: what there is, and what happens to one: bound, refused, failed.
 *
 * Rule: a slot that is bound says so last, so whoever sees it bound sees all of it.
 */
#include "slots/keys.h"
#include "slots/kind.h"
#include "slots/slots.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "elf/elf.h"
#include "base/log.h"

struct slot slots[SLOTS_MAX];
unsigned slots_count, slots_key_count, slots_bytes, slots_saved_bytes;
bool slots_have_native, slots_have_copied, slots_always_build, slots_owns_values,
    slots_have_owned_keys, slots_force;
bool slots_may_not_open;
_Atomic bool slots_stale;
unsigned slots_tries;
bool slots_are_words, slots_watched, slots_keys_native;
void *slots_initial;
_Atomic uint32_t slots_epoch = 1;
struct slots_calls slots_calls;

_Atomic uint8_t keys_had_value[SLOTS_MAX];

static bool slot_had_value(const struct slot *slot)
{
    return slot->had_value || (slot->key_index != SLOT_NO_KEY && keys_had_value[slot->key_index]);
}

bool slot_was_empty(const struct slot *slot)
{
    if (slot->state != SLOT_BOUND || slot->known || slot->kind->is_everywhere)
        return false;
    return !slot_had_value(slot);
}

bool slot_is_done(const struct slot *slot)
{
    return slot->state == SLOT_WAITING && slot->was_bound && slot_had_value(slot);
}

/* Behind what stands there up to AT, as far as there is room. */
static size_t add_text(char *into, size_t size, size_t at, const char *text)
{
    while (*text && at + 1 < size)
        into[at++] = *text++;
    into[at] = '\0';
    return at;
}

void slot_bound(struct slot *slot, const char *module, const char *symbol)
{
    int saved_errno = errno;
    size_t at;

    at = add_text(slot->where, sizeof slot->where, 0, symbol);
    at = add_text(slot->where, sizeof slot->where, at, " in ");
    add_text(slot->where, sizeof slot->where, at, module);
    log_msg(LOG_LEVEL_DEBUG, "%s: found %s", slot->item, slot->where);
    /* In this order: a thread that sees the new epoch sees the slot bound. */
    slot->since = atomic_load(&slots_epoch) + 1;
    __atomic_store_n(&slot->state, SLOT_BOUND, __ATOMIC_RELEASE);
    atomic_fetch_add(&slots_epoch, 1);
    if (slots_calls.bound)
        slots_calls.bound();
    errno = saved_errno;
}

void slot_refuse(struct slot *slot, const char *reason)
{
    slot->reason = reason;
    slot->state = SLOT_REFUSED;
    log_msg(LOG_LEVEL_ERROR, "BATON_CARRY=\"%s\": not carried: %s", slot->item, reason);
}

void slot_failed_as(const struct slot *slot, const char *why)
{
    struct slot *own = &slots[slot - slots];
    const char *none = NULL;

    slot_failed(slot);
    if (__atomic_compare_exchange_n(&own->note, &none, why, false, __ATOMIC_RELAXED,
                                    __ATOMIC_RELAXED))
        log_msg(LOG_LEVEL_WARN, "BATON_CARRY=\"%s\": %s", slot->item, why);
}

/*
 * dlopen allocates from the program: this is the one place where we cannot do without it, at most
 * once a slot, and only for libraries that were themselves loaded by dlopen.
 */
void slot_pin(const void *address)
{
    struct elf_module module;

    if (!elf_module_at(address, &module) || elf_module_is_startup(&module))
        return;
    elf_open(module.path, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
}

/*
 * The library is still being opened, or the key not stored yet: so the next captures look, some
 * times, until everything is found.
 */
void slots_look_again(void)
{
    for (unsigned i = 0; i < slots_count; i++) {
        if (slots[i].state == SLOT_WAITING) {
            slots_tries = SLOTS_TRIES;
            slots_stale = true;
            if (slots_calls.stale)
                slots_calls.stale();
            return;
        }
    }
}
