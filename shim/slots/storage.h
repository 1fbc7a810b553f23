/* QThreadStorage of Qt: qt:NAME (storage.c, storage_type.c). families/qt/storage.c tells of them. */
#ifndef BATON_SLOTS_STORAGE_H
#define BATON_SLOTS_STORAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct elf_module;
struct slot;

/* Qt's own functions, for the copy of Qt that the storage is of. */
typedef void **storage_get(const void *storage);
typedef void **storage_set(void *storage, void *value);

/* Some item names one: before that nothing has to be told. */
extern bool storages_wanted;

/* A storage was made at this address, or ends. END: what Qt deletes its values by. True: it is waited for, slots_resolve
 * has to be called. */
bool storage_made(void *storage, void (*end)(void *), storage_get *get, storage_set *set);
void storage_gone(const void *storage);
/* Before the calling thread asks for its value of some storage, or sets it. */
void storage_looks(void);

void storages_fork_lock(void);
void storages_fork_unlock(void);

/* ---- between the two files ---- */

/* How a value is copied. Foreign functions, which may run in any thread. */
struct storage_type {
    const char *word; /* behind codec=; NULL: copy=N */
    const char *file; /* of the user's codec; NULL: one that is known here */
    const char *prefix;
    size_t bytes;                       /* copy=N; of Qt's types: sizeof */
    void *(*clone)(const void *object); /* of a codec */
    void (*destroy)(void *object);
    void *(*assign)(void *to, const void *from); /* of Qt's types: operator= */
    const void *null; /* the word that a null object of them begins with */
    void *(*allocate)(size_t size, const void *nothrow);
    const void *nothrow;
    void (*release)(void *memory);
};

/* False: there is no codec of that word. */
bool storage_type_parse(struct storage_type *type, char *word);
/* Why a storage in this module cannot be of that type, as far as its names say; NULL: it can. END_NAME: the function that
 * deletes its values, "" where it has no name; NULL: not known which of the module's it is. */
const char *storage_type_reason(const struct storage_type *type, const struct elf_module *module,
                                const char *end_name);
/* What is not known of it before the program runs; NULL: nothing is left to be asked. */
const char *storage_type_doubt(const struct storage_type *type, const struct elf_module *module);
/* Finds what copies it. QT: an address in the copy of Qt. Why it cannot be; NULL: done. */
const char *storage_type_bind(struct storage_type *type, const struct elf_module *module,
                              const void *qt);
/* A copy that Qt may delete as it deletes the value itself. False: no memory. NULL in *copy: it is empty. */
bool storage_type_clone(const struct storage_type *type, const void *object, void **copy);
void storage_type_destroy(const struct storage_type *type, void *copy);

/* For baton check: the user's codec; NULL: it has none. */
const char *storage_codec(const struct slot *slot, const char **prefix);
/* The same of what cannot be said of its type; NULL: all can. */
const char *storage_doubt(const struct slot *slot, const struct elf_module *module);

#endif
