/*
 * The exchange of what is attached, overlays too, when stacks are switched, against signal handlers that switch at any of its
 * steps (context/coroutine.h, coroutine.c, and swap_preemptive of families/coroutines/ucontext.c): one thread, three flows.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>

#include "on_valgrind.h"

/* As in model.h. */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define CAN_RUN 0
#else
#define CAN_RUN (!RUNNING_ON_VALGRIND)
#endif

static bool handlers_come; /* no signals are blocked */
static void step(void);
static void *copy_in_steps(void *to, const void *from, size_t size);
struct coroutine;
struct coroutine *find_by_stack(uintptr_t sp);

/* Before the headers, whose functions in line are what is checked. */
#undef atomic_signal_fence
#define atomic_signal_fence(order) step()
#define memcpy copy_in_steps
#define coroutine_list_find find_by_stack
#include "context/coroutine.c"
#undef memcpy

/* And where the hook goes from one of these to the next. */
#define coroutine_find_current(own, sp) (step(), coroutine_find_current(own, sp))
#define coroutine_arrive(own, here) (coroutine_arrive(own, here), step())
#define coroutine_block_signals(before) (step(), (void)(before), handlers_come = false)
#define coroutine_unblock_signals(before) ((void)(before), handlers_come = true, step())
#include "families/coroutines/ucontext.c"
#undef coroutine_find_current
#undef coroutine_arrive
#undef coroutine_block_signals
#undef coroutine_unblock_signals
#undef coroutine_list_find

#include "suite.h"

/* What the rest of that file asks for, which is not called. */
void *hook_real[HOOK_COUNT];

void *hooks_real_for(enum hook_id id, const void *caller)
{
    (void)caller;
    ck_abort_msg("hook %d has no real function", (int)id);
    return NULL;
}

bool family_is_on(enum family family)
{
    (void)family;
    return false;
}

void library_look_for(struct library_named *library)
{
    (void)library;
}

bool reentry_slow(struct library_place *place, const void *function, const void *caller)
{
    (void)place, (void)function, (void)caller;
    return false;
}

enum { FLOWS = 3, STACK = 65536, ROUNDS = 2, STEPS = 512 };

static struct flow {
    struct coroutine *coroutine;
    ucontext_t context; /* where it goes on */
    uintptr_t attached; /* what its task has now */
    char *stack;
    bool is_blocked; /* its context has signals blocked */
} flows[FLOWS];

static struct thread block;
static struct coroutines own_of_block;
static ucontext_t outside;
static int running, handlers_left, handlers;
static bool is_done[FLOWS], is_checking, is_hooked;

/* ---- choices: at each step a handler comes, or none ---- */

static unsigned char choice[STEPS];
static unsigned steps, known;

static void handler(void);

static void step(void)
{
    if (!is_checking || !handlers_come || handlers_left == 0)
        return;
    ck_assert_uint_lt(steps, STEPS);
    if (steps >= known)
        choice[steps] = 0;
    if (choice[steps++])
        handler();
}

/* Half of it may be there when a handler comes. */
static void *copy_in_steps(void *to, const void *from, size_t size)
{
    size_t half = size / 2;

    step();
    __builtin_memcpy(to, from, half);
    step();
    __builtin_memcpy((char *)to + half, (const char *)from + half, size - half);
    step();
    return to;
}

struct coroutine *find_by_stack(uintptr_t sp)
{
    for (int i = 1; i < FLOWS; i++) {
        if (sp - (uintptr_t)flows[i].stack < STACK)
            return flows[i].coroutine;
    }
    return NULL; /* the main one */
}

/* ---- the switch, by the hook of swapcontext where handlers switch ---- */

/* The C library's, which saves and loads in one step, the signals too. */
static int real_swapcontext(ucontext_t *left, const ucontext_t *target)
{
    flows[running].is_blocked = is_hooked && !handlers_come;
    for (int i = 0; i < FLOWS; i++) {
        if (target == &flows[i].context)
            running = i;
    }
    handlers_come = !flows[running].is_blocked;
    return swapcontext(left, target);
}

static void switch_to(int target)
{
    is_hooked = true;
    ck_assert_int_eq(
        swap_preemptive(block.coroutines, &flows[running].context, &flows[target].context), 0);
}

/* By the hook while no handler is known to switch: who is left so is not said to be away. */
static void switch_before_handlers(int target)
{
    is_hooked = false;
    ck_assert_int_eq(swap_slow(&flows[running].context, &flows[target].context, arch_sp()), 0);
}

