// GThreadPool's whole interface sees the program's own pointers while tasks see their submits.
// libs: glib-2.0
// usage: glib_pool MODE [CARRIER]; a mode is one promise, named in the table at the end
#include "carrier.h"
#include "older_glib.h"

struct job {
    long number, priority, seen;
    int order;
};

static struct job jobs[8];
static int ran, freed;
static struct gate gate = GATE_CLOSED;
static char pool_data[] = "the program's own user data";
static GThreadPool *pool;

static void work(gpointer data, gpointer user_data)
{
    struct job *job = data;
    if (user_data != pool_data)
        expect("user data", 0, 1);
    if (job == &jobs[0]) { /* the first job holds the only worker until all are queued */
        gate_wait(&gate);
        return;
    }
    job->seen = current();
    job->order = __atomic_add_fetch(&ran, 1, __ATOMIC_RELAXED);
    set_current(5000 + job->number);
}

static void item_free(gpointer data)
{
    struct job *job = data;
    expect("dropped", job->number, job - jobs);
    freed++;
}

static void push(long number, long value)
{
    jobs[number].number = number;
    set_current(value);
    expect("pushed", g_thread_pool_push(pool, &jobs[number], NULL), TRUE);
    set_current(-1);
}

/* A pool of one worker that stands at the gate. */
static void hold(GDestroyNotify drop, gboolean exclusive)
{
    pool = g_thread_pool_new_full(work, pool_data, drop, 1, exclusive, NULL);
    push(0, 70);
    gate_await(&gate, 1);
}

static void finish(void)
{
    gate_open(&gate);
    g_thread_pool_free(pool, FALSE, TRUE);
    set_current(0);
}

static gint by_priority(gconstpointer a, gconstpointer b, gpointer user_data)
{
    const struct job *left = a, *right = b;
    if (left < jobs || left > jobs + 7 || right < jobs || right > jobs + 7)
        expect("sort sees the program's pointers", 0, 1);
    if (user_data != jobs)
        expect("sort's user data", 0, 1);
    return left->priority < right->priority ? -1 : left->priority > right->priority;
}

static void expect_run(int number, int order, long seen)
{
    char what[64];
    snprintf(what, sizeof(what), "job %d ran as", number);
    expect(what, jobs[number].order, order);
    snprintf(what, sizeof(what), "job %d sees", number);
    expect(what, jobs[number].seen, seen);
}

static void mode_sort(void)
{
    static const int priority[] = {0, 30, 10, 20, 50, 40};
    hold(NULL, TRUE);
    push(1, 101);
    push(2, 102);
    jobs[1].priority = priority[1];
    jobs[2].priority = priority[2];
    g_thread_pool_set_sort_function(pool, by_priority, jobs); /* sorts what is queued already */
    for (int i = 3; i <= 5; i++) {
        jobs[i].priority = priority[i];
        push(i, 100 + i);
    }
    finish();
    expect_run(2, 1, 102);
    expect_run(3, 2, 103);
    expect_run(1, 3, 101);
    expect_run(5, 4, 105);
    expect_run(4, 5, 104);
}

static void mode_unsort(void)
{
    hold(NULL, TRUE);
    g_thread_pool_set_sort_function(pool, by_priority, jobs);
    for (int i = 1; i <= 3; i++) {
        jobs[i].priority = -i;
        push(i, 100 + i);
    }
    g_thread_pool_set_sort_function(pool, NULL, NULL);
    push(4, 104);
    finish();
    expect_run(3, 1, 103);
    expect_run(2, 2, 102);
    expect_run(1, 3, 101);
    expect_run(4, 4, 104);
}

static void mode_front(void)
{
    hold(NULL, TRUE);
    for (int i = 1; i <= 4; i++)
        push(i, 100 + i);
    expect("moved", g_thread_pool_move_to_front(pool, &jobs[3]), TRUE);
    expect("not there", g_thread_pool_move_to_front(pool, &jobs[7]), FALSE);
    finish();
    expect_run(3, 1, 103);
    expect_run(1, 2, 101);
    expect_run(2, 3, 102);
    expect_run(4, 4, 104);
}

/* The same pointer queued three times keeps a context for each; the oldest one is moved. */
static long twice_seen[8];
static int twice_count;

static void twice_work(gpointer data, gpointer user_data)
{
    if (data == &jobs[0])
        gate_wait(&gate);
    else
        twice_seen[twice_count++] = current();
}

static void mode_twice(void)
{
    pool = g_thread_pool_new(twice_work, pool_data, 1, TRUE, NULL);
    push(0, 70);
    gate_await(&gate, 1);
    push(1, 101);
    push(2, 102);
    push(1, 111);
    push(1, 121);
    expect("moved", g_thread_pool_move_to_front(pool, &jobs[1]), TRUE);
    finish();
    expect("ran", twice_count, 4);
    expect("first", twice_seen[0], 101);
    expect("second", twice_seen[1], 102);
    expect("third", twice_seen[2], 111);
    expect("fourth", twice_seen[3], 121);
}

static gpointer open_later(gpointer data)
{
    let_rest(); /* the main thread waits for the pool */
    gate_open(&gate);
    return NULL;
}

static void drop(GDestroyNotify with)
{
    hold(with, TRUE);
    for (int i = 1; i <= 4; i++)
        push(i, 100 + i);
    expect("unprocessed", g_thread_pool_unprocessed(pool), 4);
    GThread *opener = g_thread_new("opener", open_later, NULL);
    g_thread_pool_free(pool, TRUE, TRUE);
    g_thread_join(opener);
    set_current(0);
    expect("ran", ran, 0);
    expect("freed", freed, with ? 4 : 0);
}

