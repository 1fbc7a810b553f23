// Five universes on one thread, each with children of its own, on three kinds of loop: the lines of universes_loop.py.
// libs: glib-2.0 libuv
// usage: universes_loop uv|glib|ucontext [CARRIER]
#include "carrier.h"
#include <glib.h>
#include <ucontext.h>
#include <uv.h>

enum { UNIVERSES = 5, CHILDREN = 4, STACK = 64 * 1024 };

static void (*call_soon)(void (*function)(long), long argument);

static void child(long word)
{
    long universe = word / 100, number = word % 100;
    printf("child %ld of universe %ld sees %ld\n", number, universe, current());
    wrong_results += current() != word;
    set_current(9999);
}

/* One step; false after the last. */
static int step(long universe, long number)
{
    wrong_results += current() != universe;
    if (number > CHILDREN) {
        printf("universe %ld ends in %ld\n", universe, current());
        set_current(7777);
        return 0;
    }
    printf("universe %ld is in %ld\n", universe, current());
    set_current(100 * universe + number);
    call_soon(child, 100 * universe + number);
    set_current(universe);
    return 1;
}

/* ---- callbacks: a step asks for the next one ---- */

static void live(long word)
{
    if (step(word / 100, word % 100))
        call_soon(live, word + 1);
}

static void begin(void)
{
    for (long universe = 1; universe <= UNIVERSES; universe++) {
        set_current(universe);
        call_soon(live, 100 * universe + 1);
    }
    set_current(1000);
}

struct call {
    void (*function)(long);
    long argument;
    uv_timer_t timer;
};

static struct call *call_new(void (*function)(long), long argument)
{
    struct call *call = malloc(sizeof(*call));
    call->function = function;
    call->argument = argument;
    return call;
}

static void closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void on_timer(uv_timer_t *timer)
{
    struct call *call = timer->data;
    call->function(call->argument);
    uv_close((uv_handle_t *)timer, closed);
}

static void uv_soon(void (*function)(long), long argument)
{
    struct call *call = call_new(function, argument);
    uv_timer_init(uv_default_loop(), &call->timer);
    call->timer.data = call;
    uv_timer_start(&call->timer, on_timer, 0, 0);
}

static gboolean on_idle(gpointer data)
{
    struct call *call = data;
    call->function(call->argument);
    free(call);
    return FALSE;
}

static void glib_soon(void (*function)(long), long argument)
{
    g_idle_add(on_idle, call_new(function, argument));
}

/* ---- coroutines: a universe is one, and so is a child; whoever is first in the queue runs ---- */

struct coroutine {
    ucontext_t context;
    void (*function)(long);
    long argument;
    int is_done;
    char *stack;
    struct coroutine *next;
};

static ucontext_t scheduler;
static struct coroutine *queue, **queue_end = &queue, *running;

static void enqueue(struct coroutine *one)
{
    one->next = NULL;
    *queue_end = one;
    queue_end = &one->next;
}

static void entry(void)
{
    running->function(running->argument);
    running->is_done = 1;
}

static void coroutine_soon(void (*function)(long), long argument)
{
    struct coroutine *one = calloc(1, sizeof(*one));
    one->function = function;
    one->argument = argument;
    one->stack = malloc(STACK);
    getcontext(&one->context);
    one->context.uc_stack.ss_sp = one->stack;
    one->context.uc_stack.ss_size = STACK;
    one->context.uc_link = &scheduler;
    makecontext(&one->context, entry, 0);
    enqueue(one);
}

static void live_on(long word)
{
    for (long number = 1; step(word / 100, number); number++) {
        struct coroutine *me = running;
        enqueue(me);
        swapcontext(&me->context, &scheduler);
    }
}

static void run_coroutines(void)
{
    while (queue) {
        running = queue;
        queue = running->next;
        if (!queue)
            queue_end = &queue;
        swapcontext(&scheduler, &running->context);
        if (running->is_done) {
            free(running->stack);
            free(running);
        }
    }
}

int main(int argc, char **argv)
{
    carrier_choose(argc > 2 ? argv[2] : "key");
    if (argc > 1 && !strcmp(argv[1], "uv")) {
        call_soon = uv_soon;
        begin();
        uv_run(uv_default_loop(), UV_RUN_DEFAULT);
        uv_loop_close(uv_default_loop());
    } else if (argc > 1 && !strcmp(argv[1], "glib")) {
        call_soon = glib_soon;
        begin();
        while (g_main_context_iteration(NULL, FALSE))
            ;
    } else if (argc > 1 && !strcmp(argv[1], "ucontext")) {
        call_soon = coroutine_soon;
        for (long universe = 1; universe <= UNIVERSES; universe++) {
            set_current(universe);
            coroutine_soon(live_on, 100 * universe + 1);
        }
        set_current(1000);
        run_coroutines();
    } else {
        return 2;
    }
    printf("outside, all the time: %ld\n", current());
    wrong_results += current() != 1000;
    set_current(0);
    return wrong_results != 0;
}
