// OpenLDAP's thread pool: tasks run in the context of their submit, retracted and dropped ones leave nothing.
// libs: ldap
// usage: ldap_pool MODE [CARRIER]
#include "carrier.h"

/* Exported for slapd, declared in headers that are not installed (include/ldap_pvt_thread.h of 2.5). */
typedef struct ldap_int_thread_pool_s *pool_t;
typedef void *start_t(void *context, void *arg);
typedef int walk_t(start_t *start, void *start_arg, void *arg);
int ldap_pvt_thread_initialize(void);
int ldap_pvt_thread_pool_init(pool_t *pool, int max_threads, int max_pending);
int ldap_pvt_thread_pool_submit(pool_t *pool, start_t *start, void *arg);
int ldap_pvt_thread_pool_submit2(pool_t *pool, start_t *start, void *arg, void **cookie);
int ldap_pvt_thread_pool_retract(void *cookie);
int ldap_pvt_thread_pool_walk(pool_t *pool, start_t *start, walk_t *visit, void *arg);
int ldap_pvt_thread_pool_pause(pool_t *pool);
int ldap_pvt_thread_pool_resume(pool_t *pool);
int ldap_pvt_thread_pool_destroy(pool_t *pool, int runs_pending);

static pool_t pool;
static struct gate gate = GATE_CLOSED;
static long saw[32];
static int ran;

static void *task(void *context, void *number)
{
    saw[(long)number] = current();
    set_current(800);
    __atomic_add_fetch(&ran, 1, __ATOMIC_RELEASE);
    return NULL;
}

static void *other_task(void *context, void *number)
{
    return task(context, number);
}

static void *hold(void *context, void *unused)
{
    gate_wait(&gate);
    return NULL;
}

static void start_pool(int threads)
{
    expect("pool", ldap_pvt_thread_pool_init(&pool, threads, 0), 0);
}

static void submit(int number, start_t *start, void **cookie)
{
    set_current(100 + number);
    expect("submit",
           cookie ? ldap_pvt_thread_pool_submit2(&pool, start, (void *)(long)number, cookie)
                  : ldap_pvt_thread_pool_submit(&pool, start, (void *)(long)number),
           0);
    set_current(9);
}

static void await(int count)
{
    for (int ms = 0; ms < 5000 && __atomic_load_n(&ran, __ATOMIC_ACQUIRE) < count; ms++)
        sleep_ms(1);
    expect("ran", ran, count);
}

static void mode_submit(void)
{
    void *cookie;
    start_pool(2);
    for (int i = 0; i < 20; i++)
        submit(i, task, i % 3 ? NULL : &cookie);
    await(20);
    for (int i = 0; i < 20; i++)
        expect("task sees", saw[i], 100 + i);
    expect("destroy", ldap_pvt_thread_pool_destroy(&pool, 1), 0);
    expect("no pool", ldap_pvt_thread_pool_submit(&pool, task, NULL), -1);
}

static void mode_retract(void)
{
    void *cookies[6];
    start_pool(1);
    ldap_pvt_thread_pool_submit(&pool, hold, NULL);
    gate_await(&gate, 1);
    for (int i = 0; i < 6; i++)
        submit(i, task, &cookies[i]);
    expect("retract", ldap_pvt_thread_pool_retract(cookies[1]), 1);
    expect("retract", ldap_pvt_thread_pool_retract(cookies[4]), 1);
    expect("nothing", ldap_pvt_thread_pool_retract(NULL), -1);
    gate_open(&gate);
    await(4);
    expect("too late", ldap_pvt_thread_pool_retract(cookies[0]), 0);
    for (int i = 0; i < 6; i++)
        expect("task sees", saw[i], i == 1 || i == 4 ? 0 : 100 + i);
    expect("destroy", ldap_pvt_thread_pool_destroy(&pool, 1), 0);
}

static int walked;

static int every_second(start_t *start, void *number, void *arg)
{
    if (start != task || arg != &walked || (long)number > 7)
        wrong_results++;
    walked++;
    return (long)number % 4 == 0;
}

/* Only to be called while the pool is paused; the pausing thread is one of the pool's. */
static void *walker(void *context, void *unused)
{
    gate_wait(&gate);
    ldap_pvt_thread_pool_pause(&pool);
    expect("walk", ldap_pvt_thread_pool_walk(&pool, task, every_second, &walked), 0);
    ldap_pvt_thread_pool_resume(&pool);
    return NULL;
}

static void mode_walk(void)
{
    start_pool(1);
    ldap_pvt_thread_pool_submit(&pool, walker, NULL);
    gate_await(&gate, 1);
    for (int i = 0; i < 8; i++)
        submit(i, i % 2 ? other_task : task, NULL);
    gate_open(&gate);
    await(6);
    expect("walked", walked, 4);
    for (int i = 0; i < 8; i++)
        expect("task sees", saw[i], i % 4 ? 100 + i : 0);
    expect("destroy", ldap_pvt_thread_pool_destroy(&pool, 1), 0);
}

static void *open_later(void *unused)
{
    let_rest(); /* the main thread waits for the pool */
    gate_open(&gate);
    return NULL;
}

/* Pending tasks are dropped when the pool is destroyed without running them. */
static void mode_destroy(void)
{
    pthread_t thread;
    start_pool(1);
    submit(0, task, NULL);
    await(1);
    expect("task sees", saw[0], 100);
    ldap_pvt_thread_pool_submit(&pool, hold, NULL);
    gate_await(&gate, 1);
    for (int i = 1; i < 10; i++)
        submit(i, task, NULL);
    pthread_create(&thread, NULL, open_later, NULL);
    expect("destroy", ldap_pvt_thread_pool_destroy(&pool, 0), 0);
    pthread_join(thread, NULL);
    await(1);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } modes[] = {{"submit", mode_submit}, {"retract", mode_retract}, {"walk", mode_walk}, {"destroy", mode_destroy}};
    carrier_choose(argc > 2 ? argv[2] : "key");
    ldap_pvt_thread_initialize();
    for (size_t i = 0; argc > 1 && i < sizeof(modes) / sizeof(modes[0]); i++)
        if (!strcmp(modes[i].name, argv[1])) {
            modes[i].run();
            set_current(0);
            return verdict();
        }
    return 2;
}
