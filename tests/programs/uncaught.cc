// An exception that nobody catches ends the program with the same words and signal as ever.
// usage: uncaught thread|pthread|noexcept
#include "carrier.h"
#include <stdexcept>
#include <string>
#include <sys/resource.h>
#include <thread>

static void *body(void *)
{
    throw std::runtime_error("nobody catches this");
}

int main(int argc, char **argv)
{
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    carrier_choose("key");
    set_current(4);
    std::string way = argc > 1 ? argv[1] : "thread";
    if (way == "pthread") {
        pthread_t thread;
        pthread_create(&thread, nullptr, body, nullptr);
        pthread_join(thread, nullptr);
    } else {
        std::thread thread([]() { body(nullptr); });
        thread.join();
    }
    return 0;
}
