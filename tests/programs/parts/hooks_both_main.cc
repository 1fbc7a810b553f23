// Two pools at once, of libstdc++'s std::function and of libc++'s: each task sees the number of who submitted it.
// usage: both [gnu|llvm]: one after the other, that one first
#include <atomic>
#include <cstdio>
#include <cstring>
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

int main(int argc, char **argv)
{
    bool is_gnu_first = argc < 2 || !strcmp(argv[1], "gnu");
    std::thread one(is_gnu_first ? run_gnu : run_llvm);

    if (argc > 1)
        one.join();
    std::thread other(is_gnu_first ? run_llvm : run_gnu);
    if (argc < 2)
        one.join();
    other.join();
    std::printf("ran %ld wrong %ld\n", ran.load(), wrong.load());
    return ran != 600 || wrong;
}