static void mode_drop(void)
{
    if (!GLIB_CHECK_VERSION(2, 70, 0)) /* no function that frees what is dropped */
        exit(77);
    drop(item_free);
}

static void mode_drop_plain(void)
{
    drop(NULL);
}

static void mode_wait(void)
{
    hold(item_free, TRUE);
    for (int i = 1; i <= 4; i++)
        push(i, 100 + i);
    finish();
    for (int i = 1; i <= 4; i++)
        expect_run(i, i, 100 + i);
    expect("freed", freed, 0);
}

/* Free without waiting: the queue is still worked off, the pool goes with its last task. */
static void mode_no_wait(void)
{
    hold(NULL, TRUE);
    for (int i = 1; i <= 4; i++)
        push(i, 100 + i);
    g_thread_pool_free(pool, FALSE, FALSE);
    gate_open(&gate);
    for (int ms = 0; ms < 5000 && __atomic_load_n(&ran, __ATOMIC_ACQUIRE) < 4; ms++)
        sleep_ms(1);
    let_rest();
    set_current(0);
    for (int i = 1; i <= 4; i++)
        expect_run(i, i, 100 + i);
}

/* A pool that is being freed takes nothing: GLib complains and queues nothing, with and without an error to fill in. */
static void mode_freed(void)
{
    GError *error = NULL;

    hold(item_free, TRUE);
    push(1, 101);
    g_thread_pool_free(pool, FALSE, FALSE);
    for (int i = 2; i <= 3; i++) {
        set_current(100 + i);
        expect("pushed", g_thread_pool_push(pool, &jobs[i], i == 2 ? NULL : &error), FALSE);
    }
    expect("an error", error != NULL, 0);
    gate_open(&gate);
    for (int ms = 0; ms < 5000 && !__atomic_load_n(&ran, __ATOMIC_ACQUIRE); ms++)
        sleep_ms(1);
    let_rest();
    set_current(0);
    expect("ran", ran, 1);
    expect("freed", freed, 0);
    expect_run(1, 1, 101);
}

static void shared(gboolean exclusive)
{
    hold(NULL, exclusive);
    GThreadPool *first = pool;
    for (int i = 1; i <= 2; i++)
        push(i, 100 + i);
    struct job *other = &jobs[3];
    pool = g_thread_pool_new(work, pool_data, 1, exclusive, NULL);
    push(3, 103);
    g_thread_pool_free(pool, FALSE, TRUE);
    expect("the other pool's job sees", other->seen, 103);
    pool = first;
    finish();
    expect("job 1 sees", jobs[1].seen, 101);
    expect("job 2 sees", jobs[2].seen, 102);
    g_thread_pool_stop_unused_threads();
}

static void mode_shared(void)
{
    shared(FALSE);
}

static void mode_exclusive(void)
{
    shared(TRUE);
}

/* NULL is no item to GLib: it complains and drops it, with us as without us. */
static void mode_null(void)
{
    hold(NULL, TRUE);
    set_current(55);
    printf("NULL pushed: %d\n", g_thread_pool_push(pool, NULL, NULL));
    push(1, 101);
    finish();
    expect_run(1, 1, 101);
}

/* What a task sets stays in it: the next task with an empty submitter sees nothing. */
static void mode_leave(void)
{
    hold(NULL, TRUE);
    push(1, 101);
    push(2, 0);
    push(3, 103);
    finish();
    expect_run(1, 1, 101);
    expect_run(2, 2, 0);
    expect_run(3, 3, 103);
}

/* The numbers that a pool tells are its own. */
static void mode_numbers(void)
{
    GError *error = NULL;
    hold(NULL, TRUE);
    push(1, 101);
    printf("max %d threads %u unprocessed %u\n", g_thread_pool_get_max_threads(pool),
           g_thread_pool_get_num_threads(pool), g_thread_pool_unprocessed(pool));
    printf("more: %d\n", g_thread_pool_set_max_threads(pool, 2, &error));
    for (int ms = 0; ms < 5000 && !__atomic_load_n(&ran, __ATOMIC_ACQUIRE); ms++)
        sleep_ms(1);
    printf("max %d threads %u unprocessed %u\n", g_thread_pool_get_max_threads(pool),
           g_thread_pool_get_num_threads(pool), g_thread_pool_unprocessed(pool));
    finish();
    expect_run(1, 1, 101);
}

static const struct {
    const char *name;
    void (*run)(void);
} modes[] = {
    {"sort", mode_sort},       {"unsort", mode_unsort},       {"front", mode_front},
    {"twice", mode_twice},     {"drop", mode_drop},           {"drop_plain", mode_drop_plain},
    {"wait", mode_wait},       {"no_wait", mode_no_wait},     {"shared", mode_shared},
    {"null", mode_null},       {"exclusive", mode_exclusive}, {"leave", mode_leave},
    {"numbers", mode_numbers}, {"freed", mode_freed},
};

int main(int argc, char **argv)
{
    carrier_choose(argc > 2 ? argv[2] : "key");
    for (size_t i = 0; argc > 1 && i < G_N_ELEMENTS(modes); i++)
        if (!strcmp(modes[i].name, argv[1])) {
            modes[i].run();
            expect("the submitter still has", current(), 0);
            return verdict();
        }
    return 2;
}
