// promise: state that functions read and write is a task's for its time, however it ends, where nothing else is attached
#include <fenv.h>
#include <langinfo.h>
#include <locale.h>
#include <setjmp.h>
#include <sys/prctl.h>

#include "context/fast.h"
#include "core.h"
#include "on_valgrind.h"
#include "suite.h"

enum { BY_ROUNDING, BY_NAME, BY_LOCALE };

#ifndef FRONT_ITEMS
#define FRONT_ITEMS "key:front_key;fenv"
#define FRONT_IS_IN_LINE 1
#endif
#ifndef FRONT_BY
#define FRONT_BY BY_ROUNDING
#define FRONT_FORM WORD_ONE
#endif

pthread_key_t front_key;

/* Values of what is carried: the first is what a thread begins with. */
enum { FIRST, UPWARD, DOWNWARD, TO_ZERO, VALUES };
static const int roundings[VALUES] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
static const char *const names[VALUES] = {"sharing-first", "sharing-up", "sharing-down-15",
                                          "sharing-zero"};
static const int locale_masks[VALUES] = {0, LC_CTYPE_MASK, LC_COLLATE_MASK,
                                         LC_CTYPE_MASK | LC_COLLATE_MASK};
static locale_t locales[VALUES];

static bool is_utf8(locale_t locale, int category)
{
    return strcmp(nl_langinfo_l(_NL_LOCALE_NAME(category), locale), "C") != 0;
}

static int value_now(void)
{
    locale_t locale = uselocale((locale_t)0);
    char name[16];
    int value = FIRST;

    if (FRONT_BY == BY_LOCALE)
        return locale == LC_GLOBAL_LOCALE
                   ? FIRST
                   : is_utf8(locale, LC_CTYPE) + 2 * is_utf8(locale, LC_COLLATE);
    prctl(PR_GET_NAME, name);
    while (value < VALUES && (FRONT_BY == BY_NAME ? strcmp(names[value], name) != 0
                                                  : roundings[value] != fegetround()))
        value++;
    return value;
}

static void set_locale(locale_t locale)
{
    locale_t before = uselocale(locale);

    for (unsigned i = 0; i < VALUES; i++) {
        if (before == LC_GLOBAL_LOCALE || before == locales[i])
            return;
    }
    freelocale(before); /* lent, and taken over */
}

static void value_set(int value)
{
    if (FRONT_BY == BY_LOCALE)
        set_locale(locales[value]);
    else if (FRONT_BY == BY_NAME)
        prctl(PR_SET_NAME, names[value]);
    else
        fesetround(roundings[value]);
}

static void values_begin(void)
{
    for (unsigned i = 0; FRONT_BY == BY_LOCALE && i < VALUES; i++)
        locales[i] = i ? newlocale(locale_masks[i], "C.UTF-8", NULL) : LC_GLOBAL_LOCALE;
    value_set(FIRST);
}

enum { WAYS = 2 };

/* As the trampolines that have it in line. */
static GUARDED void run_quickly(struct context *context, void (*call)(void *), void *arg)
{
    GUARDED_FRAME();
    struct thread *thread = thread_self;

    if (!thread_is_word_only(thread) || !scope_may_enter_word(FRONT_FORM, context)) {
        core_run(context, call, arg);
        return;
    }
    SCOPE_RUN_WORD(FRONT_FORM, thread, context, FRAME_OWNED, call(arg));
}

static void run(int way, struct context *context, void (*call)(void *), void *arg)
{
    (way ? run_quickly : core_run)(context, call, arg);
}

static struct context *captured_as(int round)
{
    int before = value_now();
    struct context *context;

    value_set(round);
    context = context_capture(FAMILY_UNIT);
    value_set(before);
    ck_assert_ptr_nonnull(context);
    return context;
}

