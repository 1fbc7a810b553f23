// APR: threads and tasks of its thread pool run in the context of their making, cancelled ones leave nothing.
// libs: apr-1 apr-util-1
// usage: apr MODE [CARRIER]; a mode is one promise, named in the table at the end
#include "carrier.h"
#include <apr_general.h>
#include <apr_portable.h>
#include <apr_thread_pool.h>
#include <apu_version.h>

static apr_pool_t *memory;
static apr_thread_pool_t *pool;
static struct gate gate = GATE_CLOSED;
static long saw[64];
static int ran;

static void *task(apr_thread_t *thread, void *number)
{
    saw[(long)number] = current();
    set_current(800);
    __atomic_add_fetch(&ran, 1, __ATOMIC_RELEASE);
    return NULL;
}

static void *hold(apr_thread_t *thread, void *unused)
{
    gate_wait(&gate);
    __atomic_add_fetch(&ran, 1, __ATOMIC_RELEASE);
    return NULL;
}

static void await(int count)
{
    for (int ms = 0; ms < 5000 && __atomic_load_n(&ran, __ATOMIC_ACQUIRE) < count; ms++)
        sleep_ms(1);
    expect("ran", ran, count);
}

static void start_pool(int threads)
{
    expect("pool", apr_thread_pool_create(&pool, threads, threads, memory), APR_SUCCESS);
}

static void expect_tasks(int from, int count)
{
    for (int i = from; i < from + count; i++)
        expect("task sees", saw[i], 100 + i);
}

static void mode_push(void)
{
    start_pool(2);
    for (long i = 0; i < 16; i++) {
        set_current(100 + i);
        expect("push", apr_thread_pool_push(pool, task, (void *)i, APR_THREAD_TASK_PRIORITY_NORMAL, NULL), APR_SUCCESS);
    }
    for (long i = 16; i < 24; i++) {
        set_current(100 + i);
        expect("top", apr_thread_pool_top(pool, task, (void *)i, APR_THREAD_TASK_PRIORITY_HIGH, NULL), APR_SUCCESS);
    }
    for (long i = 24; i < 28; i++) {
        set_current(100 + i);
        expect("schedule", apr_thread_pool_schedule(pool, task, (void *)i, 3000 * (i - 23), NULL), APR_SUCCESS);
    }
    set_current(9);
    await(28);
    expect_tasks(0, 28);
    expect("the maker has", current(), 9);
    expect("destroy", apr_thread_pool_destroy(pool), APR_SUCCESS);
}

static void *tells_owner(apr_thread_t *thread, void *number)
{
    void *owner = NULL;
    apr_thread_pool_task_owner_get(thread, &owner);
    expect("owner", (long)owner, 7);
    return task(thread, number);
}

/* Tasks of an owner are cancelled in the queue and in the schedule; the others run. */
static void mode_cancel(void)
{
    start_pool(1);
    apr_thread_pool_push(pool, hold, NULL, 0, NULL);
    gate_await(&gate, 1);
    for (long i = 0; i < 12; i++) {
        set_current(100 + i);
        apr_thread_pool_push(pool, i % 3 ? task : tells_owner, (void *)i, 0, (void *)(i % 3 ? 5L : 7L));
    }
    apr_thread_pool_schedule(pool, task, (void *)12L, 5000000, (void *)5L);
    set_current(9);
    expect("cancel", apr_thread_pool_tasks_cancel(pool, (void *)5L), APR_SUCCESS);
    expect("left", apr_thread_pool_tasks_count(pool), 4);
    gate_open(&gate);
    await(5);
    for (int i = 0; i < 12; i += 3)
        expect("task sees", saw[i], 100 + i);
    expect("destroy", apr_thread_pool_destroy(pool), APR_SUCCESS);
}

/* What a pool still holds when it ends, by its own end or its memory's, is let go. */
static void mode_destroy(void)
{
    apr_version_t version;
    apu_version(&version);
    if (version.minor < 6 || (version.minor == 6 && version.patch < 3))
        puts("ends without a word"); /* it calls nothing that could be seen */
    for (int round = 0; round < 2; round++) {
        apr_pool_t *inner;
        apr_pool_create(&inner, memory);
        expect("pool", apr_thread_pool_create(&pool, 1, 1, inner), APR_SUCCESS);
        set_current(100);
        apr_thread_pool_push(pool, task, (void *)0L, 0, NULL);
        await(round + 1);
        for (long i = 0; i < 10; i++)
            apr_thread_pool_schedule(pool, task, (void *)i, 60000000, NULL);
        set_current(9);
        if (round)
            expect("destroy", apr_thread_pool_destroy(pool), APR_SUCCESS);
        apr_pool_destroy(inner);
        expect_tasks(0, 1);
        saw[0] = 0;
    }
}

static void *leaves(apr_thread_t *thread, void *number)
{
    task(thread, number);
    apr_thread_exit(thread, APR_SUCCESS);
    return NULL;
}

static void mode_thread(void)
{
    apr_thread_t *threads[2];
    apr_status_t status;
    set_current(101);
    expect("create", apr_thread_create(&threads[0], NULL, task, (void *)1L, memory), APR_SUCCESS);
    set_current(102);
    expect("create", apr_thread_create(&threads[1], NULL, leaves, (void *)2L, memory), APR_SUCCESS);
    set_current(9);
    apr_thread_join(&status, threads[0]);
    apr_thread_join(&status, threads[1]);
    expect_tasks(1, 2);
    expect("the maker has", current(), 9);
}

static void *pushes(apr_thread_t *thread, void *number)
{
    long i = (long)number;
    task(thread, number);
    set_current(100 + i + 1);
    if (i < 20)
        apr_thread_pool_push(pool, pushes, (void *)(i + 1), 0, NULL);
    return NULL;
}

/* Tasks that push, while another thread cancels what does not exist. */
static void mode_chain(void)
{
    start_pool(2);
    set_current(100);
    apr_thread_pool_push(pool, pushes, (void *)0L, 0, NULL);
    set_current(9);
    for (int i = 0; i < 100; i++)
        apr_thread_pool_tasks_cancel(pool, (void *)77L);
    await(21);
    expect_tasks(0, 21);
    expect("destroy", apr_thread_pool_destroy(pool), APR_SUCCESS);
}

static const struct {
    const char *name;
    void (*run)(void);
} modes[] = {
    {"push", mode_push},       {"cancel", mode_cancel}, {"destroy", mode_destroy},
    {"thread", mode_thread},   {"chain", mode_chain},
};

int main(int argc, char **argv)
{
    int status = 2;
    carrier_choose(argc > 2 ? argv[2] : "key");
    apr_initialize();
    apr_pool_create(&memory, NULL);
    for (size_t i = 0; argc > 1 && i < sizeof(modes) / sizeof(modes[0]); i++)
        if (!strcmp(modes[i].name, argv[1])) {
            modes[i].run();
            set_current(0);
            status = verdict();
        }
    apr_terminate();
    return status;
}
