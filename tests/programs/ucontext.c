// Coroutines of the C library: each has its own values, wherever and however it is switched to.
// usage: ucontext MODE [CARRIER]; a mode is one promise, named in the table at the end
#include "carrier.h"
#include <setjmp.h>
#include <stdint.h>
#include <ucontext.h>

enum { STACK = 64 * 1024, MANY = 300 };

struct coroutine {
    ucontext_t context, *caller;
    void (*body)(struct coroutine *);
    long number;
    int is_done;
    char *stack;
};

static ucontext_t outside;

static void start(struct coroutine *me)
{
    me->body(me);
    me->is_done = 1;
}

static void make(struct coroutine *me, long number, void (*body)(struct coroutine *), ucontext_t *link)
{
    if (!me->stack)
        me->stack = malloc(STACK);
    me->number = number;
    me->body = body;
    me->is_done = 0;
    me->caller = link;
    getcontext(&me->context);
    me->context.uc_stack.ss_sp = me->stack;
    me->context.uc_stack.ss_size = STACK;
    me->context.uc_link = link;
    makecontext(&me->context, (void (*)(void))start, 1, me);
}

static void resume(struct coroutine *me)
{
    swapcontext(me->caller, &me->context);
}

static void yield(struct coroutine *me)
{
    swapcontext(&me->context, me->caller);
}

/* Sees its start, then what it set itself, whatever the others do. */
static void count_up(struct coroutine *me)
{
    expect("starts with", current(), 100 * me->number);
    for (int i = 1; i <= 5; i++) {
        set_current(100 * me->number + i);
        yield(me);
        expect("finds again", current(), 100 * me->number + i);
    }
    set_current(7777);
}

static void mode_switch(void)
{
    static struct coroutine all[3];
    for (int i = 0; i < 3; i++) {
        set_current(100 * (i + 1));
        make(&all[i], i + 1, count_up, &outside);
    }
    set_current(9);
    for (int round = 0; round < 6; round++)
        for (int i = 0; i < 3; i++) {
            resume(&all[i]);
            expect("outside", current(), 9 + round);
            if (i == 2)
                set_current(9 + round + 1);
        }
    expect("all done", all[0].is_done && all[1].is_done && all[2].is_done, 1);
}

/* ---- arguments ---- */

static long sums[4];

static void no_arguments(void)
{
    sums[0] = current();
}

static void six_arguments(int a, int b, int c, int d, int e, int f)
{
    sums[1] = a == 1 && b == -2 && c == 3 && d == 4 && e == 5 && f == 6 ? current() : -1;
}

static void ten_arguments(int a, int b, int c, int d, int e, int f, int g, int h, int i, int j)
{
    sums[2] = a == 1 && b == 2 && c == 3 && d == 4 && e == 5 && f == 6 && g == 7 && h == 8 && i == 9 && j == -10
                  ? current()
                  : -1;
}

static void prepare(ucontext_t *context, void *stack)
{
    getcontext(context);
    context->uc_stack.ss_sp = stack;
    context->uc_stack.ss_size = STACK;
    context->uc_link = &outside;
}

static void mode_arguments(void)
{
    ucontext_t inside[3];
    char *stacks = malloc(3 * STACK);
    for (int i = 0; i < 3; i++)
        prepare(&inside[i], stacks + i * STACK);
    set_current(1);
    makecontext(&inside[0], no_arguments, 0);
    set_current(2);
    makecontext(&inside[1], (void (*)(void))six_arguments, 6, 1, -2, 3, 4, 5, 6);
    set_current(3);
    makecontext(&inside[2], (void (*)(void))ten_arguments, 10, 1, 2, 3, 4, 5, 6, 7, 8, 9, -10);
    set_current(9);
    for (int i = 0; i < 3; i++) {
        swapcontext(&outside, &inside[i]);
        expect("sees", sums[i], i + 1);
        expect("outside", current(), 9);
    }
    free(stacks);
}

/* ---- one after the other by uc_link, one inside the other ---- */

static void once(struct coroutine *me)
{
    expect("starts with", current(), 100 * me->number);
    set_current(4000 + me->number);
}

static void mode_link(void)
{
    static struct coroutine all[3];
    for (int i = 2; i >= 0; i--) {
        set_current(100 * (i + 1));
        make(&all[i], i + 1, once, i == 2 ? &outside : &all[i + 1].context);
    }
    set_current(9);
    swapcontext(&outside, &all[0].context);
    expect("outside", current(), 9);
    expect("all done", all[0].is_done && all[1].is_done && all[2].is_done, 1);
}

static void deeper(struct coroutine *me)
{
    struct coroutine inner = {.stack = NULL};
    expect("starts with", current(), 100 * me->number);
    if (me->number < 8) {
        set_current(100 * (me->number + 1));
        make(&inner, me->number + 1, deeper, &me->context);
        set_current(50 + me->number);
        while (!inner.is_done) {
            resume(&inner);
            expect("has its own back", current(), 50 + me->number);
        }
        free(inner.stack);
    }
    yield(me);
    set_current(1);
}

