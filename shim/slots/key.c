/*
 * Keys of pthread and C11, as key:ITEM names them (key_item.c), ITEM,native in the C library's own store (native.c).
 *
 * A key is a number made at run time; what the user can name is the variable that it is stored in, or the function
 * that makes it (key_by.c). So creation is watched: a key whose variable is the named one is bound at once. One
 * that is stored later (through a local variable) is found by reading the named variable, if the key that it
 * holds was made by the same module; one on the heap by the variable that points to it, or holds it among ones (GPrivate). Numbers are used again after pthread_key_delete, hence slot->since.
 *
 * Rules: creation and deletion may run in any thread and before our constructor; one short lock, no
 * foreign code under it. key_index_of is read without a lock by every pthread_getspecific.
 */
#include <stdatomic.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "elf/elf.h"
#include "slots/key_by.h"
#include "slots/key_guard.h"
#include "slots/key_item.h"
#include "slots/native.h"
#include "slots/origin.h"
#include "slots/policy.h"
#include "slots/keys.h"
#include "slots/kind.h"
#include "slots/slots.h"

struct key_binding key_bindings[SLOTS_MAX];
_Atomic uint64_t keys_destroyed[(SLOTS_MAX + 63) / 64];

struct known_key {
    bool is_live;
    uint16_t maker; /* 1 + the slot whose by= function made it; 0: none's */
    int trampoline_id;
    const void *variable; /* what was passed to the creating function */
    const void *caller;   /* its return address */
    void (*destructor)(void *);
};

static struct known_key known_keys[KEYS_MAX];
static unsigned keys_created; /* for n=N */

/* ---- where the value is ---- */

static const struct slot_kind slot_kind_native;

/* Cuts ",native" off. True: it was there, and the slot is native from now on. */
static bool take_native(struct slot *slot, char *text)
{
    char *option = strchr(text, ',');

    if (!option || strcmp(option, ",native") != 0)
        return false;
    *option = '\0';
    slot->kind = &slot_kind_native;
    slot->key_index = SLOT_NO_KEY;
    slot->size = sizeof(void *);
    slots_have_native = true;
    return true;
}

/* The user has not asked for it, but choose_store may decide so when the key is known. */
static bool key_may_be_native(const struct slot *slot)
{
    return slots_keys_native && slot->policy == POLICY_SHARE;
}

/* Makes such a slot native, or one of the overlay's if its key has a destructor. Before it is bound. */
static void choose_store(struct slot *slot, bool has_destructor)
{
    if (!slot_may_be_copied(slot) && !slot->key.overlay)
        return;
    if (!slot->key.overlay)
        slot->key.overlay = (uint16_t)(slot->key_index + 1);
    slot->kind = has_destructor ? &slot_kind_key : &slot_kind_native;
    slot->key_index = has_destructor ? (uint16_t)(slot->key.overlay - 1) : SLOT_NO_KEY;
    slot->size = sizeof(void *);
    slots_have_native = true;
    slot->note =
        has_destructor
            ? "another module has functions for keys of its own: if they do not come through "
              "baton, they see the thread's own value (the key has a destructor)"
            : "set in the C library's own store: another module has functions for keys of "
              "its own";
}

/* ---- binding ---- */

static void key_resolve(struct slot *slot);

static bool same_module(const void *one, const void *other)
{
    struct elf_module first, second;

    return elf_module_at(one, &first) && elf_module_at(other, &second) && first.base == second.base;
}

