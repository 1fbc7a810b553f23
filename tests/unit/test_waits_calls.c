// promise: noting who waits and wakes ends, reads only what can be read, makes no system call, and changes nothing of the calls themselves
#include "waits/calls.c"
#include "waits/fds.c"
#include "waits/waits.c"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/seccomp.h>
#include <unistd.h>

#include "on_valgrind.h"
#include "suite.h"

/* Both make system calls of their own, and ThreadSanitizer keeps a signal back until one of its own functions is called. */
#if defined __SANITIZE_THREAD__
enum { IS_OTHERS = 1 };
#else
#define IS_OTHERS RUNNING_ON_VALGRIND
#endif

static struct waits_page page;

static void begin(void)
{
    memset(&page, 0, sizeof page);
    page.main_thread = waits_thread();
    atomic_store(&baton_waits_page.page, &page);
}

/* All that there is: calls of it are somebody else's, and nothing of it is looked into. */
static void begin_in_runtime(void)
{
    begin();
    page.modules[0] = (struct waits_module){.hi = UINT64_MAX, .is_runtime = 1};
    page.modules[0].texts[0].hi = UINT64_MAX;
}

START_TEST(test_waits_ends)
{
    struct waits_object *at;
    sem_t sem;

    begin();
    sem_init(&sem, 0, 1);
    ck_assert_int_eq(sem_wait(&sem), 0);
    for (unsigned i = 0; i < SAMPLES_MAX + 9; i++)
        ck_assert_int_eq(sem_post(&sem), 0);
    at = object_of(&page, &sem);
    ck_assert_uint_eq(at->looks, SAMPLES_MAX);
    ck_assert_uint_eq(at->wakes, 0); /* it has waited there itself */
    atomic_store(&at->threads_count, 0);
    sem_post(&sem);
    ck_assert_uint_eq(at->wakes, 0); /* not looked at any more */
    for (unsigned i = 0; i < SAMPLES_MAX + 9; i++)
        ck_assert_int_eq(sem_wait(&sem), 0);
    ck_assert_uint_eq(at->waits, SAMPLES_MAX);
    ck_assert_uint_eq(at->has_main, 1);
    atomic_store(&baton_waits_page.page, NULL);
}
END_TEST

START_TEST(test_waits_threads)
{
    struct waits_object *at;
    sem_t sem;

    begin();
    sem_init(&sem, 0, 3);
    at = object_of(&page, &sem);
    atomic_store(&at->threads_count, WAITS_THREADS - 1);
    for (unsigned i = 0; i < 2; i++) {
        sem_wait(&sem);
        ck_assert_uint_eq(at->threads_count, WAITS_THREADS);
        ck_assert_uint_eq(at->threads[WAITS_THREADS - 1], i ? 0 : waits_thread());
        at->threads[WAITS_THREADS - 1] = 0;
    }
    atomic_store(&baton_waits_page.page, NULL);
}
END_TEST

/* In the strictest sandbox that there is: read, write and exit are all. */
START_TEST(test_waits_calls_nobody)
{
    pid_t child;
    int status;

    child = fork();
    if (!child) {
        pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
        bool is_kept;
        sem_t sem;

        begin_in_runtime();
        sem_init(&sem, 0, 0);
        if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0)
            syscall(SYS_exit, 7); /* there is none here */
        errno = EDOM;
        for (unsigned i = 0; i < 9; i++) {
            sem_post(&sem);
            sem_wait(&sem);
            pthread_cond_signal(&cond);
            pthread_cond_broadcast(&cond);
        }
        is_kept = errno == EDOM && object_of(&page, &sem)->waits == 9 &&
                  object_of(&page, &cond)->looks == 18;
        syscall(SYS_exit, is_kept ? 7 : 1);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 7);
}
END_TEST

