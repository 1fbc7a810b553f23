// promise: a signal handler that sets keys, at any instruction of the first set after a handoff, or of a handoff, changes nothing handed out, and is not forgotten
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <ucontext.h>

#include "context/internal.h"
#include "core.h"
#include "on_valgrind.h"
#include "suite.h"

/* A sanitizer's signal handlers and valgrind's processor are not stepped through: skipped. */
static int not_here(void)
{
    puts("instructions cannot be stepped through here");
    return 77;
}

#if defined __x86_64__ && !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__

#include "../programs/step.h"

enum { STEPS_MAX = 4000 };

__thread long draft_handler_word;
static pthread_key_t key, other_key;
static volatile long countdown;
static volatile bool was_there;

static void *number(uintptr_t n)
{
    return (void *)n;
}

/* As a function that uses the key and leaves it as it was, and one that leaves another. */
static void stepped(int signal, siginfo_t *info, void *at)
{
    void *was;

    (void)signal;
    (void)info;
    if (countdown <= 0 || --countdown)
        return;
    ((ucontext_t *)at)->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG; /* once is enough */
    was_there = true;
    was = core_get(key);
    core_set(key, number(99));
    core_set(key, was);
    core_set(other_key, number(98));
}

static unsigned wrong(const struct context *context, void *one, void *other)
{
    return context && (context->key[key_index_of[key] - 1] != one ||
                       (other && context->key[key_index_of[other_key] - 1] != other));
}

/* Hands over 1 and 2, and has the handler come after so many instructions. What was handed over; NULL: it is gone again. */
static inline struct context *begin_to_step(long steps, bool is_held)
{
    struct context *before;

    core_set(key, number(1));
    core_set(other_key, number(2));
    before = context_capture(FAMILY_UNIT);
    if (!is_held) {
        context_release(before);
        before = NULL;
    }
    countdown = steps;
    was_there = false;
    step_on();
    return before;
}

/* How many values are not what they should be, with the handler after so many instructions. */
static inline unsigned handle_after(long steps, bool is_held, bool hands_over)
{
    struct context *before, *meanwhile = NULL, *after;
    unsigned count = 0;

    before = begin_to_step(steps, is_held);
    core_set(key, number(3));
    if (hands_over)
        meanwhile = context_capture(FAMILY_UNIT);
    step_off();
    countdown = 0;
    count += wrong(before, number(1), number(2));
    count += wrong(meanwhile, number(3), NULL);
    after = context_capture(FAMILY_UNIT);
    count += wrong(after, number(3), number(was_there ? 98 : 2));
    count += pthread_getspecific(key) != number(3);
    core_set(key, number(4));
    core_set(other_key, number(5));
    count += wrong(meanwhile, number(3), NULL);
    count += wrong(after, number(3), number(was_there ? 98 : 2));
    if (before)
        context_release(before);
    if (meanwhile)
        context_release(meanwhile);
    context_release(after);
    return count;
}

static unsigned handle_in_set_after(long steps, bool is_held)
{
    return handle_after(steps, is_held, false);
}

static unsigned handle_in_both_after(long steps, bool is_held)
{
    return handle_after(steps, is_held, true);
}

static void handle_at_each(unsigned (*handle)(long steps, bool is_held), bool is_held)
{
    struct sigaction action = {.sa_sigaction = stepped, .sa_flags = SA_SIGINFO}, old;
    long steps = 0;

    sigaction(SIGTRAP, &action, &old);
    do {
        unsigned count = handle(++steps, is_held);

        ck_assert_msg(!count, "%u are wrong after %ld instructions", count, steps);
    } while (was_there && steps < STEPS_MAX);
    sigaction(SIGTRAP, &old, NULL);
    ck_assert_int_gt(steps, 8);
    ck_assert_int_lt(steps, STEPS_MAX);
    core_set(key, NULL);
    core_set(other_key, NULL);
    ck_assert_int_eq(core_alive(), 0);
}

