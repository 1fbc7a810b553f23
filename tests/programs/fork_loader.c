// A child that was forked while a thread was inside dl_iterate_phdr uses functions that nobody has called before.
// link: -ldl
// usage: fork_loader [CARRIER [MODE]]; other: another thread was inside, self: the one that forks
#define _GNU_SOURCE // dl_iterate_phdr
#include "carrier.h"
#include <dlfcn.h>
#include <link.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <uv.h>

/*
 * The loader's lock is held in the child, by a thread that is not there: dl_iterate_phdr and dlopen never
 * come back. The program calls neither.
 */
static struct gate inside = GATE_CLOSED;

static int stand(struct dl_phdr_info *info, size_t size, void *arg)
{
    gate_wait(&inside);
    return 1;
}

static void *stander(void *unused)
{
    dl_iterate_phdr(stand, NULL);
    return NULL;
}

/* ---- what the child does ---- */

static long seen;

static int thread_body(void *unused)
{
    seen = current();
    return 0;
}

static ucontext_t outside;

static void coroutine_body(void)
{
    seen = current();
    set_current(7);
}

static void coroutine(void)
{
    static char stack[64 * 1024];
    ucontext_t within;
    getcontext(&within);
    within.uc_stack.ss_sp = stack;
    within.uc_stack.ss_size = sizeof(stack);
    within.uc_link = &outside;
    makecontext(&within, coroutine_body, 0);
    set_current(9);
    swapcontext(&outside, &within);
}

/* A library that is not the program's own: which one a call means depends on who calls. */
static int (*loop_init)(uv_loop_t *), (*loop_run)(uv_loop_t *, uv_run_mode), (*loop_close)(uv_loop_t *);
static int (*timer_init)(uv_loop_t *, uv_timer_t *);
static int (*timer_start)(uv_timer_t *, uv_timer_cb, uint64_t, uint64_t);

static void find_uv(void)
{
    void *library = dlopen("libuv.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library)
        exit(77);
    *(void **)&loop_init = dlsym(library, "uv_loop_init");
    *(void **)&loop_run = dlsym(library, "uv_run");
    *(void **)&loop_close = dlsym(library, "uv_loop_close");
    *(void **)&timer_init = dlsym(library, "uv_timer_init");
    *(void **)&timer_start = dlsym(library, "uv_timer_start");
}

static void on_timer(uv_timer_t *timer)
{
    seen = current();
}

static void uv_timer(void)
{
    uv_loop_t loop;
    uv_timer_t timer;
    loop_init(&loop);
    timer_init(&loop, &timer);
    timer_start(&timer, on_timer, 0, 0);
    set_current(9);
    loop_run(&loop, UV_RUN_DEFAULT);
    loop_close(&loop);
}

static int child(void)
{
    pthread_key_t key;
    thrd_t thread;
    end_if_left();
    seen = -1;
    thrd_create(&thread, thread_body, NULL);
    thrd_join(thread, NULL);
    expect("a thread in the child", seen, 5);
    seen = -1;
    coroutine();
    expect("a coroutine in the child", seen, 5);
    set_current(5);
    seen = -1;
    uv_timer();
    expect("a timer in the child", seen, 5);
    expect("a key in the child", pthread_key_create(&key, free) || pthread_key_delete(key), 0);
    set_current(0);
    fflush(stdout);
    return verdict();
}

static void fork_one(void)
{
    int status;
    set_current(5);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        _exit(child());
    waitpid(pid, &status, 0);
    set_current(0);
    expect("child hung", WIFSIGNALED(status), 0);
    expect("child's exit", WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0);
}

static int fork_inside(struct dl_phdr_info *info, size_t size, void *arg)
{
    fork_one();
    return 1;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    carrier_choose(argc > 1 ? argv[1] : "key");
    find_uv();
    if (argc > 2 && !strcmp(argv[2], "self")) {
        dl_iterate_phdr(fork_inside, NULL);
        return verdict();
    }
    pthread_create(&thread, NULL, stander, NULL);
    gate_await(&inside, 1);
    fork_one();
    gate_open(&inside);
    pthread_join(thread, NULL);
    return verdict();
}
