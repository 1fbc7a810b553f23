// promise: getters and setters that attach, jump away or end their thread while an attach is made or left leave nothing
#include <errno.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <unwind.h>

#include "core.h"
#include "suite.h"

void *moving_get(void);
void moving_set(void *value);
void *moving_get_second(void);
void moving_set_second(void *value);

static __thread uintptr_t first;
#ifdef ONE_PAIR
#define second first
#define ITEMS "BATON_CARRY=fn:get=moving_get,set=moving_set"
#else
static __thread uintptr_t second;
#define ITEMS \
    "BATON_CARRY=fn:get=moving_get,set=moving_set;fn:get=moving_get_second,set=moving_set_second"
#endif
static void set_both(uintptr_t value)
{
    first = value;
    second = value;
}

static __thread unsigned leave_in;  /* calls until the getter or setter leaves; 0: it does not */
static __thread unsigned attach_in; /* or attaches */
static __thread unsigned adopt_in;  /* or leaves an attach behind */
static __thread unsigned jump_in;   /* or attaches, and jumps out of that */
static __thread unsigned hand_in;   /* or, and from then on each, hands over */
static __thread jmp_buf *leave_to;  /* NULL: it ends the thread */
static __thread bool is_unseen;     /* by the hook of longjmp */
static __thread uintptr_t
    unwind_to;                /* or the frame up to which it unwinds, as what is thrown does */
static struct context *inner; /* what it attaches */
static unsigned inner_seen, inner_wrong;

static void see_inner(void *unused)
{
    inner_seen++;
    inner_wrong += second != 77;
}

static void attach_deep(void *depth)
{
    if ((uintptr_t)depth)
        core_run(context_ref(inner), attach_deep, (void *)((uintptr_t)depth - 1));
    else
        see_inner(NULL);
}

static __attribute__((noinline)) bool release_one(void)
{
    struct context *context = context_capture(FAMILY_UNIT);

    if (context)
        context_release(context);
    return context != NULL;
}

static void jump_out(void *out)
{
    longjmp(*(jmp_buf *)out, 1);
}

static void jump_inside(void)
{
    jmp_buf out;

    if (!setjmp(out))
        core_run(context_ref(inner), jump_out, &out);
}

static unsigned handed; /* with a context: not in a getter that is asked for a handoff */

static void hand_over(void)
{
    static __thread bool is_handing;

    if (is_handing)
        return;
    is_handing = true;
    handed += release_one();
    is_handing = false;
}

static _Unwind_Reason_Code stop_at(int version, _Unwind_Action actions,
                                   _Unwind_Exception_Class exception_class,
                                   struct _Unwind_Exception *exception,
                                   struct _Unwind_Context *unwinding, void *to)
{
    if (_Unwind_GetCFA(unwinding) > unwind_to)
        longjmp(*(jmp_buf *)to, 1);
    return _URC_NO_REASON;
}

static void come_by(void)
{
    errno = ENOTTY;
    if (hand_in == 1)
        hand_over();
    else if (hand_in)
        hand_in--;
    if (jump_in && --jump_in == 0)
        jump_inside();
    if (leave_in && --leave_in == 0) {
        if (leave_to && unwind_to) {
            static __thread struct _Unwind_Exception exception;

            _Unwind_ForcedUnwind(&exception, stop_at, leave_to);
        } else if (leave_to) {
            /* As the hook of longjmp does. */
            if (!is_unseen)
                scope_jumps_out(thread_self, arch_sp(), (uintptr_t)leave_to);
            longjmp(*leave_to, 1);
        }
        pthread_exit(NULL);
    }
    if (attach_in && --attach_in == 0)
        core_run(context_ref(inner), attach_deep, (void *)2);
    if (adopt_in && --adopt_in == 0)
        scope_adopt(context_ref(inner));
}

__attribute__((noinline, used)) void *moving_get(void)
{
    come_by();
    return (void *)first;
}

__attribute__((noinline, used)) void moving_set(void *value)
{
    come_by();
    first = (uintptr_t)value;
}

__attribute__((noinline, used)) void *moving_get_second(void)
{
    return (void *)second;
}

