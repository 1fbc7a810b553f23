// promise: slots that are copied (thread-local variables, function pairs) follow the rules of contexts
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "core.h"
#include "suite.h"

__thread long word = 40; /* a thread that never set it has 40, not 0 */
static __thread char row[12];
static __thread void *behind;
static __thread char *text; /* behind a getter that copies and a setter that takes over */
static _Atomic int texts_alive;

pthread_key_t late_key; /* made when contexts are there already */

static __thread bool exits; /* the getter is a place where its thread may be cancelled */

static __attribute__((noinline, used)) void *behind_get(void)
{
    if (exits)
        pthread_exit(NULL);
    return behind;
}

static __attribute__((noinline, used)) void behind_set(void *value)
{
    behind = value;
}

static __attribute__((noinline, used)) char *text_get(void)
{
    if (!text)
        return NULL;
    atomic_fetch_add(&texts_alive, 1);
    return strdup(text);
}

static __attribute__((noinline, used)) void text_set(char *value)
{
    if (text) {
        atomic_fetch_sub(&texts_alive, 1);
        free(text);
    }
    text = value;
}

static __attribute__((noinline, used)) void text_free(char *value)
{
    if (value) {
        atomic_fetch_sub(&texts_alive, 1);
        free(value);
    }
}

static void text_is(const char *value)
{
    if (value)
        atomic_fetch_add(&texts_alive, 1);
    text_set(value ? strdup(value) : NULL);
}

struct view {
    long word;
    char row[sizeof row];
    void *behind;
    char text[16];
};

static void see(void *seen)
{
    struct view *view = seen;

    view->word = word;
    memcpy(view->row, row, sizeof row);
    view->behind = behind;
    strcpy(view->text, text ? text : "");
}

static void set(long n)
{
    char buf[16];

    word = n;
    memset(row, (int)n, sizeof row);
    behind = (void *)(intptr_t)n;
    snprintf(buf, sizeof buf, "text %ld", n);
    text_is(buf);
}

static void is(const struct view *view, long n)
{
    char buf[16];

    ck_assert_int_eq(view->word, n);
    ck_assert_int_eq(view->row[0], (char)n);
    ck_assert_int_eq(view->row[sizeof row - 1], (char)n);
    ck_assert_ptr_eq(view->behind, (void *)(intptr_t)n);
    snprintf(buf, sizeof buf, "text %ld", n);
    ck_assert_str_eq(view->text, buf);
}

static void reset(void)
{
    word = 40;
    memset(row, 0, sizeof row);
    behind = NULL;
    text_is(NULL);
    ck_assert_int_eq(core_alive(), 0);
    ck_assert_int_eq(atomic_load(&texts_alive), 0);
}

START_TEST(test_copied_shows_the_values_of_the_capture)
{
    struct context *first, *second;
    struct view seen;

    set(1);
    first = context_capture(FAMILY_UNIT);
    set(2);
    second = context_capture(FAMILY_UNIT);
    set(3);
    core_run(first, see, &seen);
    is(&seen, 1);
    core_run(second, see, &seen);
    is(&seen, 2);
    see(&seen);
    is(&seen, 3);
    reset();
}
END_TEST

static void set_nine(void *seen)
{
    set(9);
    see(seen);
}

START_TEST(test_copied_keeps_what_a_task_sets_to_the_task)
{
    struct context *context;
    struct view seen;

    set(1);
    context = context_capture(FAMILY_UNIT);
    core_run(context_ref(context), set_nine, &seen);
    is(&seen, 9);
    see(&seen);
    is(&seen, 1);
    context_release(context);
    reset();
}
END_TEST

struct nest {
    struct context *inner;
    struct view before, within, after;
};

static void run_inside(void *arg)
{
    struct nest *nest = arg;

    see(&nest->before);
    core_run(nest->inner, see, &nest->within);
    see(&nest->after);
}

START_TEST(test_copied_nests)
{
    struct nest nest;
    struct context *outer;
    struct view seen;

    set(1);
    outer = context_capture(FAMILY_UNIT);
    set(2);
    nest.inner = context_capture(FAMILY_UNIT);
    set(3);
    core_run(outer, run_inside, &nest);
    is(&nest.before, 1);
    is(&nest.within, 2);
    is(&nest.after, 1);
    see(&seen);
    is(&seen, 3);
    reset();
}
END_TEST

START_TEST(test_copied_empty_context_has_initial_values)
{
    struct context *empty;
    struct view seen;

    reset();
    empty = context_capture(FAMILY_UNIT);
    set(5);
    core_run(empty, see, &seen);
    ck_assert_int_eq(seen.word, 40);
    ck_assert_int_eq(seen.row[3], 0);
    ck_assert_ptr_null(seen.behind);
    ck_assert_str_eq(seen.text, "");
    see(&seen);
    is(&seen, 5);
    reset();
}
END_TEST

START_TEST(test_copied_values_of_a_task_that_never_ran_are_let_go)
{
    set(6);
    context_release(context_capture(FAMILY_UNIT));
    context_rollback(FAMILY_UNIT, context_capture(FAMILY_UNIT));
    reset();
}
END_TEST

