// Children forked while other threads use a family's functions all the time find no lock held and work on.
// libs: glib-2.0 libuv libevent libevent_pthreads apr-1 apr-util-1
// link: -lrt
// flags: -fopenmp
// usage: fork_families MODE [CARRIER [CHILDREN]]; a mode is a family, named in the table at the end
#include "carrier.h"
#include "foreign_lock.h"
#include <apr_general.h>
#include <apr_thread_pool.h>
#include <event2/event.h>
#include <event2/thread.h>
#include <fcntl.h>
#include <glib.h>
#include <mqueue.h>
#include <signal.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <uv.h>

/*
 * A child uses only what no other thread of its parent has touched: libraries are allowed to leave
 * their own locks held in it, and without baton no child may hang either.
 */
static int stop;
static long seen;

static int is_over(void)
{
    return __atomic_load_n(&stop, __ATOMIC_RELAXED);
}

static void see(void)
{
    __atomic_store_n(&seen, current(), __ATOMIC_SEQ_CST);
}

static void await(void)
{
    while (__atomic_load_n(&seen, __ATOMIC_SEQ_CST) == -1)
        sleep_ms(1);
}

/* ---- GLib's pools: sorted, made and freed ---- */

static GThreadPool *idle_pool;
static GMainContext *idle_context;
static GSource *idle_source;

static void nothing(gpointer data, gpointer user_data)
{
}

static gint compare(gconstpointer a, gconstpointer b, gpointer user_data)
{
    return a < b ? -1 : a > b;
}

static void pools_busy(void)
{
    GThreadPool *pool = g_thread_pool_new(nothing, NULL, 1, FALSE, NULL);
    g_thread_pool_set_sort_function(pool, compare, NULL);
    g_thread_pool_push(pool, pool, NULL);
    g_thread_pool_free(pool, FALSE, TRUE);
}

static void glib_before(void)
{
    idle_pool = g_thread_pool_new(nothing, NULL, 1, FALSE, NULL);
    idle_context = g_main_context_new();
    idle_source = g_idle_source_new();
}

static gboolean on_idle(gpointer data)
{
    see();
    return FALSE;
}

static void glib_child(void)
{
    g_thread_pool_set_sort_function(idle_pool, compare, NULL);
    g_source_set_callback(idle_source, on_idle, NULL, NULL);
    g_source_attach(idle_source, idle_context);
    set_current(9);
    g_main_context_iteration(idle_context, FALSE);
}

static void glib_after(void)
{
    g_thread_pool_free(idle_pool, FALSE, TRUE);
    g_source_unref(idle_source);
    g_main_context_unref(idle_context);
}

/* ---- GLib's sources ---- */

static gboolean on_busy(gpointer data)
{
    return FALSE;
}

static void sources_busy(void)
{
    GMainContext *context = g_main_context_new();
    for (int i = 0; i < 10; i++) {
        GSource *source = g_idle_source_new();
        g_source_set_callback(source, on_busy, NULL, NULL);
        g_source_attach(source, context);
        g_source_unref(source);
    }
    for (int i = 0; i < 5; i++)
        g_main_context_iteration(context, FALSE);
    g_main_context_unref(context);
}

static void sources_before(void)
{
    foreign_lock_expect("g_rw_lock_"); /* GLib 2.90 has one for all sources, which it does not see to at fork */
    glib_before();
}

/* ---- APR's pools: tasks pushed ---- */

static apr_pool_t *idle_memory;
static apr_thread_pool_t *idle_apr;

static void *APR_THREAD_FUNC apr_nothing(apr_thread_t *thread, void *data)
{
    return NULL;
}

static void *APR_THREAD_FUNC apr_see(apr_thread_t *thread, void *data)
{
    see();
    return NULL;
}

