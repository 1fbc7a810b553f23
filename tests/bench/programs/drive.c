/*
 * One measurement: `way=NAME what=count|cpu|bytes|check [option=value]...` (see usage()).
 *
 * A gate makes pools exact: the worker is parked, a batch is queued, the gate opens, the batch is
 * drained. Queueing and running never overlap, so that there is no race between them to measure.
 * Each value is checked in the batches that are not counted; "bad" is the number of values that
 * a task saw and that were not the submitter's. Without baton it is not 0, and should not be.
 */
#include "drive.h"
#include "slots.h"

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <valgrind/callgrind.h>

enum mode { MODE_SAME, MODE_CHANGED, MODE_TASK, MODE_NESTED };

static const char *const mode_names[] = {"same", "changed", "task", "nested", NULL};

static struct {
    const struct way *way;
    const char *what;
    enum slot_kind kind;
    enum mode mode;
    size_t batch;   /* handoffs in flight */
    size_t batches; /* measured */
    int sets[8];    /* how many slots hold a value, one measurement each */
    int set_count;
    int threads;     /* other threads that submit too, and stay alive */
    const char *dir; /* of libraries to load first */
    int libraries;
    bool destructor;
    bool all;  /* every slot that is set is changed, or set by the task, and not the first alone */
    bool late; /* bench_late's library is loaded when the program runs */
    bool
        differs; /* the submitter's locale, rounding, name and what bench_get answers are its own */
    bool inside; /* everything happens in a thread that inherited values */
} options = {.what = "check", .batch = 256, .batches = 16, .sets = {1}, .set_count = 1};

static int slots_set_now;   /* the slots that hold a value */
static bool is_checking;    /* values are compared */
static long bad;            /* values that were not the submitter's; worker or joined */
static size_t ran, awaited; /* tasks; written by the worker, read after `done` */
static long *expected;      /* first slot's value, one a handoff */
static sem_t gate, parked, done;
static double worker_began, worker_ended; /* thread clock of the worker, ns */

static double clock_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static long value_of(int index)
{
    return 1000 + index;
}

static void wait_for(sem_t *semaphore)
{
    while (sem_wait(semaphore) && errno == EINTR) {
    }
}

/* ---- what the handed-over code does ---- */

static void check_values(size_t index)
{
    for (int i = 0; i < (options.all ? 1 : slots_set_now); i++) { /* the others' change */
        long want = i == 0 ? expected[index] : value_of(i);

        if (slots_get(options.kind, i) != want)
            __atomic_fetch_add(&bad, 1, __ATOMIC_RELAXED);
    }
}

void drive_task(size_t index)
{
    if (is_checking)
        check_values(index);
    for (int i = 0; options.mode == MODE_TASK && i < (options.all ? slots_set_now : 1); i++)
        slots_set(options.kind, i, 5);
    if (options.mode == MODE_NESTED && index < options.batch)
        options.way->nest(index);
    if (++ran == awaited && options.way->park) {
        worker_ended = clock_ns(CLOCK_THREAD_CPUTIME_ID);
        sem_post(&done);
    }
}

