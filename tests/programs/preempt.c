// User threads that are preempted: a signal handler switches coroutines, whatever it has interrupted; all keep their values.
// usage: preempt MODE [CARRIER [STRIDE]]
//   turns      a timer's handler goes round, the coroutines make and end others
//   scheduler  the same handler and the coroutines themselves go to one scheduler
//   step       the handler comes after each STRIDE-th single instruction of a switch, and some more later once more
//   fresh      the same of a coroutine's first switch and its end
#define _GNU_SOURCE
#include "carrier.h"
#include <stdint.h>
#include <sys/time.h>
#include <ucontext.h>

enum { N = 4, STACK = 128 * 1024, SWITCHES = 150, MADE = 1500 };

static ucontext_t outside, worker[N];
static char *stacks[2 * N + 2];
static volatile int running = -1;
static volatile long switches, made;
static volatile sig_atomic_t is_over;

static volatile long wrong;

/* Nothing is printed where a handler may switch: printing has locks. */
static void see(long value)
{
    if (current() != value)
        wrong++;
}

static void alarm_is(int how)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    sigprocmask(how, &set, NULL);
}

static void make(ucontext_t *context, int stack, void (*function)(void), int argument,
                 ucontext_t *link)
{
    if (!stacks[stack])
        stacks[stack] = malloc(STACK);
    getcontext(context);
    context->uc_stack.ss_sp = stacks[stack];
    context->uc_stack.ss_size = STACK;
    context->uc_link = link;
    makecontext(context, function, 1, argument);
}

static void each_500_us(void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    struct itimerval often = {{0, 500}, {0, 500}};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
}

static int is_on(const char *stack, uintptr_t sp)
{
    return stack && sp - (uintptr_t)stack < STACK;
}

/* ---- turns ---- */

static void next_turn(int signal)
{
    int me = running, to = (me + 1) % N;
    (void)signal;
    if (me < 0 || is_over)
        return;
    running = to;
    switches++;
    swapcontext(&worker[me], &worker[to]);
}

static void leaf(int value)
{
    see(value);
}

static void make_leaves(int me)
{
    ucontext_t here, there;
    set_current(100 + me);
    alarm_is(SIG_UNBLOCK);
    while (!is_over) {
        make(&there, N + me, (void (*)(void))leaf, 100 + me, &here);
        swapcontext(&here, &there);
        see(100 + me);
        if (++made > MADE && switches > SWITCHES)
            is_over = 1;
    }
    alarm_is(SIG_BLOCK);
    setcontext(&outside);
}

static void mode_turns(void)
{
    volatile int is_first = 1;
    for (int i = 0; i < N; i++) {
        set_current(10 + i);
        make(&worker[i], i, (void (*)(void))make_leaves, i, &outside);
    }
    set_current(9);
    getcontext(&outside);
    if (is_first) {
        is_first = 0;
        running = 0;
        each_500_us(next_turn);
        setcontext(&worker[0]);
    }
    see(9);
}

/* ---- scheduler ---- */

static ucontext_t
    preempted[N]; /* apart: the handler may have interrupted who is writing to worker[i] */
static volatile int is_preempted[N], is_done[N];

static void to_scheduler(int signal)
{
    (void)signal;
    /* The C library sets a context's mask before it goes to its stack. */
    if (!is_on(stacks[running], (uintptr_t)&signal))
        return;
    is_preempted[running] = 1;
    switches++;
    swapcontext(&preempted[running], &outside);
}

static void resume(int i)
{
    running = i;
    if (is_preempted[i]) {
        is_preempted[i] = 0;
        swapcontext(&outside, &preempted[i]);
    } else {
        swapcontext(&outside, &worker[i]);
    }
}

static void yield_often(int me)
{
    set_current(100 + me);
    alarm_is(SIG_UNBLOCK);
    while (!is_over) {
        swapcontext(&worker[me], &outside);
        see(100 + me);
        made++;
    }
    alarm_is(SIG_BLOCK);
    is_done[me] = 1;
}