/* Resolve lock or creation; the slot is waiting. */
static void bind(struct slot *slot, pthread_key_t key, bool may_have_values)
{
    struct known_key *known = &known_keys[key];
    struct key_binding *binding;
    struct elf_module module = {.name = "?"};
    const char *reason;

    if (!policy_resolve(slot))
        return;
    elf_module_at(known->caller, &module);
    reason = slot_deny_reason(slot->key.by_creator ? NULL : slot->key.name, module.name);
    if (reason && !slots_force) {
        slot_refuse(slot, reason);
        return;
    }
    if (known->trampoline_id == UNGUARDED) {
        slot_refuse(slot, "its destructor could not be guarded: too many keys");
        return;
    }
    choose_store(slot, known->destructor != NULL);
    if (slot_is_native(slot)) {
        native_bind(slot, key, known->destructor != NULL, module.name);
        return;
    }
    binding = &key_bindings[slot->key_index];
    if (binding->since)
        may_have_values =
            true; /* contexts may hold values of the key that had this key index before */
    binding->key = key;
    binding->destructor = known->destructor;
    binding->slot = slot;
    binding->is_owned = slot->is_owned;
    if (known->destructor) {
        slot_pin((const void *)known->destructor);
        atomic_fetch_or(&keys_destroyed[slot->key_index / 64], (uint64_t)1 << slot->key_index % 64);
    }
    slot_bound(slot, module.name, slot->key.name ? slot->key.name : slot->item);
    binding->since = slot->since;
    __atomic_store_n(&binding->is_bound, true, __ATOMIC_RELEASE);
    __atomic_store_n(&key_index_of[key], (uint8_t)(slot->key_index + 1), __ATOMIC_RELEASE);
    if (slots_calls.changed)
        slots_calls.changed(may_have_values);
}

/* Of by=: did its function make the key? Then it is counted. True: it is the one that is meant. */
static bool is_made_for(struct slot *slot, struct known_key *known)
{
    if (slot->state == SLOT_WAITING && !slot->key.is_lasting)
        key_resolve(slot);
    if (!key_by_is_maker(slot, known->caller))
        return false;
    known->maker = (uint16_t)(slot - slots + 1);
    return key_by_count(slot);
}

/* Does the key that was just made belong to this slot, which says so otherwise than by=? */
static bool is_wanted(struct slot *slot, const void *variable)
{
    if (!slot->kind->is_key || slot->state != SLOT_WAITING)
        return false;
    if (slot->key.order)
        return slot->key.order == keys_created;
    if (!slot->key.is_lasting)
        key_resolve(slot);
    return slot->state == SLOT_WAITING && slot->key.variable &&
           (const void *)slot->key.variable == variable;
}

void key_created(int trampoline_id, pthread_key_t key, const void *variable, const void *caller,
                 bool is_ok)
{
    struct known_key *known;
    struct slot *wanted = NULL;

    if (!is_ok || key >= KEYS_MAX) {
        if (!is_ok)
            key_guard_drop(trampoline_id);
        return;
    }
    known = &known_keys[key];
    known->variable = variable;
    known->caller = caller;
    known->trampoline_id = trampoline_id;
    known->destructor = key_guard_keep(trampoline_id, key);
    known->maker = 0;
    known->is_live = true;
    keys_created++;
    for (unsigned i = 0; i < slots_count; i++) {
        struct slot *slot = &slots[i];
        bool is_by = slot->kind->is_key && slot->key.by_creator && slot->state != SLOT_REFUSED;

        if ((is_by ? is_made_for(slot, known) : !wanted && is_wanted(slot, variable)) && !wanted)
            wanted = slot;
    }
    if (wanted)
        bind(wanted, key, false);
    else
        slots_look_again(); /* perhaps it is stored in a named variable later */
}

/* The key index's key is no more: what contexts hold of it is void, nothing of it is destroyed by us. */
static void unbind(unsigned key_index, const char *reason)
{
    struct key_binding *binding = &key_bindings[key_index];
    struct slot *slot = (struct slot *)(uintptr_t)binding->slot;

    __atomic_store_n(&key_index_of[binding->key], 0, __ATOMIC_RELEASE);
    __atomic_store_n(&binding->is_bound, false, __ATOMIC_RELEASE);
    atomic_fetch_add(&slots_epoch, 1);
    slot->was_bound = true;
    slot->state = SLOT_WAITING;
    slot->reason = reason;
    if (slot->policy == POLICY_WEAK)
        origin_slot_gone(slot);
    if (slots_calls.key_gone)
        slots_calls.key_gone(key_index);
    if (slots_calls.changed)
        slots_calls.changed(true);
}

static const char *native_is_deleted(const struct slot *slot, const void *key)
{
    return slot->key.number == *(const pthread_key_t *)key ? "its key was deleted" : NULL;
}

static bool is_library_gone(const struct slot *slot)
{
    struct elf_module module;

    return !slot->key.is_lasting && slot->key.variable &&
           !elf_module_at((const void *)slot->key.variable, &module);
}

