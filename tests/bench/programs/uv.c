/*
 * libuv: work for its pool of one thread; a file-system request, a timer, and a write to a socket with their callbacks.
 * The thread that serves the requests waits until all are queued, and has ended them all before
 * the loop runs: so nothing but the loop's own work is left to chance.
 */
#include "drive.h"

#include <semaphore.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

static uv_loop_t loop;
static uv_work_t gate_work;
static uv_work_t *works;
static uv_fs_t *requests;
static uv_timer_t *timers;
static uv_work_t first_work, last_work;
static sem_t all_queued, all_served;
static uv_write_t *writes;
static uv_pipe_t stream;
static int other_end;
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
    sem_init(&all_queued, 0, 0);
    sem_init(&all_served, 0, 0);
}

static void setup_timer(size_t count)
{
    setup(count);
    timers = calloc(2 * count, sizeof(*timers));
    for (size_t i = 0; i < 2 * count; i++)
        uv_timer_init(&loop, &timers[i]);
}

static void setup_write(size_t count)
{
    int ends[2];

    setup(count);
    writes = calloc(2 * count, sizeof(*writes));
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) || uv_pipe_init(&loop, &stream, 0) ||
        uv_pipe_open(&stream, ends[0]))
        abort();
    other_end = ends[1];
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

static void wait_until_queued(uv_work_t *work)
{
    (void)work;
    sem_wait(&all_queued);
}

static void tell_served(uv_work_t *work)
{
    (void)work;
    sem_post(&all_served);
}

static void submit_request(size_t index)
{
    if (index == 0)
        uv_queue_work(&loop, &first_work, wait_until_queued, after_work);
    uv_fs_stat(&loop, &requests[index], "/", after_request);
}

static void finish_requests(void)
{
    uv_queue_work(&loop, &last_work, tell_served, after_work);
    sem_post(&all_queued);
    sem_wait(&all_served);
    usleep(1000); /* the thread goes to sleep */
    finish();
}

static void on_written(uv_write_t *write, int status)
{
    (void)status;
    drive_task((size_t)(write - writes));
}

static void submit_write(size_t index)
{
    static char byte;
    uv_buf_t buffer = uv_buf_init(&byte, 1);

    uv_write(&writes[index], (uv_stream_t *)&stream, &buffer, 1, on_written);
}

static void finish_writes(void)
{
    char bytes[4096];

    finish();
    if (read(other_end, bytes, sizeof bytes) <= 0)
        abort();
}

static void on_timer(uv_timer_t *timer)
{
    drive_task((size_t)(timer - timers));
}

static void start_timer(size_t index)
{
    uv_timer_start(&timers[index], on_timer, 0, 0);
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
     .finish = finish_requests,
     .is_same_thread = true},
    {.name = "uv.write",
     .setup = setup_write,
     .submit = submit_write,
     .finish = finish_writes,
     .is_same_thread = true},
    {.name = "uv.timer",
     .setup = setup_timer,
     .submit = start_timer,
     .finish = finish,
     .is_same_thread = true},
    {0},
};
