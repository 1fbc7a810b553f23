// Shuts itself in before it first hands anything over: what it does not call by itself kills. The task sees what was carried.
// libs: glib-2.0 libuv
// link: -lm
// usage: sandbox_exact WAY [NUMBERS]; ways are in the table at the end, NUMBERS are those of the calls that are allowed,
// "1,202,231": without them there is no sandbox, and a call of close(-4242) says in a trace where it would begin
#include "sandbox.h"
#include <dlfcn.h>
#include <errno.h>
#include <glib.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <uv.h>

static uv_loop_t *loop;
static uv_work_t work;
static GThreadPool *pool;

static void *run_thread(void *way)
{
    look(way);
    return NULL;
}

static void way_thread(void)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, run_thread, (void *)"thread"))
        say("no thread\n");
    else
        pthread_join(thread, NULL);
}

static void way_threads(void)
{
    for (int i = 0; i < 40; i++)
        way_thread();
}

static void run_work(uv_work_t *request)
{
    if (request->data)
        look(request->data);
}

static void ran_work(uv_work_t *request, int status)
{
    if (request->data)
        look(request->data);
}

static void begin_uv(void)
{
    loop = uv_default_loop();
    uv_queue_work(loop, &work, run_work, ran_work);
    uv_run(loop, UV_RUN_DEFAULT);
}

static void way_uv(void)
{
    work.data = (void *)"uv";
    uv_queue_work(loop, &work, run_work, ran_work);
    drop_values();
    uv_run(loop, UV_RUN_DEFAULT);
}

static void run_pool(gpointer item, gpointer unused)
{
    if (item != &done)
        look(item);
    sem_post(&done);
}

static void begin_pool(void)
{
    pool = g_thread_pool_new(run_pool, NULL, 1, TRUE, NULL);
    g_thread_pool_push(pool, &done, NULL);
    sem_wait(&done);
}

static void way_pool(void)
{
    g_thread_pool_push(pool, (gpointer) "pool", NULL);
    sem_wait(&done);
}

static gboolean run_idle(gpointer way)
{
    if (way)
        look(way);
    return G_SOURCE_REMOVE;
}

static void begin_idle(void)
{
    g_main_context_iteration(NULL, FALSE);
}

static void way_idle(void)
{
    g_idle_add(run_idle, (gpointer) "idle");
    drop_values();
    g_main_context_iteration(NULL, TRUE);
}

static uv_timer_t timer;

static void ran_timer(uv_timer_t *handle)
{
    look(handle->data);
}

static void begin_timer(void)
{
    loop = uv_default_loop();
    uv_timer_init(loop, &timer);
    uv_run(loop, UV_RUN_NOWAIT);
}

static void way_timer(void)
{
    timer.data = (void *)"timer";
    uv_timer_start(&timer, ran_timer, 1, 0);
    drop_values();
    uv_run(loop, UV_RUN_DEFAULT);
}

/* By the C library's thread for timers, which is there before. */
static void run_expired(union sigval way)
{
    if (way.sival_ptr)
        look(way.sival_ptr);
    sem_post(&done);
}

static void expire(const char *way)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = run_expired, .sigev_value.sival_ptr = (void *)way};
    struct itimerspec soon = {.it_value.tv_nsec = 1000000};
    timer_t expires;

    if (timer_create(CLOCK_MONOTONIC, &event, &expires) || timer_settime(expires, 0, &soon, NULL))
        say("no timer\n");
    else
        sem_wait(&done);
}

static void begin_expiry(void)
{
    expire(NULL);
}

static void way_expiry(void)
{
    expire("expiry");
}

static ucontext_t outside, inside;

static void run_coroutine(void)
{
    look("coroutine");
    swapcontext(&inside, &outside);
    look("coroutine");
}

static void way_coroutine(void)
{
    static char stack[65536];

    getcontext(&inside);
    inside.uc_stack.ss_sp = stack;
    inside.uc_stack.ss_size = sizeof stack;
    inside.uc_link = &outside;
    makecontext(&inside, run_coroutine, 0);
    drop_values();
    swapcontext(&outside, &inside);
    swapcontext(&outside, &inside);
}

static jmp_buf place;

static void *run_jump(void *way)
{
    if (!setjmp(place)) {
        look(way);
        longjmp(place, 1);
    }
    return NULL;
}

static void way_jump(void)
{
    pthread_t thread;

    pthread_create(&thread, NULL, run_jump, (void *)"jump");
    pthread_join(thread, NULL);
}

/* A thread before, in the child, and after. */
static void way_fork(void)
{
    pid_t child;
    int status = 0;

    way_thread();
    child = fork();

    if (!child) {
        way_thread();
        exit(0);
    }
    waitpid(child, &status, 0);
    say(WIFEXITED(status) && !WEXITSTATUS(status) ? "the child ended well\n" : "the child was ended\n");
    way_thread();
}

/* A child shuts itself in, as those do that a supervisor starts; the parent is in no sandbox. */
static void way_vfork(void)
{
    pid_t child = vfork();
    int status = 0;

    if (!child) {
        static struct sock_filter filter[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)};
        struct sock_fprog program = {1, filter};

        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
        _exit(0);
    }
    waitpid(child, &status, 0);
    say(WIFSIGNALED(status) ? "the child was ended\n" : "the child ended\n");
    way_thread();
}

static void way_open(void)
{
    void *library = dlopen("libutil.so.1", RTLD_NOW);

    say(library ? "opened\n" : "not opened\n");
    way_thread();
}

static volatile int *nowhere;

static void *run_crash(void *way)
{
    look(way);
    *nowhere = 1;
    return NULL;
}

static void way_crash(void)
{
    pthread_t thread;

    pthread_create(&thread, NULL, run_crash, (void *)"crash");
    pthread_join(thread, NULL);
}

/* None. */
static void way_none(void)
{
}

/* So many are under way at once that they need memory. */
static void way_many(void)
{
    static uv_work_t many[20000];

    for (unsigned i = 0; i < sizeof many / sizeof *many; i++)
        uv_queue_work(loop, &many[i], run_work, ran_work);
    way_uv();
}

static const struct way ways[] = {
    {"none", NULL, way_none},
    {"thread", NULL, way_thread},
    {"threads", NULL, way_threads},
    {"uv", begin_uv, way_uv},
    {"many", begin_uv, way_many},
    {"pool", begin_pool, way_pool},
    {"idle", begin_idle, way_idle},
    {"timer", begin_timer, way_timer},
    {"expiry", begin_expiry, way_expiry},
    {"coroutine", NULL, way_coroutine},
    {"jump", NULL, way_jump},
    {"fork", NULL, way_fork},
    {"vfork", NULL, way_vfork},
    {"open", NULL, way_open},
    {"crash", NULL, way_crash},
    {NULL, NULL, NULL},
};

int main(int argc, char **argv)
{
    return sandbox_main(ways, argc, argv);
}
