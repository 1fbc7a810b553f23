/* Locks: one holder at a time, nobody waits for ever, a real-time thread lends its priority to the holder. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lock.h"
#include "suite.h"

enum { THREADS = 8, ROUNDS = 20000 };

static struct lock lock;
static volatile long counter;

static void *count(void *policy)
{
    struct sched_param high = {.sched_priority = 10};

    if (policy)
        (void)pthread_setschedparam(pthread_self(), SCHED_FIFO, &high);
    for (int i = 0; i < ROUNDS; i++) {
        lock_take(&lock);
        counter++;
        if (i % 64 == 0)
            sched_yield(); /* others meet it held */
        lock_drop(&lock);
    }
    return NULL;
}

static void count_together(void)
{
    pthread_t threads[THREADS];

    counter = 0;
    for (intptr_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, count, (void *)(i % 2)), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_int_eq(counter, (long)THREADS * ROUNDS);
    ck_assert_uint_eq(atomic_load(&lock.held), 0);
}

START_TEST(test_lock_has_one_holder_at_a_time)
{
    count_together();
}
END_TEST

/* WHAT of futex is answered by EPERM: what has that bit, or everything. */
static void refuse_futex(unsigned operation)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_futex, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, operation, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};

    ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

START_TEST(test_lock_needs_no_priority_inheritance)
{
    refuse_futex(128 | 6); /* FUTEX_LOCK_PI_PRIVATE */
    count_together();
}
END_TEST

START_TEST(test_lock_needs_no_sleep)
{
    refuse_futex(
        128); /* FUTEX_WAIT_PRIVATE, by which we sleep; glibc's own waits have other words */
    count_together();
}
END_TEST

/* Check runs each test in a process of its own, and the end of that is seen. */
static void kill_at_questions(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sched_getscheduler, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clock_gettime, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};

    clock_source = clock_gettime; /* as it is found at the start */
    ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static void *hold_for_a_while(void *is_held)
{
    const struct timespec time = {0, 5000000};

    lock_take(&lock);
    atomic_store((atomic_bool *)is_held, true);
    nanosleep(&time, NULL);
    lock_drop(&lock);
    return NULL;
}

START_TEST(test_lock_asks_a_sandbox_for_plain_calls_only)
{
    atomic_bool is_held = false;
    pthread_t thread;

    kill_at_questions();
    ck_assert_int_eq(pthread_create(&thread, NULL, hold_for_a_while, &is_held), 0);
    while (!atomic_load(&is_held))
        sched_yield();
    lock_take(&lock);
    lock_drop(&lock);
    pthread_join(thread, NULL);
}
END_TEST

START_TEST(test_lock_knows_its_thread)
{
    int status;
    pid_t child;

    ck_assert_uint_eq(lock_self(), (uint32_t)syscall(SYS_gettid));
    child = fork();
    if (!child)
        _exit(lock_self() == (uint32_t)syscall(SYS_gettid) ? 0 : 1);
    waitpid(child, &status, 0);
    ck_assert_int_eq(status, 0);
}
END_TEST

/* A section that is interrupted by a fork is left in both processes, under the number that the thread has there. */
START_TEST(test_lock_of_an_interrupted_section_survives_fork)
{
    int status;
    pid_t child;

    lock_take(&lock);
    first_fork_lock();
    lock_take_for_fork(&lock);
    child = fork();
    lock_drop_after_fork(&lock);
    first_fork_unlock();
    ck_assert_uint_eq(atomic_load(&lock.held), lock_self());
    first_fork_lock(); /* a second fork in there */
    lock_take_for_fork(&lock);
    lock_drop_after_fork(&lock);
    first_fork_unlock();
    lock_drop(&lock);
    lock_take(&lock);
    lock_drop(&lock);
    if (!child)
        _exit(0);
    waitpid(child, &status, 0);
    ck_assert_int_eq(status, 0);
}
END_TEST

static struct lock other;

static void *take_other(void *unused)
{
    lock_take(&other);
    lock_drop(&other);
    return unused;
}

static void fork_inside(bool is_after)
{
    int status;
    pid_t child;

    first_fork_lock();
    lock_take_for_fork(&lock);
    lock_take_for_fork(&other);
    child = fork();
    lock_drop_after_fork(&other);
    lock_drop_after_fork(&lock);
    ck_assert(!first_fork_unlock());
    ck_assert_uint_eq(atomic_load(&lock.held), lock_self() | LOCK_FOR_FORK);
    ck_assert_uint_eq(atomic_load(&other.held), lock_self() | LOCK_FOR_FORK);
    if (!child && !is_after)
        return; /* the child, too, goes on with the fork that was interrupted */
    if (!child)
        _exit(lock_is_forking() ? 0 : 1);
    waitpid(child, &status, 0);
    ck_assert_int_eq(status, 0);
}

/* A handler forks that has interrupted a fork, before it (0), in the midst of it (1), in the child (2): what it takes is
 * held until the one that was interrupted lets go. */