static const char *native_is_unloaded(const struct slot *slot, const void *unused)
{
    return is_library_gone(slot) ? "its library was unloaded" : NULL;
}

int key_will_delete(pthread_key_t key)
{
    struct known_key *known;
    int trampoline_id;

    if (key >= KEYS_MAX)
        return NO_TRAMPOLINE;
    known = &known_keys[key];
    if (key_index_of[key])
        unbind(key_index_of[key] - 1u, "its key was deleted");
    native_unbind(native_is_deleted, &key);
    known->is_live = false;
    key_by_forget(known->maker);
    trampoline_id = known->trampoline_id;
    known->trampoline_id = NO_TRAMPOLINE;
    key_guard_end(trampoline_id);
    return trampoline_id;
}

void key_deleted(int trampoline_id)
{
    key_guard_drop(trampoline_id);
}

/* A plugin that leaks its key leaves a dead key index; when it is loaded again it makes another. */
void keys_library_unloaded(void)
{
    for (unsigned key_index = 0; key_index < slots_key_count; key_index++) {
        const struct key_binding *binding = &key_bindings[key_index];

        if (binding->is_bound && is_library_gone(binding->slot))
            unbind(key_index, "its library was unloaded");
    }
    native_unbind(native_is_unloaded, NULL);
}

/* ---- the kind ---- */

static bool key_parse(struct slot *slot, char *text, struct slot_error *error)
{
    return key_item_parse(slot, text, take_native(slot, text), error);
}

/* MODULE+0xOFFSET */
static int visit_key(const struct elf_module *module, void *arg)
{
    struct slot *slot = arg;

    if (!elf_module_match(module, slot->key.module))
        return 0;
    slot->key.variable = module->base + slot->key.module_offset;
    slot->key.is_lasting = elf_module_is_startup(module);
    if (slot->key.variable < module->lo || slot->key.variable >= module->hi)
        slot_refuse(slot, "outside of the module");
    return 1;
}

static void key_find(struct slot *slot)
{
    struct elf_search found;
    const struct elf_symbol *symbol = &found.query.found;

    if (!slot->key.name) {
        elf_each_module(visit_key, slot);
        return;
    }
    if (!slot_name_find(slot->key.id, &found))
        return;
    if (symbol->is_local && symbol->matches > 1) {
        slot_refuse(slot, "several static symbols have this name");
        return;
    }
    slot->key.is_lasting = elf_module_is_startup(&found.where);
    if (slot->key.by_creator) {
        slot->key.creator_lo = symbol->value;
        slot->key.creator_hi = symbol->value + (symbol->size ? symbol->size : 1);
    } else {
        slot->key.variable = symbol->value;
    }
}

/*
 * Is the key that the named variable holds the one that was stored there, and not a number that
 * happens to be there? Zero is a key and is what an unused variable holds: then only a key that was
 * made in a local variable can have been meant.
 */
static bool is_stored_here(const struct slot *slot, pthread_key_t key)
{
    const struct known_key *known = &known_keys[key];
    struct elf_module module;

    if (known->variable == (const void *)slot->key.variable)
        return true;
    return same_module(known->caller, (const void *)slot->key.variable) &&
           (key != 0 || !elf_module_at(known->variable, &module));
}

/* A key's variable is shorter: what lies behind it is read, too, which a sanitizer must not take for a mistake. */
__attribute__((no_sanitize("address", "thread"))) static uintptr_t cell_at(uintptr_t variable)
{
    return *(const volatile uintptr_t *)variable;
}

/* A word of ones with the key in its lower half: GPrivate of later versions of GLib, which make it in a local variable. */
static pthread_key_t key_in(uintptr_t cell)
{
    pthread_key_t key = (pthread_key_t)cell;
    struct elf_module module;

    if (cell >> 32 != UINT32_MAX || key >= KEYS_MAX || !known_keys[key].is_live ||
        elf_module_at(known_keys[key].variable, &module))
        return KEYS_MAX;
    return key;
}

/* GLib's GPrivate, and others that make keys on the heap: the variable points to where the key was put, or holds it.
 * KEYS_MAX: neither. */