__attribute__((noinline, used)) void moving_set_second(void *value)
{
    second = (uintptr_t)value;
}

static uintptr_t seen[2];

static void see(void *unused)
{
    seen[0] = first;
    seen[1] = second;
}

static __attribute__((noinline)) struct context *captured(uintptr_t value)
{
    struct context *context;

    set_both(value);
    context = context_capture(FAMILY_UNIT);
    set_both(1000);
    return context;
}

/* As usual, from a thread that has values of its own. */
static void is_right(void)
{
    core_run(captured(5), see, NULL);
    ck_assert_int_eq(seen[0], 5);
    ck_assert_int_eq(seen[1], 5);
    ck_assert_int_eq(first, 1000);
    ck_assert_int_eq(second, 1000);
    set_both(0);
    ck_assert_int_eq(thread_self->saved_used, 0);
    ck_assert_int_eq(thread_self->depth, 0);
    ck_assert_int_eq(core_alive(), 0);
}

/* Below whatever hands over next: by their frames it sees that the attaches in there are left. */
static __attribute__((noinline)) void run_deep(struct context *context)
{
    char deep[4096];

    __asm__ volatile("" : : "r"(deep) : "memory");
    core_run(context, see, NULL);
    __asm__ volatile("" : : "r"(deep) : "memory"); /* no call in its frame's place */
}

/* Which of the calls of getter and setter leaves: 1 reads what is replaced, 2 writes, 3 puts back. */
static __attribute__((noinline)) void jump_at(unsigned call)
{
    jmp_buf out;
    struct context *volatile context = captured(7);

    leave_to = &out;
    if (!setjmp(out)) {
        leave_in = call;
        run_deep(context);
    }
    leave_to = NULL;
    leave_in = 0;
    release_one(); /* the next handoff finds out */
}

START_TEST(test_moving_jumps)
{
    is_right();
    for (unsigned i = 0; i < 100; i++) {
        jump_at((unsigned)_i);
        is_right();
    }
    for (unsigned i = 0; i < 1000; i++)
        jump_at((unsigned)_i);
    is_right();
    ck_assert_int_lt(thread_self->saved_max, 4096);
}
END_TEST

/* What unwinds says that the getter or setter is left. */
static __attribute__((noinline)) void throw_at(unsigned call)
{
    jmp_buf out;

    leave_to = &out;
    unwind_to = (uintptr_t)__builtin_frame_address(0);
    if (!setjmp(out)) {
        struct context *context = captured(7);

        leave_in = call;
        run_deep(context);
    }
    leave_to = NULL;
    unwind_to = 0;
    leave_in = 0;
    ck_assert_uint_eq(thread_self->moving, 0);
    release_one(); /* what was being put back is found by the next handoff, where there are more values */
    ck_assert_int_eq(core_alive(), 0);
}

START_TEST(test_moving_throws)
{
    is_right();
    for (unsigned i = 0; i < 100; i++)
        throw_at((unsigned)_i);
    is_right();
}
END_TEST

static void jump_in_a_task(void *call)
{
    jmp_buf out;
    struct context *volatile context = captured(7);

    leave_to = &out;
    if (!setjmp(out)) {
        leave_in = (unsigned)(uintptr_t)call;
        run_deep(context);
    }
    leave_to = NULL;
    leave_in = 0;
}

/* The task that has jumped out of an attach ends, and nothing is handed over before. */
START_TEST(test_moving_task_jumps)
{
    is_right();
    for (unsigned i = 0; i < 100; i++) {
        is_unseen = i % 2;
        core_run(captured(6), jump_in_a_task, (void *)(uintptr_t)_i);
    }
    is_unseen = false;
    release_one();
    ck_assert_int_eq(first, 1000);
    is_right();
}
END_TEST

static void *end_in_an_attach(void *call)
{
    struct context *context = captured(7);

    leave_in = (unsigned)(uintptr_t)call;
    core_run(context, see, NULL);
    return NULL;
}

