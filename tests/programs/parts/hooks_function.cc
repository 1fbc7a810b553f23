// A C++ pool that takes std::function<void()> by value, by const reference and by rvalue; tasks that
// throw; a function that is handed over twice. usage: hooks_function [tls]
// It is compiled a dozen times, so it includes no header that POSIX's threads can spare it.
#include <atomic>
#include <cstdio>
#include <deque>
#include <functional>
#include <memory>
#include <pthread.h>
#include <stdexcept>

long request_current(); // where the program keeps its request

class Pool {
public:
    Pool()
    {
        for (auto &worker : workers)
            pthread_create(&worker, nullptr, [](void *pool) -> void * { return static_cast<Pool *>(pool)->work(); }, this);
    }
    __attribute__((noinline)) void submit(std::function<void()> task);
    __attribute__((noinline)) void submit_ref(const std::function<void()> &task);
    void stop()
    {
        pthread_mutex_lock(&lock);
        closed = true;
        pthread_cond_broadcast(&there);
        pthread_mutex_unlock(&lock);
        for (auto worker : workers)
            pthread_join(worker, nullptr);
    }

private:
    bool take(std::function<void()> &task)
    {
        pthread_mutex_lock(&lock);
        while (!closed && tasks.empty())
            pthread_cond_wait(&there, &lock);
        bool is_there = !tasks.empty();
        if (is_there) {
            task = std::move(tasks.front());
            tasks.pop_front();
        }
        pthread_mutex_unlock(&lock);
        return is_there;
    }
    void *work()
    {
        for (;;) {
            std::function<void()> task;
            if (!take(task))
                return nullptr;
            try {
                task();
            } catch (const std::exception &) {
            }
            if (request_current())
                left++;
        }
    }
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t there = PTHREAD_COND_INITIALIZER;
    std::deque<std::function<void()>> tasks;
    pthread_t workers[3];
    bool closed = false;

public:
    std::atomic<int> left{0};
};

#ifndef ONLY_MAIN
void Pool::submit(std::function<void()> task)
{
    pthread_mutex_lock(&lock);
    tasks.push_back(std::move(task));
    pthread_cond_signal(&there);
    pthread_mutex_unlock(&lock);
}

void Pool::submit_ref(const std::function<void()> &task)
{
    pthread_mutex_lock(&lock);
    tasks.push_back(task);
    pthread_cond_signal(&there);
    pthread_mutex_unlock(&lock);
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
    Pool pool;
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