/* A pool a thread for good, and nothing is cancelled: apr-util is not safe in either by itself. */
static void apr_busy(void)
{
    static __thread apr_thread_pool_t *pool;
    apr_pool_t *memory;
    if (!pool) {
        apr_pool_create_unmanaged_ex(&memory, NULL, NULL);
        if (apr_thread_pool_create(&pool, 2, 2, memory))
            abort();
    }
    for (int i = 0; i < 20; i++)
        apr_thread_pool_push(pool, apr_nothing, NULL, APR_THREAD_TASK_PRIORITY_NORMAL, NULL);
    while (apr_thread_pool_tasks_count(pool) || apr_thread_pool_busy_count(pool))
        sleep_ms(1);
}

static void apr_before(void)
{
    apr_initialize();
    apr_pool_create_unmanaged_ex(&idle_memory, NULL, NULL);
    if (apr_thread_pool_create(&idle_apr, 0, 2, idle_memory))
        abort();
}

static void apr_child(void)
{
    apr_thread_pool_push(idle_apr, apr_see, NULL, APR_THREAD_TASK_PRIORITY_NORMAL, NULL);
    await();
}

static void apr_after(void)
{
    apr_thread_pool_destroy(idle_apr);
    apr_pool_destroy(idle_memory);
}

/* ---- timers; the child's is a message queue, which glibc serves by other means ---- */

static mqd_t queue;

static void on_notice(union sigval value)
{
}

static void on_message(union sigval value)
{
    see();
}

static void notices_busy(void)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = on_notice};
    struct itimerspec soon = {.it_value = {.tv_nsec = 1000}};
    timer_t timers[4];
    for (int i = 0; i < 4; i++) {
        if (timer_create(CLOCK_MONOTONIC, &event, &timers[i]))
            abort();
        timer_settime(timers[i], 0, &soon, NULL);
    }
    for (int i = 0; i < 4; i++)
        timer_delete(timers[i]);
}

static void notices_before(void)
{
    struct mq_attr attributes = {.mq_maxmsg = 1, .mq_msgsize = 8};
    char name[64];
    snprintf(name, sizeof(name), "/baton-fork-%d", (int)getpid());
    queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
    mq_unlink(name);
    if (queue == (mqd_t)-1)
        abort();
}

static void notices_child(void)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = on_message};
    char text[8];
    while (mq_notify(queue, &event)) /* the last child's may not be gone yet */
        sleep_ms(1);
    set_current(9);
    mq_send(queue, "text", 4, 0);
    await();
    mq_receive(queue, text, sizeof(text), NULL);
}

static void notices_after(void)
{
    mq_close(queue);
}

/* ---- coroutines ---- */

static __thread ucontext_t outside;

static void body(void)
{
    if (current() == 5)
        see();
    set_current(7);
}

static void coroutine(void)
{
    ucontext_t inside;
    char *stack = malloc(64 * 1024);
    getcontext(&inside);
    inside.uc_stack.ss_sp = stack;
    inside.uc_stack.ss_size = 64 * 1024;
    inside.uc_link = &outside;
    makecontext(&inside, body, 0);
    set_current(9);
    swapcontext(&outside, &inside);
    free(stack);
}

/* ---- libuv: loops of one thread each ---- */

static void on_uv(uv_timer_t *timer)
{
    if (current() == 5)
        see();
    uv_close((uv_handle_t *)timer, NULL);
}

static void one_loop(void)
{
    uv_loop_t loop;
    uv_timer_t timers[8];
    uv_loop_init(&loop);
    for (int i = 0; i < 8; i++) {
        uv_timer_init(&loop, &timers[i]);
        uv_timer_start(&timers[i], on_uv, 0, 0);
    }
    set_current(9);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
}

/* ---- libevent with locks ---- */

static struct event_base *idle_base;

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    if (current() == 5)
        see();
}

static void event_use(struct event_base *base)
{
    struct timeval now = {0, 0};
    struct event *events[8];
    for (int i = 0; i < 8; i++) {
        events[i] = event_new(base, -1, 0, on_event, NULL);
        event_add(events[i], &now);
    }
    event_base_once(base, -1, EV_TIMEOUT, on_event, NULL, &now);
    set_current(9);
    event_base_dispatch(base);
    for (int i = 0; i < 8; i++)
        event_free(events[i]);
}

