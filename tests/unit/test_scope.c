/* Scopes with a key, a word and a pair of functions at once; destructors; many threads. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "context/scope.h"
#include "context/thread.h"
#include "context/values.h"
#include "slots/keys.h"
#include "slots/slots.h"
#include "suite.h"

enum { FAMILY = 3 };

/* What is carried here: a key with a destructor, a word, and a pair of functions. */
pthread_key_t unit_key;
__thread long unit_word;
static __thread uintptr_t behind_functions;
static unsigned key_index;
static _Atomic long destroyed[1 << 16];

uintptr_t unit_get(void);
void unit_set(uintptr_t value);

__attribute__((used, noinline)) uintptr_t unit_get(void)
{
    return behind_functions;
}

__attribute__((used, noinline)) void unit_set(uintptr_t value)
{
    behind_functions = value;
}

static void destroy(void *value)
{
    atomic_fetch_add(&destroyed[(uintptr_t)value & 0xffff], 1);
}

/* What the hooks of keys do (families/posix/keys.c). */
static long get_key(void)
{
    const struct context *over = thread_self->attached;

    return (long)(over ? over->key[key_index] : pthread_getspecific(unit_key));
}

static int set_key(long value)
{
    return context_set_key(unit_key, key_index, (void *)value, pthread_setspecific);
}

static void set_all(long value)
{
    ck_assert_int_eq(set_key(value), 0);
    unit_word = value;
    unit_set((uintptr_t)value);
}

static void expect_all(long value)
{
    ck_assert_int_eq(get_key(), value);
    ck_assert_int_eq(unit_word, value);
    ck_assert_int_eq((long)unit_get(), value);
}

static void start(void)
{
    static bool is_started;
    static struct config config;
    char items[] = "BATON_CARRY=key:unit_key;tls:unit_word;fn:get=unit_get,set=unit_set";
    char *environment[] = {items, NULL};
    key_destructor *guarded;
    int trampoline_id;

    if (!is_started) {
        is_started = true;
        config_read(environment, &config);
        ck_assert_uint_eq(slots_parse(&config), 0);
        slots_begin();
        ck_assert_uint_eq(slots_count, 3);
        slots_calls.key_read = pthread_getspecific;
        slots_calls.key_write = pthread_setspecific;
        thread_init(pthread_key_create, pthread_setspecific, thread_leave_at_exit);
        context_init(0, 0);
        guarded = key_will_create(destroy, &trampoline_id);
        ck_assert_int_eq(pthread_key_create(&unit_key, guarded), 0);
        key_created(trampoline_id, unit_key, &unit_key, (const void *)(uintptr_t)start, true);
        ck_assert_uint_ne(key_index_of[unit_key], 0);
        key_index = key_index_of[unit_key] - 1u;
    }
    thread_enter();
    set_all(0);
}

/* Nothing that a test made is left. */
static void finish(void)
{
    set_all(0);
    context_drop_snapshot(thread_self);
    context_flush_releases(thread_self);
    ck_assert_int_eq(context_count_alive(), 0);
    ck_assert_int_eq(values_count(), 0);
    ck_assert_ptr_null(thread_self->attached);
    ck_assert_uint_eq(thread_self->depth, 0);
}

/* Like a hook's trampoline. */
static GUARDED void run(struct context *context, unsigned flags, void (*task)(void))
{
    GUARDED_FRAME();
    SCOPE_RUN(context, flags, task());
}

static void expect_7_set_8(void)
{
    expect_all(7);
    set_all(8);
    expect_all(8);
}

START_TEST(test_context_is_what_was_there_at_capture)
{
    struct context *context;

    set_all(7);
    context = context_capture(FAMILY);
    ck_assert_ptr_nonnull(context);
    set_all(9);
    run(context, FRAME_OWNED, expect_7_set_8);
    expect_all(9);
}
END_TEST

START_TEST(test_context_may_be_attached_many_times)
{
    struct context *context;

    set_all(7);
    context = context_capture(FAMILY);
    set_all(9);
    for (int i = 0; i < 200; i++) {
        run(context, 0, expect_7_set_8);
        expect_all(9);
    }
    context_release(context);
}
END_TEST

