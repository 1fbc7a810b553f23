// Variables in contexts behave as PEP 567 says: tokens, isolation of run, nesting, handoffs.
// flags: -Iinclude
// libs: glib-2.0
// usage: contextvars MODE; a mode is one promise, named in the table at the end
#include "baton.h"
#include "carrier.h"
#include <glib.h>
#include <setjmp.h>
#include <ucontext.h>

static baton_var *one, *two, *three;
static long freed;

static void count_freed(void *value)
{
    __atomic_add_fetch(&freed, 1, __ATOMIC_RELAXED);
}

static long number(const baton_var *var)
{
    return (long)baton_get(var);
}

static void put(baton_var *var, long value)
{
    if (baton_set(var, (void *)value, NULL) != BATON_OK)
        abort();
}

static long in_context(baton_context *context, baton_var *var)
{
    void *value = (void *)-1L;
    baton_context_find(context, var, &value);
    return (long)value;
}

/* ---- variables and tokens ---- */

static void mode_get_and_set(void)
{
    void *value = &value;
    expect("default", number(one), 11);
    expect("found", baton_find(one, &value), 0);
    expect("value untouched", value == &value, 1);
    put(one, 0);
    expect("set to NULL is set", baton_find(one, &value), 1);
    expect("value", (long)value, 0);
    expect("not the default", number(one), 0);
    expect("another variable", number(two), 22);
    printf("name %s\n", baton_var_name(one));
}

static void mode_reset(void)
{
    baton_token first, second;
    void *old = NULL;
    baton_set(one, (void *)1, &first);
    expect("replaced nothing", baton_token_old(&first, &old), 0);
    baton_set(one, (void *)2, &second);
    expect("replaced something", baton_token_old(&second, &old), 1);
    expect("which was", (long)old, 1);
    expect("reset", baton_reset(one, &second), BATON_OK);
    expect("value", number(one), 1);
    expect("reset", baton_reset(one, &first), BATON_OK);
    expect("default again", number(one), 11);
    expect("found", baton_find(one, NULL), 0);
}

/* Out of order: each puts back what it had replaced. */
static void mode_reset_out_of_order(void)
{
    baton_token first, second;
    put(one, 5);
    baton_set(one, (void *)1, &first);
    baton_set(one, (void *)2, &second);
    expect("reset", baton_reset(one, &first), BATON_OK);
    expect("value", number(one), 5);
    expect("reset", baton_reset(one, &second), BATON_OK);
    expect("value", number(one), 1);
}

static void mode_used_token(void)
{
    baton_token token;
    baton_set(one, (void *)1, &token);
    expect("first", baton_reset(one, &token), BATON_OK);
    put(one, 7);
    expect("second", baton_reset(one, &token), BATON_ERROR_TOKEN_USED);
    expect("nothing changed", number(one), 7);
}

static void mode_other_variable(void)
{
    baton_token token;
    baton_set(one, (void *)1, &token);
    expect("reset", baton_reset(two, &token), BATON_ERROR_OTHER_VAR);
    expect("nothing changed", number(one), 1);
    expect("still good", baton_reset(one, &token), BATON_OK);
}

static baton_token kept;

static void set_and_keep(void *value)
{
    baton_set(one, value, &kept);
}

static void try_reset(void *error)
{
    *(long *)error = baton_reset(one, &kept);
}

static void mode_other_context(void)
{
    baton_context *context = baton_context_copy(), *other = baton_context_copy();
    long error = -1;
    baton_context_run(context, set_and_keep, (void *)3);
    expect("outside", baton_reset(one, &kept), BATON_ERROR_OTHER_CONTEXT);
    baton_context_run(other, try_reset, &error);
    expect("in a copy", error, BATON_ERROR_OTHER_CONTEXT);
    baton_context_run(context, try_reset, &error);
    expect("where it was made, in a later run", error, BATON_OK);
    expect("not set any more", baton_context_find(context, one, NULL), 0);
    baton_context_free(context);
    baton_context_free(other);
}

static gpointer reset_in_thread(gpointer error)
{
    *(long *)error = baton_reset(one, &kept);
    return NULL;
}