static void mode_nested(void)
{
    struct coroutine first = {.stack = NULL};
    set_current(100);
    make(&first, 1, deeper, &outside);
    set_current(9);
    while (!first.is_done) {
        resume(&first);
        expect("outside", current(), 9);
    }
    free(first.stack);
}

/* A coroutine whose stack is an array of its maker. */
static void mode_stack_in_stack(void)
{
    char array[STACK] __attribute__((aligned(16)));
    struct coroutine one = {.stack = array};
    set_current(100);
    make(&one, 1, count_up, &outside);
    set_current(9);
    while (!one.is_done)
        resume(&one);
    expect("outside", current(), 9);
}

/* ---- from thread to thread ---- */

static struct coroutine moved[4];

static void *drive(void *argument)
{
    ucontext_t mine;
    long own = (long)argument;
    set_current(own);
    for (int i = 0; i < 4; i++) {
        moved[i].caller = &mine;
        moved[i].context.uc_link = &mine;
        resume(&moved[i]);
        expect("the thread has", current(), own);
    }
    return NULL;
}

static void last_switch(struct coroutine *me)
{
    count_up(me);
    for (;;) /* its uc_link is a thread that has ended: never return */
        yield(me);
}

static void mode_move(void)
{
    pthread_t thread;
    for (int i = 0; i < 4; i++) {
        set_current(100 * (i + 1));
        make(&moved[i], i + 1, last_switch, &outside);
    }
    set_current(9);
    for (long i = 0; i < 6; i++) {
        pthread_create(&thread, NULL, drive, (void *)(70 + i));
        pthread_join(thread, NULL);
    }
    expect("outside", current(), 9);
    for (int i = 0; i < 4; i++) { /* the stacks' next users: nothing is left of the ones before */
        set_current(100);
        make(&moved[i], 1, once, &outside);
        set_current(9);
        resume(&moved[i]);
    }
}

/* ---- left for good ---- */

static void never_ends(struct coroutine *me)
{
    expect("starts with", current(), 100 * me->number);
    for (;;) {
        set_current(600 + me->number);
        yield(me);
        expect("finds again", current(), 600 + me->number);
    }
}

/* A coroutine that is not driven to its end: what it held goes when its stack is used again. */
static void mode_reuse(void)
{
    struct coroutine one = {.stack = NULL};
    for (int i = 1; i <= 10; i++) {
        set_current(100 * i);
        make(&one, i, never_ends, &outside);
        set_current(9);
        resume(&one);
        resume(&one);
        expect("outside", current(), 9);
    }
    set_current(100);
    make(&one, 1, once, &outside); /* never started */
    make(&one, 1, once, &outside);
    set_current(9);
    resume(&one);
    expect("outside", current(), 9);
    free(one.stack);
}

static void leaves_by_setcontext(struct coroutine *me)
{
    expect("starts with", current(), 100 * me->number);
    set_current(5);
    me->is_done = 1;
    setcontext(&outside);
}

static void mode_setcontext(void)
{
    struct coroutine one = {.stack = NULL};
    for (int i = 1; i <= 5; i++) {
        volatile int turn = 0;
        set_current(100 * i);
        make(&one, i, leaves_by_setcontext, &outside);
        set_current(9);
        getcontext(&outside);
        if (turn++ == 0)
            setcontext(&one.context);
        expect("outside", current(), 9);
    }
    set_current(100);
    make(&one, 1, once, &outside);
    set_current(9);
    resume(&one);
    free(one.stack);
}

/* ---- entered by a context, from then on by jumps: OpenSSL's ASYNC, QEMU ---- */

static sigjmp_buf into, out_of;
static void (*jump)(struct __jmp_buf_tag *, int) = _longjmp;
static int with_mask;

static void jump_out(void)
{
    if (!sigsetjmp(into, with_mask))
        jump(out_of, 1);
}

static void jumping(struct coroutine *me)
{
    expect("starts with", current(), 100);
    for (int i = 1; i <= 5; i++) {
        set_current(100 + i);
        jump_out();
        expect("finds again", current(), 100 + i);
    }
}

static void mode_jump(void)
{
    struct coroutine one = {.stack = NULL};
    volatile int entered = 0;
    set_current(100);
    make(&one, 1, jumping, &outside);
    set_current(9);
    while (!one.is_done) {
        if (!sigsetjmp(out_of, with_mask)) {
            if (entered++)
                jump(into, 1);
            swapcontext(&outside, &one.context);
        }
        expect("outside", current(), 9);
    }
    free(one.stack);
}

static void mode_longjmp(void)
{
    jump = longjmp;
    mode_jump();
}

static void mode_siglongjmp(void)
{
    jump = siglongjmp;
    with_mask = 1;
    mode_jump();
}

