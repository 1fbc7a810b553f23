// A value that contexts share is destroyed once: after its owner is gone and no context needs it.
// libs: glib-2.0
// usage: key_destructor MODE; a mode is one promise, named in the table at the end
#include "carrier.h"
#include <glib.h>

struct value {
    int number, destroyed;
};

pthread_key_t owned_key;
static struct value values[8];
static GThreadPool *pool;
static struct gate gate = GATE_CLOSED;
static int tasks_right, iterations, set_by_task, put_back, set_again;

static void destroy(void *value)
{
    struct value *next = (struct value *)value + 1;
    if (set_again && next->number)
        pthread_setspecific(owned_key, next);
    __atomic_add_fetch(&((struct value *)value)->destroyed, 1, __ATOMIC_RELEASE);
}

static void work(gpointer data, gpointer user_data)
{
    struct value *seen, *wanted = data;
    if (data == values) { /* holds the worker */
        gate_wait(&gate);
        return;
    }
    seen = pthread_getspecific(owned_key);
    tasks_right += seen == wanted && !__atomic_load_n(&wanted->destroyed, __ATOMIC_ACQUIRE);
    if (put_back) {
        pthread_setspecific(owned_key, &values[7]);
        pthread_setspecific(owned_key, put_back == 1 ? seen : NULL);
    }
    if (set_by_task)
        pthread_setspecific(owned_key, &values[set_by_task++]);
}

static void hold(void)
{
    pthread_key_create(&owned_key, destroy);
    pool = g_thread_pool_new(work, NULL, 1, TRUE, NULL);
    g_thread_pool_push(pool, values, NULL);
    gate_await(&gate, 1);
}

static void finish(void)
{
    gate_open(&gate);
    g_thread_pool_free(pool, FALSE, TRUE);
}

static void *owner_submits(void *count)
{
    pthread_setspecific(owned_key, &values[1]);
    for (long i = 0; i < (long)count; i++)
        g_thread_pool_push(pool, &values[1], NULL);
    return NULL;
}

static void submit_from_owner(long count)
{
    pthread_t owner;
    pthread_create(&owner, NULL, owner_submits, (void *)count);
    pthread_join(owner, NULL);
}

/* The owner has exited before the task runs: the value waits for the task. */
static void mode_owner_first(void)
{
    hold();
    submit_from_owner(1);
    expect("destroyed while a task waits for it", values[1].destroyed, 0);
    finish();
    expect("tasks right", tasks_right, 1);
    expect("destroyed in the end", values[1].destroyed, 1);
}

static void mode_three_tasks(void)
{
    hold();
    submit_from_owner(3);
    expect("destroyed while tasks wait for it", values[1].destroyed, 0);
    finish();
    expect("tasks right", tasks_right, 3);
    expect("destroyed in the end", values[1].destroyed, 1);
}

static void *owner_waits(void *argument)
{
    owner_submits((void *)2);
    gate_open(&gate);
    g_thread_pool_free(pool, FALSE, TRUE);
    expect("destroyed after the tasks, owner alive", values[1].destroyed, 0);
    expect("the owner has", pthread_getspecific(owned_key) == &values[1], 1);
    return NULL;
}

/* The tasks are done before the owner exits: the owner destroys. */
static void mode_owner_last(void)
{
    pthread_t owner;
    hold();
    pthread_create(&owner, NULL, owner_waits, NULL);
    pthread_join(owner, NULL);
    expect("tasks right", tasks_right, 2);
    expect("destroyed in the end", values[1].destroyed, 1);
}

static void *owner_replaces(void *argument)
{
    owner_submits((void *)1);
    pthread_setspecific(owned_key, &values[2]); /* C: who overwrites a value looks after it */
    return NULL;
}

static void mode_replaced(void)
{
    pthread_t owner;
    hold();
    pthread_create(&owner, NULL, owner_replaces, NULL);
    pthread_join(owner, NULL);
    finish();
    expect("tasks right", tasks_right, 1);
    expect("replaced value destroyed", values[1].destroyed, 0);
    expect("last value destroyed", values[2].destroyed, 1);
}

/* What a task sets and leaves is destroyed when the task ends, once. */
static void mode_set_by_task(void)
{
    set_by_task = 2;
    hold();
    submit_from_owner(2);
    finish();
    expect("tasks right", tasks_right, 2);
    expect("first left value destroyed", values[2].destroyed, 1);
    expect("second left value destroyed", values[3].destroyed, 1);
    expect("the submitter's destroyed", values[1].destroyed, 1);
}

static void work_again(gpointer data, gpointer user_data)
{
    if (data == &values[1])
        pthread_setspecific(owned_key, &values[2]);
    else
        for (int i = 2; i <= 4; i++)
            expect("destroyed before the next task", values[i].destroyed, 1);
}

