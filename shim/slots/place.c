/*
 * fn:at=F,size=N: state at an address that a function answers, each thread another one (__errno_location).
 *
 * F is called whenever the state is read or written: a library may make it in the thread's first call, and
 * elsewhere in the next. It is foreign code, so no lock is held, and errno is ours to keep.
 * Written to is only what is a thread's own: an F that answers two threads with one static object has no
 * state of a thread behind it, and is let alone from then on. One thread may have a static object (libxml2's first
 * thread has).
 */
#include <errno.h>
#include <string.h>

#include "base/arch.h"
#include "elf/elf.h"
#include "slots/fn.h"
#include "slots/kind.h"

typedef void *locator(void);

/* Values of struct slot's object that are no addresses. */
enum { NOT_LOOKED_AT = 0, NONE_STATIC = 1, SHARED = 2, WRITES = 3 };

/* The first answer is looked at: a static object, or one on some heap or among the thread's own. */
static bool look(struct slot *slot, void *object, uintptr_t thread)
{
    uintptr_t none = 0;
    struct elf_module module;

    if (atomic_compare_exchange_strong(&slot->fn.object_thread, &none, thread))
        atomic_store_explicit(&slot->fn.object,
                              elf_module_at(object, &module) ? (uintptr_t)object : NONE_STATIC,
                              memory_order_release);
    return true;
}

static bool is_own(const struct slot *place, void *object)
{
    struct slot *slot = (struct slot *)(uintptr_t)place;
    uintptr_t before = atomic_load_explicit(&slot->fn.object, memory_order_acquire);
    uintptr_t thread = (uintptr_t)arch_tp();

    if (before == NONE_STATIC)
        return true;
    if (before == NOT_LOOKED_AT)
        return look(slot, object, thread);
    if (before != SHARED &&
        (before != (uintptr_t)object || atomic_load(&slot->fn.object_thread) == thread))
        return true;
    atomic_store(&slot->fn.object, SHARED);
    slot_failed_as(slot, "the function of at= answers two threads with one static object");
    return false;
}

/* False: it is none that answers, and is not asked any more. */
static bool ask(const struct slot *place, void **object)
{
    struct slot *slot = (struct slot *)(uintptr_t)place;
    uintptr_t seen = atomic_load_explicit(&slot->fn.object, memory_order_relaxed), answer;

    if (seen != NOT_LOOKED_AT && seen != WRITES) {
        *object = ((locator *)slot->fn.function[FN_GET])();
        return true;
    }
    if (seen == WRITES || !fn_answers(slot, &answer)) {
        atomic_store(&slot->fn.object, WRITES);
        slot_failed_as(slot, "the function of at= writes to an address: fill=F,size=N fits it");
        return false;
    }
    *object = (void *)answer;
    return true;
}

/* Where the calling thread has it. NULL: nowhere, or not for itself. */
static void *find(const struct slot *slot)
{
    int saved_errno = errno;
    void *object = NULL;

    if (!ask(slot, &object))
        object = NULL;
    else if (!object)
        slot_failed_as(slot, "the function of at= answers no address");
    else if (!is_own(slot, object))
        object = NULL;
    errno = saved_errno;
    return object;
}

static bool is_any_set(const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i])
            return true;
    }
    return false;
}

static bool place_read(const struct slot *slot, void *value)
{
    const void *object = find(slot);

    if (object)
        memcpy(value, object, slot->size);
    else
        memset(value, 0, slot->size);
    return object && is_any_set(value, slot->size);
}

static void place_write(const struct slot *slot, void *value)
{
    void *object = find(slot);

    if (object)
        memcpy(object, value, slot->size);
}

static bool place_same(const struct slot *slot, const void *value)
{
    const void *object = find(slot);

    return object ? memcmp(object, value, slot->size) == 0 : !is_any_set(value, slot->size);
}

static const char *place_reason(const struct slot *slot, const struct elf_module *module,
                                const struct elf_symbol *symbol)
{
    (void)symbol;
    return slots_force ? NULL : slot_deny_place(slot->fn.name[FN_GET], module->name);
}

static void place_resolve(struct slot *slot)
{
    const char *module;

    if (!fn_find(slot, &module))
        return;
    slot_pin(slot->fn.function[FN_GET]);
    slot_bound(slot, module, slot->fn.name[FN_GET]);
}

const struct slot_kind slot_kind_place = {
    .form = &fn_form,
    .names = fn_names,
    .reason = place_reason,
    .calls_out = true,
    .may_dangle = true,
    .resolve = place_resolve,
    .read = place_read,
    .write = place_write,
    .same = place_same,
};
