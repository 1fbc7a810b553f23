/* Home-made pools of the kinds that programs have. Nothing in here has heard of baton. */
#ifndef HOOKS_POOLS_H
#define HOOKS_POOLS_H

#ifndef POOL
#define POOL __attribute__((noinline))
#endif

struct task {
    struct task *next;
    void (*run)(struct task *task);
    long number;
};

/* A condition variable queue of (function, argument). */
void call_start(int workers);
POOL int call_submit(void *pool, void (*function)(void *), void *argument);
void call_stop(void);

/* A list of tasks that are linked through themselves; every task goes through task_execute. */
void list_start(int workers);
POOL void list_submit(void *list, struct task *task);
POOL void task_execute(struct task *task);
void list_stop(void);

/* A ring without locks: many producers, many consumers. 0: full. */
POOL int ring_put(void *item);
POOL void *ring_get(void);
POOL int ring_get_into(void **item);

/* Tasks whose function pointer is called directly. */
void field_start(int workers);
POOL void field_submit(struct task *task);
void field_stop(void);
#endif
