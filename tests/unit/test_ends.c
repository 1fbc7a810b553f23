// promise: what a thread, a task, a key, a coroutine or a child leaves behind at its end goes with it, nothing more
#include <setjmp.h>
#include <sys/wait.h>
#include <unistd.h>

#include "context/coroutine.h"
#include "context/internal.h"
#include "context/slot_counts.h"
#include "context/variables.h"
#include "core.h"
#include "suite.h"

pthread_key_t plain_key, owned_key;
pthread_key_t given_key; /* before the others' key indexes */
static _Atomic int destroyed, ended;
static char values[8];
static void *given_at_destruction;

static void destroy(void *value)
{
    destroyed++;
    given_at_destruction = core_get(given_key);
}

static void set_up(void)
{
    static bool is_started;
    static char carry[] = "BATON_CARRY=key:given_key;key:plain_key;key:owned_key";

    if (!is_started) {
        is_started = true;
        core_start(carry);
        thread_enter();
        ck_assert_int_eq(core_key_create(&plain_key, NULL), 0);
        ck_assert_int_eq(core_key_create(&owned_key, destroy), 0);
        ck_assert_int_eq(core_key_create(&given_key, destroy), 0);
    }
    destroyed = ended = 0;
    core_set(plain_key, NULL);
    core_set(owned_key, NULL);
    core_set(given_key, NULL);
    ck_assert_int_eq(core_alive(), 0);
}

static void in_thread(void *(*call)(void *))
{
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, call, NULL), 0);
    pthread_join(thread, NULL);
}

/* ---- a thread's end ---- */

static struct thread *block;

static void hand_over(void *value)
{
    struct context *context;

    ended++;
    core_set(plain_key, value);
    context = context_capture(FAMILY_UNIT);
    ck_assert_ptr_nonnull(context);
    context_release(context);
}

static void *end_with_variables(void *unused)
{
    static struct var *var;
    struct thread *thread = block = thread_enter();
    struct vars_entry *entry;

    if (!var) /* the tests may run in one process */
        var = vars_new_var("of_a_thread", NULL, hand_over);
    entry = vars_entry_new(var, values);
    ck_assert(vars_where(thread) != 0);
    {
        struct vars_map *map;

        ck_assert(vars_with(NULL, entry, &map));
        vars_set_now(thread, map);
    }
    vars_entry_unref(entry);
    return NULL; /* the key of thread_init gives the block back */
}

/* In the block that was given back last, whose thread had a value. */
static void *capture_nothing(void *unused)
{
    struct context *context;

    ck_assert_ptr_eq(thread_enter(), block);
    context = context_capture(FAMILY_UNIT);
    ck_assert_ptr_nonnull(context);
    ck_assert(context->flags & CONTEXT_EMPTY);
    context_release(context);
    return NULL;
}