void drive_gate(void)
{
    sem_post(&parked);
    wait_for(&gate);
    worker_began = clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

/* ---- one batch ---- */

static void set_values(int count)
{
    for (int i = 0; i < SLOT_MAX && !options.way->has_own_values; i++) {
        long value = i < count ? value_of(i) : 0;

        if (slots_get(options.kind, i) != value)
            slots_set(options.kind, i, value);
    }
    slots_set_now = count;
    for (size_t i = 0; i < 2 * options.batch; i++)
        expected[i] = value_of(0);
    if (options.way->begin)
        options.way->begin();
}

static void submit_all(void)
{
    const struct way *way = options.way;

    if (options.mode != MODE_CHANGED) {
        for (size_t i = 0; i < options.batch; i++)
            way->submit(i);
        return;
    }
    for (size_t i = 0; i < options.batch; i++) {
        if (is_checking)
            expected[i] = 1000000 + (long)i;
        slots_set(options.kind, 0, 1000000 + (long)i);
        for (int k = 1; options.all && k < slots_set_now; k++)
            slots_set(options.kind, k, value_of(k) + 1 + (long)(i & 1));
        way->submit(i);
    }
}

/* While its callbacks wait, a single thread goes on to other things. */
static void drift(bool is_away)
{
    if (!options.way->is_same_thread || !is_checking)
        return;
    for (int i = 0; i < slots_set_now; i++)
        slots_set(options.kind, i, is_away ? -1 : value_of(i));
}

static void begin_batch(void)
{
    ran = 0;
    awaited = options.batch * (options.mode == MODE_NESTED ? 2 : 1);
    if (options.way->park) {
        options.way->park();
        wait_for(&parked);
    }
}

static void open_gate(void)
{
    if (options.way->park) {
        sem_post(&gate);
        wait_for(&done);
        /* The worker ends its last task, too, and goes to sleep. */
        usleep(RUNNING_ON_VALGRIND ? 3000 : 200);
    }
}

static void one_batch(void)
{
    bool is_early = options.way->is_taken_at_begin;

    begin_batch();
    drift(is_early);
    submit_all();
    drift(!is_early);
    open_gate();
    if (options.way->finish)
        options.way->finish();
    drift(false);
}

static size_t handoffs_in_batch(void)
{
    size_t each = options.way->handoffs ? (size_t)options.way->handoffs : 1;

    return options.batch * each * (options.mode == MODE_NESTED ? 2 : 1) +
           (options.way->park ? 1 : 0);
}

static void checked_batch(void)
{
    set_values(slots_set_now);
    is_checking = true;
    one_batch();
    is_checking = false;
}

static void report_start(int set)
{
    printf("way=%s mode=%s set=%d batch=%zu handoffs=%zu", options.way->name,
           mode_names[options.mode], set, options.batch, handoffs_in_batch());
}

/* ---- what is measured ---- */

static void measure_count(int set)
{
    char label[64];

    one_batch();
    if (options.differs) { /* the pool's threads began as their creator was */
        slots_differ();
        one_batch();
    }
    snprintf(label, sizeof(label), "set=%d", set);
    CALLGRIND_ZERO_STATS;
    for (size_t i = 0; i < options.batches; i++)
        one_batch();
    CALLGRIND_DUMP_STATS_AT(label);
    report_start(set);
    printf(" counted=%zu", options.batches * handoffs_in_batch());
}

static int by_size(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;

    return (a > b) - (a < b);
}

/* Processor time of one batch, whatever thread spends it, without the waiting. */
static double timed_batch(void)
{
    clockid_t clock = options.way->is_timed_by_process ? CLOCK_PROCESS_CPUTIME_ID
                                                       : CLOCK_THREAD_CPUTIME_ID;
    double begin, spent;

    begin_batch();
    begin = clock_ns(clock);
    submit_all();
    spent = clock_ns(clock) - begin;
    open_gate();
    begin = clock_ns(clock);
    if (options.way->finish)
        options.way->finish();
    spent += clock_ns(clock) - begin;
    if (options.way->park)
        spent += worker_ended - worker_began;
    return spent / (double)handoffs_in_batch();
}

static void measure_cpu(int set)
{
    double *ns = calloc(options.batches, sizeof(*ns)), sum = 0;

    for (size_t i = 0; i < options.batches; i++)
        sum += ns[i] = timed_batch();
    qsort(ns, options.batches, sizeof(*ns), by_size);
    report_start(set);
    printf(" best=%.2f median=%.2f mean=%.2f", ns[0], ns[options.batches / 2],
           sum / (double)options.batches);
    free(ns);
}

static long resident_bytes(void)
{
    char line[256];
    long kilobytes = -1;
    FILE *file;

    malloc_trim(0);
    file = fopen("/proc/self/smaps_rollup", "r");
    while (file && fgets(line, sizeof(line), file)) {
        if (sscanf(line, "Rss: %ld", &kilobytes) == 1)
            break;
    }
    if (file)
        fclose(file);
    return kilobytes * 1024;
}

static void measure_bytes(int set)
{
    long before, queued, after;
    size_t batch = options.batch;

    options.batch = 512; /* what the pool and the shim set up once is not the handoffs' */
    one_batch();
    options.batch = batch;
    before = resident_bytes();
    begin_batch();
    submit_all();
    queued = resident_bytes();
    open_gate();
    if (options.way->finish)
        options.way->finish();
    after = resident_bytes();
    report_start(set);
    printf(" bytes=%.2f left=%.2f", (double)(queued - before) / (double)batch,
           (double)(after - before) / (double)batch);
}

static void measure(void)
{
    for (int i = 0; i < options.set_count; i++) {
        set_values(options.sets[i]);
        if (!strcmp(options.what, "count"))
            measure_count(options.sets[i]);
        else if (!strcmp(options.what, "cpu"))
            measure_cpu(options.sets[i]);
        else if (!strcmp(options.what, "bytes"))
            measure_bytes(options.sets[i]);
        else
            report_start(options.sets[i]);
        if (options.mode == MODE_SAME || strcmp(options.what, "bytes")) {
            bad = 0;
            if (options.batch <= 100000)
                checked_batch();
        }
        printf(" bad=%ld\n", bad);
        fflush(stdout);
    }
}

/* ---- surroundings: many threads, many libraries ---- */

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t all_measured;
static double *turns_ns; /* one a batch of every thread */
static size_t turns;

/* Each thread submits in its turn, so that the pool's own lock is never fought for. */
static void *submit_in_turn(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&turn);
    set_values(options.sets[0]);
    for (size_t i = 0; i < options.batches; i++)
        turns_ns[turns++] = timed_batch();
    pthread_mutex_unlock(&turn);
    pthread_barrier_wait(&all_measured);
    return NULL;
}

