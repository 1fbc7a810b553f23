// thread_local objects: a map in a function (as spdlog's MDC), a string of the program; pool, thread and coroutine.
// usage: typed
// libs: libuv
#include <cstdio>
#include <cstdlib>
#include <map>
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
    return (found == mdc::get_context().end() ? "-" : found->second) + " of " + (user.empty() ? "-" : user);
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
}

static std::string both(long i)
{
    return name("request", i) + " of " + name("user", i);
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

int main()
{
    enum { JOBS = 30 };
    static job jobs[JOBS];
    std::string sees;
    for (long i = 0; i < JOBS; i++) {
        jobs[i].number = i;
        jobs[i].work.data = &jobs[i];
        if (i % 3)
            set(i);
        else {
            mdc::get_context().clear();
            user.clear();
        }
        uv_queue_work(uv_default_loop(), &jobs[i].work, run, nullptr);
        mdc::get_context().clear();
    }
    set(5);
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    for (auto &one : jobs) {
        expect("job", one.sees, one.number % 3 ? both(one.number) : "- of -");
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
    uv_loop_close(uv_default_loop());
    puts(wrong ? "WRONG" : "RIGHT");
    return wrong ? 1 : 0;
}
