// The same in C++: a pool of std::function, one thread-local variable of a class and one key are the context.
// Says how many tasks saw their request.
// flags: -g
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <functional>
#include <mutex>
#include <pthread.h>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "rest.h"

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
    void run()
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

namespace server {

struct Request {
    long number;
    std::string name;
};

/* ---- the context ---- */

class Scope {
public:
    explicit Scope(const Request *request) : before(current)
    {
        current = request;
        before_tenant = pthread_getspecific(tenant_key);
        pthread_setspecific(tenant_key, reinterpret_cast<void *>(request->number * 10));
    }
    ~Scope()
    {
        current = before;
        pthread_setspecific(tenant_key, before_tenant);
    }
    static thread_local const Request *current;
    static pthread_key_t tenant_key;

private:
    const Request *before;
    void *before_tenant;
};
thread_local const Request *Scope::current;
pthread_key_t Scope::tenant_key;

__attribute__((noinline)) static long logged()
{
    return Scope::current ? Scope::current->number : 0;
}

__attribute__((noinline)) static long tenant()
{
    return reinterpret_cast<long>(pthread_getspecific(Scope::tenant_key));
}

/* ---- what is no context ---- */

static thread_local std::minstd_rand generator;
static thread_local unsigned long calls;
static thread_local std::string scratch;
static thread_local int number;
static thread_local const char *last_name;
static pthread_key_t buffer_key;
static volatile unsigned long sink;

__attribute__((noinline)) static int me()
{
    static int threads;
    if (!number)
        number = __atomic_add_fetch(&threads, 1, __ATOMIC_RELAXED);
    return number;
}

__attribute__((noinline)) static void work(const Request &request)
{
    calls++;
    scratch = request.name + "!";
    sink = sink + generator() + static_cast<unsigned long>(me()) + scratch.size();
    if (last_name != request.name.c_str())
        last_name = request.name.c_str();
    if (!pthread_getspecific(buffer_key))
        pthread_setspecific(buffer_key, std::malloc(32));
}

static int right, wrong;

} // namespace server

int main()
{
    using namespace server;
    std::mutex lock;
    std::condition_variable finished;

    pthread_key_create(&Scope::tenant_key, nullptr);
    pthread_key_create(&buffer_key, std::free);
    {
        Pool pool(2);
        let_rest(); // both wait for work before there is any

        for (long i = 1; i <= 40; i++) {
            auto request = new Request{i, "request " + std::to_string(i)};
            bool is_done = false;

            work(*request);
            Scope scope(request);
            pool.enqueue([&, request] {
                work(*request);
                long was_logged = logged(), was_tenant = tenant();
                if (was_logged == request->number && was_tenant == request->number * 10)
                    right++;
                else
                    wrong++;
                std::lock_guard<std::mutex> guard(lock);
                is_done = true;
                finished.notify_one();
            });
            std::unique_lock<std::mutex> guard(lock);
            finished.wait(guard, [&] { return is_done; });
        }
    }
    std::printf("right %d wrong %d\n", right, wrong);
    return wrong != 0;
}
