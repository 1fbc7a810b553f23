/*
 * The slots: what there is, and finding what the items name.
 *
 * Rules: finding happens under a lock that nobody waits for, because to load an adapter runs its
 * constructors, which may hand over: who finds it taken goes on without. A slot that is bound says so
 * last, so whoever sees it bound sees all of it.
 */
#include "slots/slots.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "elf/elf.h"
#include "base/lock.h"
#include "base/log.h"
#include "slots/native.h"
#include "slots/origin.h"
#include "slots/policy.h"
#include "slots/words.h"

enum { RESOLVE_TRIES = 64 };

struct slot slots[SLOTS_MAX];
unsigned slots_count, slots_key_count, slots_bytes, slots_saved_bytes;
bool slots_have_native, slots_have_copied, slots_always_build, slots_owns_values,
    slots_have_owned_keys, slots_force;
bool slots_have_adapters, slots_may_not_open;
_Atomic bool slots_stale;
bool slots_are_words, slots_watched, slots_keys_native;
void *slots_initial;
_Atomic uint32_t slots_epoch = 1;
struct slots_calls slots_calls;

static struct lock resolve_lock;
static unsigned resolve_tries;

static void assign_next_offset(struct slot *slot)
{
    if (native_may_be(slot))
        slot->size = sizeof(void *);
    else if (slot->key_index != SLOT_NO_KEY)
        return;
    if (!slot->size)
        slot->size = LATE_TLS_SIZE; /* not found yet: room for what may come with a library */
    slot->offset = slots_bytes;
    slots_bytes += (slot->size + 7) & ~7u;
    slots_have_copied = true;
}

void slots_begin(void)
{
    resolve_tries = RESOLVE_TRIES;
    slots_resolve();
    words_init(); /* first: they have the front of a block of values */
    for (unsigned i = 0; i < slots_count; i++) {
        if (slots[i].state == SLOT_REFUSED)
            continue; /* for good */
        if (!slots[i].has_offset)
            assign_next_offset(&slots[i]);
        slots[i].has_offset = true;
    }
    slots_are_words = words_are_any;
    for (unsigned i = 0; i < slots_count; i++)
        slots_are_words &= !native_may_be(&slots[i]) &&
                           (slots[i].is_static_word || slots[i].key_index != SLOT_NO_KEY ||
                            slots[i].state == SLOT_REFUSED);
    slots_saved_bytes = slots_have_owned ? 2 * slots_bytes : slots_bytes;
}

unsigned slots_init(struct config *config)
{
    unsigned errors = slots_parse(config);

    slots_begin();
    return errors;
}

void slot_bound(struct slot *slot, const char *module, const char *symbol)
{
    int saved_errno = errno;

    fmt_buf(slot->where, sizeof slot->where, "%s in %s", symbol, module);
    log_msg(LOG_LEVEL_DEBUG, "%s: found %s", slot->item, slot->where);
    /* In this order: who sees the new epoch sees the slot bound. */
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

void slot_failed(const struct slot *slot)
{
    atomic_fetch_add_explicit(&slots[slot - slots].failures, 1, memory_order_relaxed);
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
    dlopen(module.path, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
}

/*
 * The library is still being opened, or the key not stored yet: so the next captures look, some
 * times, until everything is found.
 */
void slots_look_again(void)
{
    for (unsigned i = 0; i < slots_count; i++) {
        if (slots[i].state == SLOT_WAITING) {
            resolve_tries = RESOLVE_TRIES;
            slots_stale = true;
            if (slots_calls.stale)
                slots_calls.stale();
            return;
        }
    }
}

/* A slot that was bound late: its initial value, and the contexts there are, must know. */
static void late_slot(struct slot *slot)
{
    if (slot->key_index == SLOT_NO_KEY && slots_initial && slot->kind->initial)
        slot->kind->initial(slot, (char *)slots_initial + slot->offset);
    if (slots_calls.changed)
        slots_calls.changed(true);
}

void slots_resolve(void)
{
    int saved_errno = errno;
    bool is_waiting = false;

    /* Another thread, or this one in a constructor that a resolve has run: it will be done. */
    if (!lock_try(&resolve_lock))
        return;
    for (unsigned i = 0; i < slots_count; i++) {
        struct slot *slot = &slots[i];

        if (slot->state != SLOT_WAITING)
            continue;
        is_waiting = true;
        if (!policy_resolve(slot))
            continue;
        slot->kind->resolve(slot);
        if (slot->state == SLOT_BOUND && slot->has_offset && slot->key_index == SLOT_NO_KEY)
            late_slot(slot);
    }
    slots_stale = is_waiting && resolve_tries && --resolve_tries;
    lock_drop(&resolve_lock);
    errno = saved_errno;
}

void slots_fork_lock(void)
{
    lock_take_for_fork(&resolve_lock);
    slot_names_fork_lock();
    origin_fork_lock();
}

void slots_fork_unlock(void)
{
    origin_fork_unlock();
    slot_names_fork_unlock();
    lock_drop_after_fork(&resolve_lock);
}
