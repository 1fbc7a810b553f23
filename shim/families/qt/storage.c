/*
 * QThreadStorage: the slots are told which there are, and when a thread first looks at its values (slots/storage.c).
 * Nothing is handed over here. While no item names one, these calls only pass.
 */
#include "slots/slots.h"
#include "slots/storage.h"
#include "families/handoff.h"

#define make _ZN18QThreadStorageDataC1EPFvPvE
#define end _ZN18QThreadStorageDataD1Ev
#define get _ZNK18QThreadStorageData3getEv
#define set _ZN18QThreadStorageData3setEPv
#define BODY_AS(name) hook_##name
#define BODY(name) BODY_AS(name)
#define REAL_OF(name) REAL(name)
#define REAL_OF_FOR(name, caller) REAL_FOR(name, caller)

void BODY(make)(struct QThreadStorageData *storage, void (*delete_value)(void *))
{
    const void *caller = __builtin_return_address(0);
    REAL_OF_FOR(make, caller)(storage, delete_value);
    if (likely(!storages_wanted))
        return;
    /* At once, and not at the next capture: files are opened, which a program may no longer do once it has begun. */
    if (storage_made(storage, delete_value, (storage_get *)REAL_OF_FOR(get, caller),
                     (storage_set *)REAL_OF_FOR(set, caller)))
        slots_resolve();
}

void BODY(end)(struct QThreadStorageData *storage)
{
    if (storages_wanted)
        storage_gone(storage);
    REAL_OF(end)(storage);
}

void **BODY(set)(struct QThreadStorageData *storage, void *value)
{
    if (storages_wanted)
        storage_looks();
    return REAL_OF(set)(storage, value);
}

void **BODY(get)(const struct QThreadStorageData *storage)
{
    if (storages_wanted)
        storage_looks();
    return REAL_OF(get)(storage);
}