static void events_busy(void)
{
    static __thread struct event_base *base;
    if (!base)
        base = event_base_new();
    event_use(base);
    if (is_over()) {
        event_base_free(base);
        base = NULL;
    }
}

static void events_before(void)
{
    evthread_use_pthreads();
    idle_base = event_base_new();
}

static void events_child(void)
{
    event_use(idle_base);
}

static void events_after(void)
{
    event_base_free(idle_base);
}

/* ---- OpenMP, whose pools belong to their threads ---- */

static void openmp_busy(void)
{
#pragma omp parallel num_threads(2)
    if (current() == -2)
        see();
}

static void openmp_child(void)
{
    int wrong = 0;
#pragma omp parallel num_threads(2) reduction(+ : wrong)
    wrong += current() != 5;
    if (!wrong)
        see();
}

/* ---- keys with destructors ---- */

static pthread_key_t owned;

static void *owner(void *unused)
{
    pthread_setspecific(owned, malloc(8));
    return NULL;
}

static void keys_busy(void)
{
    pthread_t thread;
    pthread_key_t key;
    pthread_create(&thread, NULL, owner, NULL);
    pthread_join(thread, NULL);
    pthread_key_create(&key, free);
    pthread_setspecific(key, malloc(8));
    free(pthread_getspecific(key));
    pthread_key_delete(key);
}

static void *thread_sees(void *unused)
{
    see();
    return NULL;
}

static void keys_child(void)
{
    pthread_t thread;
    keys_busy();
    pthread_create(&thread, NULL, thread_sees, NULL);
    pthread_join(thread, NULL);
}

static void keys_before(void)
{
    pthread_key_create(&owned, free);
}

static const struct mode {
    const char *name;
    void (*busy)(void), (*child)(void), (*before)(void), (*after)(void);
} modes[] = {
    {"pools", pools_busy, glib_child, glib_before, glib_after},
    {"sources", sources_busy, glib_child, sources_before, glib_after},
    {"apr", apr_busy, apr_child, apr_before, apr_after},
    {"notices", notices_busy, notices_child, notices_before, notices_after},
    {"coroutines", coroutine, coroutine, NULL, NULL},
    {"uv", one_loop, one_loop, NULL, NULL},
    {"events", events_busy, events_child, events_before, events_after},
    {"openmp", openmp_busy, openmp_child, NULL, NULL},
    {"keys", keys_busy, keys_child, keys_before, NULL},
};

static void *be_busy(void *mode)
{
    for (long i = 1; !is_over(); i++) {
        set_current(100 + i % 1000);
        ((const struct mode *)mode)->busy();
    }
    ((const struct mode *)mode)->busy(); /* it sees that this is the end */
    set_current(0);
    return NULL;
}

static int run(const struct mode *mode, int children)
{
    pthread_t threads[2];
    int good = 0, waiting = 0;
    if (mode->before)
        mode->before();
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, be_busy, (void *)mode);
    for (int i = 0; i < children; i++) {
        int status = 0;
        set_current(5);
        pid_t pid = fork();
        if (pid == 0) {
            end_if_left();
            seen = -1;
            foreign_lock_child();
            mode->child();
            _exit(seen == 5 ? 0 : 1);
        }
        waitpid(pid, &status, 0);
        good += WIFEXITED(status) && WEXITSTATUS(status) == 0;
        waiting += foreign_lock_waits(status);
        if (WIFSIGNALED(status))
            printf("a child ended by signal %d\n", WTERMSIG(status));
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    if (mode->after)
        mode->after();
    set_current(0);
    if (waiting)
        printf("%d of %d children wait for a lock of GLib's own\n", waiting, children);
    if (waiting == children)
        return FOREIGN_LOCK;
    expect("good children", good, children - waiting);
    return verdict();
}

int main(int argc, char **argv)
{
    carrier_choose(argc > 2 ? argv[2] : "key");
    for (size_t i = 0; argc > 1 && i < sizeof(modes) / sizeof(modes[0]); i++)
        if (!strcmp(modes[i].name, argv[1]))
            return run(&modes[i], argc > 3 ? atoi(argv[3]) : 200);
    return 2;
}
