/* A pool whose functions are named in BATON_HOOKS (measure.py): a callback, an object, a queue. */
#include "drive.h"

#include <pthread.h>
#include <stdlib.h>

#include "named_pool.h"

static struct named_task gate_task, *tasks;
static char *is_given;

static void run_task(void *data)
{
    drive_task((size_t)data);
}

static void run_gate(void *data)
{
    (void)data;
    drive_gate();
}

static void *work_calls(void *unused)
{
    struct named_task *task;

    (void)unused;
    for (;;) {
        task = named_get();
        task->function(task->data);
    }
    return NULL;
}

static void *work_objects(void *unused)
{
    (void)unused;
    for (;;)
        named_run(named_get());
    return NULL;
}

static void setup(size_t count, void *(*work)(void *))
{
    pthread_t worker;

    tasks = calloc(2 * count, sizeof(*tasks));
    is_given = calloc(2 * count, 1);
    for (size_t i = 0; i < 2 * count; i++)
        tasks[i] = (struct named_task){NULL, run_task, (void *)i};
    gate_task.function = run_gate;
    pthread_create(&worker, NULL, work, NULL);
    pthread_detach(worker);
}

static void setup_calls(size_t count)
{
    setup(count, work_calls);
}

static void setup_objects(size_t count)
{
    setup(count, work_objects);
}

static void park(void)
{
    named_put(&gate_task);
}

static void submit_call(size_t index)
{
    named_submit(&tasks[index], run_task, (void *)index);
}

static void submit_object(size_t index)
{
    named_put(&tasks[index]);
}

/* What the pool has been given once runs again and again. */
static void submit_again(size_t index)
{
    if (!is_given[index]++)
        submit_call(index);
    else
        named_put(&tasks[index]);
}

#define CALLS(way_name) {.name = way_name, .setup = setup_calls, .park = park, .submit = submit_call}
const struct way drive_ways[] = {
    CALLS("named.call.got"),
    CALLS("named.call.symbol"),
    CALLS("named.call.patch"),
    CALLS("named.repeat"),
    {.name = "named.again", .setup = setup_calls, .park = park, .submit = submit_again},
    {.name = "named.object", .setup = setup_objects, .park = park, .submit = submit_object},
    {.name = "named.queue", .setup = setup_calls, .park = park, .submit = submit_object},
    {0},
};
