// The stale pool on libuv's workers: a task sees the value of its submit, idle workers hold nothing.
// libs: libuv
// usage: stale_pool_uv [CARRIER]
#include "stale_pool.h"
#include <uv.h>

static void work(uv_work_t *request)
{
    job_run(request->data, 1);
}

static void after(uv_work_t *request, int status)
{
}

int main(int argc, char **argv)
{
    static uv_work_t requests[TASKS];
    setenv("UV_THREADPOOL_SIZE", "2", 1);
    carrier_choose(argc > 1 ? argv[1] : "key");
    for (int i = 0; i < TASKS; i++) {
        jobs[i].number = i + 1;
        requests[i].data = &jobs[i];
        set_current(i + 1);
        uv_queue_work(uv_default_loop(), &requests[i], work, after);
    }
    set_current(0);
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    int result = jobs_report(1);
    uv_loop_close(uv_default_loop());
    return result;
}
