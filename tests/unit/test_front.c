// promise: state that functions read and write is a task's for its time, however it ends, where nothing else is attached
#include <fenv.h>
#include <setjmp.h>

#include "context/fast.h"
#include "core.h"
#include "on_valgrind.h"
#include "suite.h"

#ifndef FRONT_ITEMS
#define FRONT_ITEMS "key:front_key;fenv"
#define FRONT_IS_IN_LINE 1
#endif

pthread_key_t front_key;

enum { WAYS = 2 };

/* As the trampolines that have it in line. */
static GUARDED void run_quickly(struct context *context, void (*call)(void *), void *arg)
{
    GUARDED_FRAME();
    struct thread *thread = thread_self;

    if (!thread_is_word_only(thread) || !slot_word_is_right(context->epoch)) {
        core_run(context, call, arg);
        return;
    }
    SCOPE_RUN_WORD(thread, context, FRAME_OWNED, call(arg));
}

static void run(int way, struct context *context, void (*call)(void *), void *arg)
{
    (way ? run_quickly : core_run)(context, call, arg);
}

static struct context *captured_as(int round)
{
    int before = fegetround();
    struct context *context;

    fesetround(round);
    context = context_capture(FAMILY_UNIT);
    fesetround(before);
    ck_assert_ptr_nonnull(context);
    return context;
}

struct task {
    int way, seen, sets;
    struct context *inner;
    jmp_buf *out;
    bool sets_key, ends;
};

static void act(void *arg)
{
    struct task *task = arg;

    task->seen = fegetround();
    if (task->inner) {
        struct task inner = {.sets = FE_TOWARDZERO};

        run(task->way, task->inner, act, &inner);
        ck_assert_int_eq(inner.seen, FE_DOWNWARD);
        ck_assert_int_eq(fegetround(), task->seen);
    }
    if (task->sets_key) {
        core_set(front_key, task);
        ck_assert_ptr_eq(core_get(front_key), task);
    }
    if (task->sets >= 0)
        fesetround(task->sets);
    if (task->out)
        longjmp(*task->out, 1);
    if (task->ends)
        pthread_exit(NULL);
}

/* All that a task may do, from a submitter whose value is the receiver's, and from one whose is not. */
START_TEST(test_front_puts_back)
{
    static const int rounds[] = {FE_TONEAREST, FE_UPWARD};

    for (unsigned i = 0; i < 2; i++) {
        for (int sets = -1; sets < 2; sets++) {
            for (unsigned more = 0; more < 4; more++) {
                struct task task = {
                    .way = _i, .sets = sets < 0 ? -1 : rounds[sets], .sets_key = more & 1};

                if (more & 2)
                    task.inner = captured_as(FE_DOWNWARD);
                run(_i, captured_as(rounds[i]), act, &task);
                ck_assert_int_eq(task.seen, rounds[i]);
                ck_assert_int_eq(fegetround(), FE_TONEAREST);
                ck_assert_ptr_null(core_get(front_key));
            }
        }
    }
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

START_TEST(test_front_capture_notices_what_changed)
{
    struct context *one = captured_as(FE_UPWARD), *same = captured_as(FE_UPWARD),
                   *other = captured_as(FE_DOWNWARD);
    struct task task = {.sets = -1};

    ck_assert_int_eq(slot_word_is_right(one->epoch), FRONT_IS_IN_LINE);
    ck_assert_ptr_eq(one, same);
    ck_assert_ptr_ne(one, other);
    run(_i, other, act, &task);
    ck_assert_int_eq(task.seen, FE_DOWNWARD);
    run(_i, one, act, &task);
    ck_assert_int_eq(task.seen, FE_UPWARD);
    context_release(same);
    fesetround(FE_UPWARD);
    run(_i, context_ref(context_empty), act, &task); /* an empty slot, and not what is here */
    ck_assert_int_eq(task.seen, FE_TONEAREST);
    ck_assert_int_eq(fegetround(), FE_UPWARD);
    fesetround(FE_TONEAREST);
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

static __attribute__((noinline)) void jump_out(int way, struct task *task)
{
    jmp_buf out;

    task->out = &out;
    if (!setjmp(out))
        run(way, captured_as(FE_UPWARD), act, task);
}

START_TEST(test_front_jumps)
{
    for (unsigned more = 0; more < 2; more++) {
        struct task task = {.way = _i, .sets = FE_TOWARDZERO, .sets_key = more & 1};

        jump_out(_i, &task);
        context_release(context_capture(FAMILY_UNIT)); /* the next handoff finds out */
        ck_assert_int_eq(fegetround(), FE_TONEAREST);
        ck_assert_ptr_null(core_get(front_key));
    }
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

static void see_at_exit(void *seen)
{
    *(int *)seen = fegetround();
}

static void *end_in_a_task(void *arg)
{
    struct task *task = arg;

    fesetround(FE_DOWNWARD);
    pthread_cleanup_push(see_at_exit, &task->sets);
    run(task->way, task->inner, act, &(struct task){.sets = FE_TOWARDZERO, .ends = true});
    pthread_cleanup_pop(0);
    return NULL;
}

START_TEST(test_front_ends_its_thread)
{
    struct task task = {.way = _i, .inner = captured_as(FE_UPWARD)};
    pthread_t thread;

    pthread_create(&thread, NULL, end_in_a_task, &task);
    pthread_join(thread, NULL);
    ck_assert_int_eq(task.sets, FE_DOWNWARD);
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

#ifdef __x86_64__
static void divide_and_unmask(void *control)
{
    __asm__ volatile("fldz; fld1; fdiv %%st(1), %%st; fstp %%st(0); fstp %%st(0); fldcw %0" ::"m"(
        *(uint16_t *)control));
}

/* What is pending where the task has put its thread's control back itself is still to be raised. */
START_TEST(test_front_leaves_what_is_pending)
{
    struct context *context = context_capture(FAMILY_UNIT);
    uint16_t masked, unmasked, status;

    __asm__ volatile("fnstcw %0" : "=m"(masked));
    unmasked = masked & ~4u;
    __asm__ volatile("fnclex; fldcw %0" ::"m"(unmasked));
    run(_i, context, divide_and_unmask, &unmasked);
    __asm__ volatile("fnstsw %0; fnclex; fldcw %1" : "=m"(status) : "m"(masked));
    ck_assert_int_eq(status & 4, 4);
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST
#endif

/* Its caller is the program's, as a key's maker is. */
static __attribute__((noinline)) void make_key(void)
{
    if (core_key_create(&front_key, NULL))
        abort();
    __asm__("" ::: "memory"); /* no jump: it must return here */
}

int main(void)
{
    TCase *tc = tcase_create("front");

    core_start("BATON_CARRY=" FRONT_ITEMS);
    make_key();
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, test_front_puts_back, 0, WAYS);
    tcase_add_loop_test(tc, test_front_capture_notices_what_changed, 0, WAYS);
    tcase_add_loop_test(tc, test_front_jumps, 0, WAYS);
    tcase_add_loop_test(tc, test_front_ends_its_thread, 0, WAYS);
#ifdef __x86_64__
    if (!RUNNING_ON_VALGRIND) /* which does not keep an exception that is pending */
        tcase_add_loop_test(tc, test_front_leaves_what_is_pending, 0, WAYS);
#endif
    return suite_run("front", tc);
}
