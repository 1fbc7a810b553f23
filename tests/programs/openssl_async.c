// OpenSSL's asynchronous jobs: each has the values of its start, whichever fibre it runs on.
// libs: libcrypto
// usage: openssl_async MODE [CARRIER]; a mode is one promise, named in the table at the end
#include "carrier.h"
#include <openssl/async.h>
#include <openssl/crypto.h>

enum { JOBS = 5, PAUSES = 3 };

struct work {
    long number, pauses;
    char text[8];
};

static ASYNC_WAIT_CTX *waits[JOBS];

/* Sees the start's value, then what it set itself. */
static int job(void *argument)
{
    const struct work *work = argument;
    expect("job starts with", current(), 100 + work->number);
    expect("its argument is whole", strcmp(work->text, "whole"), 0);
    for (long i = 1; i <= work->pauses; i++) {
        set_current(1000 * i + work->number);
        ASYNC_pause_job();
        expect("job finds again", current(), 1000 * i + work->number);
    }
    set_current(7777);
    return (int)work->number;
}

/* One call: a start if *one is NULL, else it goes on. */
static int step(ASYNC_JOB **one, long number, long pauses)
{
    struct work work = {number, pauses, "whole"};
    int result = -1, was_new = *one == NULL, state;
    if (was_new)
        set_current(100 + number);
    state = ASYNC_start_job(one, waits[number % JOBS], &result, job, &work, sizeof(work));
    if (was_new) {
        expect("the starter has", current(), 100 + number);
        set_current(9);
    }
    expect("outside", current(), 9);
    if (state == ASYNC_FINISH)
        expect("result", result, number);
    return state;
}

/* Job after job on one fibre. */
static void mode_again(void)
{
    for (long number = 1; number <= 6; number++) {
        ASYNC_JOB *one = NULL;
        while (step(&one, number, number % 3) == ASYNC_PAUSE)
            ;
    }
}

/* Several at once, in turns; each fibre gets many jobs. */
static void mode_turns(void)
{
    ASYNC_JOB *all[JOBS] = {NULL};
    long numbers[JOBS], next = 1, done = 0;
    for (int i = 0; i < JOBS; i++)
        numbers[i] = next++;
    while (done < 30)
        for (int i = 0; i < JOBS; i++)
            if (numbers[i] <= 30 && step(&all[i], numbers[i], numbers[i] % 4) == ASYNC_FINISH) {
                done++;
                numbers[i] = next++;
            }
}

static int without_argument(void *argument)
{
    expect("no argument", argument == NULL, 1);
    expect("job starts with", current(), 42);
    set_current(43);
    return 3;
}

static int large(void *argument)
{
    const long *numbers = argument;
    long sum = 0;
    for (int i = 0; i < 4096; i++)
        sum += numbers[i];
    expect("sum", sum, 4096 * 4095 / 2);
    expect("aligned", (long)argument % 16, 0);
    expect("job starts with", current(), 44);
    set_current(45);
    return 4;
}

/* No argument, a large one, and what OpenSSL refuses. */
static void mode_arguments(void)
{
    static long numbers[4096];
    struct work work = {1, 1, "whole"};
    ASYNC_JOB *one = NULL, *other = NULL;
    int result = 0;
    set_current(42);
    expect("finished", ASYNC_start_job(&one, waits[0], &result, without_argument, NULL, 0), ASYNC_FINISH);
    expect("result", result, 3);
    expect("outside", current(), 42);
    for (int i = 0; i < 4096; i++)
        numbers[i] = i;
    set_current(44);
    expect("finished", ASYNC_start_job(&one, waits[0], &result, large, numbers, sizeof(numbers)), ASYNC_FINISH);
    expect("result", result, 4);
    expect("outside", current(), 44);
    set_current(101);
    expect("paused", ASYNC_start_job(&one, waits[0], &result, job, &work, sizeof(work)), ASYNC_PAUSE);
    expect("no more", ASYNC_start_job(&other, waits[1], &result, job, &work, sizeof(work)), ASYNC_NO_JOBS);
    expect("finished", ASYNC_start_job(&one, waits[0], &result, job, &work, sizeof(work)), ASYNC_FINISH);
    expect("outside", current(), 101);
}

static long thread_saw;

static void *see(void *unused)
{
    thread_saw = current();
    return NULL;
}

static int starts_thread(void *unused)
{
    pthread_t thread;
    set_current(current() + 10);
    pthread_create(&thread, NULL, see, NULL);
    pthread_join(thread, NULL);
    ASYNC_pause_job();
    return 1;
}

static void *in_thread(void *argument)
{
    int result;
    long number = (long)argument;
    ASYNC_init_thread(2, 1);
    set_current(9);
    for (int i = 0; i < 4; i++) {
        ASYNC_JOB *one = NULL;
        while (step(&one, 10 * number + i, 1) == ASYNC_PAUSE)
            ;
    }
    for (int i = 0; i < 2; i++) {
        ASYNC_JOB *one = NULL;
        set_current(200 + i);
        thread_saw = -1;
        while (ASYNC_start_job(&one, waits[0], &result, starts_thread, NULL, 0) == ASYNC_PAUSE)
            expect("the thread of a job sees", thread_saw, 210 + i);
        expect("outside", current(), 200 + i);
    }
    ASYNC_cleanup_thread();
    return NULL;
}

/* Fibres of threads that come and go; their memory serves the next thread's. */
static void mode_threads(void)
{
    for (long i = 1; i <= 5; i++) {
        pthread_t thread;
        set_current(50 + i);
        pthread_create(&thread, NULL, in_thread, (void *)i);
        pthread_join(thread, NULL);
        expect("outside", current(), 50 + i);
    }
}

static const struct {
    const char *name;
    long most;
    void (*run)(void);
} modes[] = {
    {"again", 1, mode_again}, {"turns", JOBS, mode_turns}, {"arguments", 1, mode_arguments}, {"threads", 1, mode_threads},
};

int main(int argc, char **argv)
{
    carrier_choose(argc > 2 ? argv[2] : "key");
    for (int i = 0; i < JOBS; i++)
        waits[i] = ASYNC_WAIT_CTX_new();
    for (size_t i = 0; argc > 1 && i < sizeof(modes) / sizeof(modes[0]); i++)
        if (!strcmp(modes[i].name, argv[1])) {
            ASYNC_init_thread(modes[i].most, 0);
            set_current(9);
            modes[i].run();
            ASYNC_cleanup_thread();
            for (int j = 0; j < JOBS; j++)
                ASYNC_WAIT_CTX_free(waits[j]);
            set_current(0);
            return verdict();
        }
    return 2;
}
