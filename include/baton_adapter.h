/*
 * baton_adapter.h: teach baton to carry a context that has no key, variable or pair of functions.
 *
 * An adapter is a shared object of your own that exports baton_adapter. Nothing of baton's source is
 * needed to build it, and nothing is linked:
 *
 *     cc -shared -fPIC my_adapter.c -o my_adapter.so
 *     baton run --carry adapter:/path/to/my_adapter.so -- ./program
 *
 * `adapter:NAME` without a slash is one that comes with baton (lib/baton/adapters/NAME.so). It is
 * loaded with RTLD_NOW when the setting is read, and again after each dlopen of the program until
 * that succeeds: so it may refer to symbols of the library that it adapts without linking to it.
 *
 * What happens to one value:
 *
 *     submitter's thread   capture            when work is handed over
 *     worker's thread      attach, detach     around the task; nested in any order that a stack allows
 *     a thread's own end   detach_at_end      instead of detach, when attach was what the thread started with
 *     any thread           release            once for every capture that answered BATON_ADAPTER_OK,
 *                                             after the last detach of what it captured
 *
 * Threads: every function may run in several threads at once. One captured object may be attached in
 * several threads at once (a parallel region), so attach makes what the task may change its own.
 * attach and its detach run in the same thread; detach also when the task was left by an exception,
 * pthread_exit, cancellation or longjmp, and then it must not count on the task having tidied up:
 * it puts back what was there before attach, and frees what attach made unless the task took it.
 *
 * A new thread has its creator's context from its start to its end, and what it sets meanwhile is its
 * own. At its end, before any destructor of its thread-local variables and keys has run,
 * detach_at_end takes away what attach has lent and leaves what the thread has set instead: the
 * library's or the program's own destructors look after that, and want to find it.
 *
 * Coroutines: between attach and its detach the thread may go to other coroutines and come back, and
 * the detach may run in another thread: only when there is exchange, which is called each time.
 *
 * Rules: no C++ exception may leave a function; errno is baton's business; no lock may be held across
 * a return that the program's own code can want. Nothing is called after the program has begun to exit.
 */
#ifndef BATON_ADAPTER_H
#define BATON_ADAPTER_H

#ifdef __cplusplus
extern "C" {
#endif

#define BATON_ADAPTER_VERSION 2 /* 1 ended with release; such adapters are loaded, too */

enum baton_adapter_result {
    BATON_ADAPTER_OK,
    BATON_ADAPTER_NONE,  /* capture: the thread has nothing set */
    BATON_ADAPTER_FAILED /* out of memory and the like: the task runs with what its thread has */
};

struct baton_adapter {
    /* BATON_ADAPTER_VERSION of the header it was built with. */
    unsigned version;

    /* For messages. */
    const char *name;

    /* May be NULL. Called once, before the others, in one thread: look up what is needed. NULL: ready.
     * Else why not (static text); asked again after the program's next dlopen. */
    const char *(*start)(void);

    /* What the calling thread has set, as an object of yours that stays as it is: what the thread
     * changes afterwards must not be seen in it. */
    enum baton_adapter_result (*capture)(void **captured);

    /* Makes it what the calling thread has set; NULL: nothing. *attached is for detach (may be NULL). */
    enum baton_adapter_result (*attach)(void *captured, void **attached);

    /* Puts back what the thread had before that attach. */
    void (*detach)(void *attached);

    /* Ends a captured object. */
    void (*release)(void *captured);

    /* May be NULL: then detach is called. The thread that was started with what attach has made its own
     * ends: ends that if it is still there, and leaves what the thread has set itself. */
    void (*detach_at_end)(void *attached);

    /* May be NULL: then coroutines share their thread's, as without baton. Called when a thread goes
     * from one coroutine (swapcontext, longjmp) to another: exchanges all that the calling thread has
     * set for *state; NULL: nothing set. What a coroutine points to stays where it is; it may come back
     * in another thread. Out of memory: both stay as they are. */
    void (*exchange)(void **state);
};

/* The one symbol that an adapter exports. C++: declared here as extern "C". */
extern __attribute__((visibility("default"))) const struct baton_adapter baton_adapter;

#ifdef __cplusplus
}
#endif
#endif
