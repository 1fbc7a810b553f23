// promise: what a thread and a task set by the short ways is handed over as it was, and stays where it belongs
#include <errno.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "context/coroutine.h"
#include "context/internal.h"
#include "context/pool/blocks.h"
#include "context/slot_counts.h"
#include "context/variables.h"
#include "core.h"
#include "suite.h"

enum { KEYS = 68, ROUNDS = 12 };

/* The items name them by number, so that they are made in order. */
static pthread_key_t keys[KEYS];

static void *number(uintptr_t n)
{
    return (void *)n;
}

/* In round r key k has this value; some have none. */
static void *value_in(unsigned round, unsigned k)
{
    return (round * 7 + k * 3) % 11 == 0 ? NULL : number(1000 * round + k + 1);
}

static void set_all(unsigned round)
{
    int failed = 0;

    for (unsigned k = 0; k < KEYS; k++)
        failed |= core_set(keys[k], value_in(round, k));
    ck_assert_int_eq(failed, 0);
}

static void look_for(void *arg)
{
    unsigned round = *(unsigned *)arg, wrong = 0;

    for (unsigned k = 0; k < KEYS; k++)
        wrong += core_get(keys[k]) != value_in(round, k);
    ck_assert_uint_eq(wrong, 0);
}

static void empty_all(void)
{
    for (unsigned k = 0; k < KEYS; k++)
        core_set(keys[k], NULL);
}

