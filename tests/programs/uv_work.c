// uv_queue_work whole: work and after-callback run in the context of their submit.
// libs: libuv
// usage: uv_work MODE [CARRIER]; a mode is one promise, named in the table at the end
#include "carrier.h"
#include <uv.h>

static uv_loop_t *loop;
static struct gate gate = GATE_CLOSED;
static uv_work_t blocks[2];
static int cancelled, after_calls, work_calls;
static long work_saw[8], after_saw[8];

static void hold_work(uv_work_t *request)
{
    gate_wait(&gate);
}

/* Block both workers. */
static void hold(void)
{
    for (int i = 0; i < 2; i++)
        uv_queue_work(loop, &blocks[i], hold_work, NULL);
    gate_await(&gate, 2);
}

static void work(uv_work_t *request)
{
    long number = (long)request->data;
    work_saw[number] = current();
    set_current(7000 + number);
    __atomic_add_fetch(&work_calls, 1, __ATOMIC_RELAXED);
}

static void after(uv_work_t *request, int status)
{
    long number = (long)request->data;
    after_calls++;
    cancelled += status == UV_ECANCELED;
    after_saw[number] = current();
    set_current(8000 + number);
}

static uv_work_t *submit(long number, long value, uv_after_work_cb callback)
{
    static uv_work_t requests[8];
    requests[number].data = (void *)number;
    set_current(value);
    expect("queued", uv_queue_work(loop, &requests[number], work, callback), 0);
    set_current(9);
    return &requests[number];
}

static void finish(void)
{
    gate_open(&gate);
    uv_run(loop, UV_RUN_DEFAULT);
    expect("the loop's thread has", current(), 9);
    set_current(0);
}

/* The after-callback runs in the submitter's context too; the loop's own value comes back. */
static void mode_after(void)
{
    for (long i = 1; i <= 4; i++)
        submit(i, 100 + i, after);
    submit(5, 0, after);
    finish();
    for (int i = 1; i <= 5; i++) {
        expect("work sees", work_saw[i], i == 5 ? 0 : 100 + i);
        expect("after sees", after_saw[i], i == 5 ? 0 : 100 + i);
    }
}

/* Nothing is set between the submits, so that they may go the quickest way; nobody's own value is lost. */
static void mode_unchanged(void)
{
    static uv_work_t requests[8];

    set_current(101);
    for (long i = 1; i < 8; i++) {
        requests[i].data = (void *)i;
        expect("queued", uv_queue_work(loop, &requests[i], work, after), 0);
    }
    set_current(9);
    finish();
    for (int i = 1; i < 8; i++) {
        expect("work sees", work_saw[i], 101);
        expect("after sees", after_saw[i], 101);
    }
}

static void mode_cancel(void)
{
    hold();
    submit(1, 101, after);
    uv_work_t *second = submit(2, 102, after);
    submit(3, 103, after);
    expect("cancel", uv_cancel((uv_req_t *)second), 0);
    expect("cancel a running one", uv_cancel((uv_req_t *)&blocks[0]) == UV_EBUSY, 1);
    finish();
    expect("cancelled", cancelled, 1);
    expect("work 1 sees", work_saw[1], 101);
    expect("work 2 ran as", work_saw[2], 0);
    expect("work 3 sees", work_saw[3], 103);
    expect("after 2 sees", after_saw[2], 102);
}

static void mode_null_after(void)
{
    for (long i = 1; i <= 4; i++)
        submit(i, 100 + i, NULL);
    finish();
    for (int i = 1; i <= 4; i++)
        expect("work sees", work_saw[i], 100 + i);
}

static void requeue_after(uv_work_t *request, int status)
{
    long number = (long)request->data;
    after_saw[number] = current();
    if (number < 5) {
        request->data = (void *)(number + 1);
        set_current(100 + number + 1);
        uv_queue_work(loop, request, work, requeue_after);
        set_current(6000);
    }
}

/* The after-callback may queue the same request again. */
static void mode_requeue(void)
{
    submit(1, 101, requeue_after);
    finish();
    for (int i = 1; i <= 5; i++) {
        expect("work sees", work_saw[i], 100 + i);
        expect("after sees", after_saw[i], 100 + i);
    }
}

static void freeing_after(uv_work_t *request, int status)
{
    after_saw[1] += current();
    memset(request, 0xdd, sizeof(*request));
    free(request);
}