START_TEST(test_ends_thread_whose_free_function_hands_over_leaves_nothing_to_the_next)
{
    in_thread(end_with_variables);
    ck_assert_int_eq(ended, 1);
    in_thread(capture_nothing);
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

static void *suppress(void *unused)
{
    block = thread_enter();
    core_set(plain_key, values);
    context_release(context_capture(FAMILY_UNIT));
    block->suppress = 3;
    return NULL;
}

/* Nothing else that its end would have to look after. */
static void *suppress_only(void *unused)
{
    block = thread_enter();
    thread_give_spares(block);
    block->suppress = 3;
    return NULL;
}

static void *capture_there(void *unused)
{
    struct context *context;

    ck_assert_ptr_eq(thread_enter(), block); /* the last that was given back */
    core_set(plain_key, values);
    context = context_capture(FAMILY_UNIT);
    ck_assert_ptr_nonnull(context);
    ck_assert(!(context->flags & CONTEXT_EMPTY));
    context_release(context);
    core_set(plain_key, NULL);
    return NULL;
}

START_TEST(test_ends_thread_that_suppressed_leaves_no_trace_in_its_block)
{
    in_thread(suppress);
    in_thread(capture_there);
    in_thread(suppress_only);
    in_thread(capture_there);
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

static void *free_records(void *records)
{
    thread_enter();
    for (struct record **record = records; *record; record++)
        record_free(*record);
    return NULL;
}

static void add_freed(struct thread *thread, void *sum)
{
    *(int64_t *)sum += (int64_t)thread->records.freed;
}

START_TEST(test_ends_thread_tells_of_the_records_that_it_freed)
{
    struct record *records[] = {record_new(), record_new(), record_new(), NULL};
    int64_t before = 0, after = 0;
    pthread_t thread;

    thread_each(add_freed, &before);
    ck_assert_int_eq(pthread_create(&thread, NULL, free_records, records), 0);
    pthread_join(thread, NULL);
    thread_each(add_freed, &after);
    ck_assert_int_eq(after - before, 3);
}
END_TEST

/* ---- a task's end ---- */

static jmp_buf out;
static struct vars_context *entered;

static void enter_and_jump(void *unused)
{
    core_set(plain_key, values + 1);
    ck_assert_int_eq(vars_enter(entered, arch_sp()), VARS_RUN_OK);
    longjmp(out, 1);
}

START_TEST(test_ends_task_that_jumps_out_of_a_run_leaves_the_run)
{
    core_set(plain_key, values);
    entered = vars_context_new(NULL);
    if (!setjmp(out))
        core_run(context_capture(FAMILY_UNIT), enter_and_jump, NULL);
    core_set(plain_key, values + 2); /* no handoff: nobody else looks for runs */
    ck_assert(!thread_is_attached(thread_self));
    ck_assert_ptr_null(thread_self->runs);
    ck_assert_int_eq(atomic_load(&entered->is_entered), 0);
    ck_assert_int_eq(atomic_load(&entered->refs), 1);
    vars_context_unref(entered);
}
END_TEST

static void set_owned(void *unused)
{
    core_set(owned_key, values);
}

START_TEST(test_ends_task_whose_value_is_destroyed_still_has_those_it_was_given)
{
    core_set(given_key, values + 3);
    core_run(context_capture(FAMILY_UNIT), set_owned, NULL);
    ck_assert_int_eq(destroyed, 1);
    ck_assert_ptr_eq(given_at_destruction, values + 3);
    core_set(given_key, NULL);
    ck_assert_int_eq(core_alive(), 0);
    ck_assert_int_eq(destroyed, 1);
}
END_TEST

static void set_and_remake(void *unused)
{
    core_set(owned_key, values);
    core_key_delete(owned_key);
    ck_assert_int_eq(core_key_create(&owned_key, destroy), 0);
}

START_TEST(test_ends_task_does_not_destroy_a_value_of_a_key_that_was_made_again)
{
    core_set(plain_key, values);
    core_run(context_capture(FAMILY_UNIT), set_and_remake, NULL);
    ck_assert_int_eq(destroyed, 0); /* who deletes a key looks after its values */
}
END_TEST

static void set_and_delete(void *unused)
{
    core_set(owned_key, values);
    core_key_delete(owned_key);
}

START_TEST(test_ends_task_does_not_destroy_a_value_of_a_key_that_is_gone)
{
    core_set(plain_key, values);
    core_run(context_capture(FAMILY_UNIT), set_and_delete, NULL);
    ck_assert_int_eq(destroyed, 0);
    ck_assert_int_eq(core_key_create(&owned_key, destroy), 0);
}
END_TEST

static void set_remake_and_set(void *unused)
{
    set_and_remake(NULL);
    core_key_delete(plain_key);
    ck_assert_int_eq(core_key_create(&plain_key, NULL), 0);
    core_set(plain_key, values + 1);
    ck_assert_ptr_null(core_get(owned_key));
    ck_assert_ptr_eq(core_get(plain_key), values + 1);
    ck_assert(!(
        context_overlay_part(thread_self->attached)->set[0] >> (key_index_of[owned_key] - 1) & 1));
}

START_TEST(test_ends_key_that_was_made_again_is_not_set_in_a_task_that_had_set_it)
{
    core_set(plain_key, values);
    core_run(context_capture(FAMILY_UNIT), set_remake_and_set, NULL);
    ck_assert_int_eq(destroyed, 0);
}
END_TEST

START_TEST(test_ends_value_of_a_key_that_was_made_again_is_not_destroyed_with_its_contexts)
{
    struct context *context;

    core_set(owned_key, values);
    context = context_capture(FAMILY_UNIT);
    context_drop_snapshot(thread_self);
    ck_assert(values_defer(key_index_of[owned_key] - 1u,
                           key_bindings[key_index_of[owned_key] - 1].since, values));
    core_key_delete(owned_key);
    ck_assert_int_eq(core_key_create(&owned_key, destroy), 0);
    context_release(context);
    context_flush_releases(thread_self);
    ck_assert_int_eq(destroyed, 0);
}
END_TEST

/* ---- a key's end ---- */

START_TEST(test_ends_key_gives_the_place_of_its_destructor_back)
{
    int trampoline_id;

    for (int i = 0; i < 600; i++) {
        pthread_key_t key;

        ck_assert_int_eq(core_key_create(&key, destroy), 0);
        core_key_delete(key);
        /* One that cannot be made. */
        ck_assert(key_will_create(destroy, &trampoline_id) != destroy);
        key_created(trampoline_id, 0, NULL, NULL, false);
    }
    ck_assert(key_will_create(destroy, &trampoline_id) != destroy);
    key_created(trampoline_id, 0, NULL, NULL, false);
}
END_TEST

static unsigned destroyed_by_other;

static void destroy_other(void *value)
{
    destroyed_by_other++;
}

/* Another thread ends while the C library still has the key. */
START_TEST(test_ends_key_that_is_being_deleted_has_its_own_destructor)
{
    int trampoline_id, deleted;
    key_destructor *guarded = key_will_create(destroy, &trampoline_id);
    pthread_key_t key, other;

    ck_assert_int_eq(pthread_key_create(&key, guarded), 0);
    key_created(trampoline_id, key, &key, __builtin_return_address(0), true);
    deleted = key_will_delete(key);
    ck_assert_int_eq(core_key_create(&other, destroy_other), 0);
    guarded(values);
    ck_assert_int_eq(destroyed, 1);
    pthread_key_delete(key);
    key_deleted(deleted);
    core_key_delete(other);
    for (int i = 0; i < 200; i++) { /* a thread that has read the function before */
        ck_assert_int_eq(core_key_create(&other, destroy_other), 0);
        core_key_delete(other);
    }
    guarded(values);
    ck_assert_int_eq(destroyed, 2);
    ck_assert_int_eq(destroyed_by_other, 0);
}
END_TEST

/* ---- a coroutine's end ---- */

START_TEST(test_ends_coroutine_is_not_remembered)
{
    static char stack[4096] __attribute__((aligned(64)));
    uintptr_t low = (uintptr_t)stack, sp = low + sizeof stack;
    struct coroutine *coroutine = coroutine_new(low, sizeof stack, NULL, NULL, 0);
    struct coroutines *own = coroutine_own_slow();

    ck_assert_ptr_nonnull(coroutine);
    coroutine_made(coroutine, stack, sp);
    ck_assert_ptr_eq(coroutine_find(own, stack, sp), coroutine);
    coroutine_switch(thread_self, own, coroutine);
    coroutine_end(own, coroutine, &own->main_stack);
    for (unsigned i = 0; i < COROUTINES_RECENT; i++)
        ck_assert_ptr_ne(own->recent[i], coroutine);
    ck_assert_ptr_eq(coroutine_find_slow(own, stack, sp), &own->main_stack);
}
END_TEST

/* One that stays would be found at the stack of whoever has its place then, and hide those behind it. */
START_TEST(test_ends_coroutine_leaves_the_table)
{
    enum { STACKS = 5, SIZE = 4096 };
    static char stacks[STACKS][SIZE] __attribute__((aligned(64)));
    struct coroutine *all[STACKS];
    struct coroutines *own = coroutine_own_slow();

    for (unsigned i = 0; i < STACKS; i++) {
        all[i] = coroutine_new((uintptr_t)stacks[i], SIZE, NULL, NULL, 0);
        ck_assert_ptr_nonnull(all[i]);
        if (i == STACKS - 2) {
            coroutine_switch(thread_self, own, all[2]);
            coroutine_end(own, all[2], &own->main_stack);
        }
    }
    ck_assert_ptr_eq(all[4], all[2]); /* it is used again */
    for (unsigned i = 0; i < STACKS; i++) {
        if (i != 2)
            ck_assert_ptr_eq(coroutine_find_slow(own, stacks[i], (uintptr_t)stacks[i] + SIZE / 2),
                             all[i]);
    }
    for (unsigned i = 0; i < STACKS; i++) {
        if (i == 2)
            continue;
        coroutine_switch(thread_self, own, all[i]);
        coroutine_end(own, all[i], &own->main_stack);
    }
}
END_TEST

/* ---- a child's beginning ---- */

static void fork_with_a_batch(void *unused)
{
    struct thread *thread = thread_self;
    struct context *context;
    int status;
    pid_t child;

    context_release(context_capture(FAMILY_UNIT));
    context = thread->batch.context;
    ck_assert_ptr_nonnull(context);
    ck_assert_int_gt(thread->batch.refs, 0);
    context_fork_lock();
    child = fork();
    context_fork_unlock(child == 0);
    if (!child) {
        int64_t refs = atomic_load(&context->refs) - thread->batch.refs - 1;
        bool is_counted = context_count_alive() > 0;

        if (context == thread->deferred.context)
            refs -= DEFERRED_MAX - thread->deferred.releases;
        context_flush_batch(thread);
        context_flush_releases(thread);
        _exit(is_counted || atomic_load(&context->refs) != refs || refs <= 0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ck_assert_ptr_nonnull(thread->batch.context); /* the parent's own stays */
}

START_TEST(test_ends_child_has_the_references_of_its_thread)
{
    core_set(plain_key, values);
    pthread_join(core_thread(fork_with_a_batch, NULL), NULL);
}
END_TEST

/* By a thread that nobody knows: it is counted where a child must not look. */
static void *let_go(void *context)
{
    ck_assert_ptr_eq(thread_self, &thread_unknown);
    context_put(context, 1);
    return NULL;
}

START_TEST(test_ends_child_counts_no_context_of_its_parent)
{
    struct context *context;
    pthread_t thread;
    int status;
    pid_t child;

    core_set(plain_key, values);
    context = context_capture(FAMILY_UNIT);
    context_drop_snapshot(thread_self);
    pthread_create(&thread, NULL, let_go, context);
    pthread_join(thread, NULL);
    core_set(plain_key, NULL);
    ck_assert_int_eq(core_alive(), 0);
    ck_assert_int_ne(atomic_load(&context_alive), 0);
    context_fork_lock();
    child = fork();
    context_fork_unlock(child == 0);
    if (!child)
        _exit(context_count_alive() != 0);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
}
END_TEST

static struct context *in_its_place;

/* A batch that is used up still names what nobody else has any more. */
static void use_up_a_batch(void *unused)
{
    struct thread *thread = thread_self;
    int handoffs = 0;

    core_set(plain_key, values + 1);
    do {
        context_release(context_capture(FAMILY_UNIT));
        handoffs++;
    } while (thread->batch.refs > 0);
    ck_assert_int_eq(handoffs, REFS_BATCH + 1);
    context_flush_releases(thread);
    core_set(plain_key, NULL);
    in_its_place = context_capture(FAMILY_UNIT);
    ck_assert(in_its_place->flags & CONTEXT_EMPTY);
}

START_TEST(test_ends_batch_that_is_used_up_is_counted_as_what_it_was)
{
    struct slot_count before[3] = {{0}}, after[3] = {{0}};

    slot_counts_on = true;
    slot_counts_sum(before);
    core_set(plain_key, values);
    pthread_join(core_thread(use_up_a_batch, NULL), NULL);
    core_set(plain_key, NULL);
    context_release(in_its_place);
    core_alive();
    slot_counts_sum(after);
    slot_counts_on = false;
    ck_assert_uint_eq(after[1].captured - before[1].captured, REFS_BATCH + 2);
    ck_assert_uint_eq(after[2].captured - before[2].captured, 0);
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("ends");

    tcase_add_checked_fixture(tests, set_up, NULL);
    /* First: once a key has been made again nothing is lent, also in one process (CK_FORK=no). */
    tcase_add_test(tests, test_ends_child_has_the_references_of_its_thread);
    tcase_add_test(tests, test_ends_child_counts_no_context_of_its_parent);
    tcase_add_test(tests, test_ends_batch_that_is_used_up_is_counted_as_what_it_was);
    tcase_add_test(tests,
                   test_ends_thread_whose_free_function_hands_over_leaves_nothing_to_the_next);
    tcase_add_test(tests, test_ends_thread_that_suppressed_leaves_no_trace_in_its_block);
    tcase_add_test(tests, test_ends_thread_tells_of_the_records_that_it_freed);
    tcase_add_test(tests, test_ends_task_that_jumps_out_of_a_run_leaves_the_run);
    tcase_add_test(tests, test_ends_task_whose_value_is_destroyed_still_has_those_it_was_given);
    tcase_add_test(tests, test_ends_task_does_not_destroy_a_value_of_a_key_that_was_made_again);
    tcase_add_test(tests, test_ends_task_does_not_destroy_a_value_of_a_key_that_is_gone);
    tcase_add_test(tests, test_ends_key_that_was_made_again_is_not_set_in_a_task_that_had_set_it);
    tcase_add_test(tests,
                   test_ends_value_of_a_key_that_was_made_again_is_not_destroyed_with_its_contexts);
    tcase_add_test(tests, test_ends_key_that_is_being_deleted_has_its_own_destructor);
    tcase_add_test(tests, test_ends_key_gives_the_place_of_its_destructor_back);
    tcase_add_test(tests, test_ends_coroutine_is_not_remembered);
    tcase_add_test(tests, test_ends_coroutine_leaves_the_table);
    return suite_run("ends", tests);
}
