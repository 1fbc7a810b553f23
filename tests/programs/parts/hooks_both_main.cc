// Two pools at once, of libstdc++'s std::function and of libc++'s: each task sees the number of who submitted it.
#include <atomic>
#include <cstdio>
#include <thread>

extern "C" {
__thread long request_id;
void run_gnu(void);
void run_llvm(void);
void saw(long number);
}
static std::atomic<long> ran, wrong;

void saw(long number)
{
    ran++;
    wrong += request_id != number;
}

int main()
{
    std::thread one(run_gnu), other(run_llvm);

    one.join();
    other.join();
    std::printf("ran %ld wrong %ld\n", ran.load(), wrong.load());
    return ran != 600 || wrong;
}
