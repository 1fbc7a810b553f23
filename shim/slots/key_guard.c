/*
 * Destructors of keys. As long as a key may still turn out to be carried, it is created with a trampoline as
 * its destructor, which lets the context room keep values that are still referenced (rule 17).
 *
 * Rules: any thread, also before our constructor; no lock: the thread that takes a trampoline owns it until its key is
 * deleted.
 */
#include "slots/key_guard.h"
#include "slots/keys.h"

#include <stdatomic.h>

enum { TRAMPOLINES = 256 };

uint8_t key_index_of[KEYS_MAX];

/* The destructors that are handed to the C library; a trampoline id is an index here. */
static struct trampoline {
    _Atomic bool is_taken;
    void (*destructor)(void *);
    pthread_key_t key;
} trampolines[TRAMPOLINES];

/* One after the other: a thread that ends may have read the function of a key that is being deleted, and call it a
 * little later. What it meets then is still that key's. */
static _Atomic unsigned next_trampoline;

static __attribute__((noinline)) void destroy(int number, void *value)
{
    struct trampoline *trampoline = &trampolines[number];
    unsigned key_index = trampoline->key < KEYS_MAX ? key_index_of[trampoline->key] : 0;

    if (key_index && slots_calls.destroying && slots_calls.destroying(key_index - 1, value))
        return;
    trampoline->destructor(value);
}

/* clang-format off */
#define TRAMPOLINE(n)                           \
    static void destructor_##n(void *value)     \
    {                                           \
        destroy(0x##n, value);                  \
    }
#define TRAMPOLINE_CASE(n) case 0x##n: return destructor_##n;
#define SIXTEEN(X, h) \
    X(h##0) X(h##1) X(h##2) X(h##3) X(h##4) X(h##5) X(h##6) X(h##7) X(h##8) X(h##9) X(h##a) X(h##b) X(h##c) X(h##d) X(h##e) X(h##f)
#define ALL_TRAMPOLINES(X)                                                                                   \
    SIXTEEN(X, 0) SIXTEEN(X, 1) SIXTEEN(X, 2) SIXTEEN(X, 3) SIXTEEN(X, 4) SIXTEEN(X, 5) SIXTEEN(X, 6)    \
    SIXTEEN(X, 7) SIXTEEN(X, 8) SIXTEEN(X, 9) SIXTEEN(X, a) SIXTEEN(X, b) SIXTEEN(X, c) SIXTEEN(X, d)    \
    SIXTEEN(X, e) SIXTEEN(X, f)
ALL_TRAMPOLINES(TRAMPOLINE)
/* clang-format on */

/* Not a table of pointers: the loader would have to write it at every start of every program. */
static key_destructor *trampoline_function(int number)
{
    switch (number) {
        ALL_TRAMPOLINES(TRAMPOLINE_CASE)
    }
    return NULL;
}

key_destructor *key_will_create(key_destructor *destructor, int *trampoline_id)
{
    *trampoline_id = NO_TRAMPOLINE;
    if (!destructor)
        return NULL;
    for (unsigned tries = 0; tries < TRAMPOLINES; tries++) {
        int i = (int)(atomic_fetch_add_explicit(&next_trampoline, 1, memory_order_relaxed) %
                      TRAMPOLINES);
        bool expected = false;

        if (atomic_compare_exchange_strong(&trampolines[i].is_taken, &expected, true)) {
            *trampoline_id = i;
            trampolines[i].destructor = destructor;
            trampolines[i].key = KEYS_MAX;
            return trampoline_function(i);
        }
    }
    *trampoline_id = UNGUARDED;
    return destructor;
}

key_destructor *key_guard_keep(int trampoline_id, pthread_key_t key)
{
    if (trampoline_id < 0)
        return NULL;
    trampolines[trampoline_id].key = key;
    return trampolines[trampoline_id].destructor;
}

void key_guard_end(int trampoline_id)
{
    if (trampoline_id >= 0)
        trampolines[trampoline_id].key = KEYS_MAX;
}

void key_guard_drop(int trampoline_id)
{
    if (trampoline_id >= 0)
        atomic_store(&trampolines[trampoline_id].is_taken, false);
}
