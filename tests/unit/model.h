/*
 * All interleavings of a few threads that run the shim's own code: a model check. What is checked includes the
 * source, or a header of it, with its atomic operations led through model_step(), where another thread may go on;
 * between two steps a thread is alone. Orders of memory are not modelled: every operation is seen at once by all.
 *
 * The threads are coroutines, each run of them replays the choices of the run before up to the last one that has
 * another way to go. Nothing may wait: a thread that would is to return, and the check to see why.
 */
#ifndef UNIT_MODEL_H
#define UNIT_MODEL_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <ucontext.h>

#include "on_valgrind.h"

/* Sanitizers do not follow from stack to stack, and under valgrind a second would be ten minutes. */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define MODEL_CAN_RUN 0
#else
#define MODEL_CAN_RUN (!RUNNING_ON_VALGRIND)
#endif

enum { MODEL_THREADS = 4, MODEL_STEPS = 128, MODEL_STACK = 65536 };

struct model {
    void (*threads[MODEL_THREADS])(void); /* as many as are not NULL */
    void (*reset)(void);                  /* before each run */
    void (*check)(void); /* after each, when all have returned; steps are no choices there */
};

static struct {
    const struct model *model;
    ucontext_t entry[MODEL_THREADS], outside;
    jmp_buf at[MODEL_THREADS], scheduler;
    bool has_begun[MODEL_THREADS], is_done[MODEL_THREADS];
    char *stacks[MODEL_THREADS];
    int current; /* -1: the scheduler */
    unsigned char choice[MODEL_STEPS], ways[MODEL_STEPS];
    unsigned steps, known;
} model_state = {.current = -1};

static inline void model_step(void)
{
    int self = model_state.current;

    if (self >= 0 && !_setjmp(model_state.at[self]))
        _longjmp(model_state.scheduler, 1);
}

static void model_enter(void)
{
    model_state.model->threads[model_state.current]();
    model_state.is_done[model_state.current] = true;
    _longjmp(model_state.scheduler, 1);
}

/* What returns twice has a frame of its own: what the caller has in registers stays. */
static __attribute__((noinline)) void model_go_on(int thread)
{
    model_state.current = thread;
    if (!_setjmp(model_state.scheduler)) {
        if (model_state.has_begun[thread])
            _longjmp(model_state.at[thread], 1);
        model_state.has_begun[thread] = true;
        setcontext(&model_state.entry[thread]);
    }
    model_state.current = -1;
}

static __attribute__((noinline)) void model_prepare(int i)
{
    if (!model_state.stacks[i])
        model_state.stacks[i] = malloc(MODEL_STACK);
    getcontext(&model_state.entry[i]);
    model_state.entry[i].uc_stack.ss_sp = model_state.stacks[i];
    model_state.entry[i].uc_stack.ss_size = MODEL_STACK;
    model_state.entry[i].uc_link = NULL;
    makecontext(&model_state.entry[i], model_enter, 0);
}

static void model_run(void)
{
    model_state.steps = 0;
    for (int i = 0; i < MODEL_THREADS; i++) {
        model_state.has_begun[i] = false;
        model_state.is_done[i] = !model_state.model->threads[i];
        if (model_state.is_done[i])
            continue;
        model_prepare(i);
    }
    for (;;) {
        int able[MODEL_THREADS];
        unsigned count = 0, choice = 0;

        for (int i = 0; i < MODEL_THREADS; i++) {
            if (!model_state.is_done[i])
                able[count++] = i;
        }
        if (!count)
            return;
        if (model_state.steps == MODEL_STEPS)
            abort(); /* a thread goes round */
        if (model_state.steps < model_state.known)
            choice = model_state.choice[model_state.steps];
        model_state.choice[model_state.steps] = (unsigned char)choice;
        model_state.ways[model_state.steps++] = (unsigned char)count;
        model_go_on(able[choice]);
    }
}

/* Answers how many interleavings there are; where it cannot run, as if there were very many. */
static unsigned long model_explore(const struct model *model)
{
    unsigned long runs = 0;

    if (!MODEL_CAN_RUN)
        return -1ul;
    model_state.model = model;
    model_state.known = 0;
    for (;;) {
        unsigned last;

        model->reset();
        model_run();
        model->check();
        runs++;
        for (last = model_state.steps; last > 0; last--) {
            if (model_state.choice[last - 1] + 1 < model_state.ways[last - 1])
                break;
        }
        if (!last)
            break;
        model_state.choice[last - 1]++;
        model_state.known = last;
    }
    for (int i = 0; i < MODEL_THREADS; i++) {
        free(model_state.stacks[i]);
        model_state.stacks[i] = NULL;
    }
    return runs;
}

#endif