static void measure_threads(void)
{
    pthread_t *threads = calloc((size_t)options.threads, sizeof(*threads));

    turns_ns = calloc(options.batches * (size_t)options.threads, sizeof(*turns_ns));
    pthread_barrier_init(&all_measured, NULL, (unsigned)options.threads);
    set_values(options.sets[0]);
    one_batch();
    for (int i = 0; i < options.threads; i++) {
        if (pthread_create(&threads[i], NULL, submit_in_turn, NULL))
            exit(3);
    }
    for (int i = 0; i < options.threads; i++)
        pthread_join(threads[i], NULL);
    report_start(options.sets[0]);
    qsort(turns_ns, turns, sizeof(*turns_ns), by_size);
    printf(" threads=%d best=%.2f median=%.2f bad=0\n", options.threads, turns_ns[0],
           turns_ns[turns / 2]);
    free(turns_ns);
    free(threads);
}

static void load_libraries(void)
{
    char path[512];

    for (int i = 0; i < options.libraries; i++) {
        snprintf(path, sizeof(path), "%s/libbench%03d.so", options.dir, i);
        if (!dlopen(path, RTLD_NOW)) {
            fprintf(stderr, "%s\n", dlerror());
            exit(3);
        }
    }
}

static void *measure_inside(void *unused)
{
    (void)unused;
    measure();
    return NULL;
}

/* The values are the creator's; the thread changes nothing (set_values writes what is there). */
static void measure_in_thread(void)
{
    pthread_t thread;

    set_values(options.sets[0]);
    if (pthread_create(&thread, NULL, measure_inside, NULL))
        exit(3);
    pthread_join(thread, NULL);
}

/* ---- options ---- */

static void usage(const char *problem)
{
    fprintf(stderr,
            "drive: %s\n"
            "way=NAME what=count|cpu|bytes|check|threads kind=key|tls|row|object\n"
            "mode=same|changed|task|nested set=K,K.. batch=N batches=N threads=N\n"
            "dir=FOLDER libraries=N late=0|1 destructor=0|1 inside=0|1 differs=0|1 all=0|1\n",
            problem);
    exit(2);
}

static void parse_sets(char *list)
{
    options.set_count = 0;
    for (char *item = strtok(list, ","); item && options.set_count < 8; item = strtok(NULL, ","))
        options.sets[options.set_count++] = atoi(item);
}

static void parse_option(char *option)
{
    char *value = strchr(option, '=');
    int i = 0;

    if (!value)
        usage(option);
    *value++ = 0;
    if (!strcmp(option, "way")) {
        while (drive_ways[i].name && strcmp(drive_ways[i].name, value))
            i++;
        options.way = drive_ways[i].name ? &drive_ways[i] : NULL;
    } else if (!strcmp(option, "mode")) {
        while (mode_names[i] && strcmp(mode_names[i], value))
            i++;
        if (!mode_names[i])
            usage(value);
        options.mode = (enum mode)i;
    } else if (!strcmp(option, "kind")) {
        if (!slots_kind_parse(value, &options.kind))
            usage(value);
    } else if (!strcmp(option, "what")) {
        options.what = value;
    } else if (!strcmp(option, "set")) {
        parse_sets(value);
    } else if (!strcmp(option, "batch")) {
        options.batch = (size_t)atol(value);
    } else if (!strcmp(option, "batches")) {
        options.batches = (size_t)atol(value);
    } else if (!strcmp(option, "threads")) {
        options.threads = atoi(value);
    } else if (!strcmp(option, "dir")) {
        options.dir = value;
    } else if (!strcmp(option, "libraries")) {
        options.libraries = atoi(value);
    } else if (!strcmp(option, "late")) {
        options.late = atoi(value) != 0;
    } else if (!strcmp(option, "inside")) {
        options.inside = atoi(value) != 0;
    } else if (!strcmp(option, "all")) {
        options.all = atoi(value) != 0;
    } else if (!strcmp(option, "differs")) {
        options.differs = atoi(value) != 0;
    } else if (!strcmp(option, "destructor")) {
        options.destructor = atoi(value) != 0;
    } else {
        usage(option);
    }
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        parse_option(argv[i]);
    if (!options.way)
        usage("no such way");
    if (options.mode == MODE_NESTED && !options.way->nest)
        usage("this way does not nest");
    load_libraries();
    if (options.late)
        slots_load_late();
    slots_create(options.destructor);
    expected = calloc(2 * options.batch, sizeof(*expected));
    sem_init(&gate, 0, 0);
    sem_init(&parked, 0, 0);
    sem_init(&done, 0, 0);
    options.way->setup(options.batch);
    if (!strcmp(options.what, "threads"))
        measure_threads();
    else if (options.inside)
        measure_in_thread();
    else if (options.way->around)
        options.way->around(measure);
    else
        measure();
    return 0;
}
