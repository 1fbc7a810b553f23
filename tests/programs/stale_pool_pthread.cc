// Five tasks, a thread each, started in five ways: a thread sees the value of its start.
// std: c++20
// usage: stale_pool_pthread [CARRIER [pthread|c11|thread|jthread|async]]
#include "stale_pool.h"
#include <future>
#include <string>
#include <thread>
#include <threads.h>
#include <vector>

static void task(struct job *job)
{
    pthread_mutex_lock(&jobs_lock);
    job->seen = current();
    job->done = 1;
    pthread_mutex_unlock(&jobs_lock);
    set_current(100 + job->number);
}

static void *pthread_task(void *job)
{
    task(static_cast<struct job *>(job));
    return nullptr;
}

static int c11_task(void *job)
{
    task(static_cast<struct job *>(job));
    return 0;
}

int main(int argc, char **argv)
{
    carrier_choose(argc > 1 ? argv[1] : "key");
    std::string way = argc > 2 ? argv[2] : "pthread";
    std::vector<std::thread> threads;
    std::vector<std::jthread> jthreads;
    std::vector<std::future<void>> futures;
    pthread_t pthreads[TASKS];
    thrd_t c11[TASKS];
    for (int i = 0; i < TASKS; i++) {
        jobs[i].number = i + 1;
        set_current(i + 1);
        if (way == "pthread")
            pthread_create(&pthreads[i], nullptr, pthread_task, &jobs[i]);
        else if (way == "c11")
            thrd_create(&c11[i], c11_task, &jobs[i]);
        else if (way == "thread")
            threads.emplace_back(task, &jobs[i]);
        else if (way == "jthread")
            jthreads.emplace_back(task, &jobs[i]);
        else
            futures.push_back(std::async(std::launch::async, task, &jobs[i]));
    }
    set_current(9);
    for (int i = 0; i < TASKS; i++) {
        if (way == "pthread")
            pthread_join(pthreads[i], nullptr);
        else if (way == "c11")
            thrd_join(c11[i], nullptr);
        else if (way == "thread")
            threads[i].join();
        else if (way == "jthread")
            jthreads[i].join();
        else
            futures[i].get();
    }
    int result = jobs_report(0);
    return result || current() != 9;
}