static void expect_nothing(void)
{
    expect_all(0);
    set_all(5);
}

START_TEST(test_context_can_be_empty)
{
    struct context *context = context_capture(FAMILY);

    ck_assert_uint_ne(context->flags & CONTEXT_EMPTY, 0);
    set_all(9);
    run(context, FRAME_OWNED, expect_nothing);
    run(context_empty, 0, expect_nothing);
    expect_all(9);
}
END_TEST

START_TEST(test_context_is_shared_while_nothing_changes)
{
    struct context *one, *two, *three;

    ck_assert_int_eq(set_key(7), 0);
    one = context_capture(FAMILY);
    two = context_capture(FAMILY);
    set_all(8);
    three = context_capture(FAMILY);
    ck_assert_ptr_eq(one, two);
    ck_assert_ptr_ne(one, three);
    context_release(one);
    context_release(two);
    context_release(three);
}
END_TEST

/* Nested: the second task runs inside the first, which then has its own back. */
static struct context *inner_context;

static void inner(void)
{
    expect_all(3);
    set_all(4);
}

static void outer(void)
{
    expect_all(2);
    run(inner_context, 0, inner);
    expect_all(2);
    set_all(22);
    run(inner_context, 0, inner);
    expect_all(22);
}

START_TEST(test_scope_nests)
{
    struct context *outer_context;

    set_all(2);
    outer_context = context_capture(FAMILY);
    set_all(3);
    inner_context = context_capture(FAMILY);
    set_all(1);
    run(outer_context, FRAME_OWNED, outer);
    expect_all(1);
    context_release(inner_context);
}
END_TEST

/* A chain of tasks, each captured in the one before. */
static int depth;

static void link_of_chain(void)
{
    struct context *next;

    ck_assert_int_eq(get_key(), 100 + depth);
    if (depth == 50)
        return;
    depth++;
    ck_assert_int_eq(set_key(100 + depth), 0);
    next = context_capture(FAMILY);
    ck_assert_int_eq(set_key(1), 0);
    run(next, FRAME_OWNED, link_of_chain);
    ck_assert_int_eq(get_key(), 1);
}

START_TEST(test_scope_captures_what_the_task_set)
{
    set_all(100);
    depth = 0;
    run(context_capture(FAMILY), FRAME_OWNED, link_of_chain);
    expect_all(100);
}
END_TEST

/* Jumps out of the task: found out at the next capture of this thread. */
static jmp_buf way_out;

static void jump(void)
{
    expect_all(7);
    set_all(66);
    longjmp(way_out, 1);
}

/* Out of line: what is inlined beside a setjmp may be clobbered. */
static __attribute__((noinline)) struct context *capture(void)
{
    return context_capture(FAMILY);
}

/* Between the program and a callback lie the frames of a library. */
static __attribute__((noinline)) void run_in_library(struct context *context)
{
    volatile char frames[1024];

    frames[0] = 0;
    run(context, FRAME_OWNED, jump);
    frames[1] = frames[0];
}

START_TEST(test_scope_that_longjmp_left_is_dropped)
{
    struct context *context;

    set_all(7);
    context = capture();
    set_all(9);
    if (setjmp(way_out) == 0)
        run_in_library(context);
    context = capture();
    expect_all(9);
    ck_assert_uint_eq(context->flags & CONTEXT_EMPTY, 0);
    set_all(0);
    context_release(context);
}
END_TEST

/* A repeating callback finds what it set at its last run. */
static GUARDED void run_keep(struct context **holder, void (*task)(void))
{
    GUARDED_FRAME();
    SCOPE_RUN_KEEP(holder, task());
}

static long expected;

static void count_up(void)
{
    expect_all(expected);
    set_all(++expected);
}