/* The request may be any memory and may be gone when the after-callback returns. */
static void mode_freed(void)
{
    for (long i = 1; i <= 4; i++) {
        uv_work_t *request = malloc(sizeof(*request));
        memset(request, 0xaa, sizeof(*request));
        request->data = (void *)i;
        set_current(100 + i);
        uv_queue_work(loop, request, work, freeing_after);
        set_current(9);
    }
    finish();
    for (int i = 1; i <= 4; i++)
        expect("work sees", work_saw[i], 100 + i);
    expect("afters saw in all", after_saw[1], 101 + 102 + 103 + 104);
}

/* No work function is an error of libuv's, told by libuv. */
static void mode_no_work(void)
{
    uv_work_t request;
    set_current(9);
    printf("no work: %s\n", uv_err_name(uv_queue_work(loop, &request, NULL, after)));
    submit(1, 101, after);
    finish();
    expect("work sees", work_saw[1], 101);
}

static void thread_body(void *argument)
{
    work_saw[(long)argument] = current();
}

static void mode_thread(void)
{
    uv_thread_t threads[2];
    uv_thread_options_t options = {.flags = UV_THREAD_HAS_STACK_SIZE, .stack_size = 1 << 20};
    set_current(101);
    expect("created", uv_thread_create(&threads[0], thread_body, (void *)1), 0);
    set_current(102);
    expect("created", uv_thread_create_ex(&threads[1], &options, thread_body, (void *)2), 0);
    set_current(9);
    uv_thread_join(&threads[0]);
    uv_thread_join(&threads[1]);
    finish();
    expect("thread 1 sees", work_saw[1], 101);
    expect("thread 2 sees", work_saw[2], 102);
}

static uv_loop_t second_loop;

static void *run_second(void *argument)
{
    set_current(77);
    uv_run(&second_loop, UV_RUN_DEFAULT);
    work_saw[7] = current();
    return NULL;
}

/* Two loops share the workers; each after-callback runs on its own loop. */
static void mode_two_loops(void)
{
    pthread_t thread;
    uv_loop_init(&second_loop);
    submit(1, 101, after);
    loop = &second_loop;
    submit(2, 102, after);
    pthread_create(&thread, NULL, run_second, NULL);
    pthread_join(thread, NULL);
    loop = uv_default_loop();
    finish();
    uv_loop_close(&second_loop);
    expect("work 1 sees", work_saw[1], 101);
    expect("work 2 sees", work_saw[2], 102);
    expect("after 1 sees", after_saw[1], 101);
    expect("after 2 sees", after_saw[2], 102);
    expect("the second loop's thread has", work_saw[7], 77);
}

/* Work that queues work: each sees its own submit. */
static uv_work_t inner;

static void outer_after(uv_work_t *request, int status)
{
    after_saw[1] = current();
    inner.data = (void *)2;
    set_current(202);
    uv_queue_work(loop, &inner, work, after);
    uv_run(loop, UV_RUN_ONCE); /* the inner after-callback may run inside the outer one */
    after_saw[3] = current();
}

static void mode_nested(void)
{
    submit(1, 101, outer_after);
    finish();
    expect("work 1 sees", work_saw[1], 101);
    expect("work 2 sees", work_saw[2], 202);
    expect("after 1 sees", after_saw[1], 101);
    expect("after 2 sees", after_saw[2], 202);
    expect("after 1 has its own back", after_saw[3], 202);
}

/* A loop that is stopped and freed with work outstanding leaves nothing behind. */
static void mode_unfinished(void)
{
    for (long i = 1; i <= 3; i++)
        submit(i, 100 + i, after);
    while (__atomic_load_n(&work_calls, __ATOMIC_ACQUIRE) < 3)
        sleep_ms(1);
    set_current(0);
    printf("after-callbacks: %d\n", after_calls);
    for (int i = 1; i <= 3; i++)
        expect("work sees", work_saw[i], 100 + i);
}

static const struct {
    const char *name;
    void (*run)(void);
} modes[] = {
    {"after", mode_after},         {"cancel", mode_cancel},       {"null_after", mode_null_after},
    {"requeue", mode_requeue},     {"freed", mode_freed},         {"no_work", mode_no_work},
    {"thread", mode_thread},       {"two_loops", mode_two_loops}, {"nested", mode_nested},
    {"unfinished", mode_unfinished}, {"unchanged", mode_unchanged},
};

int main(int argc, char **argv)
{
    setenv("UV_THREADPOOL_SIZE", "2", 1);
    carrier_choose(argc > 2 ? argv[2] : "key");
    loop = uv_default_loop();
    for (size_t i = 0; argc > 1 && i < sizeof(modes) / sizeof(modes[0]); i++)
        if (!strcmp(modes[i].name, argv[1])) {
            modes[i].run();
            return verdict();
        }
    return 2;
}
