// A pool of std::function in a library, which is built for each standard library; both are in hooks_both_main.cc.
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#define JOINED(a, b) a##b
#define NAMED(a, b) JOINED(a, b)
#define POOL NAMED(Pool_, LIBRARY)

extern "C" {
extern __thread long request_id;
void saw(long number);
}

struct POOL {
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<std::function<void()>> waiting;
    bool stops = false;
    std::thread worker{[this] { work(); }};

    void work()
    {
        for (;;) {
            std::unique_lock<std::mutex> lock(mutex);

            changed.wait(lock, [this] { return stops || !waiting.empty(); });
            if (waiting.empty())
                return;
            std::function<void()> function = std::move(waiting.front());
            waiting.pop_front();
            lock.unlock();
            function();
        }
    }
    __attribute__((noinline)) void submit(std::function<void()> function)
    {
        {
            std::lock_guard<std::mutex> lock(mutex);
            waiting.push_back(std::move(function));
        }
        changed.notify_one();
    }
    void end()
    {
        {
            std::lock_guard<std::mutex> lock(mutex);
            stops = true;
        }
        changed.notify_one();
        worker.join();
    }
};

extern "C" void NAMED(run_, LIBRARY)(void)
{
    POOL pool;

    for (long i = 1; i <= 300; i++) {
        long large[8] = {i};

        request_id = i;
        if (i % 2)
            pool.submit([i] { saw(i); });
        else
            pool.submit([i, large] { saw(large[0] == i ? i : -1); });
    }
    request_id = 0;
    pool.end();
}
