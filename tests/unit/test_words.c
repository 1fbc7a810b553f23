// promise: plain thread-local words are moved whole, whatever their sizes and however they lie
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "context/coroutine.h"
#include "core.h"
#include "history.h"
#include "slots/words.h"
#include "slots/words_move.h"
#include "suite.h"

/* Words that touch nothing, rows, halves, shorts, bytes, odd ends, and gaps between them. */
__thread struct {
    char front[3];
} __attribute__((packed)) odd_front = {{1, 2, 3}};
__thread long lone_a = 1;
__thread char gap_a[24];
__thread long lone_b;
__thread char gap_b[40];
__thread long row_a[8] = {1, 2, 3};
__thread char gap_c[8];
__thread long row_b[5];
__thread int half_a = 7;
__thread int half_b;
__thread char gap_d[100];
__thread short quarter;
__thread char byte;
__thread char big[2000];

struct place {
    const char *item;
    unsigned char *at;
    size_t size;
};

static struct place places[16];
static unsigned places_count;

#define PLACE(name)                                        \
    places[places_count++] = (struct place)                \
    {                                                      \
        "tls:" #name, (unsigned char *)&name, sizeof(name) \
    }

static void list_places(void)
{
    places_count = 0; /* with CK_FORK=no all tests are one process */
    PLACE(lone_a);
    PLACE(lone_b);
    PLACE(row_a);
    PLACE(row_b);
    PLACE(half_a);
    PLACE(half_b);
    PLACE(quarter);
    PLACE(byte);
    PLACE(odd_front);
    PLACE(big);
}

/* Every byte of what is carried is `value` plus its place; what lies between is not ours. */
static void fill(unsigned chosen, unsigned char value)
{
    for (unsigned i = 0; i < places_count; i++) {
        for (size_t j = 0; chosen >> i & 1 && j < places[i].size; j++)
            places[i].at[j] = (unsigned char)(value + i + j);
    }
}

static unsigned wrong(unsigned chosen, unsigned char value)
{
    unsigned count = 0;

    for (unsigned i = 0; i < places_count; i++) {
        for (size_t j = 0; chosen >> i & 1 && j < places[i].size; j++)
            count += places[i].at[j] != (unsigned char)(value + i + j);
    }
    return count;
}

static void fill_gaps(unsigned char value)
{
    memset(gap_a, value, sizeof gap_a);
    memset(gap_b, value, sizeof gap_b);
    memset(gap_c, value, sizeof gap_c);
    memset(gap_d, value, sizeof gap_d);
}

static bool gaps_are(unsigned char value)
{
    return gap_a[0] == value && gap_a[23] == value && gap_b[0] == value && gap_b[39] == value &&
           gap_c[0] == value && gap_c[7] == value && gap_d[0] == value && gap_d[99] == value;
}

struct run {
    unsigned chosen, wrong;
    unsigned char want;
    struct context *inner;
};

static void look(void *arg)
{
    struct run *run = arg;

    run->wrong += wrong(run->chosen, run->want);
    run->wrong += !gaps_are(60);
    fill(run->chosen, 200);
    fill_gaps(61);
    if (run->inner) { /* attached on top: one scope entry more */
        struct run inner = {run->chosen, 0, 20, NULL};
        struct context *own = context_capture(FAMILY_UNIT);

        fill_gaps(60);
        core_run(context_ref(run->inner), look, &inner);
        run->wrong += inner.wrong + wrong(run->chosen, 200);
        inner.want = 200;
        fill_gaps(60);
        core_run(own, look, &inner);
        run->wrong += inner.wrong + wrong(run->chosen, 200);
    }
}

/* First and last count in what a reading says of them all, too: is some value not the initial one? */
static unsigned wrongly_read(unsigned chosen)
{
    static char values[16384] __attribute__((aligned(16)));
    unsigned count = words_read(values, slots_initial) || !words_same(values);

    for (unsigned i = 0; i < places_count; i++) {
        for (unsigned third = 0; chosen >> i & 1 && third <= 3; third++) {
            size_t j = (places[i].size - 1) * third / 3;

            places[i].at[j] ^= 0x80;
            count += !words_read(values, slots_initial) || !words_same(values);
            places[i].at[j] ^= 0x80;
        }
    }
    return count;
}