static void mode_other_thread(void)
{
    long error = -1;
    set_and_keep((void *)4);
    g_thread_join(g_thread_new("reset", reset_in_thread, &error));
    expect("in a thread", error, BATON_ERROR_OTHER_CONTEXT);
    expect("here", baton_reset(one, &kept), BATON_OK);
}

/* ---- contexts ---- */

static void set_to_two(void *argument)
{
    put(one, 2);
    *(long *)argument = number(one);
}

static void mode_isolated_run(void)
{
    baton_context *context;
    long inside = 0;
    put(one, 1);
    context = baton_context_copy();
    put(one, 10);
    expect("the copy has", in_context(context, one), 1);
    baton_context_run(context, set_to_two, &inside);
    expect("inside", inside, 2);
    expect("outside", number(one), 10);
    expect("kept in the context", in_context(context, one), 2);
    baton_context_free(context);
}

static void mode_empty_context(void)
{
    baton_context *context = baton_context_new();
    long inside = 0;
    put(one, 1);
    expect("count", (long)baton_context_count(context), 0);
    baton_context_run(context, set_to_two, &inside);
    expect("count", (long)baton_context_count(context), 1);
    expect("outside", number(one), 1);
    baton_context_free(context);
}

static baton_context *outer, *inner;
static long seen[8];

static void run_inner(void *argument)
{
    put(two, 202);
    seen[1] = number(one);
}

static void run_outer(void *argument)
{
    put(one, 101);
    baton_context_run(inner, run_inner, NULL);
    seen[2] = number(two);
    seen[3] = baton_context_run(outer, run_inner, NULL);
}

static void mode_nested_runs(void)
{
    outer = baton_context_copy();
    inner = baton_context_copy();
    expect("run", baton_context_run(outer, run_outer, NULL), BATON_OK);
    expect("the inner one does not see the outer", seen[1], 11);
    expect("the outer one does not see the inner", seen[2], 22);
    expect("entered again", seen[3], BATON_ERROR_ENTERED);
    expect("outer has", in_context(outer, one), 101);
    expect("inner has", in_context(inner, two), 202);
    expect("outside", number(one) + number(two), 33);
    expect("can be entered again", baton_context_run(outer, run_inner, NULL), BATON_OK);
    baton_context_free(outer);
    baton_context_free(inner);
}

static struct gate gate = GATE_CLOSED;

static void wait_inside(void *argument)
{
    put(one, 77);
    gate_wait(&gate);
}

static gpointer enter_in_thread(gpointer context)
{
    baton_context_run(context, wait_inside, NULL);
    return NULL;
}

static void mode_entered_elsewhere(void)
{
    baton_context *context = baton_context_copy();
    GThread *thread = g_thread_new("enter", enter_in_thread, context);
    gate_await(&gate, 1);
    expect("entered in another thread", baton_context_run(context, run_inner, NULL), BATON_ERROR_ENTERED);
    expect("looked up while it runs", in_context(context, one), 77);
    gate_open(&gate);
    g_thread_join(thread);
    expect("left", baton_context_run(context, run_inner, NULL), BATON_OK);
    baton_context_free(context);
}

static int add_up(baton_var *var, void *value, void *sum)
{
    *(long *)sum += (long)value;
    return 0;
}

static int stop_at_once(baton_var *var, void *value, void *count)
{
    ++*(long *)count;
    return 9;
}

static void mode_iterate(void)
{
    baton_context *context, *copy;
    long sum = 0, calls = 0;
    put(one, 1);
    put(two, 2);
    put(three, 4);
    context = baton_context_copy();
    put(three, 8);
    copy = baton_context_copy_of(context);
    expect("count", (long)baton_context_count(copy), 3);
    baton_context_each(copy, add_up, &sum);
    expect("sum", sum, 7);
    expect("stopped", baton_context_each(copy, stop_at_once, &calls), 9);
    expect("calls", calls, 1);
    baton_context_free(context);
    baton_context_free(copy);
}

enum { MANY = 3000 };