START_TEST(test_lock_of_an_interrupted_fork_is_held_until_its_end)
{
    pid_t parent = getpid(), child;
    pthread_t thread;
    int status;

    first_fork_lock();
    lock_take_for_fork(&lock);
    if (_i == 0)
        fork_inside(false);
    lock_take_for_fork(&other);
    child = fork();
    if (_i == 2 && !child)
        fork_inside(true);
    lock_drop_after_fork(&other);
    if (_i == 1 && child)
        fork_inside(true);
    lock_drop_after_fork(&lock);
    if (first_fork_unlock()) {
        lock_drop_after_fork(&other);
        lock_drop_after_fork(&lock);
        ck_assert(!first_fork_unlock());
    } else {
        ck_assert(_i == 0 ? false : (_i == 2) == (child != 0));
    }
    ck_assert(!lock_is_forking());
    ck_assert_uint_eq(atomic_load(&lock.held), 0);
    ck_assert_uint_eq(atomic_load(&other.held), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, take_other, NULL), 0);
    pthread_join(thread, NULL);
    first_fork_lock(); /* it can be begun again */
    first_fork_unlock();
    if (child) {
        waitpid(child, &status, 0);
        ck_assert_int_eq(status, 0);
    }
    if (getpid() != parent)
        _exit(0);
}
END_TEST

/* ---- priorities ---- */

static atomic_bool is_held, hog_is_done, saw_hog_done, takes_none;
static atomic_int hog_runs;

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void *hold(void *arg)
{
    struct timespec used;

    lock_take(&lock);
    atomic_store(&is_held, true);
    do /* 20 ms of the processor */
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    while (used.tv_nsec < 20000000);
    lock_drop(&lock);
    return arg;
}

/* Leaves no time to threads below it, until the section is over, or for half a second. */
static void *hog(void *arg)
{
    double end;

    while (!atomic_load(&is_held))
        usleep(100);
    atomic_store(&hog_runs, 1);
    for (end = now_s() + 0.5; now_s() < end && atomic_load(&hog_runs) < 2;)
        ;
    atomic_store(&hog_is_done, atomic_load(&hog_runs) < 2);
    return arg;
}

static void *want(void *arg)
{
    while (!atomic_load(&hog_runs))
        usleep(1000);
    if (takes_none) {
        while (atomic_load(&lock.held))
            lock_await(&lock);
    } else {
        lock_take(&lock);
    }
    atomic_store(&saw_hog_done, atomic_load(&hog_is_done));
    atomic_store(&hog_runs, 2);
    if (!takes_none)
        lock_drop(&lock);
    return arg;
}

static bool start(pthread_t *thread, void *(*function)(void *), int priority)
{
    struct sched_param param = {.sched_priority = priority};
    pthread_attr_t attributes;
    int error;

    pthread_attr_init(&attributes);
    if (priority) {
        pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED);
        pthread_attr_setschedpolicy(&attributes, SCHED_FIFO);
        pthread_attr_setschedparam(&attributes, &param);
    }
    error = pthread_create(thread, &attributes, function, NULL);
    pthread_attr_destroy(&attributes);
    return !error;
}

/* To take it, or only to see its section over. */
START_TEST(test_lock_lends_priority_to_its_holder)
{
    pthread_t holder, middle, high;
    cpu_set_t cpus;
    int cpu = 0;

    takes_none = _i;
    ck_assert_int_eq(sched_getaffinity(0, sizeof cpus, &cpus), 0);
    while (!CPU_ISSET(cpu, &cpus))
        cpu++;
    CPU_ZERO(&cpus);
    CPU_SET(cpu, &cpus);
    ck_assert_int_eq(sched_setaffinity(0, sizeof cpus, &cpus), 0);
    if (!start(&high, want, 30))
        return; /* not allowed here */
    ck_assert(start(&middle, hog, 20));
    ck_assert(start(&holder, hold, 0));
    pthread_join(high, NULL);
    pthread_join(middle, NULL);
    pthread_join(holder, NULL);
    ck_assert(!atomic_load(&saw_hog_done));
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("lock");

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, test_lock_has_one_holder_at_a_time);
    tcase_add_test(tests, test_lock_knows_its_thread);
    tcase_add_test(tests, test_lock_of_an_interrupted_section_survives_fork);
    tcase_add_loop_test(tests, test_lock_of_an_interrupted_fork_is_held_until_its_end, 0, 3);
    if (!getenv("CK_FORK")) { /* these leave a filter, or a processor that is the only one */
        tcase_add_test(tests, test_lock_needs_no_priority_inheritance);
        tcase_add_test(tests, test_lock_needs_no_sleep);
        tcase_add_test(tests, test_lock_asks_a_sandbox_for_plain_calls_only);
        tcase_add_loop_test(tests, test_lock_lends_priority_to_its_holder, 0, 2);
    }
    return suite_run("lock", tests);
}
