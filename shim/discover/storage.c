/*
 * QThreadStorage of Qt: noted like keys are, by a number of its own, and each value by its first bytes.
 *
 * Qt may have been opened for its opener alone (a plugin's, Python's), where nobody else finds its functions: they are
 * looked for as the caller reaches them, when the first storage is made, and that Qt stays loaded.
 */
#include <dlfcn.h>
#include <stdint.h>

#include "discover/own.h"
#include "discover/record.h"

#define EXPORTED __attribute__((visibility("default")))
#define FROM __builtin_extract_return_addr(__builtin_return_address(0))

#define storage_made _ZN18QThreadStorageDataC1EPFvPvE
#define storage_gone _ZN18QThreadStorageDataD1Ev
#define storage_get _ZNK18QThreadStorageData3getEv
#define storage_set _ZN18QThreadStorageData3setEPv

extern void storage_made(int *storage, void (*end)(void *));
extern void storage_gone(int *storage);
extern void **storage_get(const int *storage);
extern void **storage_set(int *storage, void *value);

static __typeof__(&storage_made) qt_made;
static __typeof__(&storage_gone) qt_gone;
static __typeof__(&storage_get) qt_get;
static __typeof__(&storage_set) qt_set;

static void find_in(void *library)
{
#define NAME_OF(name) NAME(name)
#define NAME(name) #name
    qt_gone = (__typeof__(qt_gone))OWN(dlsym)(library, NAME_OF(storage_gone));
    qt_get = (__typeof__(qt_get))OWN(dlsym)(library, NAME_OF(storage_get));
    qt_set = (__typeof__(qt_set))OWN(dlsym)(library, NAME_OF(storage_set));
    /* Last: it says that the others are known. */
    __atomic_store_n(&qt_made, (__typeof__(qt_made))OWN(dlsym)(library, NAME_OF(storage_made)),
                     __ATOMIC_RELEASE);
}

/* Threads that come at the same time write the same. FROM: where it was called. */
static void find_qt(const void *from)
{
    Dl_info caller, found;
    void *library;

    if (__atomic_load_n(&qt_made, __ATOMIC_ACQUIRE))
        return;
    find_in(RTLD_NEXT);
    if (qt_made || !OWN(dladdr)(from, &caller) ||
        !(library = OWN(dlopen)(caller.dli_fname, RTLD_LAZY | RTLD_NOLOAD)))
        return;
    find_in(library);
    if (qt_made && OWN(dladdr)((void *)qt_made, &found))
        OWN(dlopen)(found.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
    OWN(dlclose)(library);
}

/* It consists of its number, from 0. */
static unsigned storage_number(const int *storage)
{
    return *storage >= 0 && *storage < DISCOVER_STORAGES ? DISCOVER_KEYS + (unsigned)*storage
                                                         : DISCOVER_NUMBERS;
}

/* Of the object behind the pointer. It may be shorter: of what is behind it no more than its page is sure to be there. */
static void *told_by_bytes(void *const *cell)
{
    enum { BYTES = 24, PAGE = 4096 };
    uint64_t sum = 1469598103934665603u;
    const volatile unsigned char *at = cell ? *cell : NULL;

    if (!at)
        return NULL;
    for (unsigned i = 0; i < BYTES && (i == 0 || (uintptr_t)(at + i) % PAGE != 0); i++)
        sum = (sum ^ at[i]) * 1099511628211u;
    return (void *)(sum | 1);
}

EXPORTED void storage_made(int *storage, void (*end)(void *))
{
    find_qt(FROM);
    qt_made(storage, end);
    key_made(storage_number(storage), storage, (const void *)end, FROM);
}

EXPORTED void storage_gone(int *storage)
{
    find_qt(FROM);
    key_gone(storage_number(storage));
    qt_gone(storage);
}

EXPORTED void **storage_get(const int *storage)
{
    void **cell;

    find_qt(FROM);
    cell = qt_get(storage);
    if (page && !(own && own->is_busy))
        key_got(storage_number(storage), told_by_bytes(cell), FROM);
    return cell;
}

EXPORTED void **storage_set(int *storage, void *value)
{
    find_qt(FROM);
    key_set(storage_number(storage), value, FROM);
    return qt_set(storage, value);
}

extern void *discover_read_storage(void *storage);
void *discover_read_storage(void *storage)
{
    return told_by_bytes(qt_get(storage));
}