static int next_of(int self, int by)
{
    for (int i = 0; i < FLOWS; i++) {
        int other = (self + by + i) % FLOWS;

        if (other != self && !is_done[other])
            return other;
    }
    return self;
}

/* One that preempts: the flow that it has interrupted, in a switch or not, goes on when it is switched to. */
static void handler(void)
{
    int other = next_of(running, 2);

    if (other == running)
        return;
    handlers_left--;
    handlers++;
    switch_to(other);
    ck_assert_uint_eq((uintptr_t)block.attached, flows[running].attached);
}

/* ---- the program ---- */

/* A task of the flow sees what it has set itself, and nobody else's. */
static void work(int self)
{
    for (int round = 0; round < ROUNDS; round++) {
        int other = next_of(self, 1);

        ck_assert_uint_eq((uintptr_t)block.attached, flows[self].attached);
        flows[self].attached += 0x100;
        block.attached = (struct context *)flows[self].attached; /* as overlay_make */
        step();
        if (other != self && handlers_come)
            switch_to(other);
        else if (other != self)
            switch_before_handlers(other);
        ck_assert_int_eq(running, self);
        ck_assert_uint_eq((uintptr_t)block.attached, flows[self].attached);
    }
    is_done[self] = true;
}

static void enter(int self)
{
    coroutine_arrive(&own_of_block, flows[self].coroutine); /* as run_entry, which then attaches */
    flows[self].attached = 0x10000 * ((uintptr_t)self + 1);
    block.attached = (struct context *)flows[self].attached;
    work(self);
    while (next_of(self, 1) != self) /* a switch that was under way may come back to it */
        switch_to(next_of(self, 1));
    setcontext(&outside);
}

static void prepare(void)
{
    memset(&block, 0, sizeof block);
    memset(&own_of_block, 0, sizeof own_of_block);
    memset(is_done, 0, sizeof is_done);
    block.coroutines = &own_of_block;
    thread_self = &block;
    for (int i = 0; i < FLOWS; i++) {
        struct flow *flow = &flows[i];

        if (!flow->stack)
            flow->stack = malloc(STACK);
        if (i && !flow->coroutine)
            flow->coroutine = malloc(sizeof *flow->coroutine);
        if (!i)
            flow->coroutine = &own_of_block.main_stack;
        memset(flow->coroutine, 0, sizeof *flow->coroutine);
        flow->coroutine->low = (uintptr_t)flow->stack;
        flow->coroutine->size = i ? STACK : 0;
        flow->coroutine->away = i ? AWAY : HERE;
        flow->attached = 0;
        flow->is_blocked = false;
        getcontext(&flow->context);
        flow->context.uc_stack.ss_sp = flow->stack;
        flow->context.uc_stack.ss_size = STACK;
        flow->context.uc_link = NULL;
        makecontext(&flow->context, (void (*)(void))enter, 1, i);
    }
    own_of_block.current = flows[0].coroutine;
    hook_real[HOOK_swapcontext] = (void *)real_swapcontext;
    atomic_store(&mask_seen, NO_MASK);
    atomic_store(&coroutines_preempt, false);
    atomic_store(&context_guard, 0);
    ck_assert(guard_is_clear()); /* or nothing could come between */
    running = 0;
}

/* Every way in which so many handlers come, from the start or after the first switch. */
static unsigned long explore(int at_most, bool from_start)
{
    unsigned long runs = 0;

    known = 0;
    for (;;) {
        prepare();
        handlers_come = from_start;
        steps = 0;
        handlers_left = at_most;
        is_checking = true;
        swapcontext(&outside, &flows[0].context);
        is_checking = false;
        for (int i = 0; i < FLOWS; i++)
            ck_assert(is_done[i]);
        runs++;
        while (steps > 0 && choice[steps - 1])
            steps--;
        if (!steps)
            return runs;
        choice[steps - 1] = 1;
        known = steps;
    }
}

START_TEST(test_model_switches_interrupted_once)
{
    if (CAN_RUN)
        ck_assert_uint_gt(explore(1, true), 20);
    if (CAN_RUN)
        ck_assert_uint_gt(explore(1, false), 20);
}
END_TEST

START_TEST(test_model_switches_interrupted_twice)
{
    if (!CAN_RUN)
        return;
    ck_assert_uint_gt(explore(2, true), 400);
    ck_assert_uint_gt(explore(2, false), 400);
    ck_assert_int_gt(handlers, 400);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("model_switches");

    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, test_model_switches_interrupted_once);
    tcase_add_test(tests, test_model_switches_interrupted_twice);
    return suite_run("model_switches", tests);
}