START_TEST(test_scope_keep_goes_on_where_it_was)
{
    struct context *holder;

    set_all(expected = 50);
    holder = context_capture(FAMILY);
    set_all(9);
    for (int i = 0; i < 20; i++) {
        run_keep(&holder, count_up);
        expect_all(9);
    }
    ck_assert_int_eq(expected, 70);
    context_release(holder);
}
END_TEST

/* Rule 17: a thread that owns a value and ends before its context is let go. */
static struct context *handed_over;

static void *owner(void *value)
{
    thread_enter();
    pthread_setspecific(unit_key, value);
    handed_over = context_capture(FAMILY);
    return NULL;
}

static void expect_1001(void)
{
    ck_assert_int_eq(get_key(), 1001);
    ck_assert_int_eq(destroyed[1001], 0);
}

START_TEST(test_values_wait_for_the_last_context)
{
    pthread_t thread;

    destroyed[1001] = 0;
    pthread_create(&thread, NULL, owner, (void *)1001);
    pthread_join(thread, NULL);
    ck_assert_int_eq(destroyed[1001], 0);
    ck_assert_int_eq(values_count(), 1);
    run(handed_over, 0, expect_1001);
    ck_assert_int_eq(destroyed[1001], 0);
    run(handed_over, FRAME_OWNED, expect_1001);
    ck_assert_int_eq(destroyed[1001], 1);
    ck_assert_int_eq(values_count(), 0);
}
END_TEST

/* Rule 18: what a task sets and leaves is destroyed at detach; unless something captured it. */
static void leave_1002(void)
{
    set_key(1002);
}

static void leave_1003_captured(void)
{
    set_key(1003);
    handed_over = context_capture(FAMILY);
}

START_TEST(test_values_left_by_a_task_are_destroyed_once)
{
    destroyed[1002] = destroyed[1003] = 0;
    run(context_empty, 0, leave_1002);
    ck_assert_int_eq(destroyed[1002], 1);
    run(context_empty, 0, leave_1003_captured);
    ck_assert_int_eq(destroyed[1003], 0);
    context_release(handed_over);
    ck_assert_int_eq(destroyed[1003], 1);
}
END_TEST

/* Capturing is forbidden for a while: empty contexts, counted. */
START_TEST(test_context_capture_can_be_suppressed)
{
    struct context *context;
    uint32_t before = thread_self->counts.bare[FAMILY][BARE_SUPPRESSED];

    set_all(7);
    context_drop_snapshot(thread_self);
    thread_self->suppress = 1;
    context = context_capture(FAMILY);
    thread_self->suppress = 0;
    ck_assert_ptr_eq(context, context_empty);
    ck_assert_uint_eq(thread_self->counts.bare[FAMILY][BARE_SUPPRESSED], before + 1);
    run(context, FRAME_OWNED, expect_nothing);
    expect_all(7);
}
END_TEST

START_TEST(test_context_counts_what_it_carries)
{
    uint64_t carried = thread_self->counts.carried[FAMILY],
             empty = thread_self->counts.empty[FAMILY];
    struct context *contexts[6];

    for (int i = 0; i < 3; i++)
        contexts[i] = context_capture(FAMILY);
    set_all(7);
    for (int i = 3; i < 6; i++)
        contexts[i] = context_capture(FAMILY);
    ck_assert_uint_eq(thread_self->counts.empty[FAMILY], empty + 3);
    ck_assert_uint_eq(thread_self->counts.carried[FAMILY], carried + 3);
    context_rollback(FAMILY, contexts[5]);
    ck_assert_uint_eq(thread_self->counts.carried[FAMILY], carried + 2);
    for (int i = 0; i < 5; i++)
        context_release(contexts[i]);
}
END_TEST

/* Threads that hand contexts to each other; every owned value is destroyed once. */
enum { THREADS = 4, PLACES = 64, ROUNDS = 20000 };
static _Atomic(struct context *) places[PLACES];
static _Atomic long next_value, wrong;

static void look(void)
{
    if (get_key() < 2000 || atomic_load(&destroyed[get_key() & 0xffff]))
        atomic_fetch_add(&wrong, 1);
}

