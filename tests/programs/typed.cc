// thread_local objects: a map in a function (as spdlog's MDC), a string of the program, a static shared_ptr; pool, thread and coroutine; a thread's end; no memory.
// usage: typed [ends | memory]
// libs: libuv
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <new>
#include <pthread.h>
#include <string>
#include <thread>
#include <ucontext.h>
#include <uv.h>

namespace mdc {
typedef std::map<std::string, std::string> map;

__attribute__((noinline)) map &get_context()
{
    static thread_local map context;
    return context;
}
}

thread_local std::string user;

struct request {
    static std::atomic<int> alive;
    std::string name;
    explicit request(const std::string &name) : name(name)
    {
        alive++;
    }
    ~request()
    {
        alive--;
    }
};
std::atomic<int> request::alive;

// Of a static one clang leaves no initialiser to find.
#ifndef __clang__
static
#endif
    thread_local std::shared_ptr<request> current;

static bool is_refused;

__attribute__((noinline)) void *operator new(size_t size)
{
    void *found = is_refused ? nullptr : malloc(size);
    if (!found)
        throw std::bad_alloc();
    return found;
}

__attribute__((noinline)) void operator delete(void *at) noexcept
{
    free(at);
}

__attribute__((noinline)) void operator delete(void *at, size_t) noexcept
{
    free(at);
}

static int wrong;

static void expect(const char *what, const std::string &sees, const std::string &wants)
{
    if (sees != wants)
        wrong++;
    printf("%s: %s%s\n", what, sees.c_str(), sees == wants ? "" : " WRONG");
}

static std::string seen()
{
    auto found = mdc::get_context().find("request");
    return (found == mdc::get_context().end() ? "-" : found->second) + " of " + (user.empty() ? "-" : user) + " in " + (current ? current->name : "-");
}

static std::string name(const char *what, long i)
{
    return std::string(what) + " number " + std::to_string(i) + ", too long for a word";
}

static void set(long i)
{
    mdc::get_context()["request"] = name("request", i);
    mdc::get_context()[name("another", i)] = "x";
    user = name("user", i);
    current = std::make_shared<request>(name("object", i));
}

static void clear()
{
    mdc::get_context().clear();
    user.clear();
    current.reset();
}

static std::string both(long i)
{
    return name("request", i) + " of " + name("user", i) + " in " + name("object", i);
}

struct job {
    uv_work_t work;
    long number;
    std::string sees;
    size_t size;
};

static void run(uv_work_t *work)
{
    job *me = static_cast<job *>(work->data);
    me->sees = seen();
    me->size = mdc::get_context().size();
    set(1000 + me->number);
    mdc::get_context()["left"] = "behind";
}

static ucontext_t outside, inside;
static char stack[64 * 1024];
static std::string coroutine_saw[2];

static void coroutine()
{
    coroutine_saw[0] = seen();
    set(77);
    swapcontext(&inside, &outside);
    coroutine_saw[1] = seen();
}

static void pool_thread_and_coroutine()
{
    enum { JOBS = 30 };
    static job jobs[JOBS];
    std::string sees;
    for (long i = 0; i < JOBS; i++) {
        jobs[i].number = i;
        jobs[i].work.data = &jobs[i];
        if (i % 3)
            set(i);
        else
            clear();
        uv_queue_work(uv_default_loop(), &jobs[i].work, run, nullptr);
        mdc::get_context().clear();
    }
    set(5);
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    for (auto &one : jobs) {
        expect("job", one.sees, one.number % 3 ? both(one.number) : "- of - in -");
        if (one.size != (one.number % 3 ? 2u : 0u))
            wrong++;
    }
    expect("caller", seen(), both(5));
    for (int i = 0; i < 3; i++) {
        std::thread([&] {
            sees = seen();
            set(9);
        }).join();
        expect("thread", sees, both(5));
        expect("caller", seen(), both(5));
    }
    getcontext(&inside);
    inside.uc_stack.ss_sp = stack;
    inside.uc_stack.ss_size = sizeof stack;
    inside.uc_link = &outside;
    makecontext(&inside, coroutine, 0);
    set(6);
    swapcontext(&outside, &inside);
    expect("caller", seen(), both(6));
    set(7);
    swapcontext(&outside, &inside);
    expect("caller", seen(), both(7));
    expect("coroutine", coroutine_saw[0], both(5));
    expect("coroutine", coroutine_saw[1], both(77));
    for (auto &saw : coroutine_saw)
        saw.clear();
    clear();
}

/* The objects' destructors have run when those of keys do; a thread that is started there has nothing. */
static pthread_key_t last;
static std::string late_saw;

static void late(void *)
{
    std::thread([] { late_saw = seen(); }).join();
}

static void ends()
{
    pthread_key_create(&last, late);
    set(1);
    for (int i = 0; i < 2; i++) {
        std::string sees;
        std::thread([&] {
            sees = seen();
            pthread_setspecific(last, &last);
            if (i)
                set(2);
        }).join();
        expect("thread", sees, both(1));
        expect("late thread", late_saw, "- of - in -");
    }
    expect("caller", seen(), both(1));
    clear();
}

static char timer_saw[80];
static void (*in_timer)();

static void on_timer(uv_timer_t *)
{
    strcpy(timer_saw, user.empty() ? "-" : user.c_str());
    if (in_timer)
        in_timer();
}

/* The timer is started, or runs, without memory; what it does not get is not another's, and ours stays. */
static void timer(bool is_without_memory, bool runs_without_memory, void (*in)(), const std::string &wants)
{
    static uv_timer_t handle;
    uv_timer_init(uv_default_loop(), &handle);
    in_timer = in;
    user = name("timer", 1);
    is_refused = is_without_memory;
    uv_timer_start(&handle, on_timer, 0, 0);
    is_refused = false;
    user = name("own", 2);
    is_refused = runs_without_memory;
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    is_refused = false;
    expect("timer", timer_saw, wants);
    expect("caller", user, name("own", 2));
    uv_close(reinterpret_cast<uv_handle_t *>(&handle), nullptr);
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}

static void memory()
{
    timer(false, false, nullptr, name("timer", 1));
    timer(true, false, nullptr, "-");
    timer(false, true, nullptr, name("own", 2));
    timer(false, false, [] { is_refused = true; }, name("timer", 1));
    timer(false, false, [] { user.clear(); is_refused = true; }, name("timer", 1));
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "ends"))
        ends();
    else if (argc > 1)
        memory();
    else
        pool_thread_and_coroutine();
    uv_loop_close(uv_default_loop());
    if (request::alive)
        wrong++;
    printf("objects left: %d\n", request::alive.load());
    puts(wrong ? "WRONG" : "RIGHT");
    return wrong ? 1 : 0;
}
