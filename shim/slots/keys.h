/* pthread keys: which of the program's are carried, and what their hooks tell (key.c). */
#ifndef BATON_SLOTS_KEYS_H
#define BATON_SLOTS_KEYS_H

#include "slots/slots.h"

#pragma GCC visibility push(hidden)

enum { KEYS_MAX = 1024 }; /* PTHREAD_KEYS_MAX of glibc; keys above are never carried */

/* By key index: some context that was made had a value of it. */
extern _Atomic uint8_t keys_had_value[SLOTS_MAX] __attribute__((visibility("hidden")));

/* Told once, so that a line that others read is not written to again and again. */
static inline void key_note_value(unsigned key_index, const void *value)
{
    if (value && !atomic_load_explicit(&keys_had_value[key_index], memory_order_relaxed))
        atomic_store_explicit(&keys_had_value[key_index], 1, memory_order_relaxed);
}

/* 1 + key index of a carried key, 0 for every other: read by the hooked getspecific without a lock. */
extern uint8_t key_index_of[KEYS_MAX] __attribute__((visibility("hidden")));

struct key_binding {
    pthread_key_t key;
    bool is_bound;
    bool is_owned;              /* the slot's */
    uint32_t since;             /* slots_epoch in which this key took the key index */
    void (*destructor)(void *); /* the program's own, or NULL */
    const struct slot *slot;
};
extern struct key_binding key_bindings[SLOTS_MAX]; /* by key index */
/* A bit a key index: a key with a destructor has or had it. */
extern _Atomic uint64_t keys_destroyed[(SLOTS_MAX + 63) / 64] __attribute__((visibility("hidden")));

/*
 * Told by the hooks of key creation: before, what destructor to hand to the real function (the
 * program's, or a trampoline that asks slots_calls.destroying first); after, whether it succeeded.
 */
typedef void key_destructor(void *value);
key_destructor *key_will_create(key_destructor *destructor, int *trampoline_id);
void key_created(int trampoline_id, pthread_key_t key, const void *variable, const void *caller,
                 bool is_ok);
/* Before the real deletion; and after it, with what the first has answered. In between threads that end may call
 * the key's destructor. */
int key_will_delete(pthread_key_t key);
void key_deleted(int trampoline_id);
/* After a dlclose. */
void keys_library_unloaded(void);

#pragma GCC visibility pop

#endif
