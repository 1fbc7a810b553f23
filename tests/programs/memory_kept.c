// What a process keeps: a thread that lives, contexts that changed before each submit and are gone, many submitters.
// libs: libuv
// usage: memory_kept threads|drained|drained_busy|submitters|submitters_changed
// Prints "bytes N", for threads of each, for drained "peak N" before. Status 1: a task or thread had other values.
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

enum { KEYS = 64, LIVE = 400, SUBMITTERS = 256, EACH = 100, QUEUED = 60000, WORKERS = 4 };
#define EIGHT(of, n)                                                                               \
    of request_##n##0, of request_##n##1, of request_##n##2, of request_##n##3, of request_##n##4, \
        of request_##n##5, of request_##n##6, of request_##n##7
#define ALL(of)                                                                         \
    EIGHT(of, 0), EIGHT(of, 1), EIGHT(of, 2), EIGHT(of, 3), EIGHT(of, 4), EIGHT(of, 5), \
        EIGHT(of, 6), EIGHT(of, 7)
pthread_key_t ALL();
static pthread_key_t *const keys[KEYS] = {ALL(&)};
static long wrong;

static void set_all(long value)
{
    for (int i = 0; i < KEYS; i++)
        pthread_setspecific(*keys[i], (void *)(value + i));
}

static long resident(void)
{
    long total = 0, pages = 0;
    FILE *file;

    malloc_trim(0);
    file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%ld %ld", &total, &pages) != 2)
        exit(2);
    fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

/* After a second, or later on a busy machine: what is given back in time is not at any moment. */
static long settled(void)
{
    long least = LONG_MAX;

    sleep(1);
    for (int i = 0; i < 8; i++) {
        long now = resident();

        least = now < least ? now : least;
        usleep(250000);
    }
    return least;
}

static pthread_barrier_t all_there, all_go;

static void start(void *(*function)(void *), long count, size_t stack)
{
    pthread_attr_t attr;
    pthread_t thread;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, stack);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_barrier_init(&all_there, NULL, (unsigned)count + 1);
    pthread_barrier_init(&all_go, NULL, (unsigned)count + 1);
    for (long i = 0; i < count; i++) {
        if (pthread_create(&thread, &attr, function, (void *)(i + 1)))
            exit(2);
    }
    pthread_barrier_wait(&all_there);
}

static void *live(void *unused)
{
    (void)unused;
    wrong += pthread_getspecific(*keys[0]) != (void *)1000;
    pthread_barrier_wait(&all_there);
    pthread_barrier_wait(&all_go);
    return NULL;
}

static void threads(void)
{
    long before;

    set_all(1000);
    start(live, 1, 65536); /* what the first one brings is not each one's */
    pthread_barrier_wait(&all_go);
    usleep(100000);
    before = resident();
    start(live, LIVE, 65536);
    printf("bytes %ld\n", (resident() - before) / LIVE);
}

struct request {
    uv_work_t work;
    long value;
};

static uv_sem_t gate;

static void run(uv_work_t *work)
{
    if (pthread_getspecific(*keys[KEYS - 1]) !=
        (void *)(((struct request *)work)->value + KEYS - 1))
        __atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
}

static void wait_for_gate(uv_work_t *work)
{
    (void)work;
    uv_sem_wait(&gate);
}

static void done(uv_work_t *work, int status)
{
    (void)work;
    (void)status;
}

static void submit(uv_loop_t *loop, struct request *request, long value)
{
    request->value = value;
    uv_queue_work(loop, &request->work, run, done);
}

static void drained(int is_busy)
{
    static struct request requests[QUEUED];
    static uv_work_t held[WORKERS];
    uv_loop_t *loop = uv_default_loop();
    long before, peak;

    memset(requests, 1, sizeof(requests));
    uv_sem_init(&gate, 0);
    set_all(1);
    for (int i = 0; i < EACH; i++)
        submit(loop, &requests[i], 1);
    uv_run(loop, UV_RUN_DEFAULT);
    before = resident();
    for (int i = 0; i < WORKERS; i++)
        uv_queue_work(loop, &held[i], wait_for_gate, done);
    for (long i = 0; i < QUEUED; i++) {
        set_all(i * KEYS + 1);
        submit(loop, &requests[i], i * KEYS + 1);
    }
    peak = resident() - before;
    for (int i = 0; i < WORKERS; i++)
        uv_sem_post(&gate);
    uv_run(loop, UV_RUN_DEFAULT);
    for (int i = 0; i < 20; i++) {
        usleep(50000);
        for (int j = 0; is_busy && j < EACH; j++)
            submit(loop, &requests[j], (QUEUED - 1L) * KEYS + 1);
        uv_run(loop, UV_RUN_DEFAULT);
    }
    printf("peak %ld\nbytes %ld\n", peak, resident() - before);
}

static int is_changed;

static void *submits(void *number)
{
    struct request *requests = calloc(EACH, sizeof(*requests));
    uv_loop_t loop;

    uv_loop_init(&loop);
    for (int i = 0; i < EACH; i++) {
        long value = ((long)number * EACH + (is_changed ? i : 0)) * KEYS;

        if (is_changed || !i)
            set_all(value);
        submit(&loop, &requests[i], value);
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    free(requests);
    pthread_barrier_wait(&all_there);
    pthread_barrier_wait(&all_go);
    return NULL;
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";

    for (int i = 0; i < KEYS; i++)
        pthread_key_create(keys[i], NULL);
    if (!strcmp(mode, "threads")) {
        threads();
    } else if (!strncmp(mode, "drained", 7)) {
        drained(!strcmp(mode, "drained_busy"));
    } else if (!strncmp(mode, "submitters", 10)) {
        is_changed = !strcmp(mode, "submitters_changed");
        start(submits, SUBMITTERS, 256 * 1024);
        printf("bytes %ld\n", settled());
    } else {
        return 2;
    }
    printf("wrong %ld\n", wrong);
    return wrong != 0;
}