static void mode_many(void)
{
    static baton_var *vars[MANY];
    static baton_token tokens[MANY];
    baton_context *context;
    long right = 0;
    for (long i = 0; i < MANY; i++) {
        vars[i] = baton_var_new("many", NULL, NULL);
        baton_set(vars[i], (void *)(i + 1), &tokens[i]);
    }
    context = baton_context_copy();
    for (long i = 0; i < MANY; i++)
        right += number(vars[i]) == i + 1;
    expect("right", right, MANY);
    for (long i = MANY; i-- > 0;)
        right -= baton_reset(vars[i], &tokens[i]) == BATON_OK && !baton_find(vars[i], NULL);
    expect("reset", right, 0);
    expect("the copy still has", (long)baton_context_count(context), MANY);
    for (long i = 0; i < MANY; i++)
        right += in_context(context, vars[i]) == i + 1;
    expect("right in the copy", right, MANY);
    baton_context_free(context);
}

static jmp_buf way_out;

static void leave_by_longjmp(void *argument)
{
    put(one, 5);
    longjmp(way_out, 1);
}

static void mode_longjmp(void)
{
    baton_context *context = baton_context_copy();
    put(one, 1);
    if (!setjmp(way_out))
        baton_context_run(context, leave_by_longjmp, NULL);
    expect("outside", number(one), 1);
    expect("in the context", in_context(context, one), 5);
    expect("can be entered again", baton_context_run(context, run_inner, NULL), BATON_OK);
    baton_context_free(context);
}

/* Two coroutines that go away in the middle of a run of their own, and come back in either order. */
static ucontext_t coroutines[2], resumed_by;

static void go_away_twice(void *argument)
{
    long number_of = (long)argument;
    for (long i = 0; i < 3; i++) {
        put(one, 100 * (number_of + 1) + i);
        swapcontext(&coroutines[number_of], &resumed_by);
        expect("after coming back", number(one), 100 * (number_of + 1) + i);
    }
}

static void enter_and_go_away(long number_of)
{
    baton_context *own = baton_context_new();
    put(one, number_of + 7);
    expect("entered", baton_context_run(own, go_away_twice, (void *)number_of), BATON_OK);
    expect("after the run", number(one), number_of + 7);
    expect("in the context", in_context(own, one), 100 * (number_of + 1) + 2);
    baton_context_free(own);
}

static void resume(void *number_of)
{
    put(two, 4);
    swapcontext(&resumed_by, &coroutines[(long)number_of]);
    expect("still the resumer's", number(two), 4);
    expect("never a coroutine's", number(one), 1);
}

static void mode_run_in_coroutine(void)
{
    static const long order[8] = {0, 1, 1, 0, 0, 1, 0, 1};
    static char stacks[2][1 << 16];
    baton_context *context;
    put(one, 1);
    context = baton_context_copy();
    for (long i = 0; i < 2; i++) {
        getcontext(&coroutines[i]);
        coroutines[i].uc_stack.ss_sp = stacks[i];
        coroutines[i].uc_stack.ss_size = sizeof stacks[i];
        coroutines[i].uc_link = &resumed_by;
        makecontext(&coroutines[i], (void (*)(void))enter_and_go_away, 1, i);
    }
    for (int i = 0; i < 8; i++) {
        expect("entered by the resumer", baton_context_run(context, resume, (void *)order[i]), BATON_OK);
        expect("outside of it", number(one), 1);
        expect("and not there", baton_find(two, NULL), 0);
    }
    baton_context_free(context);
}

static void exit_thread(void *argument)
{
    put(one, 5);
    pthread_exit(NULL);
}

static gpointer exit_inside(gpointer context)
{
    baton_context_run(context, exit_thread, NULL);
    return NULL;
}

static void mode_pthread_exit(void)
{
    baton_context *context = baton_context_copy();
    pthread_t thread;
    pthread_create(&thread, NULL, exit_inside, context);
    pthread_join(thread, NULL);
    expect("in the context", in_context(context, one), 5);
    expect("can be entered again", baton_context_run(context, run_inner, NULL), BATON_OK);
    baton_context_free(context);
}

/* ---- ends of values ---- */