static void see_in_thread(void *seen)
{
    see(seen);
    set(8); /* its own business */
    text_is(NULL);
}

START_TEST(test_copied_values_reach_threads)
{
    struct view seen[8];
    pthread_t threads[8];

    for (int i = 0; i < 8; i++) {
        set(i + 10);
        threads[i] = core_thread(see_in_thread, &seen[i]);
    }
    for (int i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
        is(&seen[i], i + 10);
    }
    reset();
}
END_TEST

static void exit_task(void *unused)
{
    set(7);
    pthread_exit(NULL);
}

static void see_at_exit(void *seen)
{
    see(seen);
    text_is(NULL);
}

struct leaver {
    struct context *context;
    struct view seen;
};

static void *leave_by_pthread_exit(void *arg)
{
    struct leaver *leaver = arg;

    set(2);
    pthread_cleanup_push(see_at_exit, &leaver->seen);
    core_run(leaver->context, exit_task, NULL);
    pthread_cleanup_pop(0);
    return NULL;
}

START_TEST(test_copied_values_are_put_back_when_pthread_exit_passes)
{
    struct leaver leaver;
    pthread_t thread;

    set(1);
    leaver.context = context_capture(FAMILY_UNIT);
    pthread_create(&thread, NULL, leave_by_pthread_exit, &leaver);
    pthread_join(thread, NULL);
    is(&leaver.seen, 2);
    reset();
}
END_TEST

#ifndef __SANITIZE_ADDRESS__
static void *exit_in_a_getter(void *unused)
{
    word = 3;
    exits = true;
    context_release(context_capture(FAMILY_UNIT));
    return NULL;
}

static __attribute__((noinline)) struct context *capture_deep(void)
{
    volatile char frames[4096];

    struct context *context = context_capture(FAMILY_UNIT);

    frames[0] = 0;
    return frames[0] ? NULL : context;
}

static void *see_in_a_task(void *seen)
{
    struct context *context;

    set(4);
    context = capture_deep();
    ck_assert_ptr_nonnull(context);
    core_run(context, see, seen);
    text_is(NULL);
    return NULL;
}

/* The block of such a thread is another's then. */
START_TEST(test_copied_thread_that_ends_in_a_getter)
{
    struct view seen = {0};
    pthread_t thread;

    for (unsigned i = 0; i < 20; i++) {
        pthread_create(&thread, NULL, exit_in_a_getter, NULL);
        pthread_join(thread, NULL);
        pthread_create(&thread, NULL, see_in_a_task, &seen);
        pthread_join(thread, NULL);
        is(&seen, 4);
    }
}
END_TEST
#endif

static __attribute__((noinline)) void make_key_and_set(void *unused)
{
    ck_assert_int_eq(core_key_create(&late_key, NULL), 0);
    core_set(late_key, &late_key);
}

/* For the report, which names what never had one. */
START_TEST(test_copied_word_that_has_its_first_value_after_another_one_is_noticed)
{
    ck_assert(slots[0].is_static_word && slots[1].is_static_word);
    slots[0].had_value = slots[1].had_value = false;
    slots_words_unseen = true;
    word = 1;
    context_release(context_capture(FAMILY_UNIT));
    ck_assert(slots[0].had_value);
    ck_assert(!slots[1].had_value);
    row[0] = 1;
    context_release(context_capture(FAMILY_UNIT));
    ck_assert(slots[1].had_value);
    reset();
}
END_TEST

/* Nobody knows what the thread had, so nothing is put back: the value stays, as it does without us. */
START_TEST(test_copied_slot_that_was_bound_after_the_attach_is_left_alone)
{
    set(1);
    core_run(context_capture(FAMILY_UNIT), make_key_and_set, NULL);
    ck_assert_ptr_eq(core_get(late_key), &late_key);
    core_key_delete(late_key);
    reset();
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("copied");

    core_start("BATON_CARRY=tls:word;tls:row@main;fn:get=behind_get,set=behind_set;"
               "fn:get=text_get,set=text_set,free=text_free,move;key:late_key,native");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_copied_shows_the_values_of_the_capture);
    tcase_add_test(tc, test_copied_keeps_what_a_task_sets_to_the_task);
    tcase_add_test(tc, test_copied_nests);
    tcase_add_test(tc, test_copied_empty_context_has_initial_values);
    tcase_add_test(tc, test_copied_values_of_a_task_that_never_ran_are_let_go);
    tcase_add_test(tc, test_copied_values_reach_threads);
    tcase_add_test(tc, test_copied_word_that_has_its_first_value_after_another_one_is_noticed);
    tcase_add_test(tc, test_copied_slot_that_was_bound_after_the_attach_is_left_alone);
    tcase_add_test(tc, test_copied_values_are_put_back_when_pthread_exit_passes);
#ifndef __SANITIZE_ADDRESS__ /* the context that was being built is lost */
    tcase_add_test(tc, test_copied_thread_that_ends_in_a_getter);
#endif
    return suite_run("copied", tc);
}