START_TEST(test_draft_hands_over_each_round_as_it_was)
{
    struct context *taken[ROUNDS];

    for (unsigned round = 0; round < ROUNDS; round++) {
        set_all(round);
        taken[round] = context_capture(FAMILY_UNIT);
        look_for(&round);
        if (round % 3 == 2) { /* nobody else has it: written to in place */
            context_release(taken[round]);
            taken[round] = NULL;
        }
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        if (taken[round])
            core_run(taken[round], look_for, &round);
    }
    empty_all();
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

START_TEST(test_draft_that_has_lost_its_values_is_empty)
{
    struct context *context;

    core_set(keys[0], number(1));
    core_set(keys[KEYS - 1], number(2));
    context_release(context_capture(FAMILY_UNIT));
    core_set(keys[0], NULL);
    context = context_capture(FAMILY_UNIT);
    ck_assert_int_eq(context->flags & CONTEXT_EMPTY, 0);
    context_release(context);
    core_set(keys[KEYS - 1], NULL);
    context = context_capture(FAMILY_UNIT);
    ck_assert_int_ne(context->flags & CONTEXT_EMPTY, 0);
    context_release(context);
    core_set(keys[3], number(3));
    context = context_capture(FAMILY_UNIT);
    ck_assert_int_eq(context->flags & CONTEXT_EMPTY, 0);
    context_release(context);
    empty_all();
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

START_TEST(test_draft_of_an_empty_one_has_what_was_set_since)
{
    struct context *context;
    unsigned wrong = 0;

    for (unsigned round = 0; round < 3; round++) {
        core_set(keys[KEYS - 1], number(4 + round)); /* the one that was looked at last */
        context = context_capture(FAMILY_UNIT);
        wrong += context->flags & CONTEXT_EMPTY;
        context_release(context);
        core_set(keys[KEYS - 1], NULL);
        context = context_capture(FAMILY_UNIT);
        wrong += !(context->flags & CONTEXT_EMPTY);
        context_release(context);
    }
    ck_assert_uint_eq(wrong, 0);
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

static int refuse(unsigned key, const void *value)
{
    (void)key;
    (void)value;
    return ENOMEM;
}

START_TEST(test_draft_has_nothing_that_the_c_library_refused)
{
    struct context *context;

    core_set(keys[0], number(1));
    context_release(context_capture(FAMILY_UNIT));
    ck_assert_int_eq(core_set_by(keys[1], number(9), refuse), ENOMEM);
    core_set(keys[0], number(2));
    ck_assert_int_eq(core_set_by(keys[1], number(9), refuse), ENOMEM);
    context = context_capture(FAMILY_UNIT);
    ck_assert_ptr_null(context->key[key_index_of[keys[1]] - 1]);
    ck_assert_ptr_eq(context->key[key_index_of[keys[0]] - 1], number(2));
    context_release(context);
    empty_all();
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

START_TEST(test_draft_is_nothing_for_a_signal_handler)
{
    struct context *context;

    core_set(keys[0], number(1));
    context_release(context_capture(FAMILY_UNIT));
    context = context_capture_signal(FAMILY_UNIT);
    ck_assert_ptr_nonnull(context);
    core_set(keys[0], number(2));
    ck_assert_ptr_eq(context->key[key_index_of[keys[0]] - 1], number(1));
    ck_assert_ptr_null(context_capture_signal(FAMILY_UNIT));
    context_release(context);
    empty_all();
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

/* On another stack it is not known what the thread itself is in. */
START_TEST(test_draft_stays_with_the_thread_s_own_stack)
{
    static char stack[4096];
    struct coroutines *own = coroutine_own_slow();
    struct coroutine *other = coroutine_new((uintptr_t)stack, sizeof stack, NULL, NULL, 0);
    struct context *context;
    unsigned round = 2;

    ck_assert_ptr_nonnull(other);
    set_all(1);
    context_release(context_capture(FAMILY_UNIT));
    set_all(round);
    ck_assert(snapshot_is_draft(&thread_self->snapshot));
    coroutine_switch_slow(own, other);
    context = context_capture(FAMILY_UNIT);
    ck_assert(snapshot_is_draft(&thread_self->snapshot));
    ck_assert_ptr_ne(context, thread_self->snapshot.context);
    coroutine_switch_slow(own, &own->main_stack);
    core_run(context, look_for, &round);
    core_run(context_capture(FAMILY_UNIT), look_for, &round);
    coroutine_end(own, other, &own->main_stack);
    empty_all();
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

START_TEST(test_draft_is_not_handed_out_once_the_end_has_begun)
{
    pid_t child;
    int status;

    core_set(keys[0], number(1));
    context_release(context_capture(FAMILY_UNIT));
    core_set(keys[0], number(2));
    child = fork();
    if (child == 0) {
        guard_raise(GUARD_TEARDOWN);
        _exit(context_capture(FAMILY_UNIT) != NULL);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    empty_all();
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

/* ---- what is counted of them ---- */

static pthread_key_t late_key;

START_TEST(test_draft_tells_that_a_key_had_a_value)
{
    unsigned key_index = key_index_of[late_key] - 1u;

    core_set(keys[0], number(1));
    context_release(context_capture(FAMILY_UNIT));
    ck_assert_uint_eq(keys_had_value[key_index], 0);
    core_set(late_key, number(2));
    context_release(context_capture(FAMILY_UNIT));
    ck_assert_uint_eq(keys_had_value[key_index], 1);
    core_set(late_key, NULL);
    empty_all();
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

static uint64_t captured_of(pthread_key_t key)
{
    struct slot_count sums[SLOTS_MAX] = {{0, 0}};

    slot_counts_sum(sums);
    for (unsigned i = 0; i < slots_count; i++) {
        if (slots[i].key_index == key_index_of[key] - 1u)
            return sums[i].captured;
    }
    ck_abort_msg("no such slot");
}

/* Handoffs by slot, whoever has the snapshot meanwhile, and whether its draft was handed out quickly, slowly or not at all. */
START_TEST(test_draft_counts_each_handoff_once)
{
    struct context *held, *more[5];
    uint64_t before, count = 0;

    core_set(keys[0], number(1));
    before = captured_of(keys[0]);
    for (unsigned round = 0; round < 6; round++) {
        held = context_capture(FAMILY_UNIT);
        for (unsigned i = 0; i < 5; i++)
            more[i] = context_capture(FAMILY_UNIT);
        count += 6;
        for (unsigned i = 0; i < 5; i++)
            context_release(more[i]);
        if (round & 1)
            context_release(held);
        ck_assert_uint_eq(captured_of(keys[0]) - before, count);
        core_set(keys[0], number(2 + round)); /* a draft: its own memory, or a copy */
        ck_assert_uint_eq(captured_of(keys[0]) - before, count);
        if (round % 3 == 2)
            guard_note_stale();
        context_release(context_capture(FAMILY_UNIT));
        ck_assert_uint_eq(captured_of(keys[0]) - before, ++count);
        core_set(keys[0], number(10 + round));
        if (round == 4)
            context_drop_snapshot(thread_self);
        if (!(round & 1))
            context_release(held);
    }
    ck_assert_int_eq(core_alive(), 0);
    ck_assert_uint_eq(captured_of(keys[0]) - before, count);
    empty_all();
}
END_TEST

/* ---- tasks ---- */

static struct context *from_task[3];

static void hand_over(void *unused)
{
    (void)unused;
    from_task[0] = context_capture(FAMILY_UNIT);
}

START_TEST(test_draft_is_not_a_task_s)
{
    struct context *context;
    unsigned first = 1, second = 2;

    set_all(first);
    context = context_capture(FAMILY_UNIT);
    set_all(second);
    core_run(context, hand_over, NULL);
    core_run(context_capture(FAMILY_UNIT), look_for, &second);
    core_run(from_task[0], look_for, &first);
    empty_all();
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

static pthread_key_t
    newcomer_key; /* made before any other is made again: one goes by their number */

/* Contexts say by their epoch which keys they know: what has a value of a new one is no older than that. */
START_TEST(test_draft_of_before_a_key_is_another_after_it)
{
    struct context *context;

    core_set(keys[0], number(1));
    context_release(context_capture(FAMILY_UNIT));
    core_set(keys[0], number(2));
    ck_assert_int_eq(core_key_create(&newcomer_key, NULL), 0);
    core_set(newcomer_key, number(3));
    context = context_capture(FAMILY_UNIT);
    ck_assert_uint_eq(context->epoch, slots_epoch);
    core_run(context, hand_over, NULL);
    ck_assert_ptr_eq(from_task[0]->key[key_index_of[newcomer_key] - 1], number(3));
    context_release(from_task[0]);
    core_set(newcomer_key, NULL);
    empty_all();
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

static void set_all_to(void *round)
{
    set_all(*(unsigned *)round);
}

static void run_one_that_sets(void *context)
{
    unsigned first = 1, third = 3;

    look_for(&first);
    core_run(context, set_all_to, &third);
    look_for(&first);
    ck_assert_ptr_nonnull(thread_self->attached);
}

/* A task that has set keys is left for the one around it, not for none. */
START_TEST(test_task_within_a_task_leaves_that_as_it_was)
{
    struct context *context;
    unsigned second = 2;

    set_all(1);
    context = context_capture(FAMILY_UNIT);
    set_all(second);
    core_run(context, run_one_that_sets, context_capture(FAMILY_UNIT));
    look_for(&second);
    empty_all();
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

static jmp_buf out_of_a_run;

static void leave_a_run(void *entered)
{
    set_all(3);
    if (!setjmp(out_of_a_run)) {
        ck_assert_int_eq(vars_enter(entered, arch_sp()), VARS_RUN_OK);
        longjmp(out_of_a_run, 1);
    }
}

START_TEST(test_task_that_has_set_keys_leaves_its_runs_too)
{
    struct vars_context *entered = vars_context_new(NULL);

    set_all(1);
    core_run(context_capture(FAMILY_UNIT), leave_a_run, entered);
    ck_assert_ptr_null(thread_self->runs);
    ck_assert_int_eq(atomic_load(&entered->is_entered), 0);
    ck_assert_int_eq(atomic_load(&entered->refs), 1);
    vars_context_unref(entered);
    empty_all();
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

static void set_and_hand_over(void *unused)
{
    (void)unused;
    set_all(5);
    from_task[0] = context_capture(FAMILY_UNIT);
    set_all(6);
    from_task[1] = context_capture(FAMILY_UNIT);
    set_all(7);
    set_all(8);
    from_task[2] = context_capture(FAMILY_UNIT);
}

START_TEST(test_task_hands_over_what_it_has_set_so_far)
{
    unsigned first = 1;

    set_all(first);
    context_release(context_capture(FAMILY_UNIT));
    core_set(keys[0], number(77)); /* the thread has a draft meanwhile */
    core_run(context_capture(FAMILY_UNIT), set_and_hand_over, NULL);
    core_set(keys[0], value_in(first, 0));
    look_for(&first);
    for (unsigned i = 0; i < 3; i++) {
        unsigned round = i == 2 ? 8 : 5 + i;

        core_run(from_task[i], look_for, &round);
    }
    look_for(&first);
    empty_all();
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

extern pthread_key_t remade_key;
pthread_key_t remade_key;

static void set_late_and_hand_over(void *unused)
{
    (void)unused;
    core_set(late_key, number(9));
    from_task[0] = context_capture(FAMILY_UNIT);
    core_set(late_key, NULL);
    for (unsigned k = 0; k < KEYS; k++)
        core_set(keys[k], NULL);
    from_task[1] = context_capture(FAMILY_UNIT);
}

START_TEST(test_task_that_hands_over_tells_what_has_a_value)
{
    unsigned key_index = key_index_of[late_key] - 1u;

    core_set(keys[0], number(1));
    ck_assert_uint_eq(keys_had_value[key_index], 0);
    core_run(context_capture(FAMILY_UNIT), set_late_and_hand_over, NULL);
    ck_assert_uint_eq(keys_had_value[key_index], 1);
    ck_assert(!(from_task[0]->flags & CONTEXT_EMPTY));
    ck_assert(from_task[1]->flags & CONTEXT_EMPTY);
    context_release(from_task[0]);
    context_release(from_task[1]);
    keys_had_value[key_index] = 0; /* for the test of drafts */
    empty_all();
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

static void set_another_and_hand_over(void *unused)
{
    (void)unused;
    core_set(keys[0], number(2));
    from_task[0] = context_capture(FAMILY_UNIT);
}

/* A context of before a key went may still have its value: nobody reads it, and nobody is handed it. */
START_TEST(test_task_hands_over_nothing_of_a_key_that_has_gone)
{
    struct context *context;

    core_set(keys[0], number(1));
    core_set(remade_key, number(5));
    context = context_capture(FAMILY_UNIT);
    core_key_delete(remade_key);
    core_run(context, set_another_and_hand_over, NULL);
    ck_assert_ptr_eq(from_task[0]->key[key_index_of[keys[0]] - 1], number(2));
    for (unsigned k = 0; k < slots_key_count; k++)
        ck_assert(from_task[0]->key[k] != number(5));
    context_release(from_task[0]);
    ck_assert_int_eq(core_key_create(&remade_key, NULL), 0);
    empty_all();
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

static void set_while_a_draft_is_there(void *unused)
{
    (void)unused;
    set_all(4);
}

START_TEST(test_task_leaves_the_draft_of_its_thread_alone)
{
    struct context *context;
    unsigned round = 2;

    set_all(1);
    context = context_capture(FAMILY_UNIT);
    set_all(round);
    core_run(context, set_while_a_draft_is_there, NULL);
    core_run(context_capture(FAMILY_UNIT), look_for, &round);
    empty_all();
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

static jmp_buf way_out;

static __attribute__((noinline)) void jump(void *unused)
{
    (void)unused;
    set_all(3);
    longjmp(way_out, 1);
}

START_TEST(test_task_that_jumps_out_takes_its_values_along)
{
    set_all(1);
    if (!setjmp(way_out))
        core_run(context_capture(FAMILY_UNIT), jump, NULL);
    core_set(keys[1], number(5)); /* the thread's own */
    ck_assert_ptr_eq(pthread_getspecific(keys[1]), number(5));
    empty_all();
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

static void make_key_again(pthread_key_t *key)
{
    core_key_delete(*key);
    core_key_create(key, NULL);
}

static void set_around_a_new_key(void *unused)
{
    (void)unused;
    core_set(remade_key, number(1));
    core_set(keys[0], number(2));
    make_key_again(&remade_key);
    core_set(keys[0], number(3)); /* the old key's value must not come to life by this */
    ck_assert_ptr_null(context_get_key(thread_self, key_index_of[remade_key] - 1u));
    core_set(remade_key, number(4));
    ck_assert_ptr_eq(core_get(remade_key), number(4));
    from_task[0] = context_capture(FAMILY_UNIT);
    ck_assert_ptr_eq(from_task[0]->key[key_index_of[remade_key] - 1], number(4));
    context_release(from_task[0]);
}

START_TEST(test_task_sees_nothing_of_a_key_that_was_made_again)
{
    struct context *context;

    core_set(keys[0], number(1));
    core_run(context_capture(FAMILY_UNIT), set_around_a_new_key, NULL);
    core_set(remade_key, number(6));
    context_release(context_capture(FAMILY_UNIT));
    core_set(remade_key, number(7));
    core_set(keys[0], number(2));
    make_key_again(&remade_key);
    core_set(keys[0], number(3));
    context = context_capture(FAMILY_UNIT);
    ck_assert_ptr_null(context->key[key_index_of[remade_key] - 1]);
    ck_assert_ptr_eq(context->key[key_index_of[keys[0]] - 1], number(3));
    context_release(context);
    core_set(remade_key, number(8));
    context = context_capture(FAMILY_UNIT);
    ck_assert_ptr_eq(context->key[key_index_of[remade_key] - 1], number(8));
    context_release(context);
    core_set(remade_key, NULL);
    empty_all();
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

/* ---- threads ---- */

static void set_own(void *unused)
{
    (void)unused;
    set_all(4);
    set_all(9);
    for (unsigned i = 0; i < KEYS; i++) {
        ck_assert_ptr_eq(core_get(keys[i]), value_in(9, i));
        if (value_in(9, i) != value_in(1, i))
            ck_assert_ptr_eq(pthread_getspecific(keys[i]), value_in(9, i));
    }
    ck_assert_int_eq(core_set_by(keys[2], number(1), refuse), ENOMEM);
    ck_assert_ptr_eq(core_get(keys[2]), value_in(9, 2));
}

START_TEST(test_thread_has_what_it_sets_in_the_c_library_too)
{
    unsigned first = 1;

    set_all(first);
    pthread_join(core_thread(set_own, NULL), NULL);
    look_for(&first);
    empty_all();
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

/* The C library has memory for a thread's first keys only, and asks for more where one of the others is set. */
enum { FIRST = 0, OTHER = 40 };

static void set_other(void *unused)
{
    (void)unused;
    core_set(keys[OTHER], number(3));
}

static void be_refused(void *unused)
{
    (void)unused;
    ck_assert_uint_eq(keys[FIRST] / KEYS_TOGETHER, 0);
    ck_assert_uint_eq(keys[OTHER] / KEYS_TOGETHER, 1);
    ck_assert_uint_eq(keys[OTHER + 1] / KEYS_TOGETHER, 1);
    ck_assert_int_eq(core_set(keys[OTHER], NULL), 0);
    ck_assert_int_eq(core_set_by(keys[OTHER + 1], number(1), refuse), ENOMEM);
    ck_assert_ptr_null(core_get(keys[OTHER + 1]));
    ck_assert_int_eq(core_set(keys[FIRST], number(2)), 0);
    ck_assert_int_eq(core_set(keys[OTHER], NULL), 0);
    ck_assert_int_eq(core_set_by(keys[OTHER], number(1), refuse), ENOMEM);
    ck_assert_ptr_null(core_get(keys[OTHER]));
    core_run(context_capture(FAMILY_UNIT), set_other, NULL);
    ck_assert_int_eq(core_set_by(keys[OTHER], number(1), refuse), ENOMEM);
    ck_assert_ptr_null(core_get(keys[OTHER]));
}

START_TEST(test_thread_has_nothing_that_the_c_library_refused)
{
    empty_all();
    pthread_join(core_thread(set_other, NULL), NULL); /* and the next has its block */
    pthread_join(core_thread(be_refused, NULL), NULL);
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

static unsigned destroyed;

static void destroy(void *value)
{
    destroyed += value == number(2) ? 1 : 100;
}

static void *hand_over_and_end(void *unused)
{
    thread_enter();
    core_set(keys[0], number(1));
    context_release(context_capture(FAMILY_UNIT));
    core_set(remade_key, number(2));
    from_task[0] = context_capture(FAMILY_UNIT);
    return unused;
}

static void look_for_the_second(void *unused)
{
    (void)unused;
    ck_assert_ptr_eq(core_get(remade_key), number(2));
}

START_TEST(test_draft_has_no_value_of_a_key_with_a_destructor)
{
    pthread_t thread;

    core_key_delete(remade_key);
    ck_assert_int_eq(core_key_create(&remade_key, destroy), 0);
    pthread_create(&thread, NULL, hand_over_and_end, NULL);
    pthread_join(thread, NULL);
    ck_assert_uint_eq(destroyed, 0); /* the owner has gone, but a task will see it */
    core_run(from_task[0], look_for_the_second, NULL);
    context_flush_releases(thread_self);
    ck_assert_uint_eq(destroyed, 1);
    make_key_again(&remade_key);
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

static struct vars_map *map_with(struct var *variable, void *value)
{
    struct vars_entry *entry = vars_entry_new(variable, value);
    struct vars_map *map = NULL;

    ck_assert(vars_with(NULL, entry, &map));
    vars_entry_unref(entry);
    return map;
}

START_TEST(test_draft_that_is_a_copy_keeps_the_variables_too)
{
    static struct var *variable; /* which is for good */
    struct context *first, *second;
    struct vars_map *map, *other;

    variable = vars_new_var("variable", NULL, NULL);
    map = map_with(variable, number(5));
    thread_enter();
    vars_where(thread_self);
    core_set(keys[0], number(1));
    vars_set_now(thread_self, map);
    first = context_capture(FAMILY_UNIT);
    core_set(keys[0], number(2));
    second = context_capture(FAMILY_UNIT);
    ck_assert_ptr_ne(first, second);
    vars_set_now(thread_self, NULL);
    context_release(first);
    context_flush_releases(thread_self);
    other = map_with(variable, number(6)); /* in memory that is free */
    ck_assert_ptr_ne(other, map);
    ck_assert_ptr_eq(second->vars, map);
    ck_assert_ptr_eq(vars_find(map, variable)->value, number(5));
    vars_unref(other);
    context_release(second);
    empty_all();
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

/* ---- the memory of contexts ---- */

enum { BLOCKS = 400 };

static void **some_blocks(void)
{
    void **blocks = calloc(BLOCKS, sizeof *blocks);

    for (unsigned i = 0; i < BLOCKS; i++) {
        if (!(blocks[i] = blocks_alloc(thread_self)))
            ck_abort_msg("no memory");
        memset(blocks[i], (int)(i % 251), sizeof(struct context));
    }
    return blocks;
}

static void give_back(void **blocks)
{
    unsigned wrong = 0;

    for (unsigned i = 0; i < BLOCKS; i++) {
        for (size_t at = 0; at < sizeof(struct context); at++)
            wrong += ((unsigned char *)blocks[i])[at] != i % 251;
        blocks_free(thread_self, blocks[i]);
    }
    ck_assert_uint_eq(wrong, 0);
    free(blocks);
}

static void *give_back_elsewhere(void *blocks)
{
    thread_begin();
    give_back(blocks);
    give_back(some_blocks());
    thread_leave(thread_self);
    return NULL;
}

static int by_address(const void *one, const void *other)
{
    uintptr_t a = (uintptr_t) * (void *const *)one, b = (uintptr_t) * (void *const *)other;

    return (a > b) - (a < b);
}

START_TEST(test_blocks_are_nobody_elses_and_used_again)
{
    void **first, **second;
    pthread_t thread;
    unsigned again = 0, twice = 0;

    thread_enter();
    first = some_blocks();
    pthread_create(&thread, NULL, give_back_elsewhere, some_blocks());
    pthread_join(thread, NULL);
    second = calloc(BLOCKS, sizeof *second);
    memcpy(second, first, BLOCKS * sizeof *second);
    qsort(second, BLOCKS, sizeof *second, by_address);
    for (unsigned i = 1; i < BLOCKS; i++)
        twice += second[i] == second[i - 1];
    ck_assert_uint_eq(twice, 0);
    give_back(first);
    first = some_blocks();
    for (unsigned i = 0; i < BLOCKS; i++)
        again += bsearch(&first[i], second, BLOCKS, sizeof *second, by_address) != NULL;
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    ck_assert_uint_gt(again, BLOCKS / 4);
#endif
    give_back(first);
    free(second);
}
END_TEST

static __attribute__((noinline)) void begin(void)
{
    static char carry[64 + 16 * KEYS];
    size_t at = 0;

    if (key_index_of[keys[0]]) /* Check does not always fork for a test */
        return;
    at += (size_t)snprintf(carry, sizeof carry, "BATON_CARRY=key:remade_key");
    for (unsigned k = 0; k < KEYS; k++)
        at += (size_t)snprintf(carry + at, sizeof carry - at, ";key:n=%u", k + 2);
    snprintf(carry + at, sizeof carry - at, ";key:n=%u;key:n=%u", KEYS + 2, KEYS + 3);
    slot_counts_begin();
    core_start(carry);
    ck_assert_int_eq(core_key_create(&remade_key, NULL), 0);
    for (unsigned k = 0; k < KEYS; k++)
        ck_assert_int_eq(core_key_create(&keys[k], NULL), 0);
    ck_assert_int_eq(core_key_create(&late_key, NULL), 0);
    do
        slots_resolve();
    while (slots_stale); /* nobody waits for newcomer_key */
    ck_assert_uint_eq(slots_key_count, KEYS + 3);
    for (unsigned k = 0; k < KEYS; k++)
        ck_assert_uint_ne(key_index_of[keys[k]], 0);
    ck_assert_uint_ne(key_index_of[remade_key], 0);
    ck_assert_uint_ne(key_index_of[late_key], 0);
}

int main(void)
{
    TCase *tests = tcase_create("draft");

    tcase_set_timeout(tests, 60);
    tcase_add_unchecked_fixture(tests, begin, NULL);
    tcase_add_test(tests, test_draft_of_before_a_key_is_another_after_it);
    tcase_add_test(tests, test_draft_hands_over_each_round_as_it_was);
    tcase_add_test(tests, test_draft_that_has_lost_its_values_is_empty);
    tcase_add_test(tests, test_draft_of_an_empty_one_has_what_was_set_since);
    tcase_add_test(tests, test_draft_has_nothing_that_the_c_library_refused);
    tcase_add_test(tests, test_draft_is_nothing_for_a_signal_handler);
    tcase_add_test(tests, test_draft_stays_with_the_thread_s_own_stack);
    tcase_add_test(tests, test_draft_is_not_handed_out_once_the_end_has_begun);
    tcase_add_test(tests, test_task_that_hands_over_tells_what_has_a_value);
    tcase_add_test(tests, test_draft_tells_that_a_key_had_a_value);
    tcase_add_test(tests, test_draft_counts_each_handoff_once);
    tcase_add_test(tests, test_draft_is_not_a_task_s);
    tcase_add_test(tests, test_task_within_a_task_leaves_that_as_it_was);
    tcase_add_test(tests, test_task_that_has_set_keys_leaves_its_runs_too);
    tcase_add_test(tests, test_task_hands_over_what_it_has_set_so_far);
    tcase_add_test(tests, test_task_hands_over_nothing_of_a_key_that_has_gone);
    tcase_add_test(tests, test_task_leaves_the_draft_of_its_thread_alone);
    tcase_add_test(tests, test_task_that_jumps_out_takes_its_values_along);
    tcase_add_test(tests, test_task_sees_nothing_of_a_key_that_was_made_again);
    tcase_add_test(tests, test_thread_has_what_it_sets_in_the_c_library_too);
    tcase_add_test(tests, test_thread_has_nothing_that_the_c_library_refused);
    tcase_add_test(tests, test_draft_has_no_value_of_a_key_with_a_destructor);
    tcase_add_test(tests, test_draft_that_is_a_copy_keeps_the_variables_too);
    tcase_add_test(tests, test_blocks_are_nobody_elses_and_used_again);
    return suite_run("draft", tests);
}
