/*
 * "The current request" of the test programs, kept in one of five ordinary ways, chosen by argv:
 *   key    a pthread key in a global variable        request_key
 *   tss    a C11 key in a global variable            request_tss
 *   tls    a thread-local variable                   request_id
 *   fn     a getter and a setter                     request_get, request_set, request_fill, request_at
 *   swap   one function that sets and returns        request_swap
 * The programs know nothing of baton. A value is a small number, 0 is "none".
 */
#ifndef CARRIER_H
#define CARRIER_H
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <threads.h>
#include <unistd.h>

#include "rest.h"

#ifdef __cplusplus
extern "C" {
#endif

enum carrier { CARRIER_KEY, CARRIER_TSS, CARRIER_TLS, CARRIER_FN, CARRIER_SWAP };

pthread_key_t request_key;
tss_t request_tss;
__thread long request_id;
static __thread void *behind_functions;
static enum carrier carrier;

#ifdef FUNCTIONS_SET_ERRNO
#define FUNCTION_CALLED() (errno = ENOTTY)
#else
#define FUNCTION_CALLED() ((void)0)
#endif

__attribute__((noinline, used)) void *request_get(void)
{
    FUNCTION_CALLED();
    return behind_functions;
}

__attribute__((noinline, used)) void request_set(void *value)
{
    FUNCTION_CALLED();
    behind_functions = value;
}

/* The same state, for those who ask otherwise: by a pointer, and where it is. */
__attribute__((noinline, used)) int request_fill(void **value)
{
    FUNCTION_CALLED();
    *value = behind_functions;
    return 0;
}

__attribute__((noinline, used)) void **request_at(void)
{
    FUNCTION_CALLED();
    return &behind_functions;
}

__attribute__((noinline, used)) void *request_swap(void *value)
{
    void *old = behind_functions;
    FUNCTION_CALLED();
    behind_functions = value;
    return old;
}

#ifdef __cplusplus
}
#endif

/* Call it first in main. */
static inline void carrier_choose(const char *kind)
{
    pthread_key_create(&request_key, NULL);
    tss_create(&request_tss, NULL);
    if (!kind || !strcmp(kind, "key"))
        carrier = CARRIER_KEY;
    else if (!strcmp(kind, "tss"))
        carrier = CARRIER_TSS;
    else if (!strcmp(kind, "tls"))
        carrier = CARRIER_TLS;
    else if (!strcmp(kind, "fn"))
        carrier = CARRIER_FN;
    else if (!strcmp(kind, "swap"))
        carrier = CARRIER_SWAP;
    else {
        fprintf(stderr, "unknown carrier %s\n", kind);
        exit(2);
    }
}

static inline long current(void)
{
    switch (carrier) {
    case CARRIER_KEY:
        return (long)pthread_getspecific(request_key);
    case CARRIER_TSS:
        return (long)tss_get(request_tss);
    case CARRIER_TLS:
        return request_id;
    default:
        return (long)request_get();
    }
}

static inline void set_current(long value)
{
    switch (carrier) {
    case CARRIER_KEY:
        pthread_setspecific(request_key, (void *)value);
        break;
    case CARRIER_TSS:
        tss_set(request_tss, (void *)value);
        break;
    case CARRIER_TLS:
        request_id = value;
        break;
    case CARRIER_FN:
        request_set((void *)value);
        break;
    case CARRIER_SWAP:
        request_swap((void *)value);
        break;
    }
}

/* For a child that may hang: it does not stay behind for ever. What finds that it hangs is the limit of the test, which
 * grows with the machine's load as no alarm does. */
static inline void end_if_left(void)
{
    alarm(1800);
}

/*
 * What does another thread hold while it runs nothing of ours? A signal handler runs in that
 * thread and reads its slot; asking by one more task would show that task's context instead.
 */
static long probe_answer;
static int probe_answered;

static inline void probe_handler(int number)
{
    __atomic_store_n(&probe_answer, current(), __ATOMIC_RELAXED);
    __atomic_store_n(&probe_answered, 1, __ATOMIC_RELEASE);
}

static inline long held_by(pthread_t thread)
{
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_handler = probe_handler;
    action.sa_flags = SA_RESTART;
    let_rest();
    sigaction(SIGUSR2, &action, NULL);
    __atomic_store_n(&probe_answered, 0, __ATOMIC_RELEASE);
    if (pthread_kill(thread, SIGUSR2) != 0)
        return -1;
    for (int ms = 0; ms < 5000 && !__atomic_load_n(&probe_answered, __ATOMIC_ACQUIRE); ms++)
        sleep_ms(1);
    return __atomic_load_n(&probe_answered, __ATOMIC_ACQUIRE) ? probe_answer : -1;
}

/* A latch: `gate_open` lets everybody through who waits now or later. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int arrived, open;
};
#define GATE_CLOSED {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0}

static inline void gate_wait(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->arrived++;
    pthread_cond_broadcast(&gate->changed);
    while (!gate->open)
        pthread_cond_wait(&gate->changed, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
}

static inline void gate_open(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->open = 1;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

/* Until `count` threads stand at the gate. */
static inline void gate_await(struct gate *gate, int count)
{
    pthread_mutex_lock(&gate->lock);
    while (gate->arrived < count)
        pthread_cond_wait(&gate->changed, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
}

/* `count` threads meet: each waits until all are there. */
static inline void gate_meet(struct gate *gate, int count)
{
    pthread_mutex_lock(&gate->lock);
    if (++gate->arrived >= count) {
        gate->open = 1;
        pthread_cond_broadcast(&gate->changed);
    }
    while (!gate->open)
        pthread_cond_wait(&gate->changed, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
}

/* Results: one token a line; the exit status says whether any was wrong. */
static int wrong_results;

static inline void expect(const char *what, long got, long wanted)
{
    if (got == wanted) {
        printf("%s %ld\n", what, got);
    } else {
        printf("%s %ld WRONG, not %ld\n", what, got, wanted);
        wrong_results++;
    }
}

static inline int verdict(void)
{
    puts(wrong_results ? "WRONG" : "RIGHT");
    return wrong_results ? 1 : 0;
}
#endif