/* A destructor that sets another value is called again for that, as at a thread's end. */
static void mode_set_again(void)
{
    set_again = 1;
    values[3].number = values[4].number = 1;
    pthread_key_create(&owned_key, destroy);
    pool = g_thread_pool_new(work_again, NULL, 1, TRUE, NULL);
    g_thread_pool_push(pool, &values[1], NULL);
    g_thread_pool_push(pool, &values[7], NULL);
    g_thread_pool_free(pool, FALSE, TRUE);
    for (int i = 2; i <= 4; i++)
        expect("destroyed in the end", values[i].destroyed, 1);
}

/* A task that sets another value and then puts the borrowed one back, or empties the slot. */
static void mode_put_back(void)
{
    put_back = 1;
    hold();
    submit_from_owner(2);
    finish();
    expect("tasks right", tasks_right, 2);
    expect("borrowed value destroyed in the end", values[1].destroyed, 1);
    expect("overwritten value destroyed", values[7].destroyed, 0);
}

static void mode_emptied(void)
{
    put_back = 2;
    hold();
    submit_from_owner(2);
    finish();
    expect("tasks right", tasks_right, 2);
    expect("borrowed value destroyed in the end", values[1].destroyed, 1);
}

/* A destructor that sets its key again is called again, PTHREAD_DESTRUCTOR_ITERATIONS times. */
static void set_again_at_end(void *value)
{
    iterations++;
    pthread_setspecific(owned_key, value);
}

static char order[8];
static pthread_key_t order_keys[3];

static void order_a(void *value)
{
    strcat(order, "a");
}
static void order_b(void *value)
{
    strcat(order, "b");
}
static void order_c(void *value)
{
    strcat(order, "c");
}

static void *plain_thread(void *argument)
{
    for (int i = 0; i < 3; i++)
        pthread_setspecific(order_keys[i], values);
    pthread_setspecific(owned_key, values);
    return NULL;
}

static void mode_iterations(void)
{
    pthread_t thread;
    pthread_key_create(&order_keys[0], order_a);
    pthread_key_create(&order_keys[1], order_b);
    pthread_key_create(&owned_key, set_again_at_end);
    pthread_key_create(&order_keys[2], order_c);
    pthread_create(&thread, NULL, plain_thread, NULL);
    pthread_join(thread, NULL);
    expect("iterations", iterations, PTHREAD_DESTRUCTOR_ITERATIONS);
    printf("order %s\n", order);
}

/* exit() runs no key destructors. */
static void told(void *value)
{
    puts("destroyed by exit");
}

static void mode_exit(void)
{
    pthread_key_create(&owned_key, told);
    pthread_setspecific(owned_key, &values[1]);
}

/* A thread that borrows and one that owns: main's value lives on, main's pthread_exit destroys it. */
static void *borrower(void *argument)
{
    tasks_right += pthread_getspecific(owned_key) == &values[1];
    return NULL;
}

static void *inherits(void *argument)
{
    pthread_t thread;
    pthread_setspecific(owned_key, &values[1]);
    for (int i = 0; i < 3; i++) {
        pthread_create(&thread, NULL, borrower, NULL);
        pthread_join(thread, NULL);
    }
    expect("destroyed by borrowers", values[1].destroyed, 0);
    return NULL;
}

static void mode_inherited(void)
{
    pthread_t thread;
    pthread_key_create(&owned_key, destroy);
    pthread_create(&thread, NULL, inherits, NULL);
    pthread_join(thread, NULL);
    expect("tasks right", tasks_right, 3);
    expect("destroyed in the end", values[1].destroyed, 1);
}

/* A child that outlives its creator keeps the creator's value alive. */
static void *outliving(void *argument)
{
    gate_wait(&gate);
    struct value *seen = pthread_getspecific(owned_key);
    tasks_right += seen == &values[1] && !seen->destroyed;
    return NULL;
}

static void *short_lived(void *child)
{
    pthread_setspecific(owned_key, &values[1]);
    pthread_create(child, NULL, outliving, NULL);
    return NULL;
}

static void mode_outlived(void)
{
    pthread_t thread, child;
    pthread_key_create(&owned_key, destroy);
    pthread_create(&thread, NULL, short_lived, &child);
    pthread_join(thread, NULL);
    expect("destroyed while the child lives", values[1].destroyed, 0);
    gate_open(&gate);
    pthread_join(child, NULL);
    expect("tasks right", tasks_right, 1);
    expect("destroyed in the end", values[1].destroyed, 1);
}

static const struct {
    const char *name;
    void (*run)(void);
} modes[] = {
    {"owner_first", mode_owner_first}, {"three_tasks", mode_three_tasks},
    {"owner_last", mode_owner_last},   {"replaced", mode_replaced},
    {"set_by_task", mode_set_by_task}, {"iterations", mode_iterations},
    {"exit", mode_exit},               {"inherited", mode_inherited},
    {"outlived", mode_outlived},       {"put_back", mode_put_back},
    {"emptied", mode_emptied},         {"set_again", mode_set_again},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < G_N_ELEMENTS(modes); i++)
        if (!strcmp(modes[i].name, argv[1])) {
            modes[i].run();
            return verdict();
        }
    return 2;
}
