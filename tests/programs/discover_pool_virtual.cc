// The same in C++ with optimisation: a pool of objects that a virtual function runs. Says how many tasks saw their request.
// flags: -g -O2
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

/* -DBUSY: one worker, which looks for work when all has been handed over, and does not wait before. */
#ifndef BUSY
#define BUSY 0
#endif
enum { REQUESTS = 40, WORKERS = BUSY ? 1 : 2 };
static int is_all_there;

static thread_local long request;

struct Task {
    virtual ~Task() = default;
    virtual void run() = 0;
};

class Pool {
public:
    Pool()
    {
        for (int i = 0; i < WORKERS; i++)
            workers.emplace_back([this] { loop(); });
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
    __attribute__((noinline)) void submit(Task *task)
    {
        std::lock_guard<std::mutex> guard(lock);
        tasks.push_back(task);
        wanted.notify_one();
    }
    void wait(int count)
    {
        std::unique_lock<std::mutex> guard(lock);
        finished.wait(guard, [&] { return done >= count; });
    }

private:
    void loop()
    {
        while (BUSY && !__atomic_load_n(&is_all_there, __ATOMIC_ACQUIRE))
            std::this_thread::yield();
        for (;;) {
            Task *task;
            {
                std::unique_lock<std::mutex> guard(lock);
                wanted.wait(guard, [this] { return is_closed || !tasks.empty(); });
                if (tasks.empty())
                    return;
                task = tasks.front();
                tasks.pop_front();
            }
            task->run();
            delete task;
            std::lock_guard<std::mutex> guard(lock);
            done++;
            finished.notify_one();
        }
    }
    std::mutex lock;
    std::condition_variable wanted, finished;
    std::deque<Task *> tasks;
    std::vector<std::thread> workers;
    bool is_closed = false;
    int done = 0;
};

static int right;
__attribute__((noinline)) static bool is_mine(long number)
{
    return request == number;
}

// Two of them: the compiler cannot guess which one runs.
struct Odd : Task {
    explicit Odd(long its) : number(its) {}
    void run() override { right += is_mine(number); }
    long number;
};
struct Even : Task {
    explicit Even(long its) : number(its) {}
    void run() override { right += is_mine(number) ? 1 : 0; }
    long number;
};

int main()
{
    {
        Pool pool;

        for (long number = 1; number <= REQUESTS; number++) {
            request = number;
            pool.submit(number % 2 ? static_cast<Task *>(new Odd(number)) : new Even(number));
            if (!BUSY)
                pool.wait(static_cast<int>(number));
            request = 0;
        }
        __atomic_store_n(&is_all_there, 1, __ATOMIC_RELEASE);
    }
    std::printf("right %d wrong %d\n", right, REQUESTS - right);
    return right != REQUESTS;
}