static void *trader(void *seed)
{
    unsigned random = (unsigned)(uintptr_t)seed;

    thread_enter();
    for (int i = 0; i < ROUNDS; i++) {
        struct context *context;

        random = random * 1103515245 + 12345;
        if (i % 16 == 0) { /* who overwrites a value looks after it; here nobody does */
            long value = 2000 + atomic_fetch_add(&next_value, 1) % 60000;

            context_set_key(unit_key, key_index, (void *)value, pthread_setspecific);
        }
        context = context_capture(FAMILY);
        context = atomic_exchange(&places[random >> 16 & (PLACES - 1)], context);
        if (context)
            run(context, FRAME_OWNED, look);
    }
    context_set_key(unit_key, key_index, NULL, pthread_setspecific);
    return NULL;
}

START_TEST(test_context_crosses_threads)
{
    pthread_t threads[THREADS];

    wrong = 0;
    for (uintptr_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, trader, (void *)(i + 1));
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < PLACES; i++) {
        struct context *context = atomic_exchange(&places[i], NULL);

        if (context)
            context_release(context);
    }
    ck_assert_int_eq(wrong, 0);
}
END_TEST

/* Owners that end while others use their value. */
static void *short_lived(void *arg)
{
    static _Atomic long number;
    long value = 10000 + atomic_fetch_add(&number, 1);
    struct context *context;

    thread_enter();
    pthread_setspecific(unit_key, (void *)value);
    context = context_capture(FAMILY);
    context = atomic_exchange(&places[value % PLACES], context);
    if (context)
        run(context, FRAME_OWNED, look);
    return NULL;
}

START_TEST(test_values_of_many_owners_are_destroyed_once)
{
    wrong = 0;
    memset((void *)destroyed, 0, sizeof destroyed);
    for (int round = 0; round < 250; round++) {
        pthread_t threads[THREADS];

        for (int i = 0; i < THREADS; i++)
            pthread_create(&threads[i], NULL, short_lived, NULL);
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
    }
    for (int i = 0; i < PLACES; i++) {
        struct context *context = atomic_exchange(&places[i], NULL);

        if (context)
            context_release(context);
    }
    ck_assert_int_eq(wrong, 0);
    for (int i = 0; i < 1000; i++)
        ck_assert_int_eq(destroyed[10000 + i], 1);
}
END_TEST

START_TEST(test_thread_blocks_are_used_again)
{
    unsigned made = 0;

    for (struct thread *thread = thread_self; thread; thread = thread->next_all)
        made++;
    for (int i = 0; i < 500; i++) {
        pthread_t thread;

        pthread_create(&thread, NULL, owner, NULL);
        pthread_join(thread, NULL);
        context_release(handed_over);
    }
    for (struct thread *thread = thread_self; thread; thread = thread->next_all)
        made--;
    ck_assert_int_ge((int)made, -3);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("scope");

    tcase_set_timeout(tests, 100);
    tcase_add_checked_fixture(tests, start, finish);
    tcase_add_test(tests, test_context_is_what_was_there_at_capture);
    tcase_add_test(tests, test_context_may_be_attached_many_times);
    tcase_add_test(tests, test_context_can_be_empty);
    tcase_add_test(tests, test_context_is_shared_while_nothing_changes);
    tcase_add_test(tests, test_scope_nests);
    tcase_add_test(tests, test_scope_captures_what_the_task_set);
    tcase_add_test(tests, test_scope_that_longjmp_left_is_dropped);
    tcase_add_test(tests, test_scope_keep_goes_on_where_it_was);
    tcase_add_test(tests, test_values_wait_for_the_last_context);
    tcase_add_test(tests, test_values_left_by_a_task_are_destroyed_once);
    tcase_add_test(tests, test_context_capture_can_be_suppressed);
    tcase_add_test(tests, test_context_counts_what_it_carries);
    tcase_add_test(tests, test_context_crosses_threads);
    tcase_add_test(tests, test_values_of_many_owners_are_destroyed_once);
    tcase_add_test(tests, test_thread_blocks_are_used_again);
    return suite_run("scope", tests);
}
