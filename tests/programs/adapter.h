/*
 * The body of the adapters' test programs: five requests, every fifth without a context, each handed to
 * one worker that has used its own context before, a nested task inside the first; then one request handed over
 * three times. The program gives
 *     set_request(n)   makes "request n" the thread's context, 0: none
 *     seen()           the number of the thread's request, 0: none
 *     spoil()          what a task does to its context
 * And four threads, which return or exit with what they began with, or with a request of their own: what
 * they set is still there for the destructors of their thread-local variables, what they got is not.
 * And a coroutine, which has its maker's request and then its own, as the maker has, from thread to thread;
 * COROUTINES_SHARE: it has whatever its thread has. ENDS_UNTOLD: what a thread's last destructors see is not looked at:
 * only adapters put back what was lent before them.
 */
#include "carrier.h"
#include <glib.h>
#include <ucontext.h>

static void set_request(long number);
static long seen(void);
static void spoil(void);

static long right, kept_wrong;

/* Threads count at the same time: a worker, and those that end. */
static void count_right(long is_right)
{
    __atomic_fetch_add(&right, is_right, __ATOMIC_RELAXED);
}

static void *look(void *number)
{
    count_right(seen() == (long)number);
    spoil();
    return NULL;
}

static void work(gpointer data, gpointer user_data)
{
    long number = (long)data - 1;
    pthread_t thread;
    count_right(seen() == number);
    pthread_create(&thread, NULL, look, (void *)number); /* a handoff from inside a task */
    pthread_join(thread, NULL);
    count_right(seen() == number);
    spoil();
}

static long end_saw;

/* What C++ registers the destructors of thread-local objects with; the last one is called first. */
#ifdef __cplusplus
extern "C" {
#endif
int __cxa_thread_atexit_impl(void (*function)(void *), void *object, void *module);
extern void *__dso_handle;
#ifdef __cplusplus
}
#endif

static void at_end(void *arg)
{
    end_saw = seen();
    if (end_saw)
        set_request(0);
}

struct ending {
    long own;
    int exits;
};

static void *thread(void *arg)
{
    struct ending *ending = (struct ending *)arg;
    count_right(seen() == 3);
    if (ending->own)
        set_request(ending->own);
    __cxa_thread_atexit_impl(at_end, NULL, &__dso_handle);
    if (ending->exits)
        pthread_exit(NULL);
    return NULL;
}

static void __attribute__((unused)) ends(long own, int exits)
{
    struct ending ending = {own, exits};
    pthread_t id;
    set_request(3);
    pthread_create(&id, NULL, thread, &ending);
    pthread_join(id, NULL);
    expect(own ? "a thread's destructors see its own" : "a thread's destructors see nothing lent", end_saw, own);
    kept_wrong += seen() != 3;
}

static ucontext_t outside, inside;

static long in_coroutine(long own, long of_thread)
{
#ifdef COROUTINES_SHARE
    return of_thread;
#else
    return own;
#endif
}

static void coroutine(void)
{
    expect("a coroutine starts with", seen(), in_coroutine(3, 4));
    set_request(6);
    swapcontext(&inside, &outside);
    expect("finds again", seen(), in_coroutine(6, 5));
    set_request(0);
}

static void *other_thread(void *arg)
{
    set_request(5);
    swapcontext(&outside, &inside);
    if (in_coroutine(1, 0)) /* else the coroutine has ended it */
        expect("the other thread has", seen(), 5);
    set_request(0);
    return NULL;
}

static void switches(void)
{
    static char stack[256 * 1024];
    pthread_t id;
    set_request(3);
    getcontext(&inside);
    inside.uc_stack.ss_sp = stack;
    inside.uc_stack.ss_size = sizeof(stack);
    inside.uc_link = &outside;
    makecontext(&inside, coroutine, 0);
    set_request(4);
    swapcontext(&outside, &inside);
    expect("its maker has", seen(), in_coroutine(4, 6));
    pthread_create(&id, NULL, other_thread, NULL);
    pthread_join(id, NULL);
    expect("its maker still has", seen(), in_coroutine(4, 6));
}

static int main_of_test(void)
{
    GThreadPool *pool = g_thread_pool_new(work, NULL, 1, TRUE, NULL);
    for (long i = 1; i <= 10; i++) {
        set_request(i % 5);
        g_thread_pool_push(pool, (gpointer)(i % 5 + 1), NULL);
        kept_wrong += seen() != i % 5;
    }
    set_request(4);
    for (int i = 0; i < 3; i++) /* of which each but the first comes after one that has spoilt its own */
        g_thread_pool_push(pool, (gpointer)5, NULL);
#ifndef ENDS_UNTOLD
    ends(0, 0);
    ends(0, 1);
    ends(5, 0);
    ends(5, 1);
#else
    set_request(3);
    count_right(4);
#endif
    switches();
    set_request(7);
    g_thread_pool_free(pool, FALSE, TRUE);
    expect("right", right, 43);
    expect("submitter wrong", kept_wrong, 0);
    expect("submitter has", seen(), 7);
    set_request(0);
    return verdict();
}
