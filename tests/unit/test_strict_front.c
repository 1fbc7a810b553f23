// promise: BATON_STRICT takes the short way for plain words too: they are a task's for its time, and what is wrong is told
#include <semaphore.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define CORE_STRICT 1
#include "context/coroutine.h"
#include "context/internal.h"
#include "context/strict.h"
#include "core.h"
#include "suite.h"

pthread_key_t work_key;
__thread long strict_word, strict_second;
__thread void *strict_pointer;
static long objects[3];

static const struct slot *slot_of(const char *name)
{
    for (unsigned i = 0; i < slots_count; i++) {
        if (strstr(slots[i].item, name))
            return &slots[i];
    }
    return NULL;
}

static struct context *captured_as(long word, void *pointer)
{
    long before = strict_word;
    void *pointer_before = strict_pointer;
    struct context *context;

    strict_word = word;
    strict_pointer = pointer;
    context = context_capture(FAMILY_UNIT);
    strict_word = before;
    strict_pointer = pointer_before;
    ck_assert_ptr_nonnull(context);
    return context;
}

struct task {
    long seen;
    void *sees;
    struct context *inner;
    jmp_buf *out;
    bool sets_key, hands_over;
};

static void act(void *arg)
{
    struct task *task = arg;

    task->seen = strict_word;
    task->sees = strict_pointer;
    if (task->inner) {
        struct task inner = {.sets_key = true};

        core_run(task->inner, act, &inner);
        ck_assert_int_eq(inner.seen, 20);
        ck_assert_int_eq(strict_word, task->seen);
    } else {
        ck_assert_uint_eq(thread_self->depth, task->sees == &objects[2]); /* the short way */
    }
    if (task->sets_key)
        core_set(work_key, task);
    if (task->hands_over)
        context_release(context_capture(FAMILY_UNIT));
    strict_word = 77;
    strict_pointer = NULL;
    if (task->out)
        longjmp(*task->out, 1);
}

