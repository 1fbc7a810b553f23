// A C++ pool that takes std::function<void()> by value, by const reference and by rvalue; tasks that
// throw; a function that is handed over twice. usage: hooks_function [tls]
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <pthread.h>
#include <stdexcept>
#include <thread>
#include <vector>

long request_current(); // where the program keeps its request

class Pool {
public:
    explicit Pool(int count)
    {
        for (int i = 0; i < count; i++)
            workers.emplace_back([this] { work(); });
    }
    __attribute__((noinline)) void submit(std::function<void()> task);
    __attribute__((noinline)) void submit_ref(const std::function<void()> &task);
    void stop()
    {
        {
            std::lock_guard<std::mutex> hold(lock);
            closed = true;
        }
        there.notify_all();
        for (auto &worker : workers)
            worker.join();
    }

private:
    void work()
    {
        for (;;) {
            std::unique_lock<std::mutex> hold(lock);
            there.wait(hold, [this] { return closed || !tasks.empty(); });
            if (tasks.empty())
                return;
            auto task = std::move(tasks.front());
            tasks.pop_front();
            hold.unlock();
            try {
                task();
            } catch (const std::exception &) {
            }
            if (request_current())
                left++;
        }
    }
    std::mutex lock;
    std::condition_variable there;
    std::deque<std::function<void()>> tasks;
    std::vector<std::thread> workers;
    bool closed = false;

public:
    std::atomic<int> left{0};
};

#ifndef ONLY_MAIN
void Pool::submit(std::function<void()> task)
{
    std::lock_guard<std::mutex> hold(lock);
    tasks.push_back(std::move(task));
    there.notify_one();
}

void Pool::submit_ref(const std::function<void()> &task)
{
    std::lock_guard<std::mutex> hold(lock);
    tasks.push_back(task);
    there.notify_one();
}

#endif

#ifndef ONLY_POOL
pthread_key_t request_key;
thread_local long request_id; // after the word tls
static bool uses_tls;

long request_current()
{
    return uses_tls ? request_id : (long)pthread_getspecific(request_key);
}

static void set(long value)
{
    if (uses_tls)
        request_id = value;
    else
        pthread_setspecific(request_key, (void *)value);
}

static std::atomic<int> ran{0}, wrong{0}, alive{0};

struct Counted {
    Counted() { alive++; }
    Counted(const Counted &) { alive++; }
    ~Counted() { alive--; }
};

static void see(long number)
{
    ran++;
    if (request_current() != number)
        wrong++;
    set(90000 + number);
}

int main(int argc, char **)
{
    uses_tls = argc > 1;
    pthread_key_create(&request_key, nullptr);
    Pool pool(3);
    for (long i = 1; i <= 300; i++) {
        set(i);
        auto big = std::make_shared<Counted>();
        Counted counted;
        if (i % 3 == 0)
            pool.submit([i] { see(i); });
        else if (i % 3 == 1)
            pool.submit([i, big, counted] { see(i); throw std::runtime_error("task"); });
        else
            pool.submit_ref([i, big, counted] { see(i); });
    }
    std::function<void()> twice = [n = std::make_shared<Counted>()] {
        ran++;
        long value = request_current();
        if (value != 1001 && value != 1002)
            wrong++;
    };
    set(1001);
    pool.submit_ref(twice);
    set(1002);
    pool.submit_ref(twice);
    pool.submit(std::function<void()>(twice));
    set(0);
    pool.stop();
    twice = nullptr;
    std::printf("ran %d wrong %d left %d alive %d\n", ran.load(), wrong.load(), pool.left.load(), alive.load());
    return wrong != 0 || pool.left != 0;
}
#endif