/* What longjmp is in programs that are built with _FORTIFY_SOURCE; it goes up only. */
extern void __longjmp_chk(struct __jmp_buf_tag *environment, int value) __attribute__((noreturn));

static void leaves_by_a_jump(struct coroutine *me)
{
    expect("starts with", current(), 100 * me->number);
    set_current(5);
    __longjmp_chk(out_of, 1);
}

static void mode_fortified(void)
{
    struct coroutine one = {.stack = NULL};
    for (volatile int i = 1; i <= 5; i++) {
        set_current(100 * i);
        make(&one, i, leaves_by_a_jump, &outside);
        set_current(9);
        if (!_setjmp(out_of))
            setcontext(&one.context);
        expect("outside", current(), 9);
    }
    set_current(100);
    make(&one, 1, once, &outside);
    set_current(9);
    resume(&one);
    free(one.stack);
}

/* A jump that stays on its stack, in a coroutine and outside. */
static void jump_inside(void)
{
    jmp_buf here;
    volatile int turn = 0;
    if (!setjmp(here)) {
        set_current(current() + 1);
        longjmp(here, 1);
    }
    turn++;
}

static void jumps_at_home(struct coroutine *me)
{
    sigjmp_buf here;
    jump_inside();
    expect("after a jump", current(), 101);
    yield(me);
    if (!sigsetjmp(here, 1))
        siglongjmp(here, 1);
    expect("after a jump", current(), 101);
}

static void mode_jump_inside(void)
{
    struct coroutine one = {.stack = NULL};
    set_current(100);
    make(&one, 1, jumps_at_home, &outside);
    set_current(9);
    while (!one.is_done) {
        resume(&one);
        expect("outside", current(), 9);
    }
    jump_inside();
    expect("outside", current(), 10);
    free(one.stack);
}

/* ---- handoffs from coroutines, coroutines in handoffs ---- */

static void *thread_sees(void *place)
{
    *(long *)place = current();
    return NULL;
}

static void starts_threads(struct coroutine *me)
{
    for (int i = 0; i < 3; i++) {
        pthread_t thread;
        long saw = -1;
        set_current(100 * me->number + i);
        pthread_create(&thread, NULL, thread_sees, &saw);
        yield(me);
        pthread_join(thread, NULL);
        expect("a coroutine's thread sees", saw, 100 * me->number + i);
    }
}

static void *in_thread(void *unused)
{
    struct coroutine all[2] = {{.stack = NULL}, {.stack = NULL}};
    ucontext_t mine;
    for (int i = 0; i < 2; i++) {
        set_current(100 * (i + 1));
        make(&all[i], i + 1, starts_threads, &mine);
    }
    set_current(8);
    for (int round = 0; round < 4; round++)
        for (int i = 0; i < 2; i++) {
            resume(&all[i]);
            expect("the thread has", current(), 8);
        }
    free(all[0].stack);
    free(all[1].stack);
    return NULL;
}

static void mode_threads(void)
{
    pthread_t thread;
    set_current(3);
    pthread_create(&thread, NULL, in_thread, NULL);
    pthread_join(thread, NULL);
    expect("outside", current(), 3);
}

/* ---- many ---- */

static long steps_right;

static void many_steps(struct coroutine *me)
{
    for (int i = 0; i < 20; i++) {
        steps_right += current() == 1000 + me->number;
        yield(me);
    }
}

static void mode_many(void)
{
    static struct coroutine all[MANY];
    for (int i = 0; i < MANY; i++) {
        set_current(1000 + i);
        make(&all[i], i, many_steps, &outside);
    }
    set_current(9);
    for (int round = 0; round < 21; round++)
        for (int i = 0; i < MANY; i++)
            resume(&all[(i * 7) % MANY]);
    expect("right", steps_right, 20 * MANY);
    expect("outside", current(), 9);
    for (int i = 0; i < MANY; i++)
        free(all[i].stack);
}

static const struct {
    const char *name;
    void (*run)(void);
} modes[] = {
    {"switch", mode_switch},         {"arguments", mode_arguments}, {"link", mode_link},
    {"nested", mode_nested},         {"stack_in_stack", mode_stack_in_stack},
    {"move", mode_move},             {"reuse", mode_reuse},         {"setcontext", mode_setcontext},
    {"jump", mode_jump},             {"jump_inside", mode_jump_inside}, {"threads", mode_threads},
    {"many", mode_many},             {"fortified", mode_fortified},
    {"longjmp", mode_longjmp},       {"siglongjmp", mode_siglongjmp},
};

int main(int argc, char **argv)
{
    carrier_choose(argc > 2 ? argv[2] : "key");
    for (size_t i = 0; argc > 1 && i < sizeof(modes) / sizeof(modes[0]); i++)
        if (!strcmp(modes[i].name, argv[1])) {
            modes[i].run();
            set_current(0);
            return verdict();
        }
    return 2;
}
