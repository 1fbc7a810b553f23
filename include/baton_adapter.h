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
 * Names: an adapter that needs something of the program or of one of its libraries writes it into its list
 * `wanted` rather than to link to it or to ask dlsym, which know only what is exported, and would give it a
 * copy of its own where the program was linked with a static library. baton looks through all modules, hidden
 * and static names (.symtab, debug files) too, never in the adapter itself, and calls `start` when all are found.
 *
 * Rules: no C++ exception may leave a function; errno is baton's business; no lock may be held across
 * a return that the program's own code can want. Nothing is called after the program has begun to exit.
 */
#ifndef BATON_ADAPTER_H
#define BATON_ADAPTER_H

#ifdef __cplusplus
extern "C" {
#endif

/* 1 ended with release, 2 with exchange; such adapters are loaded, too. */
#define BATON_ADAPTER_VERSION 3

enum baton_adapter_result {
    BATON_ADAPTER_OK,
    BATON_ADAPTER_NONE,  /* capture: the thread has nothing set */
    BATON_ADAPTER_FAILED /* out of memory and the like: the task runs with what its thread has */
};

enum baton_adapter_kind {
    BATON_ADAPTER_FUNCTION,
    BATON_ADAPTER_OBJECT,
    BATON_ADAPTER_THREAD_LOCAL
};

/* A name that an adapter wants. The first four are the adapter's, the others baton's. At most 16 a list. */
struct baton_adapter_wanted {
    const char *name; /* the symbol's; C++: mangled */
    const char
        *module; /* main, or the beginning of a library's file name; NULL: the first that has it */
    enum baton_adapter_kind kind;
    int is_optional; /* not 0: `start` is called without it, too */

    /* Where it is; NULL: not found, or a thread-local variable. */
    void *address;
    /* A thread-local variable: where the calling thread has it. NULL: not found. */
    void *(*at)(const struct baton_adapter_wanted *wanted);
    unsigned long tls_module, tls_offset;
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

    /* May be NULL: names that are looked for before `start`, and again after the program's next dlopen
     * while one is missing that is not optional. Writable; what was found stays loaded. */
    struct baton_adapter_wanted *wanted;
    unsigned wanted_count;
};

/* The one symbol that an adapter exports. C++: declared here as extern "C". */
extern __attribute__((visibility("default"))) const struct baton_adapter baton_adapter;

#ifdef __cplusplus
}
#endif
#endif
