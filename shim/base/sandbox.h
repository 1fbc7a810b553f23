/*
 * A sandbox (seccomp) that the program enters. From then on nothing may be asked of the system that ends the program
 * there, and whether it does cannot be asked of the system either: so it is known before, from what the program has said.
 * What handoffs, messages and the end of the program need is had at the start where it can be. What is asked for
 * later is a row of enum sandbox_wish, and whoever asks does without where sandbox_allows says no.
 *
 * Call context: sandbox_note after a prctl of the program's that went well, in any thread. No system call, no memory.
 */
#ifndef BATON_BASE_SANDBOX_H
#define BATON_BASE_SANDBOX_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A call that a report or a message makes would end the process: it has shown that; it may, by what it has not shown. */
extern _Atomic bool sandbox_is_seen __attribute__((visibility("hidden")));
extern _Atomic bool sandbox_is_feared __attribute__((visibility("hidden")));

static inline bool sandbox_is_shut(void)
{
    return atomic_load(&sandbox_is_seen) || atomic_load(&sandbox_is_feared);
}

enum sandbox_wish {
    SANDBOX_MAP, /* memory: no thread is made without, */
    SANDBOX_FUTEX, /* nor does one wait: while no filter is shown that forbids these two, they are asked for */
    SANDBOX_UNMAP,  /* its return, */
    SANDBOX_ADVISE, /* and of its pages alone */
    SANDBOX_OWN,    /* pages of our own in the place of others, in a child of fork */
    SANDBOX_NAME,   /* the thread's name */
    SANDBOX_IOPRIO, /* its I/O priority */
    SANDBOX_STACKS, /* handlers' stacks */
    SANDBOX_MASK,   /* whether memory can be read, by the mask of signals */
    SANDBOX_PAGES,  /* whether memory is there */
    SANDBOX_UNWIND, /* what libunwind asks */
    SANDBOX_WOKEN,  /* whether memory can be written */
    SANDBOX_READ,   /* files of modules */
    SANDBOX_CRASH,  /* handlers' stacks; what a crash says */
    SANDBOX_FILES,  /* files of a child of fork: its trace, its live report */
    SANDBOX_WISHES
};

/* A bit for each that ends the program as far as it has shown its filters, or may. */
extern _Atomic uint32_t sandbox_bars __attribute__((visibility("hidden")));

static inline bool sandbox_allows(enum sandbox_wish wish)
{
    return !(atomic_load_explicit(&sandbox_bars, memory_order_relaxed) & (uint32_t)1 << wish);
}

/* May LEN bytes at FROM be read? In a sandbox that forbids every way to ask: no. errno is kept. */
bool sandbox_is_readable(const void *from, size_t len);

/* It has shown a filter that ends it at a futex that says who has it: an operation of priority inheritance. */
extern _Atomic bool sandbox_bars_owners __attribute__((visibility("hidden")));

static inline bool sandbox_allows_owners(void)
{
    return !atomic_load(&sandbox_bars_owners) && !sandbox_is_shut();
}

/*
 * A filter that was there before the program, and so may end it at whatever it and its loader do not call: is there one?
 * Asked of /proc, as the loader opens and reads its libraries. While this thread starts us, its number and its process's
 * are known from there, too; before and afterwards, and where no filter was, the system is asked for them. FIND finds a
 * function of the C library's: which call its fstat is depends on its version.
 */
void sandbox_begin(void *(*find)(const char *name));
void sandbox_end(void);
bool sandbox_was_there(void);
int sandbox_getpid(void);
int sandbox_gettid(void);

/* The arguments of prctl. A filter that allows all that we call at exit, or fails it, is no sandbox to us. */
void sandbox_note(int option, unsigned long mode, const void *program);

/* What a filter that the kernel has taken says to that call: the word behind BPF_RET. */
uint32_t sandbox_ask(const struct sock_filter *filter, unsigned len,
                     const struct seccomp_data *call);

#endif
