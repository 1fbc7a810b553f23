#ifndef BENCH_NAMED_POOL_H
#define BENCH_NAMED_POOL_H

struct named_task {
    struct named_task *next;
    void (*function)(void *);
    void *data;
};

/* A callback and its data; TASK is the pool's own memory for them. */
void named_submit(struct named_task *task, void (*function)(void *), void *data);
/* A task as an object: handed over, taken out, run. */
void named_put(struct named_task *task);
struct named_task *named_get(void);
void named_run(struct named_task *task);

#endif
