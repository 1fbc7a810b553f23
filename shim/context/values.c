/*
 * A chained hash table under one short lock. It is touched when a context is built or freed, never
 * per handoff, and only for values whose key has a destructor.
 *
 * Rules: no foreign code under the lock (destructors run after it is dropped); an entry lives while
 * held > 0; the destructor is read at the moment it runs, so that pthread_key_delete wins. Once,
 * after owner and contexts, in every interleaving of an owner's end with those, once for each owner where there are several,
 * and never after the key is gone: tests/unit/test_model_values.c.
 */
#include "context/values.h"

#include <stddef.h>

#include "base/lock.h"
#include "base/mem.h"
#include "slots/keys.h"
#include "slots/slots.h"

enum { BUCKETS = 1024 };

struct value {
    struct value *next;
    void *pointer;
    uint32_t since;
    uint16_t key_index;
    uint32_t owned; /* contexts */
    uint32_t due;   /* destructions to carry out */
};

static struct lock values_lock;
static struct value *values_table[BUCKETS];
static int64_t values_alive;

static struct value **values_find(unsigned key_index, uint32_t since, void *pointer)
{
    uint64_t hash = ((uintptr_t)pointer >> 4) * 0x9e3779b97f4a7c15u + key_index;
    struct value **link = &values_table[(hash >> 40) % BUCKETS];

    while (*link && ((*link)->pointer != pointer || (*link)->key_index != key_index ||
                     (*link)->since != since))
        link = &(*link)->next;
    return link;
}

bool values_hold(unsigned key_index, uint32_t since, void *pointer)
{
    struct value *fresh = NULL, **link;

    for (;;) {
        lock_take(&values_lock);
        link = values_find(key_index, since, pointer);
        if (*link) {
            (*link)->owned++;
            lock_drop(&values_lock);
            mem_free(fresh, sizeof *fresh);
            return true;
        }
        if (fresh) {
            *fresh = (struct value){
                .pointer = pointer, .since = since, .key_index = key_index, .owned = 1};
            *link = fresh;
            values_alive++;
            lock_drop(&values_lock);
            return true;
        }
        lock_drop(&values_lock);
        fresh = mem_alloc(sizeof *fresh);
        if (!fresh)
            return false;
    }
}

void values_let_go(unsigned key_index, uint32_t since, void *pointer)
{
    struct value **link, *gone = NULL;
    uint32_t due = 0;

    lock_take(&values_lock);
    link = values_find(key_index, since, pointer);
    if (*link && --(*link)->owned == 0) {
        gone = *link;
        due = gone->due;
        *link = gone->next;
        values_alive--;
    }
    lock_drop(&values_lock);
    mem_free(gone, sizeof *gone);
    while (due--) {
        struct key_binding *binding = &key_bindings[key_index];
        void (*destructor)(void *) = binding->destructor;

        if (binding->is_bound && binding->since == since && destructor)
            destructor(pointer);
    }
}

bool values_defer(unsigned key_index, uint32_t since, void *pointer)
{
    struct value *value;

    lock_take(&values_lock);
    value = *values_find(key_index, since, pointer);
    if (value)
        value->due++;
    lock_drop(&values_lock);
    return value != NULL;
}

void values_forget(unsigned key_index)
{
    struct value *gone = NULL, *next;

    lock_take(&values_lock);
    for (unsigned i = 0; i < BUCKETS; i++) {
        struct value **link = &values_table[i];

        while (*link) {
            struct value *value = *link;

            if (value->key_index != key_index) {
                link = &value->next;
                continue;
            }
            *link = value->next;
            value->next = gone;
            gone = value;
            values_alive--;
        }
    }
    lock_drop(&values_lock);
    for (; gone; gone = next) {
        next = gone->next;
        mem_free(gone, sizeof *gone);
    }
}

int64_t values_count(void)
{
    return values_alive;
}

void values_fork_lock(void)
{
    lock_take_for_fork(&values_lock);
}

void values_fork_unlock(bool is_child)
{
    if (is_child)
        values_alive = 0;
    lock_drop_after_fork(&values_lock);
}