START_TEST(test_moving_ends_its_thread)
{
    for (unsigned i = 0; i < 20; i++) {
        pthread_t thread;

        pthread_create(&thread, NULL, end_in_an_attach, (void *)(uintptr_t)_i);
        pthread_join(thread, NULL);
    }
    is_right();
}
END_TEST

static void attaches_at(void *call)
{
    struct context *context = captured(6);

    attach_in = (unsigned)(uintptr_t)call;
    core_run(context, see, NULL);
    attach_in = 0;
    ck_assert_int_eq(seen[1], 6);
    ck_assert_int_eq(first, 1000);
    ck_assert_int_eq(second, 1000);
}

static void nest(void *call)
{
    uintptr_t depth = (uintptr_t)call / 8;

    attaches_at((void *)((uintptr_t)call % 8));
    if (depth)
        core_run(context_ref(inner), nest, (void *)((depth - 1) * 8 + (uintptr_t)call % 8));
}

/* At every depth: what is saved moves to a larger place now and then. */
START_TEST(test_moving_attaches)
{
    is_right();
    set_both(77);
    inner = context_capture(FAMILY_UNIT);
    inner_seen = inner_wrong = 0;
    nest((void *)((uintptr_t)_i + 200 * 8));
    context_release(inner);
    ck_assert_int_ge(inner_seen, 100);
    ck_assert_int_eq(inner_wrong, 0);
    is_right();
}
END_TEST

static void adopts(void *depth)
{
    struct context *context = captured(6);

    adopt_in = 1;
    core_run(context, (uintptr_t)depth ? adopts : see, (void *)((uintptr_t)depth - 1));
    ck_assert_int_eq(adopt_in, 0);
    ck_assert_int_eq(first, 1000);
    ck_assert_int_eq(second, 1000);
}

/* As deep as there is room for entries, and deeper. */
START_TEST(test_moving_adopts)
{
    is_right();
    set_both(77);
    inner = context_capture(FAMILY_UNIT);
    for (uintptr_t depth = 0; depth < 70; depth++)
        adopts((void *)depth);
    context_release(inner);
    is_right();
}
END_TEST

/* Where it is: 1 reads what is replaced, 2 writes, 3 puts back. */
START_TEST(test_moving_adopts_once)
{
    struct context *context;

    is_right();
    set_both(77);
    inner = context_capture(FAMILY_UNIT);
    context = captured(6);
    adopt_in = (unsigned)_i;
    core_run(context, see, NULL);
    ck_assert_int_eq(adopt_in, 0);
    ck_assert_int_eq(first, 1000);
    ck_assert_int_eq(second, 1000);
    context_release(inner);
    is_right();
}
END_TEST

/* Attaches within each other, deep in the stack, which longjmp leaves. */
struct left {
    jmp_buf out;
    unsigned rest;
};

static void attach_and_leave(void *data)
{
    struct left *left = data;

    if (left->rest-- == 0)
        longjmp(left->out, 1);
    core_run(captured(500 + left->rest), attach_and_leave, left);
}

static __attribute__((noinline)) void leave_deep(unsigned attaches)
{
    struct left left = {.rest = attaches};
    char deep[16384];

    __asm__ volatile("" : : "r"(deep) : "memory");
    if (!setjmp(left.out))
        attach_and_leave(&left);
}

enum { HANDS_OVER, ATTACHES, ADOPTS, JUMPS_INSIDE, LEAVES, DOINGS };

static void arm(unsigned doing, unsigned call)
{
    hand_in = doing == HANDS_OVER ? call : 0;
    attach_in = doing == ATTACHES ? call : 0;
    adopt_in = doing == ADOPTS ? call : 0;
    jump_in = doing == JUMPS_INSIDE ? call : 0;
    leave_in = doing == LEAVES ? call : 0;
}

