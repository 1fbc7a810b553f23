/*
 * For suites on the context room: the lower rooms started as init.c starts them, without hooks; and
 * what a hook body and its trampoline do around a callback.
 */
#ifndef UNIT_CORE_H
#define UNIT_CORE_H

#include <pthread.h>
#include <stdlib.h>

#include "base/arch.h"
#include "base/config.h"
#include "context/dangling.h"
#include "context/fast.h"
#include "context/pool/record.h"
#include "context/scope.h"
#include "context/thread.h"
#include "context/values.h"
#include "slots/keys.h"
#include "slots/slots.h"

enum { FAMILY_UNIT = 0 };

/* carry: "BATON_CARRY=...", must stay as it is. */
static inline void core_start(char *carry)
{
    static struct config config;
    char *environment[] = {carry, NULL};

    config_read(environment, &config);
    slots_parse(&config);
#ifdef CORE_STRICT
    if (dangling_start())
        dangling_on = slots_watched = origins_on = origins_tell = true;
#endif
    slots_begin();
    slots_calls.key_read = pthread_getspecific;
    slots_calls.key_write = pthread_setspecific;
    thread_init(pthread_key_create, pthread_setspecific, thread_leave_at_exit);
    context_init(0, 0);
}

static inline int core_key_create(pthread_key_t *key, void (*destructor)(void *))
{
    int trampoline_id;
    key_destructor *guarded = key_will_create(destructor, &trampoline_id);
    int result = pthread_key_create(key, guarded);

    key_created(trampoline_id, result == 0 ? *key : 0, key, __builtin_return_address(0),
                result == 0);
    return result;
}

static inline void core_key_delete(pthread_key_t key)
{
    int trampoline_id = key_will_delete(key);

    pthread_key_delete(key);
    key_deleted(trampoline_id);
}

/* As the hooks of families/posix/keys.c, which have no frame of their own. */
static inline void *core_get(pthread_key_t key)
{
    unsigned key_index = key_index_of[key];
    const struct thread *thread = thread_self;

    if (!key_index || !thread_is_attached(thread))
        return pthread_getspecific(key);
    return atomic_load(&context_reads_slow) ? context_read_key(key_index - 1)
                                            : thread->attached->key[key_index - 1];
}

static inline __attribute__((always_inline)) int core_set_by(pthread_key_t key, const void *value,
                                                             int (*real)(unsigned, const void *))
{
    void *function = (void *)real;

    return set_carried(key, key_index_of[key], value, &function);
}

static inline __attribute__((always_inline)) int core_set(pthread_key_t key, const void *value)
{
    return key_index_of[key] ? core_set_by(key, value, pthread_setspecific)
                             : pthread_setspecific(key, value);
}

/* Runs call(arg) in `context`, whose reference it takes over. */
static GUARDED __attribute__((unused)) void core_run(struct context *context, void (*call)(void *),
                                                     void *arg)
{
    GUARDED_FRAME();
    SCOPE_RUN(context, FRAME_OWNED, call(arg));
}

/* A thread that runs call(arg) in an attached context, as the hook of pthread_create has it. */
struct core_start {
    struct context *context;
    void (*call)(void *);
    void *arg;
};

static GUARDED __attribute__((unused)) void *core_thread_main(void *arg)
{
    GUARDED_FRAME();
    struct core_start start = *(struct core_start *)arg;

    free(arg);
    thread_begin();
    SCOPE_RUN(start.context, FRAME_OWNED | FRAME_THREAD, start.call(start.arg));
    thread_leave(thread_self);
    return NULL;
}

static inline pthread_t core_thread(void (*call)(void *), void *arg)
{
    struct core_start *start = malloc(sizeof *start);
    pthread_t thread;

    *start = (struct core_start){context_capture(FAMILY_UNIT), call, arg};
    pthread_create(&thread, NULL, core_thread_main, start);
    return thread;
}

/* Contexts that something still refers to once this thread's caches are given back. */
static inline int64_t core_alive(void)
{
    if (thread_self != &thread_unknown) {
        context_drop_snapshot(thread_self);
        context_flush_releases(thread_self);
        context_drop_lent(thread_self);
    }
    return context_count_alive();
}

#endif
