/*
 * Where threads waited and by whom they were woken, for the verdict: of a run in which nothing was handed over by a
 * way that is known, and of one in which there is a pool of the program's own beside what was carried.
 * libbaton-waits.so (shim/waits/) writes it, into the room that the live report's file has; the report at exit and the
 * launcher, after any other end, read it.
 *
 * All of fixed size. What is read was written by another process, or by anything: nothing of it is believed.
 */
#ifndef BATON_BASE_WAITS_H
#define BATON_BASE_WAITS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arch.h"

#define WAITS_MAGIC "batonwt3"

enum { WAITS_MODULES = 128, WAITS_OBJECTS = 256, WAITS_THREADS = 8, WAITS_NAME = 48 };
enum { WAITS_TEXTS = 4 }; /* of a module; there may be holes between them */

/* One that came with the program. */
struct waits_module {
    uint64_t lo, hi, base; /* hi: 0: the end of the list */
    struct {
        uint64_t lo, hi;
    } texts[WAITS_TEXTS]; /* its instructions, readable; hi: 0: no more */
    uint32_t is_runtime;  /* the C or C++ run time: who called it is who waits */
    uint32_t is_own;      /* the program, or a library that came with it and not with the system */
    char name[WAITS_NAME];
};

/* A condition, semaphore, futex, or 1 + the number of an eventfd, pipe or socket. The places are those that were seen most, by majority vote. */
struct waits_object {
    _Atomic uint64_t object;
    uint64_t waiter, waker; /* return addresses; 0: none yet */
    uint32_t waiter_votes, waker_votes;
    uint32_t waits, looks; /* calls that wait and that wake, looked at */
    uint32_t wakes;        /* of these, by threads that are none of those that waited */
    _Atomic uint32_t threads_count;
    uint32_t has_main; /* the program's first thread waited there */
    uint32_t threads[WAITS_THREADS];
    uint32_t held;          /* of the wakes, by threads that had set values */
    uint32_t values, turns; /* which values of keys these had, and how often others than before */
    uint32_t bare;   /* waits of threads that came back, and never had anything to do with values */
    uint32_t missed; /* of these: that had looked for a key's value since, and found none */
    uint32_t others; /* waits of threads that had */
};

struct waits_page {
    char magic[8];
    struct waits_module modules[WAITS_MODULES];
    uint32_t main_thread;                       /* as waits_thread says */
    struct waits_object objects[WAITS_OBJECTS]; /* from here on a child of fork has its own */
};

struct waits_place {
    const struct waits_module *module; /* NULL: none that came with the program */
    uint64_t address;                  /* of the call, in the process */
};

/* What the calling thread sees, as libbaton.so says (observe/waited.c): its own values, none, or those of a handoff. */
enum waits_sight { WAITS_NONE, WAITS_OWN, WAITS_GIVEN };

struct waits_look {
    enum waits_sight sight;
    bool has_set; /* a key of its own: then or before */
    bool
        has_missed; /* has looked for a key and found nothing, since it was last asked so for a wait */
    uint32_t values;   /* of keys, if they are its own: a number that others do not have */
    uint64_t dealings; /* with values, until now: those that it ran with and handed over */
};

/* What libbaton.so gives libbaton-waits.so, which finds it by name: its variable baton_waits_page. */
struct waits_lent {
    struct waits_page *_Atomic page;
    /* Of the calling thread. Takes no lock and calls nothing of the program's; may be called in a signal handler.
     * NULL: nobody knows. */
    void (*look)(struct waits_look *out, bool is_wait);
};

/* The calling thread, by nothing but its registers: a sandbox may end a process for any system call. A later thread
 * may have the number of one that has ended. */
static inline uint32_t waits_thread(void)
{
    return (uint32_t)((uintptr_t)arch_tp() >> 6);
}

/* Those that waited and were woken most. */
struct waits_chosen {
    struct waits_place waiter, waker;
    uint32_t threads; /* WAITS_THREADS: or more */
    uint32_t wakes;
    uint32_t
        held; /* not 0: so many by threads that had set values, of which those that were woken had none */
    uint32_t
        missed; /* not 0: that they looked for, so many times at least, and changed from one wake to the next */
};

/* False: nobody who waited was woken by another thread. Those that had none of the values come first. The program's
 * first thread counts only where nobody else waited: it waits for what was done. */
bool waits_choose(const struct waits_page *page, struct waits_chosen *out);

#endif
