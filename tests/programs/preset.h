// What the programs of presets share: the context is one thread-local number, a group of handoffs is run and counted.
// usage: PROGRAM [GROUP]...; every group without an argument
#ifndef PRESET_H
#define PRESET_H
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <thread>
#include <unistd.h>

extern "C" {
__thread long request_id;
}
static std::atomic<long> ran, wrong_ones;
static long wrong_in_all;

// What every task does: look, and leave something else.
static inline void look(long wanted)
{
    wrong_ones += request_id != wanted;
    request_id = -wanted;
    ran++;
}

static inline void wait_for(long tasks)
{
    request_id = 0;
    for (int i = 0; i < 100000 && ran < tasks; i++)
        std::this_thread::sleep_for(std::chrono::microseconds(100));
}

// Until a thread of the program is no more, and what it held: its library may say that it has ended while it still ends.
static inline void wait_gone(long tid)
{
    std::string path = "/proc/self/task/" + std::to_string(tid);

    for (int i = 0; i < 100000 && access(path.c_str(), F_OK) == 0; i++)
        std::this_thread::sleep_for(std::chrono::microseconds(100));
}

struct group {
    const char *name;
    void (*run)();
};

template <int N> static int run_groups(const group (&groups)[N], int argc, char **argv)
{
    for (const group &one : groups) {
        bool is_wanted = argc < 2;

        for (int i = 1; i < argc; i++)
            is_wanted |= !strcmp(argv[i], one.name);
        if (!is_wanted)
            continue;
        ran = wrong_ones = request_id = 0;
        one.run();
        wrong_ones += request_id < 0; // the caller keeps its own
        printf("%s: ran %ld wrong %ld\n", one.name, ran.load(), wrong_ones.load());
        wrong_in_all += wrong_ones;
    }
    puts(wrong_in_all ? "WRONG" : "RIGHT");
    return wrong_in_all != 0;
}

#endif
