// promise: what is pushed, cancelled, retired, added or started at that moment is let go once, by the last who needs it
#include "families/handoff.c"
#include "families/libevent/run.c"
#include "families/pending.c"
#include "families/posix/notification.c"
#include "families/registration.c"

#include "core.h"
#include "suite.h"

pthread_key_t unit_key;
static int pool, other_pool;

static void set_up(void)
{
    static bool is_started;
    static char carry[] = "BATON_CARRY=key:unit_key";

    if (!is_started) {
        is_started = true;
        core_start(carry);
        thread_enter();
        ck_assert_int_eq(core_key_create(&unit_key, NULL), 0);
    }
    core_set(unit_key, &pool);
}

static void add_records(struct thread *thread, void *sum)
{
    *(int64_t *)sum += (int64_t)(thread->records.made - thread->records.freed);
}

static int64_t records(void)
{
    int64_t sum = 0;

    thread_each(add_records, &sum);
    return sum;
}

static void expect_nothing_left(int64_t before)
{
    ck_assert_int_eq(records(), before);
    ck_assert_int_eq(core_alive(), 0);
    ck_assert_ptr_null(tasks);
}

static struct pending_task *push(const void *to)
{
    struct pending_task *task = pending_new(FAMILY_APR, NULL, NULL, to, NULL);

    ck_assert_ptr_nonnull(task);
    return task;
}

START_TEST(test_families_task_that_runs_before_its_push_returns_is_freed_by_the_push)
{
    int64_t before = records();
    struct pending_task *task = push(&pool), taken = pending_take(task);

    ck_assert_int_eq(records(), before + 1); /* the push still reads it */
    ck_assert(task->is_taken);
    pending_pushed(FAMILY_APR, task, NULL, false);
    context_release(taken.context);
    expect_nothing_left(before);
}
END_TEST

START_TEST(test_families_cancel_leaves_what_is_being_pushed)
{
    int64_t before = records();
    struct pending_task *task = push(&pool);
    unsigned cancel = pending_cancel_begin(&pool, NULL);
    struct pending_task taken;

    pending_cancel_end(
        cancel); /* the pool has not had it yet, so its cancel cannot have dropped it */
    ck_assert(!task->is_taken);
    pending_pushed(FAMILY_APR, task, NULL, false);
    taken = pending_take(task);
    context_release(taken.context);
    expect_nothing_left(before);
}
END_TEST

START_TEST(test_families_cancel_drops_what_waits_in_its_pool_only)
{
    int64_t before = records();
    struct pending_task *mine = push(&pool), *other = push(&other_pool), taken;

    pending_pushed(FAMILY_APR, mine, NULL, false);
    pending_pushed(FAMILY_APR, other, NULL, false);
    pending_cancel_end(pending_cancel_begin(&pool, NULL));
    ck_assert(tasks == other && !other->next && !other->is_taken);
    taken = pending_take(other);
    context_release(taken.context);
    expect_nothing_left(before);
}
END_TEST

START_TEST(test_families_push_that_is_refused_leaves_nothing)
{
    int64_t before = records();

    pending_pushed(FAMILY_APR, push(&pool), NULL, true);
    expect_nothing_left(before);
}
END_TEST

static void called(union sigval value)
{
}

static struct notification *notify(void)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = called};
    struct notification *notification = notification_new(FAMILY_TIMER, &event, false);

    ck_assert_ptr_nonnull(notification);
    return notification;
}

/* glibc may still begin a callback of a timer that has been deleted: what it is given must be there. */
START_TEST(test_families_notification_is_not_used_again_at_once)
{
    int64_t before = records();
    struct notification *first = notify(), *second;

    notification_retire(first);
    second = notify();
    ck_assert_ptr_ne(second, first);
    ck_assert(first->is_retired && !first->context);
    notification_retire(second);
    expect_nothing_left(before);
}
END_TEST

START_TEST(test_families_notification_is_retired_once)
{
    int64_t before = records();
    struct notification *notification = notify();

    notification_retire(notification);
    notification_retire(notification); /* by its run and by timer_delete */
    expect_nothing_left(before);
}
END_TEST

static void count_block(struct thread *thread, void *count)
{
    ++*(unsigned *)count;
}

START_TEST(test_families_start_that_fails_gives_its_block_back)
{
    int64_t before = records();
    unsigned blocks = 0, after = 0;

    for (int i = 0; i < 100; i++) {
        struct thread *started = start_capture(FAMILY_PTHREAD, NULL, NULL);

        ck_assert_ptr_nonnull(started);
        ck_assert_int_eq(start_rollback(FAMILY_PTHREAD, started, 11), 11);
        if (!i)
            thread_each(count_block, &blocks);
    }
    thread_each(count_block, &after);
    ck_assert_uint_eq(blocks, after);
    expect_nothing_left(before);
}
END_TEST

static int ran;

static void on_event(int fd, short what, void *arg)
{
    ran++;
}

/* Another thread is adding the event: what it has armed is for the next run, this one borrows. */
START_TEST(test_families_event_that_is_being_added_keeps_what_it_was_given)
{
    int64_t before = records();
    struct registration *event =
        registration_new_armed(FAMILY_LIBEVENT, (void *)on_event, NULL, true);
    struct context *active = context_capture(FAMILY_LIBEVENT), *armed;

    ck_assert_ptr_nonnull(event);
    armed = event->context;
    ck_assert_ptr_nonnull(armed);
    event->more = active;
    event->number = EVENT_ADDING;
    libevent_run_threaded(-1, 0, event);
    ck_assert_ptr_eq(event->more, active);
    ck_assert_ptr_eq(event->context, armed);
    event->number = 0; /* added: the next run takes both */
    libevent_run_threaded(-1, 0, event);
    ck_assert_ptr_null(event->more);
    ck_assert_ptr_null(event->context);
    ck_assert_int_eq(ran, 2);
    slab_free(event);
    expect_nothing_left(before);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("families");

    tcase_add_checked_fixture(tests, set_up, NULL);
    tcase_add_test(tests,
                   test_families_task_that_runs_before_its_push_returns_is_freed_by_the_push);
    tcase_add_test(tests, test_families_cancel_leaves_what_is_being_pushed);
    tcase_add_test(tests, test_families_cancel_drops_what_waits_in_its_pool_only);
    tcase_add_test(tests, test_families_push_that_is_refused_leaves_nothing);
    tcase_add_test(tests, test_families_notification_is_not_used_again_at_once);
    tcase_add_test(tests, test_families_notification_is_retired_once);
    tcase_add_test(tests, test_families_start_that_fails_gives_its_block_back);
    tcase_add_test(tests, test_families_event_that_is_being_added_keeps_what_it_was_given);
    return suite_run("families", tests);
}
