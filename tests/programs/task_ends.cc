// The worker has its own value back when a task leaves by an exception or by longjmp.
// libs: libuv
// usage: task_ends throw|longjmp|siglongjmp|async_throw|rethrow [CARRIER]
// The task is libuv's after-callback, which runs on the thread of the loop, inside uv_run.
#include "carrier.h"
#include <csetjmp>
#include <future>
#include <stdexcept>
#include <string>
#include <thread>
#include <uv.h>

static std::string mode;
static jmp_buf way_out;
static sigjmp_buf signal_way_out;
static long after_saw, last_work_saw;

static void work(uv_work_t *)
{
}

static void last_work(uv_work_t *)
{
    last_work_saw = current();
}

static void leaving(uv_work_t *, int)
{
    after_saw = current();
    set_current(66);
    if (mode == "throw")
        throw std::runtime_error("out of the task");
    if (mode == "longjmp")
        longjmp(way_out, 1);
    siglongjmp(signal_way_out, 1);
}

static int with_async()
{
    set_current(3);
    auto future = std::async(std::launch::async, [] {
        long seen = current();
        set_current(66);
        if (mode == "rethrow") {
            try {
                throw std::runtime_error("inside");
            } catch (...) {
                throw;
            }
        }
        throw std::runtime_error(std::to_string(seen));
        return 0;
    });
    set_current(7);
    try {
        future.get();
    } catch (std::exception &error) {
        printf("caught %s\n", error.what());
        expect("the task saw", mode == "rethrow" ? 3 : atol(error.what()), 3);
    }
    expect("the submitter has", current(), 7);
    set_current(0);
    return verdict();
}

int main(int argc, char **argv)
{
    setenv("UV_THREADPOOL_SIZE", "2", 1);
    mode = argc > 1 ? argv[1] : "throw";
    carrier_choose(argc > 2 ? argv[2] : "key");
    if (mode == "async_throw" || mode == "rethrow")
        return with_async();
    static uv_work_t request, last;
    set_current(3);
    uv_queue_work(uv_default_loop(), &request, work, leaving);
    set_current(7);
    if (mode == "throw") {
        try {
            uv_run(uv_default_loop(), UV_RUN_DEFAULT);
        } catch (std::exception &error) {
            printf("caught %s\n", error.what());
        }
        expect("after the exception the thread has", current(), 7);
    } else if (mode == "longjmp") {
        if (setjmp(way_out) == 0)
            uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    } else {
        if (sigsetjmp(signal_way_out, 1) == 0)
            uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    }
    expect("the task saw", after_saw, 3);
    /* A jump is found out at the next handoff of this thread. */
    uv_queue_work(uv_default_loop(), &last, last_work, nullptr);
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    expect("the next task sees", last_work_saw, 7);
    expect("and the thread has", current(), 7);
    set_current(0);
    return verdict();
}
