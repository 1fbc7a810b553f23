/*
 * What the constructors of a module see that is opened with RTLD_DEEPBIND. Its pointers are led back
 * to us when dlopen returns (bypass.c); until then it reads and sets keys in the C library's own
 * store. So for that long the store holds what the thread sees, and what was set there is taken into
 * the attached context afterwards, as if it had been set through us.
 *
 * Rule: a key that was deleted meanwhile, or made anew, is left alone.
 */
#include "interpose/deepbind.h"

#include <errno.h>

#include "context/context.h"
#include "slots/keys.h"

static __thread unsigned opening; /* modules that this thread is loading so, one inside the other */

static void *seen(const struct thread *thread, unsigned key_index, void *own)
{
    return thread_is_attached(thread) ? context_get_key(thread, key_index) : own;
}

void deepbind_show_keys(struct deepbind_keys *keys)
{
    const struct thread *thread = thread_self;
    int saved_errno = errno;

    keys->count = 0;
    for (unsigned key_index = 0; key_index < slots_key_count; key_index++) {
        struct deepbind_key *key = &keys->keys[keys->count];
        void *visible;

        if (!__atomic_load_n(&key_bindings[key_index].is_bound, __ATOMIC_ACQUIRE))
            continue;
        *key = (struct deepbind_key){.key = key_bindings[key_index].key, .key_index = key_index};
        key->own = key->shown = slots_calls.key_read(key->key);
        visible = seen(thread, key_index, key->own);
        if (visible != key->own && slots_calls.key_write(key->key, visible) == 0)
            key->shown = visible;
        keys->count++;
    }
    opening++;
    errno = saved_errno;
}

static void reclaim(const struct deepbind_key *key)
{
    const struct key_binding *binding = &key_bindings[key->key_index];
    const struct thread *thread = thread_self;
    void *now;

    if (!__atomic_load_n(&binding->is_bound, __ATOMIC_ACQUIRE) || binding->key != key->key)
        return;
    now = slots_calls.key_read(key->key);
    if (now != key->shown)
        context_set_key(key->key, key->key_index, now, slots_calls.key_write);
    if (!thread_is_attached(thread))
        return;
    /* Around us another module's constructors go on: they are to see what was set in here. */
    now = opening ? seen(thread, key->key_index, key->own) : key->own;
    if (now != slots_calls.key_read(key->key))
        slots_calls.key_write(key->key, now);
}

void deepbind_take_back_keys(const struct deepbind_keys *keys)
{
    int saved_errno = errno;

    opening--;
    for (unsigned i = 0; i < keys->count; i++)
        reclaim(&keys->keys[i]);
    errno = saved_errno;
}