static pthread_key_t key_behind(const struct slot *slot)
{
    struct elf_module module;
    pthread_key_t in;
    uintptr_t cell;

    if (slot->key.variable % sizeof cell != 0 ||
        elf_segment_end((const void *)slot->key.variable) < slot->key.variable + sizeof cell)
        return KEYS_MAX;
    cell = cell_at(slot->key.variable);
    if (!cell)
        return KEYS_MAX;
    in = key_in(cell);
    if (in < KEYS_MAX)
        return in;
    for (pthread_key_t key = 0; key < KEYS_MAX; key++) {
        if (known_keys[key].is_live && (uintptr_t)known_keys[key].variable == cell &&
            !elf_module_at((const void *)cell, &module))
            return key;
    }
    return KEYS_MAX;
}

/* A key of the C library's that nobody told us of: its destructor is not known. */
static bool is_unknown(pthread_key_t key)
{
    return slots_calls.key_write && key < KEYS_MAX && !known_keys[key].is_live &&
           slots_calls.key_write(key, slots_calls.key_read(key)) == 0;
}

/* The key that the variable holds, and that nobody carries yet; KEYS_MAX: none. */
static pthread_key_t key_stored(const struct slot *slot)
{
    pthread_key_t key;

    memcpy(&key, (const void *)slot->key.variable, sizeof key);
    if (key >= KEYS_MAX || !known_keys[key].is_live || key_index_of[key] ||
        !is_stored_here(slot, key))
        key = key_behind(slot);
    return key < KEYS_MAX && !key_index_of[key] ? key : KEYS_MAX;
}

/* It would have been bound at the next handoff. */
static const char *key_why_waiting(const struct slot *slot)
{
    return slot->key.variable && slot->key.is_lasting && key_stored(slot) < KEYS_MAX
               ? "a key is stored in it, but nothing was handed over since"
               : NULL;
}

/* Finds the variable; and the key in it, if one was stored there that we saw being made. */
static void key_resolve(struct slot *slot)
{
    pthread_key_t key;

    if (slot->key.order)
        return;
    /* A library that came by dlopen may be gone by now, and its address be another's. */
    if (!slot->key.is_lasting) {
        slot->key.variable = slot->key.creator_lo = 0;
        key_find(slot);
    }
    if (slot->state == SLOT_REFUSED)
        return;
    if (!slot->key.variable && !slot->key.creator_lo) {
        slot->reason = slot->key.by_creator ? "no loaded module has a function of this name"
                                            : "no loaded module has a variable of this name";
        return;
    }
    if (slot->key.by_creator) {
        slot->reason = key_by_reason(slot);
        return;
    }
    slot->reason = "no key has been stored in it yet";
    memcpy(&key, (const void *)slot->key.variable, sizeof key);
    if (key && !slot->key.is_lasting && is_unknown(key))
        slot->reason = "its key was made where its creation cannot be seen: in a constructor of a "
                       "module that was opened with RTLD_DEEPBIND";
    key = key_stored(slot);
    if (key < KEYS_MAX)
        bind(slot, key, true);
}

static unsigned key_names(const struct slot *slot, struct slot_meant *meant)
{
    if (!slot->key.name)
        return 0;
    *meant = (struct slot_meant){.name = slot->key.name,
                                 .module = slot->key.module,
                                 .id = slot->key.id,
                                 .want = slot->key.by_creator ? ELF_FUNC : ELF_OBJECT};
    return 1;
}

static bool key_needs_stacks(const struct slot *slot)
{
    return slot->key.by_creator;
}

static bool key_will_come(const struct slot *slot)
{
    return slot->key.order || slot->key.variable || slot->key.creator_lo;
}

const struct slot_kind slot_kind_key = {
    .form = &key_form,
    .check = key_item_check,
    .parse = key_parse,
    .names = key_names,
    .is_key = true,
    .needs_stacks = key_needs_stacks,
    .may_be_copied = key_may_be_native,
    .will_come = key_will_come,
    .why_waiting = key_why_waiting,
    .resolve = key_resolve,
};

static const struct slot_kind slot_kind_native = {
    .form = &key_form,
    .names = key_names,
    .is_key = true,
    .needs_stacks = key_needs_stacks,
    .will_come = key_will_come,
    .why_waiting = key_why_waiting,
    .resolve = key_resolve,
    .read = native_read,
    .write = native_write,
    .same = native_same,
};
