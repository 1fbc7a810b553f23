/*
 * A sandbox (seccomp) that the program enters. At exit nothing may be asked of the system that ends the program there, and
 * whether it does cannot be asked of the system either: so it is known before, from what the program has said.
 *
 * Call context: sandbox_note after a prctl of the program's that went well, in any thread. No system call, no memory.
 */
#ifndef BATON_BASE_SANDBOX_H
#define BATON_BASE_SANDBOX_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* A call that a report or a message makes would end the process: it has shown that; it may, by what it has not shown. */
extern _Atomic bool sandbox_is_seen __attribute__((visibility("hidden")));
extern _Atomic bool sandbox_is_feared __attribute__((visibility("hidden")));

static inline bool sandbox_is_shut(void)
{
    return atomic_load(&sandbox_is_seen) || atomic_load(&sandbox_is_feared);
}

/* It has shown a filter that ends it at a futex that says who has it: an operation of priority inheritance. */
extern _Atomic bool sandbox_bars_owners __attribute__((visibility("hidden")));

static inline bool sandbox_allows_owners(void)
{
    return !atomic_load(&sandbox_bars_owners) && !sandbox_is_shut();
}

/* The arguments of prctl. A filter that allows all that we call at exit, or fails it, is no sandbox to us. */
void sandbox_note(int option, unsigned long mode, const void *program);

/* What a filter that the kernel has taken says to that call: the word behind BPF_RET. */
uint32_t sandbox_ask(const struct sock_filter *filter, unsigned len,
                     const struct seccomp_data *call);

#endif