static __attribute__((noinline)) void begin_with(char *items)
{
    if (key_index_of[key]) /* Check does not always fork for a test */
        return;
    core_start(items);
    ck_assert_int_eq(core_key_create(&key, NULL), 0);
    ck_assert_int_eq(core_key_create(&key, NULL), 0);
    ck_assert_int_eq(core_key_create(&other_key, NULL), 0);
    ck_assert_uint_eq(slots_key_count, 2);
    ck_assert(key_index_of[key] && key_index_of[other_key]);
}

static void begin(void)
{
    begin_with("BATON_CARRY=key:n=2;key:n=3");
}

static void begin_with_word(void)
{
    draft_handler_word = 7;
    begin_with("BATON_CARRY=key:n=2;key:n=3;tls:draft_handler_word@main");
}

START_TEST(test_draft_handler_in_a_first_set_of_what_others_have)
{
    begin();
    handle_at_each(handle_in_set_after, true);
}
END_TEST

START_TEST(test_draft_handler_in_a_first_set_of_what_nobody_has)
{
    begin();
    handle_at_each(handle_in_set_after, false);
}
END_TEST

START_TEST(test_draft_handler_in_a_set_and_a_handoff)
{
    begin();
    handle_at_each(handle_in_both_after, true);
    handle_at_each(handle_in_both_after, false);
}
END_TEST

/* With references at hand: the handler takes them away, and what was handed over stays what it was. */
static unsigned handle_in_handoff_after(long steps, bool is_held)
{
    struct context *before, *meanwhile, *after;
    unsigned count = 0;

    before = begin_to_step(steps, is_held);
    meanwhile = context_capture(FAMILY_UNIT);
    step_off();
    countdown = 0;
    core_set(key, number(3));
    core_set(other_key, number(4));
    count += wrong(before, number(1), number(2));
    count += wrong(meanwhile, number(1), NULL) ||
             wrong(meanwhile, number(1), number(2)) + wrong(meanwhile, number(1), number(98)) != 1;
    after = context_capture(FAMILY_UNIT);
    count += wrong(after, number(3), number(4));
    if (before)
        context_release(before);
    context_release(meanwhile);
    context_release(after);
    return count;
}

START_TEST(test_draft_handler_in_a_handoff)
{
    begin();
    handle_at_each(handle_in_handoff_after, true);
    handle_at_each(handle_in_handoff_after, false);
}
END_TEST

START_TEST(test_draft_handler_in_a_handoff_of_words)
{
    begin_with_word();
    handle_at_each(handle_in_handoff_after, true);
    handle_at_each(handle_in_handoff_after, false);
}
END_TEST

/* References to a snapshot are others where chains have limits. */
static void begin_with_limits(uint32_t age_ms, uint32_t hops)
{
    begin();
    capture_set_limits(age_ms, hops);
    capture_choose();
}

START_TEST(test_draft_handler_in_a_handoff_with_limits)
{
    begin_with_limits(_i ? 60000 : 0, 5);
    handle_at_each(handle_in_handoff_after, true);
    handle_at_each(handle_in_handoff_after, false);
}
END_TEST

int main(void)
{
    TCase *tests;

    if (RUNNING_ON_VALGRIND)
        return not_here(); /* before Check takes memory: a leak check would count it */
    tests = tcase_create("draft_handler");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, test_draft_handler_in_a_first_set_of_what_others_have);
    tcase_add_test(tests, test_draft_handler_in_a_first_set_of_what_nobody_has);
    tcase_add_test(tests, test_draft_handler_in_a_set_and_a_handoff);
    tcase_add_test(tests, test_draft_handler_in_a_handoff);
    tcase_add_test(tests, test_draft_handler_in_a_handoff_of_words);
    tcase_add_loop_test(tests, test_draft_handler_in_a_handoff_with_limits, 0, 2);
    return suite_run("draft_handler", tests);
}
#else
int main(void)
{
    return not_here();
}
#endif