static char *map_pages(unsigned count, unsigned hole)
{
    char *memory =
        mmap(NULL, count * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    ck_assert_ptr_ne(memory, MAP_FAILED);
    ck_assert_int_eq(mprotect(memory + hole * PAGE, PAGE, PROT_NONE), 0);
    return memory;
}

START_TEST(test_waits_stack)
{
    char *stack = map_pages(2, 1); /* of a coroutine, which ends here */
    uintptr_t *words = (uintptr_t *)(void *)(stack + PAGE) - 3, frame;

    begin_in_runtime();
    ck_assert_uint_eq(caller(&page, 0x1000, words), 0x1000);
    ck_assert_uint_eq(waits_readable_end((uintptr_t)words), (uintptr_t)(stack + PAGE));
    frame = (uintptr_t)__builtin_frame_address(0);
    ck_assert_uint_eq(waits_readable_end(frame), (uintptr_t)__libc_stack_end);
    munmap(stack, 2 * PAGE);
    atomic_store(&baton_waits_page.page, NULL);
}
END_TEST

START_TEST(test_waits_holes)
{
    uintptr_t words[STACK_WORDS] = {0};
    char *text = map_pages(3, 1);
    uintptr_t lo = (uintptr_t)text;

    begin();
    page.modules[0] = (struct waits_module){.lo = lo, .hi = lo + 3 * PAGE};
    page.modules[0].texts[0].lo = lo;
    page.modules[0].texts[0].hi = lo + PAGE;
    page.modules[0].texts[1].lo = lo + 2 * PAGE;
    page.modules[0].texts[1].hi = lo + 3 * PAGE;
    page.modules[1] = (struct waits_module){.lo = 0x1000, .hi = 0x9000, .is_runtime = 1};
    page.modules[1].texts[0].lo = 0x1000;
    page.modules[1].texts[0].hi = 0x9000;
    words[0] = lo + PAGE + 9;     /* in the hole */
    words[1] = lo + 2 * PAGE + 1; /* right behind it: a call would stand in it */
    words[2] = lo;
    ck_assert_uint_eq(caller(&page, 0x2000, words), 0x2000);
#ifdef __x86_64__
    text[2 * PAGE + 4] = (char)0xe8;
    words[3] = lo + 2 * PAGE + 9;
    ck_assert_uint_eq(caller(&page, 0x2000, words), words[3]);
#endif
    munmap(text, 3 * PAGE);
    atomic_store(&baton_waits_page.page, NULL);
}
END_TEST

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
static bool waits_now, was_undone;

static void undo(void *unused)
{
    (void)unused;
    was_undone = true; /* with the lock, as the call promises */
    pthread_mutex_unlock(&lock);
}

static void *wait_for_ever(void *unused)
{
    pthread_mutex_lock(&lock);
    pthread_cleanup_push(undo, NULL);
    waits_now = true;
    for (;;)
        pthread_cond_wait(&never, &lock);
    pthread_cleanup_pop(1);
    return unused;
}

START_TEST(test_waits_cancelled)
{
    pthread_t thread;
    void *result;
    bool is_there = false;

    begin();
    ck_assert_int_eq(pthread_create(&thread, NULL, wait_for_ever, NULL), 0);
    while (!is_there) { /* with the lock: it is inside the call */
        pthread_mutex_lock(&lock);
        is_there = waits_now;
        pthread_mutex_unlock(&lock);
        sched_yield();
    }
    pthread_cancel(thread);
    ck_assert_int_eq(pthread_join(thread, &result), 0);
    ck_assert_ptr_eq(result, PTHREAD_CANCELED);
    ck_assert(was_undone);
    ck_assert_int_eq(pthread_mutex_trylock(&lock), 0);
    pthread_mutex_unlock(&lock);
    ck_assert_uint_eq(object_of(&page, &never)->threads_count, 1);
    ck_assert_uint_eq(object_of(&page, &never)->has_main, 0);
    atomic_store(&baton_waits_page.page, NULL);
}
END_TEST

static sem_t posted;

static void post(int number)
{
    (void)number;
    sem_post(&posted);
}

static void *wait_for_post(void *unused)
{
    while (sem_wait(&posted) != 0) /* a handler may end it */
        ;
    return unused;
}

START_TEST(test_waits_in_a_handler)
{
    struct sigaction action = {.sa_handler = post, .sa_flags = SA_RESTART}, before;
    pthread_t thread;

    begin();
    sem_init(&posted, 0, 0);
    sigaction(SIGUSR1, &action, &before);
    ck_assert_int_eq(pthread_create(&thread, NULL, wait_for_post, NULL), 0);
    ck_assert_int_eq(pthread_kill(thread, SIGUSR1), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    sigaction(SIGUSR1, &before, NULL);
    ck_assert_uint_eq(object_of(&page, &posted)->looks, 1);
    ck_assert_uint_ge(object_of(&page, &posted)->waits, 1);
    atomic_store(&baton_waits_page.page, NULL);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("waits");

    tcase_add_test(tests, test_waits_ends);
    tcase_add_test(tests, test_waits_threads);
    tcase_add_test(tests, test_waits_stack);
    tcase_add_test(tests, test_waits_holes);
    tcase_add_test(tests, test_waits_cancelled);
    if (!IS_OTHERS) {
        tcase_add_test(tests, test_waits_calls_nobody);
        tcase_add_test(tests, test_waits_in_a_handler);
    }
    return suite_run("waits_calls", tests);
}
