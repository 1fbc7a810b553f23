// When no memory is left every task still runs; only context is lost, and that is counted.
// libs: libuv
// usage: no_memory [CARRIER [TASKS]]
#include "carrier.h"
#include <sys/mman.h>
#include <sys/resource.h>
#include <uv.h>

static int ran, after_ran, with_context;
static struct gate gate = GATE_CLOSED;

static void hold(uv_work_t *request)
{
    gate_wait(&gate);
}

static void work(uv_work_t *request)
{
    __atomic_add_fetch(&ran, 1, __ATOMIC_RELAXED);
    if (current() == 1 + (long)request->data % 1000)
        __atomic_add_fetch(&with_context, 1, __ATOMIC_RELAXED);
}

static void after(uv_work_t *request, int status)
{
    after_ran++;
}

int main(int argc, char **argv)
{
    static uv_work_t block;
    setenv("UV_THREADPOOL_SIZE", "1", 1);
    carrier_choose(argc > 1 ? argv[1] : "key");
    long tasks = argc > 2 ? atol(argv[2]) : 300000;
    uv_work_t *requests = calloc(tasks, sizeof(*requests));
    uv_queue_work(uv_default_loop(), &block, hold, NULL);
    gate_await(&gate, 1);
    /* No page more from here on. */
    struct rlimit nothing = {4096, RLIM_INFINITY}, before;
    getrlimit(RLIMIT_AS, &before);
    nothing.rlim_max = before.rlim_max;
    setrlimit(RLIMIT_AS, &nothing);
    int failures = 0;
    for (long i = 0; i < tasks; i++) {
        set_current(1 + i % 1000);
        requests[i].data = (void *)i;
        errno = 0;
        failures += uv_queue_work(uv_default_loop(), &requests[i], work, after) != 0;
    }
    set_current(0);
    gate_open(&gate);
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    setrlimit(RLIMIT_AS, &before);
    expect("failures", failures, 0);
    expect("ran", ran, tasks);
    expect("after-callbacks", after_ran, tasks);
    printf("with context %d\n", with_context);
    expect("main holds", current(), 0);
    return verdict();
}