/* In a process of its own: BATON_CARRY is read once. */
static unsigned try_layout(unsigned chosen, bool twice)
{
    static char carry[1024] = "BATON_CARRY=";
    struct context *first, *second, *again;
    unsigned result = 0;

    for (unsigned round = 0; round < 1u + twice; round++) {
        for (unsigned i = 0; i < places_count; i++) {
            if (chosen >> i & 1)
                strcat(strcat(carry, places[i].item), "@main;");
        }
    }
    core_start(carry);
    result += wrongly_read(chosen);
    for (unsigned round = 0; round < 3; round++) {
        struct run run = {chosen, 0, 10, NULL};

        fill(chosen, 10);
        fill_gaps(60);
        first = context_capture(FAMILY_UNIT);
        again = context_capture(FAMILY_UNIT);
        fill(chosen, 20);
        second = context_capture(FAMILY_UNIT);
        fill(chosen, 30);
        core_run(first, look, &run); /* it wrote to the gaps: those stay */
        run.wrong += !gaps_are(61) + wrong(chosen, 30);
        fill_gaps(60);
        run.inner = second;
        core_run(again, look, &run);
        run.wrong += wrong(chosen, 30);
        context_release(second);
        result += run.wrong;
    }
    for (unsigned i = 0; i < places_count; i++) { /* each byte counts in the comparison */
        for (size_t j = 0; chosen >> i & 1 && j < places[i].size; j += 1 + places[i].size / 100) {
            first = context_capture(FAMILY_UNIT);
            places[i].at[j] ^= 0x80;
            second = context_capture(FAMILY_UNIT);
            result += first == second;
            context_release(first);
            context_release(second);
        }
    }
    result += slots_are_words != true;
    return result;
}

static void expect_right(unsigned chosen, bool twice)
{
    pid_t child = fork();
    int status;

    if (child == 0)
        _exit(try_layout(chosen, twice) ? 1 : 0);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(status == 0, "layout %#x%s: status %#x", chosen, twice ? " twice" : "", status);
}

START_TEST(test_words_are_moved_in_every_layout)
{
    list_places();
    for (unsigned chosen = 1; chosen < 1u << places_count; chosen++)
        expect_right(chosen, false);
}
END_TEST

START_TEST(test_words_named_twice_are_moved_once)
{
    list_places();
    for (unsigned chosen = 1; chosen < 1u << places_count; chosen += 7)
        expect_right(chosen, true);
}
END_TEST

/* ---- a long random history of words alone, rows, halves, and keys beside them ---- */

static bool has_keys;
static pthread_key_t key_a, key_b, key_c;

static pthread_key_t *key_of(unsigned slot)
{
    pthread_key_t *const keys[] = {&key_a, &key_b, &key_c};

    return has_keys && slot >= 5 ? keys[slot - 5] : NULL;
}

static uintptr_t history_get(unsigned slot)
{
    switch (slot) {
    case 0:
        return (uintptr_t)lone_a;
    case 1:
        return (uintptr_t)lone_b;
    case 2:
        return (uintptr_t)half_a;
    case 3:
    case 4:
        return (uintptr_t)row_a[slot];
    default:
        return key_of(slot) ? (uintptr_t)core_get(*key_of(slot)) : (uintptr_t)row_b[slot - 5];
    }
}

static void history_set(unsigned slot, uintptr_t value)
{
    if (key_of(slot))
        core_set(*key_of(slot), (void *)value);
    else if (slot == 0)
        lone_a = (long)value;
    else if (slot == 1)
        lone_b = (long)value;
    else if (slot == 2)
        half_a = (int)value;
    else if (slot < 5)
        row_a[slot] = (long)value;
    else
        row_b[slot - 5] = (long)value;
}

static __attribute__((noinline)) int run_history(bool keys)
{
    has_keys = keys;
    core_start(keys ? "BATON_CARRY=tls:lone_a@main;tls:lone_b@main;tls:half_a@main;tls:row_a@main;"
                      "key:key_a;key:key_b;key:key_c"
                    : "BATON_CARRY=tls:lone_a@main;tls:lone_b@main;tls:half_a@main;"
                      "tls:row_a@main;tls:row_b@main");
    if (keys) {
        core_key_create(&key_a, NULL);
        core_key_create(&key_b, NULL);
        core_key_create(&key_c, NULL);
    }
    for (unsigned i = 0; i < HISTORY_SLOTS; i++)
        history_set(i, 0);
    return history_run() != 0 || core_alive() != 0 || !guard_is_for_words();
}

