/* libuv: work for its pool of one thread, and a file-system request with its callback. */
#include "drive.h"

#include <stdlib.h>
#include <uv.h>

static uv_loop_t loop;
static uv_work_t gate_work;
static uv_work_t *works;
static uv_fs_t *requests;
static size_t in_flight;

static void setup(size_t count)
{
    setenv("UV_THREADPOOL_SIZE", "1", 1);
    uv_loop_init(&loop);
    in_flight = count;
}

static void setup_work(size_t count)
{
    setup(count);
    works = calloc(2 * count, sizeof(*works));
    for (size_t i = 0; i < 2 * count; i++)
        works[i].data = (void *)i;
}

static void setup_request(size_t count)
{
    setup(count);
    requests = calloc(2 * count, sizeof(*requests));
}

static void run_gate(uv_work_t *work)
{
    (void)work;
    drive_gate();
}

static void run_task(uv_work_t *work)
{
    drive_task((size_t)work->data);
}

static void after_work(uv_work_t *work, int status)
{
    (void)work;
    (void)status;
}

static void park(void)
{
    uv_queue_work(&loop, &gate_work, run_gate, after_work);
}

static void submit_work(size_t index)
{
    uv_queue_work(&loop, &works[index], run_task, after_work);
}

static void finish(void)
{
    uv_run(&loop, UV_RUN_DEFAULT);
}

/* A worker must not touch the loop: the completion queues the second generation. */
static void requeue(uv_work_t *work, int status)
{
    size_t index = (size_t)work->data;

    (void)status;
    uv_queue_work(&loop, &works[index + in_flight], run_task, after_work);
}

static void submit_requeued(size_t index)
{
    uv_queue_work(&loop, &works[index], run_task, requeue);
}

static void after_request(uv_fs_t *request)
{
    drive_task((size_t)(request - requests));
    uv_fs_req_cleanup(request);
}

static void submit_request(size_t index)
{
    uv_fs_stat(&loop, &requests[index], "/", after_request);
}

const struct way drive_ways[] = {
    {.name = "uv.work", .setup = setup_work, .park = park, .submit = submit_work, .finish = finish},
    {.name = "uv.requeue",
     .setup = setup_work,
     .park = park,
     .submit = submit_requeued,
     .finish = finish,
     .handoffs = 2},
    {.name = "uv.request",
     .setup = setup_request,
     .submit = submit_request,
     .finish = finish,
     .is_same_thread = true},
    {0},
};
