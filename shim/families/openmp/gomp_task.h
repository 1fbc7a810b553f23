/* GOMP_task: between gomp_task.c and the assembler for one machine. */
#ifndef BATON_FAMILIES_OPENMP_GOMP_TASK_H
#define BATON_FAMILIES_OPENMP_GOMP_TASK_H

#include "families/openmp/gomp_team.h"

#define GOMP_SHARED __attribute__((visibility("hidden")))

enum { GOMP_TASK_DETACH = 1 << 13 }; /* gomp-constants.h */

/* What stands before the arguments of a task without peculiarities. */
struct gomp_head {
    void (*function)(void *);
    struct context *context;
};

/* The task's function: block is a head and arguments. */
GOMP_SHARED void gomp_run_task(void *block);

/* The hook once TEAM_CHOOSE has chosen it; all registers and stacked arguments as they came. */
GOMP_SHARED void gomp_task_plain(void (*function)(void *), void *data, void (*copy)(void *, void *),
                                 long size, long align, long may_defer, long flags,
                                 void *volatile depend, volatile long priority,
                                 void *volatile detach);

/* The same, quicker for one word of arguments, where ARCH_HAS_GOMP_WORD; declared without them. */
GOMP_SHARED void gomp_task_word(void);

#endif
