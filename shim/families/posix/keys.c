/*
 * Thread-specific data: keys as they are made and deleted, and the overlay's reads and writes.
 *
 * These hooks are on only when a key is carried. getspecific is the hottest function we own: a key
 * that is not carried costs a table look-up; one that is reads the attached context first.
 */
#include "context/fast.h"
#include "interpose/hooks.h"
#include "slots/keys.h"
#include "slots/slots.h"

static int create(int (*real)(unsigned *, void (*)(void *)), unsigned *key,
                  void (*destructor)(void *), const void *caller)
{
    int trampoline_id;
    key_destructor *guarded = key_will_create(destructor, &trampoline_id);
    int result = real(key, guarded);

    key_created(trampoline_id, result == 0 ? *key : 0, key, caller, result == 0);
    return result;
}

int hook_pthread_key_create(unsigned *key, void (*destructor)(void *))
{
    return create(REAL(pthread_key_create), key, destructor, __builtin_return_address(0));
}

int hook___pthread_key_create(unsigned *key, void (*destructor)(void *))
{
    return create(REAL(__pthread_key_create), key, destructor, __builtin_return_address(0));
}

int hook_tss_create(unsigned *key, void (*destructor)(void *))
{
    return create(REAL(tss_create), key, destructor, __builtin_return_address(0));
}

/* Until the C library has deleted the key, threads that end may call its destructor. */
int hook_pthread_key_delete(unsigned key)
{
    int trampoline_id = key_will_delete(key), error = REAL(pthread_key_delete)(key);

    key_deleted(trampoline_id);
    return error;
}

void hook_tss_delete(unsigned key)
{
    int trampoline_id = key_will_delete(key);

    REAL(tss_delete)(key);
    key_deleted(trampoline_id);
}

/*
 * A context that is older than the key's key index (the key was deleted and made again) must not show
 * the old key's value. scope_enter_slow attaches a cleaned copy; what was attached before is looked
 * at here, once a key that contexts may know has been made again.
 */
#define GETSPECIFIC(name)                                                                      \
    void *hook_##name(unsigned key)                                                            \
    {                                                                                          \
        size_t key_index;                                                                      \
                                                                                               \
        if (likely(key < KEYS_MAX) && unlikely(key_index = key_index_of[key])) {               \
            const struct thread *thread = thread_self;                                         \
                                                                                               \
            if (thread_is_attached(thread)) {                                                  \
                if (unlikely(atomic_load_explicit(&context_reads_slow, memory_order_relaxed))) \
                    return context_read_key((unsigned)key_index - 1);                          \
                return (void *)(&thread->attached->base)[key_index]; /* key[key index - 1] */  \
            }                                                                                  \
        }                                                                                      \
        return REAL_LIBC(name)(key);                                                           \
    }

GETSPECIFIC(pthread_getspecific)
GETSPECIFIC(__pthread_getspecific)
GETSPECIFIC(tss_get)

static inline __attribute__((always_inline)) int set(unsigned key, const void *value,
                                                     enum hook_id id)
{
    size_t number = likely(key < KEYS_MAX) ? key_index_of[key] : 0; /* key index and one */

    __asm__("" : "+r"(number)); /* or its low byte is looked at once more, elsewhere */
    return likely(!number) ? ((int (*)(unsigned, const void *))hook_real[id])(key, value)
                           : set_carried(key, number, value, &hook_real[id]);
}

int hook_pthread_setspecific(unsigned key, const void *value)
{
    return set(key, value, HOOK_pthread_setspecific);
}

int hook___pthread_setspecific(unsigned key, const void *value)
{
    return set(key, value, HOOK___pthread_setspecific);
}

/* glibc's tss_set answers thrd_success (0) or thrd_error (2); the overlay's ENOMEM is the latter. */
int hook_tss_set(unsigned key, void *value)
{
    return set(key, value, HOOK_tss_set) ? 2 : 0;
}