static void mode_ends(void)
{
    baton_var *owned = baton_var_new("owned", NULL, count_freed);
    baton_token token;
    baton_context *context;
    baton_set(owned, (void *)1, NULL);
    baton_set(owned, (void *)2, NULL);
    expect("the first is replaced", freed, 1);
    context = baton_context_copy();
    baton_set(owned, (void *)3, &token);
    expect("the second is in the copy and the token", freed, 1);
    baton_context_free(context);
    expect("still in the token", freed, 1);
    baton_reset(owned, &token);
    expect("the third is put away", freed, 2);
    baton_set(owned, (void *)4, &token);
    baton_token_drop(&token);
    expect("the second is gone with its token", freed, 3);
    baton_token_drop(&token);
    expect("once", freed, 3);
}

static gpointer set_in_thread(gpointer var)
{
    baton_set(var, (void *)1, NULL);
    return NULL;
}

static void mode_thread_ends(void)
{
    baton_var *owned = baton_var_new("owned", NULL, count_freed);
    g_thread_join(g_thread_new("ends", set_in_thread, owned));
    expect("freed with its thread", freed, 1);
    expect("here", baton_find(owned, NULL), 0);
}

/* ---- handoffs ---- */

static long task_saw[4];

static void task(gpointer data, gpointer user_data)
{
    long i = (long)data - 1;
    task_saw[i] = number(one);
    put(one, 1000 + i);
    put(two, 2000 + i);
}

static void mode_pool(void)
{
    GThreadPool *pool = g_thread_pool_new(task, NULL, 1, TRUE, NULL);
    for (long i = 0; i < 4; i++) {
        put(one, i + 1);
        g_thread_pool_push(pool, (gpointer)(i + 1), NULL);
    }
    put(one, 100);
    g_thread_pool_free(pool, FALSE, TRUE);
    for (long i = 0; i < 4; i++)
        expect("task saw", task_saw[i], i + 1);
    expect("here", number(one), 100);
    expect("not from a task", number(two), 22);
}

static void run_and_push(void *pool)
{
    put(one, 3);
    g_thread_pool_push(pool, (gpointer)1, NULL);
}

static void mode_submit_in_run(void)
{
    GThreadPool *pool = g_thread_pool_new(task, NULL, 1, TRUE, NULL);
    baton_context *context = baton_context_copy();
    put(one, 1);
    baton_context_run(context, run_and_push, pool);
    g_thread_pool_push(pool, (gpointer)2, NULL);
    g_thread_pool_free(pool, FALSE, TRUE);
    expect("task saw", task_saw[0], 3);
    expect("task saw", task_saw[1], 1);
    expect("in the context", in_context(context, one), 3);
    baton_context_free(context);
}

static void remember(void *place)
{
    *(long *)place = number(one);
    put(one, 999);
}

static void mode_by_hand(void)
{
    baton_handoff *handoff;
    baton_scope scope, second;
    put(one, 1);
    handoff = baton_capture();
    put(one, 2);
    baton_attach(handoff, &scope);
    expect("attached", number(one), 1);
    put(one, 3);
    baton_attach(handoff, &second);
    expect("attached again", number(one), 1);
    baton_detach(&second);
    expect("as it was", number(one), 3);
    baton_detach(&scope);
    expect("detached", number(one), 2);
    baton_run(handoff, remember, &seen[0]);
    expect("run", seen[0], 1);
    expect("afterwards", number(one), 2);
    baton_release(handoff);
    baton_suppress();
    handoff = baton_capture();
    baton_run(handoff, remember, &seen[0]);
    expect("suppressed", seen[0], 11);
    baton_release(handoff);
    baton_resume();
    handoff = baton_capture();
    baton_run(handoff, remember, &seen[0]);
    expect("resumed", seen[0], 2);
    baton_release(handoff);
}

/* Many threads, many contexts, values that end: every one once, nobody sees another's. */
static baton_var *owned;
static long made, storm_right, storm_tasks, storm_ended;
static GThreadPool *storm_pool;

static void storm_set(long number)
{
    long *value = malloc(sizeof(*value));
    *value = number;
    __atomic_add_fetch(&made, 1, __ATOMIC_RELAXED);
    baton_set(owned, value, NULL);
}

