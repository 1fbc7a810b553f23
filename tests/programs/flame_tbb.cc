// The same of a TBB arena: two callers enqueue the same task, one of them three times as long.
// libs: tbb
// flags: -fno-omit-frame-pointer -fno-optimize-sibling-calls
#include <atomic>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <thread>

#include <tbb/task_arena.h>

static std::atomic<int> left{40};
static tbb::task_arena arena{3, 1};

static long used_us()
{
    timespec used;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return used.tv_sec * 1000000 + used.tv_nsec / 1000;
}

__attribute__((noinline)) static void spin(int us)
{
    for (long end = used_us() + us; used_us() < end;)
        for (volatile int i = 0; i < 20000; i = i + 1)
            ;
}

__attribute__((noinline)) static void serve_short()
{
    arena.enqueue([] { spin(5000), left--; });
    __asm__ volatile("");
}

__attribute__((noinline)) static void serve_long()
{
    arena.enqueue([] { spin(15000), left--; });
    __asm__ volatile("");
}

int main()
{
    for (int i = 0; i < 20; i++) {
        serve_short();
        serve_long();
    }
    while (left > 0)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::puts("done");
}