/* All that a task may do, while the thread's own words change between tasks, or do not. */
START_TEST(test_strict_front_puts_back)
{
    for (unsigned more = 0; more < 16; more++) {
        struct task task = {.sets_key = more & 1, .hands_over = more & 2};
        void *volatile own = &objects[0];

        strict_word = more & 4 ? more : 5;
        strict_pointer = own;
        if (more & 8)
            task.inner = captured_as(20, &objects[2]);
        core_run(captured_as(10, &objects[1]), act, &task);
        ck_assert_int_eq(task.seen, 10);
        ck_assert_ptr_eq(task.sees, &objects[1]);
        ck_assert_int_eq(strict_word, more & 4 ? more : 5);
        ck_assert_ptr_eq(strict_pointer, own);
        ck_assert_msg(!pthread_getspecific(work_key), "left behind %u", more);
    }
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

START_TEST(test_strict_front_is_jumped_out_of)
{
    jmp_buf out;
    struct task task = {.out = &out};

    strict_word = 5;
    if (!setjmp(out))
        core_run(captured_as(10, NULL), act, &task);
    context_release(context_capture(FAMILY_UNIT)); /* is left before */
    ck_assert_int_eq(strict_word, 5);
}
END_TEST

/* What a thread had before it ran a task is its own, and is watched again after it. */
START_TEST(test_strict_front_sets_aside)
{
    const struct slot *slot = slot_of("strict_pointer");
    struct context *held, *other;
    unsigned before;

    strict_pointer = &objects[0];
    context_release(context_capture(FAMILY_UNIT)); /* what it was is looked at */
    before = dangling_count(slot);
    held = context_capture(FAMILY_UNIT);
    other = captured_as(1, NULL);
    ck_assert_uint_eq(dangling_count(slot), before + 1); /* captured_as has replaced it */
    context_release(held);
    held = context_capture(FAMILY_UNIT);
    core_run(other, act, &(struct task){.sets_key = _i, .hands_over = true});
    ck_assert_uint_eq(dangling_count(slot), before + 1);
    strict_pointer = &objects[1];
    context_release(context_capture(FAMILY_UNIT));
    ck_assert_uint_eq(dangling_count(slot), before + 2);
    context_release(held);
}
END_TEST

static sem_t handed_over, looked_at;

static void *replace(void *held)
{
    strict_pointer = &objects[0];
    *(struct context **)held = context_capture(FAMILY_UNIT);
    strict_pointer = &objects[1];
    sem_post(&handed_over);
    sem_wait(&looked_at);
    return NULL;
}

static void count(void *dangling)
{
    *(unsigned *)dangling = dangling_count(slot_of("strict_pointer"));
}

/* What another thread has replaced meanwhile is told when a task starts, not when something ends at last. */
START_TEST(test_strict_front_looks_around)
{
    struct context *other = captured_as(1, NULL), *held;
    unsigned before, inside = 0;
    pthread_t thread;

    sem_init(&handed_over, 0, 0);
    sem_init(&looked_at, 0, 0);
    count(&before);
    pthread_create(&thread, NULL, replace, &held);
    sem_wait(&handed_over);
    core_run(other, count, &inside);
    sem_post(&looked_at);
    pthread_join(thread, NULL);
    context_release(held);
    ck_assert_uint_eq(inside, before + 1);
}
END_TEST

START_TEST(test_strict_front_captures)
{
    strict_word = 0;
    strict_pointer = NULL;
    for (unsigned i = 0; i < 2; i++) /* the first makes the thread known */
        ck_assert_ptr_eq(context_capture(FAMILY_UNIT), context_empty);
    ck_assert_int_eq(core_alive(), 0);
    strict_word = 5;
    thread_self->suppress++;
    ck_assert_ptr_eq(context_capture(FAMILY_UNIT), context_empty);
    thread_self->suppress--;
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

START_TEST(test_strict_front_says_once_a_place)
{
    static const char reasons[2], sites[2];

    for (unsigned i = 0; i < 8; i++)
        ck_assert_int_eq(dangling_is_said(&reasons[i & 1], &sites[i >> 1 & 1]), i >= 4);
}
END_TEST

static void act_slowly(void *unused)
{
    ck_assert_uint_eq(thread_self->depth, 1);
    strict_second = 77;
}

static void *work(void *arg)
{
    static char stack[4096];
    const char *how = arg;
    struct context *own, *second;
    struct coroutine *other;

    if (*how == 'n') { /* as a thread before it, which has left its block */
        pthread_t thread;

        pthread_create(&thread, NULL, work, (void *)(uintptr_t) "clean");
        pthread_join(thread, NULL);
        strict_word = 4;
    } else {
        strict_word = 3;
    }
    if (*how == 'r')
        strict_second = 4;
    own = captured_as(10, NULL);
    second = context_ref(own);
    core_run(own, act, &(struct task){.seen = 0});
    if (*how == 'd')
        strict_word = 4;
    if (*how == 's') {
        other = coroutine_new((uintptr_t)stack, sizeof stack, NULL, NULL, 0);
        coroutine_switch_slow(coroutine_own_slow(), other);
        strict_word = 4;
    }
    if (*how == 'r') { /* the long way, with the initial value, which is as good as none */
        context_ref(second);
        strict_second = 0;
        guard_note_stale();
        core_run(second, act_slowly, NULL);
        strict_second = 4;
    }
    core_run(second, act, &(struct task){.seen = 0});
    thread_leave(thread_self);
    return NULL;
}

/* A worker is dirty that has other values than it had at its last task; another stack's are no worker's. */
START_TEST(test_strict_front_says_dirty)
{
    const char *word = _i == 2 ? "strict_second" : "strict_word"; /* each is said once */
    static const char *const ways[] = {"clean", "dirty", "renewed", "switched", "new"};
    char said[512] = "";
    int pipes[2], usual = dup(STDERR_FILENO);
    pthread_t thread;

    strict_word = 9;
    ck_assert_int_eq(pipe(pipes), 0);
    ck_assert_int_eq(dup2(pipes[1], STDERR_FILENO), STDERR_FILENO);
    pthread_create(&thread, NULL, work, (void *)(uintptr_t)ways[_i]);
    pthread_join(thread, NULL);
    ck_assert_int_eq(dup2(usual, STDERR_FILENO), STDERR_FILENO);
    ck_assert_int_ge(write(pipes[1], ".", 1), 1);
    ck_assert_int_ge(read(pipes[0], said, sizeof said - 1), 1);
    ck_assert_int_eq(strstr(said, word) && strstr(said, "a worker thread has a value"),
                     _i == 1 || _i == 2);
    close(usual);
    close(pipes[0]);
    close(pipes[1]);
}
END_TEST

static __attribute__((noinline)) void
make_key(void) /* who calls is whose key it is: not the C library */
{
    core_key_create(&work_key, NULL);
    __asm__ volatile("");
}

int main(void)
{
    static char carry[] = "BATON_CARRY=key:work_key;tls:strict_word@main;tls:strict_second@main;"
                          "tls:strict_pointer@main";
    TCase *tests = tcase_create("strict_front");

    core_start(carry);
    make_key();
    tcase_add_test(tests, test_strict_front_puts_back);
    tcase_add_test(tests, test_strict_front_captures);
    tcase_add_test(tests, test_strict_front_looks_around);
    tcase_add_test(tests, test_strict_front_says_once_a_place);
    tcase_add_test(tests, test_strict_front_is_jumped_out_of);
    tcase_add_loop_test(tests, test_strict_front_sets_aside, 0, 2);
    tcase_add_loop_test(tests, test_strict_front_says_dirty, 0, 5);
    return suite_run("strict_front", tests);
}