START_TEST(test_words_are_right_in_a_random_history)
{
    for (int keys = 0; keys < 2; keys++) {
        pid_t child = fork();
        int status;

        if (child == 0)
            _exit(run_history(keys));
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_msg(status == 0, "keys %d: status %#x", keys, status);
    }
}
END_TEST

/* Which layouts go the quick way: not what has odd ends, and not what is too much. */
static void expect_quick(const char *items, bool is_quick)
{
    pid_t child = fork();
    int status;

    if (child == 0) {
        static char carry[1024] = "BATON_CARRY=";

        core_start(strcat(carry, items));
        _exit(words_are_quick != is_quick);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(status == 0, "%s", items);
}

START_TEST(test_words_are_quick_where_they_can_be)
{
    expect_quick("tls:lone_a@main;tls:lone_b@main", true);
    expect_quick("tls:row_a@main", true);
    expect_quick("tls:row_b@main;tls:half_a@main;tls:lone_a@main", true);
#ifdef __x86_64__
    expect_quick("tls:lone_a@main;tls:byte@main", false);
    expect_quick("tls:big@main", false);
#endif
}
END_TEST

/* ---- what an attach has replaced, while another stack runs ---- */

static struct coroutines *own_coroutines;
static struct coroutine *other_stack;

static void go_home_and_back(void *wrong_words)
{
    *(long *)wrong_words += lone_a != 30;
    coroutine_switch_slow(own_coroutines, &own_coroutines->main_stack);
    *(long *)wrong_words += lone_a != 21;
    lone_a = 22;
    coroutine_switch_slow(own_coroutines, other_stack);
    *(long *)wrong_words += lone_a != 30;
}

struct two {
    struct context *second;
    long wrong;
};

static void run_on_another_stack(void *arg)
{
    struct two *two = arg;

    two->wrong += lone_a != 20;
    lone_a = 21;
    coroutine_switch_slow(own_coroutines, other_stack);
    lone_a = 40;
    core_run(two->second, go_home_and_back, &two->wrong);
    two->wrong += lone_a != 40;
    coroutine_switch_slow(own_coroutines, &own_coroutines->main_stack);
    two->wrong += lone_a != 22;
}

static int switch_stacks(void)
{
    static char stack[4096];
    struct two two = {NULL, 0};
    struct context *first;

    core_start("BATON_CARRY=tls:lone_a@main;tls:row_a@main");
    lone_a = 30;
    two.second = context_capture(FAMILY_UNIT);
    lone_a = 20;
    first = context_capture(FAMILY_UNIT);
    lone_a = 10;
    own_coroutines = coroutine_own_slow();
    other_stack = coroutine_new((uintptr_t)stack, sizeof stack, NULL, NULL, 0);
    core_run(first, run_on_another_stack, &two);
    return two.wrong != 0 || lone_a != 10 || !guard_is_for_words();
}

START_TEST(test_words_come_back_after_other_stacks_ran)
{
    pid_t child = fork();
    int status;

    if (child == 0)
        _exit(switch_stacks());
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(status == 0, "status %#x", status);
}
END_TEST

/* Blocks of threads that were there before have no room for the quick way. */
static int start_late(void)
{
    struct run run = {1, 0, 10, NULL};
    struct context *context;

    list_places();
    if (!thread_enter())
        return 1;
    core_start("BATON_CARRY=tls:lone_a@main");
    fill(1, 10);
    fill_gaps(60);
    context = context_capture(FAMILY_UNIT);
    fill(1, 20);
    core_run(context, look, &run);
    return run.wrong != 0 || wrong(1, 20) != 0 || guard_is_for_words() || guard_is_clear();
}

START_TEST(test_words_of_a_thread_that_was_known_before)
{
    pid_t child = fork();
    int status;

    if (child == 0)
        _exit(start_late());
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(status == 0, "status %#x", status);
}
END_TEST

/* ---- the few shapes that callers are compiled for ---- */

__thread long few_a = 1;
__thread char few_gap_a[16] = {1};
__thread long few_b = 2;
__thread char few_gap_b[16] = {1};
__thread long few_c = 3;
__thread char few_gap_c[16] = {1};
__thread long few_d = 4;
__thread char few_gap_d[16] = {1};
__thread long few_e = 5;
__thread char few_gap_e[16] = {1};
__thread long few_f = 6;
__thread char few_gap_g[16] = {1};
__thread long few_row_2[2] = {2, 3};
__thread char few_gap_row_2[16] = {1};
__thread long few_row_3[3] = {3, 4};
__thread char few_gap_row_3[16] = {1};
__thread long few_row_4[4] = {4, 5};
__thread char few_gap_row_4[16] = {1};
__thread long few_row_5[5] = {5, 6};
__thread char few_gap_row_5[16] = {1};
__thread long few_row_6[6] = {6, 7};
__thread char few_gap_row_6[16] = {1};
__thread long few_row_7[7] = {7, 8};
__thread char few_gap_row_7[16] = {1};
__thread long few_row_9[9] = {9, 10};
__thread char few_gap_row_9[16] = {1};

static unsigned few_wrong;

/* A sanitizer takes an offset from the thread pointer for an address. */
__attribute__((no_sanitize("address", "undefined", "thread"))) static void
look_at_few(unsigned shape)
{
    static char buffer[2][256] __attribute__((aligned(16)));
    char *const values = buffer[0] + words_bytes, *const saved = buffer[1] + words_bytes;
    char first[sizeof buffer[0]], now[sizeof buffer[0]];

    memset(buffer, 0x55, sizeof buffer);
    memset(first, 0x55, sizeof first);
    memset(now, 0x55, sizeof now);
    words_save(first);
#define SHAPE(n)                                                              \
    case n:                                                                   \
        few_wrong += words_unchanged(n, values);                              \
        words_attach(n, values, saved);                                       \
        few_wrong += !words_unchanged(n, values);                             \
        words_save(now);                                                      \
        few_wrong += memcmp(now, buffer[0], words_bytes) != 0;                \
        few_wrong += memcmp(first, buffer[1], words_bytes) != 0;              \
        for (unsigned i = 0; i < words_bytes; i++) {                          \
            values[-1 - (int)i] ^= 1;                                         \
            few_wrong += words_unchanged(n, values) != words_same(buffer[0]); \
            values[-1 - (int)i] ^= 1;                                         \
        }                                                                     \
        words_detach(n, saved);                                               \
        words_save(now);                                                      \
        few_wrong += memcmp(now, first, words_bytes) != 0;                    \
        break
    few_wrong += words_shape != shape;
    switch (words_shape) {
#ifdef ARCH_MOVES_WORDS
        SHAPE(1);
        SHAPE(2);
        SHAPE(3);
        SHAPE(4);
        SHAPE(5);
        SHAPE(6);
        SHAPE(7);
        SHAPE(8);
        SHAPE(9);
        SHAPE(10);
        SHAPE(11);
#endif
    default:
        break;
    }
}

static void expect_few(const char *items, unsigned shape)
{
    pid_t child = fork();
    int status;

    if (child == 0) {
        static char carry[1024] = "BATON_CARRY=";

        core_start(strcat(carry, items));
        look_at_few(shape);
        _exit(few_wrong != 0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(status == 0, "%s: status %#x", items, status);
}

START_TEST(test_words_of_few_shapes)
{
    static const char *const items[] = {"tls:few_a@main",  ";tls:few_b@main", ";tls:few_c@main",
                                        ";tls:few_d@main", ";tls:few_e@main", ";tls:few_f@main"};
    char alone[512] = "";

    for (unsigned i = 0; i < 6; i++) {
        strcat(alone, items[i]);
        expect_few(alone, WORDS_FEW_MAX > 0 && i < 5 ? i + 1 : 0);
    }
    for (unsigned i = 2; i <= 7; i++) {
        char row[32];

        snprintf(row, sizeof row, "tls:few_row_%u@main", i);
        expect_few(row, WORDS_FEW_MAX ? 4 + i : 0);
    }
    expect_few("tls:few_row_9@main", 0);
    strcat(alone, ";tls:lone_a@main");
    expect_few(alone, 0);
    expect_few("tls:few_row_2@main;tls:few_a@main", 0);
    expect_few("tls:row_a@main", 0);
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("words");

    tcase_add_test(cases, test_words_are_moved_in_every_layout);
    tcase_add_test(cases, test_words_named_twice_are_moved_once);
    tcase_add_test(cases, test_words_are_right_in_a_random_history);
    tcase_add_test(cases, test_words_are_quick_where_they_can_be);
    tcase_add_test(cases, test_words_come_back_after_other_stacks_ran);
    tcase_add_test(cases, test_words_of_a_thread_that_was_known_before);
    tcase_add_test(cases, test_words_of_few_shapes);
    tcase_set_timeout(cases, 120);
    return suite_run("words", cases);
}
