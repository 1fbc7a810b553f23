// Functions of C++ that hand over, with debug information of what they take.
#include <cstdio>
#include <functional>
#include <string>

static long ran;

struct Task {
    virtual ~Task() {}
    virtual void run() { ran++; }
};
struct Answer {
    std::string text;
};
struct Pool {
    long number = 0;

    __attribute__((noinline)) void submit(std::function<void()> function)
    {
        function();
        number++;
    }
    __attribute__((noinline)) Answer later(const std::function<void()> &function)
    {
        function();
        return {std::to_string(number)};
    }
    __attribute__((noinline)) void task(Task *task, int priority)
    {
        task->run();
        number += priority;
    }
};

int main()
{
    Pool pool;
    Task *task = new Task;

    pool.submit([] { ran++; });
    std::printf("%s\n", pool.later([] { ran++; }).text.c_str());
    pool.task(task, 2);
    delete task;
    std::printf("%ld %ld\n", ran, pool.number);
    return 0;
}
