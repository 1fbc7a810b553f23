// A server with a pool of its own beside std::async: the tasks of the second see their request, those of the first do
// not (own), unless it passes that on itself: hand, and quiet, whose tasks take it back before anybody hears of them.
// Those of log need none. Who awaits answers (future) and who collects what is done (collect) are no pools.
// usage: pool_beside own|hand|quiet|log|future|collect
// flags: -g
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <pthread.h>
#include <string>
#include <thread>
#include <vector>

#include "rest.h"

thread_local long current_request;
pthread_key_t tenant_key;

namespace {

class Pool {
public:
    explicit Pool(int count)
    {
        for (int i = 0; i < count; i++)
            workers.emplace_back([this] { run(); });
    }
    ~Pool()
    {
        {
            std::lock_guard<std::mutex> guard(lock);
            is_closed = true;
        }
        wanted.notify_all();
        for (auto &worker : workers)
            worker.join();
    }
    __attribute__((noinline)) void enqueue(std::function<void()> job)
    {
        {
            std::lock_guard<std::mutex> guard(lock);
            jobs.push_back(std::move(job));
        }
        wanted.notify_one();
    }

private:
    __attribute__((noinline)) void run()
    {
        for (;;) {
            std::function<void()> job;
            {
                std::unique_lock<std::mutex> guard(lock);
                wanted.wait(guard, [this] { return is_closed || !jobs.empty(); });
                if (jobs.empty())
                    return;
                job = std::move(jobs.front());
                jobs.pop_front();
            }
            job();
        }
    }
    std::mutex lock;
    std::condition_variable wanted;
    std::deque<std::function<void()>> jobs;
    std::vector<std::thread> workers;
    bool is_closed = false;
};

void set_request(long request)
{
    current_request = request;
    pthread_setspecific(tenant_key, reinterpret_cast<void *>(request * 10));
}

bool sees(long request)
{
    bool has_tenant = pthread_getspecific(tenant_key) == reinterpret_cast<void *>(request * 10);

    return has_tenant && current_request == request;
}

int right, wrong;

/* A server's threads: each handles requests, and hands over what they need. */
void serve(const std::string &mode)
{
    Pool pool(3);

    let_rest(); /* they wait for work before there is any */
    for (long request = 1; request <= 100; request++) {
        auto answer = std::make_shared<std::promise<bool>>();
        auto mine = answer->get_future();

        set_request(request);
        auto known = std::async(std::launch::async, [request] { return sees(request); });

        ++(known.get() ? right : wrong);
        if (mode != "future") {
            pool.enqueue([answer, &mode, request] {
                bool is_passed = mode == "hand" || mode == "quiet";

                if (mode == "quiet")
                    (void)pthread_getspecific(tenant_key); /* what was there before */
                if (is_passed)
                    set_request(request);
                bool is_right = mode == "log" || sees(request);
                if (mode == "quiet")
                    set_request(0);
                sleep_ms(mode == "hand"); /* it is waited for: the wake is seen */
                answer->set_value(is_right);
                if (is_passed)
                    set_request(0);
            });
            ++(mine.get() ? right : wrong);
        }
        set_request(0);
    }
}

/* Tasks that are carried tell a thread that they are done, which has no request and needs none. */
void collect()
{
    std::mutex lock;
    std::condition_variable done;
    int count = 0;
    std::thread collector([&] {
        std::unique_lock<std::mutex> guard(lock);
        for (int seen = 0; seen < 100; seen++)
            done.wait(guard, [&] { return count > seen; });
    });

    for (long request = 1; request <= 100; request++) {
        set_request(request);
        bool is_right = std::async(std::launch::async, [&, request] {
            bool saw = sees(request);
            std::lock_guard<std::mutex> guard(lock);
            count++;
            done.notify_one();
            return saw;
        }).get();
        ++(is_right ? right : wrong);
        set_request(0);
    }
    collector.join();
}

} // namespace

int main(int argc, char **argv)
{
    std::string mode = argc > 1 ? argv[1] : "own";

    pthread_key_create(&tenant_key, nullptr);
    if (mode == "collect")
        collect();
    else if (mode == "future")
        std::thread([&] { serve(mode); }).join(); /* who awaits the answers is not the first thread */
    else
        serve(mode);
    std::printf("right %d wrong %d\n", right, wrong);
    return wrong && mode != "own";
}