static void storm_free(void *value)
{
    *(long *)value = -1;
    free(value);
    __atomic_add_fetch(&freed, 1, __ATOMIC_RELAXED);
}

static void storm_inside(void *number)
{
    storm_set((long)number + 1);
    put(two, (long)number);
}

static void storm_task(gpointer data, gpointer user_data)
{
    long number = (long)data, *seen = baton_get(owned);
    baton_context *context = baton_context_copy();
    baton_token token;
    void *inside = NULL;
    int right = seen && *seen == number && (long)baton_get(one) == number;
    long *value = malloc(sizeof(*value));
    *value = 5;
    __atomic_add_fetch(&made, 1, __ATOMIC_RELAXED);
    baton_set(owned, value, &token);
    baton_context_run(context, storm_inside, data);
    right &= *(long *)baton_get(owned) == 5 && (long)baton_get(two) == 22;
    right &= baton_context_find(context, owned, &inside) && *(long *)inside == number + 1;
    right &= baton_reset(owned, &token) == BATON_OK && *(long *)baton_get(owned) == number;
    if (number % 4 == 0) {
        storm_set(number + 1);
        put(one, number + 1);
        __atomic_add_fetch(&storm_tasks, 1, __ATOMIC_RELAXED);
        g_thread_pool_push(storm_pool, (gpointer)(number + 1), NULL);
    }
    baton_context_free(context);
    __atomic_add_fetch(&storm_right, right, __ATOMIC_RELAXED);
    __atomic_add_fetch(&storm_ended, 1, __ATOMIC_RELEASE);
}

static void *storm_submit(void *first)
{
    for (long i = 1; i <= 500; i++) {
        storm_set((long)first + i);
        put(one, (long)first + i);
        __atomic_add_fetch(&storm_tasks, 1, __ATOMIC_RELAXED);
        g_thread_pool_push(storm_pool, (gpointer)((long)first + i), NULL);
    }
    return NULL;
}

static void mode_storm(void)
{
    pthread_t threads[4];
    owned = baton_var_new("owned", NULL, storm_free);
    storm_pool = g_thread_pool_new(storm_task, NULL, 4, TRUE, NULL);
    for (long i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, storm_submit, (void *)(i * 10000));
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    /* Not unprocessed: a task that still runs may push another, which a pool being freed refuses. */
    while (__atomic_load_n(&storm_ended, __ATOMIC_ACQUIRE) != __atomic_load_n(&storm_tasks, __ATOMIC_RELAXED))
        sleep_ms(1);
    g_thread_pool_free(storm_pool, FALSE, TRUE);
    expect("wrong", storm_tasks - storm_right, 0);
    expect("values left", made - freed, 0);
}

static const struct {
    const char *name;
    void (*run)(void);
} modes[] = {
    {"get_and_set", mode_get_and_set},
    {"reset", mode_reset},
    {"reset_out_of_order", mode_reset_out_of_order},
    {"used_token", mode_used_token},
    {"other_variable", mode_other_variable},
    {"other_context", mode_other_context},
    {"other_thread", mode_other_thread},
    {"isolated_run", mode_isolated_run},
    {"empty_context", mode_empty_context},
    {"nested_runs", mode_nested_runs},
    {"entered_elsewhere", mode_entered_elsewhere},
    {"iterate", mode_iterate},
    {"many", mode_many},
    {"longjmp", mode_longjmp},
    {"run_in_coroutine", mode_run_in_coroutine},
    {"pthread_exit", mode_pthread_exit},
    {"ends", mode_ends},
    {"thread_ends", mode_thread_ends},
    {"pool", mode_pool},
    {"submit_in_run", mode_submit_in_run},
    {"by_hand", mode_by_hand},
    {"storm", mode_storm},
};

int main(int argc, char **argv)
{
    one = baton_var_new("one", (void *)11, NULL);
    two = baton_var_new("two", (void *)22, NULL);
    three = baton_var_new("three", NULL, NULL);
    for (size_t i = 0; argc > 1 && i < G_N_ELEMENTS(modes); i++)
        if (!strcmp(modes[i].name, argv[1])) {
            modes[i].run();
            return verdict();
        }
    return 2;
}
