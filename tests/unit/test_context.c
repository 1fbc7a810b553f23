// promise: contexts of pthread keys are captured, attached, nested and let go as the rules say
#include <semaphore.h>
#include <setjmp.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

#include "context/variables.h"
#include "core.h"
#include "history.h"
#include "suite.h"

static pthread_key_t plain_key, owned_key, other_key;
static _Atomic int destroyed;

static void (*when_destroyed)(void);

static void destroy(void *value)
{
    atomic_fetch_add(&destroyed, 1);
    if (when_destroyed)
        when_destroyed();
    free(value);
}

static void *number(uintptr_t n)
{
    return (void *)n;
}

/* ---- one thread ---- */

static void see(void *seen)
{
    *(void **)seen = core_get(plain_key);
}

START_TEST(test_context_shows_the_values_of_the_capture)
{
    struct context *first, *second;
    void *seen;

    core_set(plain_key, number(1));
    first = context_capture(FAMILY_UNIT);
    core_set(plain_key, number(2));
    second = context_capture(FAMILY_UNIT);
    core_set(plain_key, NULL);
    core_run(first, see, &seen);
    ck_assert_ptr_eq(seen, number(1));
    core_run(second, see, &seen);
    ck_assert_ptr_eq(seen, number(2));
    ck_assert_ptr_null(core_get(plain_key));
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

START_TEST(test_context_of_an_empty_slot_is_empty)
{
    struct context *empty;
    void *seen = number(9);

    core_set(plain_key, NULL);
    empty = context_capture(FAMILY_UNIT);
    core_set(plain_key, number(5));
    core_run(empty, see, &seen);
    ck_assert_ptr_null(seen);
    ck_assert_ptr_eq(core_get(plain_key), number(5));
    core_set(plain_key, NULL);
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

START_TEST(test_context_is_shared_while_nothing_changes)
{
    struct context *first, *second;

    core_set(plain_key, number(3));
    first = context_capture(FAMILY_UNIT);
    second = context_capture(FAMILY_UNIT);
    ck_assert_ptr_eq(first, second);
    context_release(first);
    context_release(second);
    core_set(plain_key, NULL);
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

static void set_seven(void *captured)
{
    core_set(plain_key, number(7));
    ck_assert_ptr_eq(core_get(plain_key), number(7));
    *(struct context **)captured = context_capture(FAMILY_UNIT);
}

START_TEST(test_context_keeps_what_a_task_sets_to_the_task_and_what_it_hands_over)
{
    struct context *outer, *inner;
    void *seen;

    core_set(plain_key, number(4));
    outer = context_capture(FAMILY_UNIT);
    core_run(context_ref(outer), set_seven, &inner);
    ck_assert_ptr_eq(core_get(plain_key), number(4));
    core_run(outer, see, &seen);
    ck_assert_ptr_eq(seen, number(4));
    core_run(inner, see, &seen);
    ck_assert_ptr_eq(seen, number(7));
    core_set(plain_key, NULL);
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

struct nest {
    struct context *inner;
    void *before, *within, *after;
};

static void run_inside(void *arg)
{
    struct nest *nest = arg;

    see(&nest->before);
    core_run(nest->inner, see, &nest->within);
    see(&nest->after);
}

START_TEST(test_context_nests)
{
    struct nest nest;
    struct context *outer;

    core_set(plain_key, number(1));
    outer = context_capture(FAMILY_UNIT);
    core_set(plain_key, number(2));
    nest.inner = context_capture(FAMILY_UNIT);
    core_set(plain_key, number(3));
    core_run(outer, run_inside, &nest);
    ck_assert_ptr_eq(nest.before, number(1));
    ck_assert_ptr_eq(nest.within, number(2));
    ck_assert_ptr_eq(nest.after, number(1));
    ck_assert_ptr_eq(core_get(plain_key), number(3));
    core_set(plain_key, NULL);
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

static jmp_buf out;

static void jump(void *unused)
{
    longjmp(out, 1);
}

/* Out of line: what is inlined beside a setjmp may be clobbered. */
static __attribute__((noinline)) struct context *capture(void)
{
    return context_capture(FAMILY_UNIT);
}

START_TEST(test_context_that_longjmp_left_is_dropped_at_the_next_handoff)
{
    struct context *context;
    void *seen;

    core_set(plain_key, number(1));
    context = capture();
    core_set(plain_key, number(2));
    if (!setjmp(out))
        core_run(context, jump, NULL);
    context = capture();
    core_run(context, see, &seen);
    ck_assert_ptr_eq(seen, number(2));
    core_set(plain_key, NULL);
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

START_TEST(test_context_rolled_back_is_not_counted)
{
    struct thread *thread = thread_enter();
    uint64_t before;

    core_set(plain_key, number(1));
    context_release(context_capture(FAMILY_UNIT));
    before = thread->counts.carried[FAMILY_UNIT];
    context_rollback(FAMILY_UNIT, context_capture(FAMILY_UNIT));
    ck_assert_uint_eq(thread->counts.carried[FAMILY_UNIT], before);
    core_set(plain_key, NULL);
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

START_TEST(test_context_older_than_a_key_does_not_show_its_value)
{
    struct context *context;
    void *seen = number(9);

    core_key_create(&other_key, NULL);
    core_set(other_key, number(8));
    context = context_capture(FAMILY_UNIT);
    core_key_delete(other_key);
    core_key_create(&other_key, NULL);
    ck_assert_ptr_null(core_get(other_key));
    core_set(plain_key, NULL);
    core_run(context, see, &seen);
    ck_assert_ptr_null(seen);
    ck_assert_ptr_null(core_get(other_key));
    core_key_delete(other_key);
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

/* ---- several threads ---- */

enum { TASKS = 20000 };

struct queue {
    sem_t filled, buffer;
    struct record *slots[64];
    int wrong;
};

static void check_number(void *expected)
{
    int *wrong = *(int **)expected;

    *wrong += core_get(plain_key) != ((void **)expected)[1];
    core_set(plain_key, number(0xbad)); /* leaks into nobody */
}

static void consume(void *arg)
{
    struct queue *queue = arg;

    for (int i = 0; i < TASKS; i++) {
        void *expected[2] = {&queue->wrong, NULL};
        struct record record;

        sem_wait(&queue->filled);
        record = *queue->slots[i % 64];
        record_free(queue->slots[i % 64]);
        sem_post(&queue->buffer);
        expected[1] = record.data;
        core_run(record.context, check_number, expected);
    }
}

START_TEST(test_context_rides_with_records_through_a_queue)
{
    static struct queue queue;
    pthread_t thread;

    sem_init(&queue.filled, 0, 0);
    sem_init(&queue.buffer, 0, 64);
    core_set(plain_key, NULL);
    thread = core_thread(consume, &queue);
    for (int i = 0; i < TASKS; i++) {
        struct record *record = record_new();

        ck_assert_ptr_nonnull(record);
        core_set(plain_key, number((uintptr_t)(i / 3 + 1)));
        *record =
            (struct record){NULL, number((uintptr_t)(i / 3 + 1)), context_capture(FAMILY_UNIT)};
        sem_wait(&queue.buffer);
        queue.slots[i % 64] = record;
        sem_post(&queue.filled);
    }
    pthread_join(thread, NULL);
    ck_assert_int_eq(queue.wrong, 0);
    core_set(plain_key, NULL);
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

static void exit_thread(void *unused)
{
    core_set(plain_key, number(6));
    pthread_exit(NULL);
}

static void *leave_a_task_by_pthread_exit(void *context)
{
    core_run(context, exit_thread, NULL);
    return NULL;
}

START_TEST(test_context_is_let_go_by_pthread_exit_and_cancellation)
{
    pthread_t thread;

    core_set(plain_key, number(1));
    for (int i = 0; i < 20; i++) {
        pthread_create(&thread, NULL, leave_a_task_by_pthread_exit, context_capture(FAMILY_UNIT));
        pthread_join(thread, NULL);
        pthread_join(core_thread(exit_thread, NULL), NULL);
    }
    ck_assert_ptr_eq(core_get(plain_key), number(1));
    core_set(plain_key, NULL);
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

static void hand_over_an_owned_value(void *holder)
{
    core_set(owned_key, calloc(1, 16));
    *(struct context **)holder = context_capture(FAMILY_UNIT);
}

static void see_owned(void *seen)
{
    *(void **)seen = core_get(owned_key);
}

/* The value's owner ends while a context still holds it: rule D17. */
START_TEST(test_context_keeps_a_value_until_the_last_context_is_gone)
{
    struct context *context;
    void *seen = NULL;

    atomic_store(&destroyed, 0);
    pthread_join(core_thread(hand_over_an_owned_value, &context), NULL);
    ck_assert_int_eq(atomic_load(&destroyed), 0);
    core_run(context_ref(context), see_owned, &seen);
    ck_assert_ptr_nonnull(seen);
    *(char *)seen = 1; /* the sanitizers look */
    ck_assert_int_eq(atomic_load(&destroyed), 0);
    context_release(context);
    ck_assert_int_eq(core_alive(), 0);
    ck_assert_int_eq(atomic_load(&destroyed), 1);
    ck_assert_int_eq(values_count(), 0);
}
END_TEST

/* A batch of releases that was used up by captures names a context that may be gone; another one at
 * its place is let go at once when a value waits for that. */
static struct context *taken_up, *in_its_place;

static void capture_again(void *unused)
{
    taken_up = context_capture(FAMILY_UNIT);
}

static __attribute__((noinline)) GUARDED void run_borrowed(struct context *context,
                                                           void (*call)(void *))
{
    GUARDED_FRAME();
    SCOPE_RUN(context, 0, call(NULL));
}

static void *let_go_elsewhere(void *contexts)
{
    thread_enter();
    context_release(((struct context **)contexts)[0]);
    context_release(((struct context **)contexts)[1]);
    return NULL;
}

static void *capture_and_end(void *context)
{
    core_set(owned_key, calloc(1, 16));
    *(struct context **)context = context_capture(FAMILY_UNIT);
    return NULL;
}

START_TEST(test_context_batch_that_is_used_up_says_nothing_of_the_next_context)
{
    struct context *contexts[2];
    pthread_t thread;

    for (int i = 0; i < 200; i++)
        context_release(context_capture(FAMILY_UNIT));
    core_alive();
    core_set(plain_key, number(1));
    contexts[0] = context_capture(FAMILY_UNIT);
    context_release(context_capture(FAMILY_UNIT)); /* one is owed */
    run_borrowed(contexts[0], capture_again);
    contexts[1] = taken_up;
    context_drop_snapshot(thread_self);
    core_set(plain_key, NULL);
    pthread_create(&thread, NULL, let_go_elsewhere, contexts);
    pthread_join(thread, NULL);
    atomic_store(&destroyed, 0);
    pthread_create(&thread, NULL, capture_and_end, &in_its_place);
    pthread_join(thread, NULL);
    ck_assert_int_eq(atomic_load(&destroyed), 0);
    context_release(in_its_place);
    ck_assert_int_eq(atomic_load(&destroyed), 1);
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

/* A thread that has inherited a context buys references in batches: never for what it has left. */
static struct context *of_inheritor[9];

static void set_and_capture(void *unused)
{
    core_set(plain_key, number(30));
    of_inheritor[4] = context_capture(FAMILY_UNIT);
    of_inheritor[5] = context_capture(FAMILY_UNIT);
}

static int64_t alive_after_a_batch[2];

/* Exactly one batch of references, all let go, and then what they were to is gone: who counts contexts
 * must not look at it. */
static void use_up_a_batch(void)
{
    core_set(plain_key, number(50));
    alive_after_a_batch[0] = core_alive();
    context_release(context_capture(FAMILY_UNIT));
    while (thread_self->batch.refs > 0)
        context_release(context_capture(FAMILY_UNIT));
    core_set(plain_key, number(60));
    alive_after_a_batch[1] = core_alive();
}

static void hand_over_much(void *unused)
{
    struct context *own;

    of_inheritor[0] = context_capture(FAMILY_UNIT);
    of_inheritor[1] = context_capture(FAMILY_UNIT);
    for (int i = 0; i < 10000; i++) /* more than a batch */
        context_release(context_capture(FAMILY_UNIT));
    core_set(plain_key, number(20));
    of_inheritor[2] = context_capture(FAMILY_UNIT);
    of_inheritor[3] = context_capture(FAMILY_UNIT);
    own = context_capture(FAMILY_UNIT);
    core_run(own, set_and_capture, NULL);
    of_inheritor[6] = context_capture(FAMILY_UNIT);
    thread_self->suppress++;
    of_inheritor[7] = context_capture(FAMILY_UNIT);
    thread_self->suppress--;
    core_set(plain_key, number(40));
    of_inheritor[8] = context_capture(FAMILY_UNIT);
    use_up_a_batch();
}

START_TEST(test_context_of_a_thread_that_inherited_is_what_it_sees)
{
    static const uintptr_t expected[9] = {10, 10, 20, 20, 30, 30, 20, 0, 40};

    for (int round = 0; round < 2; round++) { /* the second finds a block that was used before */
        core_set(plain_key, number(10));
        pthread_join(core_thread(hand_over_much, NULL), NULL);
        core_set(plain_key, NULL);
        ck_assert_int_gt(alive_after_a_batch[0], 0);
        ck_assert_int_eq(alive_after_a_batch[1], alive_after_a_batch[0]);
        ck_assert_int_gt(core_alive(), 0);
        for (int i = 0; i < 9; i++) {
            void *seen;

            core_run(of_inheritor[i], see, &seen);
            ck_assert_ptr_eq(seen, number(expected[i]));
        }
        ck_assert_int_eq(core_alive(), 0);
    }
}
END_TEST

/* A run that longjmp has left is over at the next handoff, which the batch must not answer. */
static struct vars_context *entered;
struct var *unit_var; /* for good */
static jmp_buf out_of_run;

static void capture_and_jump(void *unused)
{
    of_inheritor[1] = context_capture(FAMILY_UNIT);
    of_inheritor[2] = context_capture(FAMILY_UNIT);
    longjmp(out_of_run, 1);
}

static __attribute__((noinline)) void run_entered(void)
{
    volatile char frames[1024];

    frames[0] = 0;
    vars_run(entered, capture_and_jump, NULL);
    frames[1] = frames[0];
}

static void jump_out_of_a_run(void *unused)
{
    for (int i = 0; i < 200; i++) /* until the key that nobody makes is not looked for any more */
        context_release(context_capture(FAMILY_UNIT));
    ck_assert(guard_is_clear());
    of_inheritor[0] = capture();
    if (setjmp(out_of_run) == 0)
        run_entered();
    of_inheritor[3] = capture();
    of_inheritor[4] = capture();
}

START_TEST(test_context_of_a_thread_that_inherited_and_jumped_out_of_a_run)
{
    struct vars_entry *entry;
    struct vars_map *map;

    unit_var = vars_new_var("var", NULL, NULL);
    entry = vars_entry_new(unit_var, number(1));
    ck_assert(vars_with(NULL, entry, &map));
    vars_entry_unref(entry);
    entered = vars_context_new(map);
    core_set(plain_key, number(10));
    pthread_join(core_thread(jump_out_of_a_run, NULL), NULL);
    core_set(plain_key, NULL);
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(of_inheritor[i]->vars != NULL, i == 1 || i == 2);
        ck_assert_ptr_eq(of_inheritor[i]->key[key_index_of[plain_key] - 1], number(10));
        context_release(of_inheritor[i]);
    }
    ck_assert_int_eq(atomic_load(&entered->is_entered), 0);
    vars_context_unref(entered);
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

/* A destructor at such a thread's end hands over, too: in a context of its own, whose memory may be
 * that of the thread's last. */
static sem_t owner_has_ended;
static void *seen_at_the_end;

static void set_and_capture_at_the_end(void *unused)
{
    core_set(plain_key, number(99));
    core_run(context_capture(FAMILY_UNIT), see, &seen_at_the_end);
}

static void hand_over_at_the_end(void)
{
    core_run(context_capture(FAMILY_UNIT), set_and_capture_at_the_end, NULL);
}

static void inherit_a_value_and_drop_it(void *unused)
{
    sem_wait(&owner_has_ended);
    core_set(owned_key, NULL);
    core_set(plain_key, number(20));
    context_release(context_capture(FAMILY_UNIT));
    context_release(context_capture(FAMILY_UNIT));
    ck_assert_int_gt(thread_self->batch.refs, 0);
}

static void *own_and_start(void *thread)
{
    core_set(owned_key, calloc(1, 16));
    *(pthread_t *)thread = core_thread(inherit_a_value_and_drop_it, NULL);
    return NULL;
}

START_TEST(test_context_of_a_destructor_at_the_end_of_a_thread_that_inherited)
{
    pthread_t owner, heir;

    sem_init(&owner_has_ended, 0, 0);
    for (int i = 0; i < 200; i++)
        context_release(context_capture(FAMILY_UNIT));
    atomic_store(&destroyed, 0);
    when_destroyed = hand_over_at_the_end;
    pthread_create(&owner, NULL, own_and_start, &heir);
    pthread_join(owner, NULL);
    sem_post(&owner_has_ended);
    pthread_join(heir, NULL);
    when_destroyed = NULL;
    ck_assert_int_eq(atomic_load(&destroyed), 1);
    ck_assert_ptr_eq(seen_at_the_end, number(99));
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

/* ---- a long random history ---- */

static pthread_key_t random_0, random_1, random_2, random_3, random_4, random_5, random_6, random_7;
static pthread_key_t *const random_keys[HISTORY_SLOTS] = {
    &random_0, &random_1, &random_2, &random_3, &random_4, &random_5, &random_6, &random_7};

static uintptr_t history_get(unsigned slot)
{
    return (uintptr_t)core_get(*random_keys[slot]);
}

static void history_set(unsigned slot, uintptr_t value)
{
    core_set(*random_keys[slot], number(value));
}

START_TEST(test_context_is_right_in_a_random_history)
{
    ck_assert_uint_eq(history_run(), 0);
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

static void set_owned(void *unused)
{
    core_set(owned_key, calloc(1, 16));
}

/* A thread between the moment when its cache shows nothing any more and the one when the context is gone. */
static atomic_int flushing;

static void *flush_slowly(void *context)
{
    struct thread *thread = thread_enter();

    atomic_fetch_add(&thread->flushes.begun, 1);
    atomic_store(&flushing, 1);
    usleep(50 * 1000);
    context_release(context);
    context_flush_releases(thread);
    atomic_fetch_add(&thread->flushes.done, 1);
    return NULL;
}

START_TEST(test_context_is_counted_when_threads_that_let_go_are_done)
{
    struct timespec before, after;
    struct context *context;
    pthread_t thread;
    int64_t alive;

    core_set(plain_key, number(1));
    /* What is let go while it is counted is not given back (context_free). */
#ifdef __SANITIZE_ADDRESS__
    __lsan_disable();
#endif
    context = context_capture(FAMILY_UNIT);
#ifdef __SANITIZE_ADDRESS__
    __lsan_enable();
#endif
    pthread_create(&thread, NULL, flush_slowly, context);
    core_set(plain_key, NULL);
    context_drop_snapshot(thread_self);
    while (!atomic_load(&flushing))
        usleep(100);
    clock_gettime(CLOCK_MONOTONIC, &before);
    alive = context_count_alive();
    clock_gettime(CLOCK_MONOTONIC, &after);
    /* On a busy machine the thread may sleep for longer than the 200 ms that anybody waits for it. */
    if (alive != 0)
        ck_assert_int_ge((after.tv_sec - before.tv_sec) * 1000 +
                             (after.tv_nsec - before.tv_nsec) / 1000000,
                         200);
    pthread_join(thread, NULL);
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

START_TEST(test_context_destroys_what_a_task_set_and_left)
{
    atomic_store(&destroyed, 0);
    core_run(context_capture(FAMILY_UNIT), set_owned, NULL); /* rule D18 */
    ck_assert_int_eq(core_alive(), 0);
    ck_assert_int_eq(atomic_load(&destroyed), 1);
    ck_assert_ptr_null(core_get(owned_key));
}
END_TEST

/* Not in main: who creates a key is known by the return address. */
/* Not in main: where it is put inside of that the caller is the C library, whose keys are not carried. */
static __attribute__((noinline)) void create_keys(void)
{
    core_key_create(&plain_key, NULL);
    for (unsigned i = 0; i < HISTORY_SLOTS; i++)
        core_key_create(random_keys[i], NULL);
    core_key_create(&owned_key, destroy);
    __asm__("");
}

int main(void)
{
    TCase *tc = tcase_create("context");

    core_start("BATON_CARRY=key:plain_key;key:owned_key;key:other_key;"
               "key:random_0;key:random_1;key:random_2;key:random_3;key:random_4;key:random_5;key:"
               "random_6;key:random_7");
    create_keys();
    tcase_set_timeout(tc, 60);
    /* While every context may be taken quickly: a later test makes a key again. */
    tcase_add_test(tc, test_context_of_a_thread_that_inherited_and_jumped_out_of_a_run);
    tcase_add_test(tc, test_context_of_a_destructor_at_the_end_of_a_thread_that_inherited);
    tcase_add_test(tc, test_context_shows_the_values_of_the_capture);
    tcase_add_test(tc, test_context_of_an_empty_slot_is_empty);
    tcase_add_test(tc, test_context_is_shared_while_nothing_changes);
    tcase_add_test(tc, test_context_keeps_what_a_task_sets_to_the_task_and_what_it_hands_over);
    tcase_add_test(tc, test_context_nests);
    tcase_add_test(tc, test_context_that_longjmp_left_is_dropped_at_the_next_handoff);
    tcase_add_test(tc, test_context_rolled_back_is_not_counted);
    tcase_add_test(tc, test_context_older_than_a_key_does_not_show_its_value);
    tcase_add_test(tc, test_context_rides_with_records_through_a_queue);
    tcase_add_test(tc, test_context_is_let_go_by_pthread_exit_and_cancellation);
    tcase_add_test(tc, test_context_keeps_a_value_until_the_last_context_is_gone);
    tcase_add_test(tc, test_context_of_a_thread_that_inherited_is_what_it_sees);
    tcase_add_test(tc, test_context_batch_that_is_used_up_says_nothing_of_the_next_context);
    tcase_add_test(tc, test_context_is_right_in_a_random_history);
    tcase_add_test(tc, test_context_is_counted_when_threads_that_let_go_are_done);
    tcase_add_test(tc, test_context_destroys_what_a_task_set_and_left);
    return suite_run("context", tc);
}