static void mode_scheduler(void)
{
    for (int i = 0; i < N; i++)
        make(&worker[i], i, (void (*)(void))yield_often, i, &outside);
    set_current(9);
    each_500_us(to_scheduler);
    for (int i = 0; switches < SWITCHES || made < MADE; i = (i + 1) % N) {
        resume(i);
        see(9);
    }
    is_over = 1;
    for (int i = 0; i < N; i++)
        while (!is_done[i])
            resume(i);
}

/* ---- step ---- */

static ucontext_t left, other, third, interrupted;
static volatile long countdown[2];
static volatile int was_interrupted;

#ifdef __x86_64__
#include "step.h"

static void stepped(int signal, siginfo_t *info, void *context)
{
    ucontext_t *at = context;
    uintptr_t sp = (uintptr_t)at->uc_mcontext.gregs[REG_RSP];
    (void)signal;
    (void)info;
    if (!is_on(stacks[0], sp) && !is_on(stacks[1], sp)) { /* the scheduler's: it is over */
        at->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
        return;
    }
    if (sigismember(&at->uc_sigmask, SIGALRM)) /* a timer's signal would not come here */
        return;
    for (int i = 0; i < 2; i++)
        if (countdown[i]) {
            if (--countdown[i])
                return;
            was_interrupted = 1;
            swapcontext(&interrupted, &outside);
            return;
        }
}
#else
static inline void step_on(void)
{
}
static inline void step_off(void)
{
}
#endif

static void go_over(int unused)
{
    (void)unused;
    for (;;) {
        step_on();
        swapcontext(&left, &other);
        step_off();
        see(100);
        swapcontext(&left, &outside);
    }
}

static void come_over(int is_once)
{
    do {
        if (!is_once)
            swapcontext(&other, &outside);
        step_off();
        see(200);
    } while (!is_once);
    step_on(); /* to the end, by uc_link, with signals blocked */
}

static void be_there(int unused)
{
    (void)unused;
    for (;;) {
        see(300);
        swapcontext(&third, &outside);
    }
}

static void make_with(long value, ucontext_t *context, int stack, void (*function)(int),
                      int argument)
{
    set_current(value);
    make(context, stack, (void (*)(void))function, argument, &outside);
    set_current(9);
}

/* From left to other, with the handler after so many instructions, and after so many more. False: there are fewer. */
static int step(long first, long second, int is_fresh)
{
    int is_reached;
    countdown[0] = first;
    countdown[1] = second;
    if (is_fresh)
        make_with(200, &other, 1, come_over, 1);
    swapcontext(&outside, &left);
    see(9);
    while (was_interrupted) {
        was_interrupted = 0;
        swapcontext(&outside, &third);
        see(9);
        swapcontext(&outside, &interrupted);
        see(9);
    }
    is_reached = countdown[0] == 0;
    countdown[0] = countdown[1] = 0;
    swapcontext(&outside, &left);
    see(9);
    return is_reached;
}

static void mode_step(int is_fresh, int stride)
{
    static const int further[] = {1, 3, 20};
#ifdef __x86_64__
    struct sigaction action = {.sa_sigaction = stepped, .sa_flags = SA_SIGINFO};
    sigaction(SIGTRAP, &action, NULL);
#endif
    make_with(100, &left, 0, go_over, 0);
    make_with(300, &third, 2, be_there, 0);
    if (!is_fresh) {
        make_with(200, &other, 1, come_over, 0);
        swapcontext(&outside, &other);
    }
    for (long first = 1; step(first, 0, is_fresh); first += stride)
        if (first % 3 == 1)
            step(first, further[first / 3 % 3], is_fresh);
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";

    carrier_choose(argc > 2 ? argv[2] : "key");
    if (!strcmp(mode, "turns") || !strcmp(mode, "scheduler"))
        alarm_is(SIG_BLOCK);
    if (!strcmp(mode, "turns"))
        mode_turns();
    else if (!strcmp(mode, "scheduler"))
        mode_scheduler();
    else
        mode_step(!strcmp(mode, "fresh"), argc > 3 ? atoi(argv[3]) : 1);
    set_current(0);
    expect("wrong values", wrong, 0);
    return verdict();
}
