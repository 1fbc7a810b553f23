// A task two handoffs from main that ends the process: crash HOW [MODE]
// HOW: segv abort assert terminate fpe overflow kill; MODE: heap (destroyed), closed (all descriptors), handler
// libs: glib-2.0
#undef NDEBUG
#include <cassert>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <glib.h>
#include <pthread.h>
#include <stdexcept>
#include <unistd.h>

static GThreadPool *pool;
static const char *how, *mode;

extern "C" __attribute__((noinline)) int fill_the_stack(int n)
{
    volatile char room[4096];

    room[n % 4096] = (char)n;
    return (n < 0 ? 0 : fill_the_stack(n + 1)) + room[(n + 1) % 4096];
}

extern "C" __attribute__((noinline)) void crash_here(int step)
{
    if (!strcmp(how, "segv"))
        *(volatile int *)16 = step;
    if (!strcmp(how, "abort"))
        abort();
    if (!strcmp(how, "assert"))
        assert(step == 77);
    if (!strcmp(how, "terminate"))
        throw std::runtime_error("nobody catches this");
    if (!strcmp(how, "fpe"))
        printf("%d\n", step / (*(volatile int *)&step - 2));
    if (!strcmp(how, "overflow"))
        printf("%d\n", fill_the_stack(1));
    if (!strcmp(how, "wait"))
        pause();
    if (!strcmp(how, "kill"))
        kill(getpid(), SIGSEGV), pause();
}

extern "C" __attribute__((noinline)) void second_submit()
{
    g_thread_pool_push(pool, (gpointer)2, nullptr);
}

extern "C" __attribute__((noinline)) void first_submit()
{
    g_thread_pool_push(pool, (gpointer)1, nullptr);
}

static void task(gpointer data, gpointer)
{
    if (GPOINTER_TO_INT(data) == 1)
        return second_submit();
    if (!strcmp(mode, "heap")) { /* nothing that allocates works any more */
        char *block = (char *)malloc(64);

        memset(block - 16, 0x41, 8192);
    }
    crash_here(GPOINTER_TO_INT(data));
}

static void handler(int, siginfo_t *info, void *)
{
    dprintf(1, "the program's own handler, at %p\n", info->si_addr);
    _exit(3);
}

int main(int argc, char **argv)
{
    how = argc > 1 ? argv[1] : "segv";
    mode = argc > 2 ? argv[2] : "";
    if (!strcmp(mode, "handler")) {
        struct sigaction action = {};

        action.sa_sigaction = handler;
        action.sa_flags = SA_SIGINFO;
        sigaction(SIGSEGV, &action, nullptr);
    }
    if (!strcmp(mode, "closed")) {
        for (int fd = 0; fd < 64; fd++)
            close(fd);
        for (int fd = 0; fd < 16; fd++)
            open("data", O_CREAT | O_RDWR | O_APPEND, 0600);
    }
    pool = g_thread_pool_new(task, nullptr, 1, TRUE, nullptr);
    first_submit();
    for (;;)
        pause();
}
