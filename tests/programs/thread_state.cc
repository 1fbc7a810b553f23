// Locale, floating-point control, thread name and I/O priority of the request are its task's, and put back on every way out.
// libs: libuv glib-2.0
// usage: thread_state locale|fenv|name|ioprio return|throw|longjmp|pthread_exit|cancel|free|task_exits|task_cancelled
#include "carrier.h"
#include <cfenv>
#include <csetjmp>
#include <fcntl.h>
#include <glib.h>
#include <langinfo.h>
#include <locale.h>
#include <stdexcept>
#include <string>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <uv.h>

static std::string kind, mode;

/* The number's bits say which categories are of C.UTF-8. */
static const int categories[] = {LC_CTYPE, LC_NUMERIC, LC_TIME, LC_COLLATE, LC_MONETARY, LC_MESSAGES, LC_PAPER};
static const int masks[] = {LC_CTYPE_MASK, LC_NUMERIC_MASK, LC_TIME_MASK, LC_COLLATE_MASK, LC_MONETARY_MASK,
                            LC_MESSAGES_MASK, LC_PAPER_MASK};
static thread_local locale_t mine;

static void put(long number)
{
    if (kind == "locale") {
        int mask = 0;
        for (int i = 0; i < 7; i++)
            mask |= number >> i & 1 ? masks[i] : 0;
        locale_t made = number ? newlocale(mask, "C.UTF-8", newlocale(LC_ALL_MASK, "C", (locale_t)0)) : LC_GLOBAL_LOCALE;
        uselocale(made);
        if (mine && mode == "free" && number == 7) /* the request of 3 ends while its task waits */
            freelocale(mine);
        mine = number ? made : (locale_t)0;
    } else if (kind == "fenv") {
        static const int rounding[] = {FE_TONEAREST, FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO};
        fesetround(rounding[number & 3]);
        unsigned csr = __builtin_ia32_stmxcsr() & ~0x8000u;
        __builtin_ia32_ldmxcsr(csr | (number & 4 ? 0x8000u : 0));
    } else if (kind == "name") {
        prctl(PR_SET_NAME, ("request " + std::to_string(number)).c_str());
    } else {
        syscall(SYS_ioprio_set, 1, 0, number ? 2 << 13 | (number & 7) : 0);
    }
}

/* By what they do, not by what was set. */
static long now()
{
    if (kind == "locale") {
        long number = 0;
        for (int i = 0; i < 7; i++)
            number |= (long)!strcmp(nl_langinfo(_NL_LOCALE_NAME(categories[i])), "C.UTF-8") << i;
        return number;
    }
    if (kind == "fenv") {
        volatile double one = 1, three = 3, small = 2.3e-308, half = 0.5;
        volatile long double long_one = 1, long_three = 3;
        bool up = one / three * 1 > 0x1.5555555555555p-2, down = -one / three < -0x1.5555555555555p-2;
        bool long_up = long_one / long_three > 0xa.aaaaaaaaaaaaaaap-5L;
        long number = up ? 2 : down ? 1 : 0;
        if (!up && !down)
            number = fegetround() == FE_TOWARDZERO ? 3 : 0;
        if (up && !long_up)
            return -1;
        return number + (small * half == 0 ? 4 : 0);
    }
    if (kind == "name") {
        char text[64] = "";
        std::string path = "/proc/self/task/" + std::to_string(syscall(SYS_gettid)) + "/comm";
        int file = open(path.c_str(), O_RDONLY);
        ssize_t len = read(file, text, sizeof(text) - 1);
        close(file);
        return len > 0 && !strncmp(text, "request ", 8) ? atol(text + 8) : 0;
    }
    long priority = syscall(SYS_ioprio_get, 1, 0);
    return priority >> 13 == 2 && (priority & 7) != 4 ? priority & 7 : 0;
}

static jmp_buf way_out;
static long task_saw = -1, work_saw = -1;

static void work(uv_work_t *)
{
    work_saw = now();
    put(1);
}

static void leaving(uv_work_t *, int)
{
    task_saw = now();
    put(2);
    if (mode == "throw")
        throw std::runtime_error("out of the task");
    if (mode == "longjmp")
        longjmp(way_out, 1);
}

static void *thread(void *)
{
    task_saw = now();
    put(2);
    if (mode == "pthread_exit")
        pthread_exit(NULL);
    while (mode == "cancel")
        sleep_ms(1);
    return NULL;
}

/* A pool's worker that ends in the midst of a task: what its own destructors find. */
static long left = -1;
static pthread_key_t ends;

static void at_end(void *)
{
    __atomic_store_n(&left, now(), __ATOMIC_RELEASE);
}

static void last_task(gpointer, gpointer)
{
    task_saw = now();
    put(2);
    pthread_setspecific(ends, &ends);
    if (mode == "task_exits")
        pthread_exit(NULL);
    pthread_cancel(pthread_self());
    for (;;)
        pthread_testcancel();
}

static int worker_ends()
{
    pthread_key_create(&ends, at_end);
    GThreadPool *pool = g_thread_pool_new(last_task, NULL, 1, TRUE, NULL);
    put(3);
    g_thread_pool_push(pool, &ends, NULL);
    put(7);
    while (__atomic_load_n(&left, __ATOMIC_ACQUIRE) < 0)
        sleep_ms(1);
    expect("the task saw", task_saw, 3);
    expect("its worker had at the end", left, 0);
    expect("the thread has", now(), 7);
    return verdict();
}

int main(int argc, char **argv)
{
    static uv_work_t request, next;
    if (argc < 3)
        return 2;
    kind = argv[1], mode = argv[2];
    setenv("UV_THREADPOOL_SIZE", "1", 1);
    if (mode == "task_exits" || mode == "task_cancelled")
        return worker_ends();
    if (mode == "pthread_exit" || mode == "cancel") {
        pthread_t id;
        put(3);
        pthread_create(&id, NULL, thread, NULL);
        if (mode == "cancel") {
            while (__atomic_load_n(&task_saw, __ATOMIC_ACQUIRE) < 0)
                sleep_ms(1);
            pthread_cancel(id);
        }
        pthread_join(id, NULL);
        expect("the thread saw", task_saw, 3);
        expect("the creator has", now(), 3);
        return verdict();
    }
    put(3);
    uv_queue_work(uv_default_loop(), &request, work, leaving);
    put(7);
    if (mode == "longjmp") {
        if (!setjmp(way_out))
            uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    } else {
        try {
            uv_run(uv_default_loop(), UV_RUN_DEFAULT);
        } catch (const std::runtime_error &) {
        }
    }
    expect("the worker's part saw", work_saw, 3);
    expect("the loop's part saw", task_saw, 3);
    uv_queue_work(uv_default_loop(), &next, work, NULL);
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    expect("the next task saw", work_saw, 7);
    expect("the thread has", now(), 7);
    return verdict();
}