/* Who finds them: the next handoff, or attach. The first calls are of setters, once for each of what was left. */
static __attribute__((noinline)) void found_while(unsigned doing, unsigned call, unsigned attaches,
                                                  bool by_attach)
{
    struct context *context = captured(3);
    jmp_buf out;

    leave_deep(attaches);
    if (doing == LEAVES)
        leave_to = &out;
    if (!setjmp(out)) {
        arm(doing, call);
        if (by_attach)
            run_deep(context_ref(context));
        else
            release_one();
    }
    arm(DOINGS, 0);
    leave_to = NULL;
    core_run(context, see, NULL);
    release_one();
    ck_assert_int_eq(thread_self->depth, 0);
    ck_assert_int_eq(thread_self->saved_used, 0);
    if (doing != LEAVES)
        ck_assert_int_eq(second, 1000);
}

static void find_what_was_left(void)
{
    is_right();
    set_both(77);
    inner = context_capture(FAMILY_UNIT);
    set_both(0);
    release_one();
    for (unsigned doing = 0; doing < DOINGS; doing++)
        for (unsigned attaches = 1; attaches < 7; attaches++)
            for (unsigned call = 1; call < (doing == ADOPTS ? attaches + 1 : 10); call++)
                for (unsigned by_attach = 0; by_attach < 2; by_attach++)
                    found_while(doing, call, attaches, by_attach);
    context_release(inner);
    is_right();
}

static void see_errno(void *seen_errno)
{
    *(int *)seen_errno = errno;
    errno = EXDEV;
}

/* The task sees the errno that was before it, and leaves its own. */
START_TEST(test_moving_keeps_errno)
{
    int seen_errno = 0;
    struct context *context, *again;

    set_both(1000);
    context = context_capture(FAMILY_UNIT);
    errno = EDOM;
    again = context_capture(FAMILY_UNIT); /* what it has already */
    ck_assert_int_eq(errno, EDOM);
    core_run(context, see_errno, &seen_errno);
    ck_assert_int_eq(errno, EXDEV);
    ck_assert_int_eq(seen_errno, EDOM);
    set_both(1);
    errno = ERANGE;
    core_run(again, see_errno, &seen_errno);
    ck_assert_int_eq(errno, EXDEV);
    ck_assert_int_eq(seen_errno, ERANGE);
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

START_TEST(test_moving_left_before)
{
    find_what_was_left();
}
END_TEST

static void *end_with_attaches(void *doing)
{
    leave_deep(3);
    arm((unsigned)(uintptr_t)doing % DOINGS, (unsigned)(uintptr_t)doing / DOINGS);
    return NULL;
}

/* At the thread's end nobody is left to jump to. */
START_TEST(test_moving_left_at_the_end)
{
    set_both(77);
    inner = context_capture(FAMILY_UNIT);
    set_both(0);
    for (uintptr_t call = 1; call < 4; call++)
        for (uintptr_t doing = 0; doing < LEAVES; doing++) {
            pthread_t thread;

            pthread_create(&thread, NULL, end_with_attaches, (void *)(call * DOINGS + doing));
            pthread_join(thread, NULL);
        }
    context_release(inner);
    is_right();
}
END_TEST

/* What the thread handed over last is compared, and goes meanwhile. */
START_TEST(test_moving_compared)
{
    is_right();
    handed = 0;
    for (unsigned call = 1; call < 6; call++) {
        set_both(9);
        release_one();
        set_both(10);
        arm(HANDS_OVER, call);
        release_one();
        set_both(11);
        release_one();
        arm(DOINGS, 0);
    }
    ck_assert_int_eq(handed, 0);
    is_right();
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("moving");

    core_start(ITEMS);
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, test_moving_jumps, 1, 4);
    tcase_add_loop_test(tc, test_moving_ends_its_thread, 1, 4);
    tcase_add_loop_test(tc, test_moving_attaches, 1, 4);
    tcase_add_test(tc, test_moving_adopts);
    tcase_add_loop_test(tc, test_moving_adopts_once, 1, 4);
    tcase_add_loop_test(tc, test_moving_throws, 1, 4);
    tcase_add_loop_test(tc, test_moving_task_jumps, 1, 3);
    tcase_add_test(tc, test_moving_keeps_errno);
    tcase_add_test(tc, test_moving_left_before);
    tcase_add_test(tc, test_moving_left_at_the_end);
    tcase_add_test(tc, test_moving_compared);
    return suite_run("moving", tc);
}