/* A copy is its task's alone, and goes with it. */
START_TEST(test_front_copy_is_kept_by_nobody)
{
    struct context *context;

    value_set(UPWARD);
    context = context_capture(FAMILY_UNIT);
    ck_assert_int_eq(atomic_load(&context->refs), 1);
    value_set(FIRST);
    context_release(context);
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

struct task {
    int way, seen, sets;
    struct context *inner;
    jmp_buf *out;
    bool sets_key, ends;
    void *key_seen;
};

static void act(void *arg)
{
    struct task *task = arg;

    task->seen = value_now();
    task->key_seen = core_get(front_key);
    if (task->inner) {
        struct task inner = {.sets = TO_ZERO};

        run(task->way, task->inner, act, &inner);
        ck_assert_int_eq(inner.seen, DOWNWARD);
        ck_assert_int_eq(value_now(), task->seen);
    }
    if (task->sets_key) {
        core_set(front_key, task);
        ck_assert_ptr_eq(core_get(front_key), task);
    }
    if (task->sets >= 0)
        value_set(task->sets);
    if (task->out)
        longjmp(*task->out, 1);
    if (task->ends)
        pthread_exit(NULL);
}

/* All that a task may do, from a submitter whose value is the receiver's, and from one whose is not. */
START_TEST(test_front_puts_back)
{
    static const int rounds[] = {FIRST, UPWARD};

    for (unsigned i = 0; i < 2; i++) {
        for (int sets = -1; sets < 2; sets++) {
            for (unsigned more = 0; more < 4; more++) {
                struct task task = {
                    .way = _i, .sets = sets < 0 ? -1 : rounds[sets], .sets_key = more & 1};

                if (more & 2)
                    task.inner = captured_as(DOWNWARD);
                run(_i, captured_as(rounds[i]), act, &task);
                ck_assert_int_eq(task.seen, rounds[i]);
                ck_assert_int_eq(value_now(), FIRST);
                ck_assert_ptr_null(core_get(front_key));
            }
        }
    }
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

START_TEST(test_front_capture_notices_what_changed)
{
    struct context *one = captured_as(UPWARD), *same = captured_as(UPWARD),
                   *other = captured_as(DOWNWARD);
    struct task task = {.sets = -1};

    ck_assert_int_eq(slot_word_is_right(one->epoch), FRONT_IS_IN_LINE);
    if (FRONT_BY == BY_LOCALE) /* each has a copy of its own */
        ck_assert_ptr_ne(one, same);
    else
        ck_assert_ptr_eq(one, same);
    ck_assert_ptr_ne(one, other);
    run(_i, other, act, &task);
    ck_assert_int_eq(task.seen, DOWNWARD);
    run(_i, one, act, &task);
    ck_assert_int_eq(task.seen, UPWARD);
    context_release(same);
    value_set(UPWARD);
    run(_i, context_ref(context_empty), act, &task); /* an empty slot, and not what is here */
    ck_assert_int_eq(task.seen, FRONT_BY == BY_NAME ? UPWARD : FIRST); /* there is no "no name" */
    ck_assert_int_eq(value_now(), UPWARD);
    value_set(FIRST);
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

/* A thread that has the first value all the time, which is captured again and again. */
START_TEST(test_front_capture_notices_another_key)
{
    struct context *none = captured_as(FIRST), *one, *same, *other;
    struct task task = {.sets = -1};

    core_set(front_key, &one);
    one = captured_as(FIRST);
    same = captured_as(FIRST);
    core_set(front_key, &other);
    other = captured_as(FIRST);
    core_set(front_key, NULL);
    ck_assert_ptr_eq(one, same);
    run(_i, other, act, &task);
    ck_assert_ptr_eq(task.key_seen, &other);
    run(_i, one, act, &task);
    ck_assert_ptr_eq(task.key_seen, &one);
    run(_i, none, act, &task);
    ck_assert_ptr_null(task.key_seen);
    context_release(same);
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

static __attribute__((noinline)) void jump_out(int way, struct task *task)
{
    jmp_buf out;

    task->out = &out;
    if (!setjmp(out))
        run(way, captured_as(UPWARD), act, task);
}

START_TEST(test_front_jumps)
{
    for (unsigned more = 0; more < 2; more++) {
        struct task task = {.way = _i, .sets = TO_ZERO, .sets_key = more & 1};

        jump_out(_i, &task);
        context_release(context_capture(FAMILY_UNIT)); /* the next handoff finds out */
        ck_assert_int_eq(value_now(), FIRST);
        ck_assert_ptr_null(core_get(front_key));
    }
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

static void see_at_exit(void *seen)
{
    *(int *)seen = value_now();
}

static void *end_in_a_task(void *arg)
{
    struct task *task = arg;

    value_set(DOWNWARD);
    pthread_cleanup_push(see_at_exit, &task->sets);
    run(task->way, task->inner, act, &(struct task){.sets = TO_ZERO, .ends = true});
    pthread_cleanup_pop(0);
    return NULL;
}

START_TEST(test_front_ends_its_thread)
{
    struct task task = {.way = _i, .inner = captured_as(UPWARD)};
    pthread_t thread;

    pthread_create(&thread, NULL, end_in_a_task, &task);
    pthread_join(thread, NULL);
    ck_assert_int_eq(task.sets, DOWNWARD);
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
    values_begin();
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, test_front_puts_back, 0, WAYS);
    tcase_add_loop_test(tc, test_front_capture_notices_what_changed, 0, WAYS);
    tcase_add_loop_test(tc, test_front_capture_notices_another_key, 0, WAYS);
    tcase_add_loop_test(tc, test_front_jumps, 0, WAYS);
    tcase_add_loop_test(tc, test_front_ends_its_thread, 0, WAYS);
    if (FRONT_BY == BY_LOCALE)
        tcase_add_test(tc, test_front_copy_is_kept_by_nobody);
#ifdef __x86_64__
    if (FRONT_BY == BY_ROUNDING &&
        !RUNNING_ON_VALGRIND) /* which does not keep an exception that is pending */
        tcase_add_loop_test(tc, test_front_leaves_what_is_pending, 0, WAYS);
#endif
    return suite_run("front", tc);
}
