/*
 * key:NAME,native: the value is set in the C library's own store for as long as a task runs.
 *
 * For readers that no overlay reaches: those that find pthread_getspecific without the loader's help.
 * Such a slot is moved like one behind functions; capture reads, attach sets, detach puts back.
 *
 * Keys become native by themselves where a module has functions for keys of its own that may lead
 * past us (slots_keys_native): what such a function reads is then right, wherever it leads.
 *
 * Rule: only keys without a destructor. Where there is one, the C library would destroy at a worker's
 * end what is only lent, and what a task has left would be overwritten with nobody to destroy it.
 */
#include "slots/native.h"
#include "slots/kind.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

void native_bind(struct slot *slot, pthread_key_t key, bool has_destructor, const char *module)
{
    if (has_destructor && !slots_force) {
        slot_refuse(slot, "native is for keys without a destructor");
        return;
    }
    slot->key.number = key;
    slot_bound(slot, module, slot->key.name ? slot->key.name : slot->item);
    if (slots_calls.changed)
        slots_calls.changed(true); /* threads may have set it before */
}

void native_unbind(const char *(*is_gone)(const struct slot *slot, const void *arg),
                   const void *arg)
{
    for (unsigned i = 0; slots_have_native && i < slots_count; i++) {
        struct slot *slot = &slots[i];
        const char *reason = slot_is_native(slot) && slot->state == SLOT_BOUND ? is_gone(slot, arg)
                                                                               : NULL;

        if (!reason)
            continue;
        slot->reason = reason;
        slot->was_bound = true;
        slot->state = SLOT_WAITING;
        atomic_fetch_add(&slots_epoch, 1);
        if (slots_calls.changed)
            slots_calls.changed(true);
    }
}

bool native_read(const struct slot *slot, void *value)
{
    void *now = slots_calls.key_read(slot->key.number);

    memcpy(value, &now, sizeof now);
    return now != NULL;
}

void native_write(const struct slot *slot, void *value)
{
    int saved_errno = errno;
    void *wanted;

    memcpy(&wanted, value, sizeof wanted);
    if (slots_calls.key_write(slot->key.number, wanted) != 0)
        slot_failed(slot);
    errno = saved_errno;
}

bool native_same(const struct slot *slot, const void *value)
{
    void *now = slots_calls.key_read(slot->key.number);

    return memcmp(value, &now, sizeof now) == 0;
}
