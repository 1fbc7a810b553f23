// promise: every policy ends each copy, reference and slab object exactly once, whatever owner and task do
#include <malloc.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "core.h"
#include "slots/policy.h"
#include "slots/keys.h"
#include "suite.h"

struct item {
    long number;
    _Atomic long references;
};

pthread_key_t key_copy, key_string, key_clone, key_ref, key_weak, key_owned;
__thread struct item *tls_clone, *tls_copy, *tls_weak;
static __thread char *behind;
static _Atomic long alive;

enum { KEYS = 6 };
static pthread_key_t *const all_keys[KEYS] = {&key_copy, &key_string, &key_clone,
                                              &key_ref,  &key_weak,   &key_owned};

struct item *item_clone(struct item *item);
void item_free(struct item *item);
struct item *item_ref(struct item *item);
void item_unref(struct item *item);
char *behind_get(void);
void behind_set(char *value);

static struct item *item_new(long number)
{
    struct item *item = malloc(sizeof *item);

    item->number = number;
    item->references = 1;
    atomic_fetch_add(&alive, 1);
    return item;
}

__attribute__((used, noinline)) struct item *item_clone(struct item *item)
{
    return item_new(item->number);
}

__attribute__((used, noinline)) void item_free(struct item *item)
{
    atomic_fetch_sub(&alive, 1);
    free(item);
}

__attribute__((used, noinline)) struct item *item_ref(struct item *item)
{
    atomic_fetch_add(&item->references, 1);
    return item;
}

__attribute__((used, noinline)) void item_unref(struct item *item)
{
    if (atomic_fetch_sub(&item->references, 1) == 1)
        item_free(item);
}

__attribute__((used, noinline)) char *behind_get(void)
{
    return behind;
}

__attribute__((used, noinline)) void behind_set(char *value)
{
    behind = value;
}

static void destroy(void *item)
{
    item_free(item);
}

/* ---- what a request has ---- */

struct request {
    struct item *items[4]; /* clone, ref, weak, copy */
    char *string;
};

static struct request begin(long number)
{
    struct request request = {
        {item_new(number), item_new(number), item_new(number), item_new(number)}, NULL};
    char text[32];

    snprintf(text, sizeof text, "%ld", number);
    request.string = strdup(text);
    core_set(key_clone, request.items[0]);
    core_set(key_ref, request.items[1]);
    core_set(key_weak, request.items[2]);
    core_set(key_copy, request.items[3]);
    core_set(key_string, request.string);
    tls_clone = request.items[0];
    tls_weak = request.items[2];
    tls_copy = request.items[3];
    behind_set(request.string);
    return request;
}

static void end(struct request *request)
{
    for (unsigned i = 0; i < KEYS; i++)
        core_set(*all_keys[i], NULL);
    tls_clone = tls_weak = tls_copy = NULL;
    behind_set(NULL);
    item_free(request->items[0]);
    item_unref(request->items[1]);
    item_free(request->items[2]);
    item_free(request->items[3]);
    free(request->string);
}

static long number_of(const struct item *item)
{
    return item ? item->number : 0;
}

static void expect_all(long number, long weak)
{
    ck_assert_int_eq(number_of(core_get(key_clone)), number);
    ck_assert_int_eq(number_of(core_get(key_ref)), number);
    ck_assert_int_eq(number_of(core_get(key_copy)), number);
    ck_assert_int_eq(number_of(core_get(key_weak)), weak);
    ck_assert_int_eq(core_get(key_string) ? atol(core_get(key_string)) : 0, number);
    ck_assert_int_eq(number_of(tls_clone), number);
    ck_assert_int_eq(number_of(tls_copy), number);
    ck_assert_int_eq(number_of(tls_weak), weak);
    ck_assert_int_eq(behind_get() ? atol(behind_get()) : 0, number);
}

/* ---- tasks ---- */

static long expected;

static void only_look(void *weak)
{
    expect_all(expected, weak ? expected : 0);
}

/* In place: of a copy nobody else sees it. */
static void write_in_place(void *unused)
{
    expect_all(expected, 0);
    ((struct item *)core_get(key_clone))->number = 99;
    ((struct item *)core_get(key_copy))->number = 99;
    strcpy(core_get(key_string), "9");
    tls_clone->number = 99;
    tls_copy->number = 99;
    strcpy(behind_get(), "9");
}

/* Takes over all that it may. */
static void take_over(void *unused)
{
    struct item *item = core_get(key_clone);

    expect_all(expected, 0);
    core_set(key_clone, NULL);
    item_free(item);
    item = core_get(key_ref);
    core_set(key_ref, NULL);
    item_unref(item);
    free(core_get(key_copy));
    core_set(key_copy, NULL);
    free(core_get(key_string));
    core_set(key_string, NULL);
    item_free(tls_clone);
    tls_clone = NULL;
    free(tls_copy);
    tls_copy = NULL;
    free(behind_get());
    behind_set(NULL);
}

/* Leaves a value of its own in a key that has a destructor, and in one that has not. */
static void leave_own(void *unused)
{
    core_set(key_owned, item_new(5));
    core_set(key_weak, NULL);
}

static jmp_buf way_out;

static void jump(void *unused)
{
    expect_all(expected, 0);
    longjmp(way_out, 1);
}

static void exit_thread(void *unused)
{
    expect_all(expected, 0);
    pthread_exit(NULL);
}

static __attribute__((noinline)) struct context *captured(long number)
{
    struct request request = begin(number);
    struct context *context = context_capture(FAMILY_UNIT);

    end(&request);
    expected = number;
    return context;
}

static void expect_nothing_left(void)
{
    ck_assert_int_eq(core_alive(), 0);
    ck_assert_int_eq(atomic_load(&alive), 0);
}

START_TEST(test_policy_task_outlives_the_values)
{
    for (long i = 1; i <= 3; i++)
        core_run(captured(i), only_look, NULL);
    expect_all(0, 0);
    expect_nothing_left();
}
END_TEST

START_TEST(test_policy_weak_is_there_while_the_owner_has_it)
{
    struct request request = begin(4);
    struct context *context = context_capture(FAMILY_UNIT);

    expected = 4;
    core_run(context, only_look, &request);
    end(&request);
    expect_nothing_left();
}
END_TEST

START_TEST(test_policy_each_attach_has_its_own)
{
    struct context *context = captured(6);

    for (int i = 0; i < 4; i++)
        core_run(context_ref(context), write_in_place, NULL);
    core_run(context, only_look, NULL);
    expect_nothing_left();
}
END_TEST

START_TEST(test_policy_what_a_task_takes_over_is_its_own)
{
    struct context *context = captured(7);

    core_run(context_ref(context), take_over, NULL);
    core_run(context, only_look, NULL);
    expect_nothing_left();
}
END_TEST

START_TEST(test_policy_what_a_task_leaves_is_destroyed_by_its_key)
{
    core_run(captured(8), leave_own, NULL);
    expect_nothing_left();
}
END_TEST

START_TEST(test_policy_discarded)
{
    context_release(captured(9));
    context_rollback(FAMILY_UNIT, captured(9));
    expect_nothing_left();
}
END_TEST

/* Deeper than what comes after the jump: that is how a left frame is known. */
static __attribute__((noinline)) void run_deeper(struct context *context)
{
    volatile char buffer[4096] = "";

    core_run(context, jump, NULL);
    ck_assert_int_eq(buffer[0], 0);
}

START_TEST(test_policy_longjmp)
{
    struct context *context = captured(10);

    if (!setjmp(way_out))
        run_deeper(context);
    context = captured(11); /* found out here */
    expect_all(0, 0);
    context_release(context);
    expect_nothing_left();
}
END_TEST

/* A thread inherits, hands on, exits. */
static void hand_on(void *unused)
{
    struct context *context;

    expect_all(expected, 0);
    context = context_capture(FAMILY_UNIT);
    core_run(context, only_look, NULL);
    pthread_join(core_thread(exit_thread, NULL), NULL);
    exit_thread(NULL);
}

static void start_one(void *unused)
{
    pthread_join(core_thread(hand_on, NULL), NULL);
}

START_TEST(test_policy_threads_that_hand_on_and_exit)
{
    core_run(captured(12), start_one, NULL);
    expect_nothing_left();
}
END_TEST

static void delete_keys(void *unused)
{
    expect_all(expected, 0);
    core_key_delete(key_clone);
    core_key_delete(key_string);
}

START_TEST(test_policy_key_is_deleted_while_contexts_hold_its_values)
{
    struct context *context = captured(13);

    core_run(context_ref(context), delete_keys, NULL);
    context_release(context);
    expect_nothing_left();
    core_key_create(&key_clone, NULL);
    core_key_create(&key_string, NULL);
    core_run(captured(14), only_look, NULL);
    expect_nothing_left();
}
END_TEST

/* One context in many threads at once (a parallel region), others of their own meanwhile. */
enum { THREADS = 4, ROUNDS = 300 };

static void *crowd(void *context)
{
    for (int i = 0; i < ROUNDS; i++) {
        core_run(context_ref(context),
                 i % 3 == 0   ? take_over
                 : i % 3 == 1 ? write_in_place
                              : only_look,
                 NULL);
        if (i % 10 == 0) {
            struct request request = begin(15);
            struct context *own = context_capture(FAMILY_UNIT);

            core_run(own, only_look, &request);
            end(&request);
        }
    }
    thread_leave(thread_self);
    return NULL;
}

START_TEST(test_policy_one_context_in_many_threads)
{
    struct context *context = captured(15);
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, crowd, context);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    context_release(context);
    expect_nothing_left();
}
END_TEST

/* copy=4096 of objects of 16 bytes: on the heap, static, on the stack, and none. */
START_TEST(test_policy_copies_no_further_than_the_object)
{
    static struct item in_data = {21, 1};
    struct item on_stack = {22, 1}, *values[] = {&in_data, &on_stack, (struct item *)16, NULL};

    for (unsigned i = 0; i < 4; i++) {
        struct context *context;
        struct item *copy;

        core_set(key_copy, values[i]);
        context = context_capture(FAMILY_UNIT);
        copy = context == context_empty ? NULL : context->key[key_index_of[key_copy] - 1];
        ck_assert_int_eq(number_of(copy), i < 2 ? values[i]->number : 0);
        ck_assert(!copy || copy != values[i]);
        context_release(context);
    }
    core_set(key_copy, NULL);
    expect_nothing_left();
}
END_TEST

START_TEST(test_policy_copies_nothing_of_what_lies_behind_an_object)
{
    struct item *items[2] = {item_new(23),
                             item_new(24)}; /* the allocator's own words lie between */
    size_t size = malloc_usable_size(items[0]);
    struct context *context;
    const unsigned char *copy;

    core_set(key_copy, items[0]);
    context = context_capture(FAMILY_UNIT);
    copy = context->key[key_index_of[key_copy] - 1];
    ck_assert_ptr_nonnull(copy);
    ck_assert_int_eq(((const struct item *)(const void *)copy)->number, 23);
    for (size_t i = size; i < 4096; i++)
        ck_assert(!copy[i]);
    context_release(context);
    core_set(key_copy, NULL);
    for (unsigned i = 0; i < 2; i++)
        item_free(items[i]);
    expect_nothing_left();
}
END_TEST

/* On a stack of its own, behind which nothing can be read. */
static void *hold_on_stack(void *held)
{
    const struct slot slot = {.policy = POLICY_COPY, .copy_size = 1 << 20};
    struct item item = {25, 1};

    *(void **)held = policy_hold(&slot, &item, NULL, NULL);
    return NULL;
}

START_TEST(test_policy_reads_nothing_behind_a_stack)
{
    enum { STACK = 2 << 20, BEHIND = 2 << 20 }; /* sanitizers need 1 MiB */
    char *stack = mmap(NULL, STACK + BEHIND, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pthread_attr_t attributes;
    pthread_t thread;
    struct item *held = NULL;

    ck_assert_ptr_ne(stack, MAP_FAILED);
    ck_assert_int_eq(mprotect(stack, STACK, PROT_READ | PROT_WRITE), 0);
    pthread_attr_init(&attributes);
    ck_assert_int_eq(pthread_attr_setstack(&attributes, stack, STACK), 0);
    ck_assert_int_eq(pthread_create(&thread, &attributes, hold_on_stack, &held), 0);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attributes);
    ck_assert_int_eq(number_of(held), 25);
    free(held);
    munmap(stack, STACK + BEHIND);
}
END_TEST

static void set_borrowed_again(void *unused)
{
    struct item *borrowed = core_get(key_owned);

    ck_assert_int_eq(number_of(borrowed), 26);
    core_set(key_owned, borrowed); /* the C library destroys it at the thread's end */
}

START_TEST(test_policy_thread_that_sets_what_it_borrowed_ends_it_once)
{
    struct item *item = item_new(26);

    core_set(key_owned, item);
    pthread_join(core_thread(set_borrowed_again, NULL), NULL);
    core_set(key_owned, NULL);
    item_free(item);
    expect_nothing_left();
}
END_TEST

/* Not in main, which the C library calls: who makes a key decides what module it is of. */
static __attribute__((noinline)) void create_keys(void)
{
    for (unsigned i = 0; i < KEYS; i++)
        core_key_create(all_keys[i], all_keys[i] == &key_owned ? destroy : NULL);
}

int main(void)
{
    static char carry[] =
        "BATON_CARRY=key:key_copy,copy=4096;key:key_string,string;"
        "key:key_clone,clone=item_clone,free=item_free;key:key_ref,ref=item_ref,unref=item_unref;"
        "key:key_weak,weak;key:key_owned,clone=item_clone,free=item_free;tls:tls_copy,copy=4096;"
        "tls:tls_clone,clone=item_clone,free=item_free;tls:tls_weak,weak;"
        "fn:get=behind_get,set=behind_set,string";
    TCase *tc = tcase_create("policy");

    core_start(carry);
    create_keys();
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_policy_task_outlives_the_values);
    tcase_add_test(tc, test_policy_weak_is_there_while_the_owner_has_it);
    tcase_add_test(tc, test_policy_each_attach_has_its_own);
    tcase_add_test(tc, test_policy_what_a_task_takes_over_is_its_own);
    tcase_add_test(tc, test_policy_what_a_task_leaves_is_destroyed_by_its_key);
    tcase_add_test(tc, test_policy_discarded);
    tcase_add_test(tc, test_policy_longjmp);
    tcase_add_test(tc, test_policy_threads_that_hand_on_and_exit);
    tcase_add_test(tc, test_policy_key_is_deleted_while_contexts_hold_its_values);
    tcase_add_test(tc, test_policy_one_context_in_many_threads);
    tcase_add_test(tc, test_policy_copies_no_further_than_the_object);
    tcase_add_test(tc, test_policy_copies_nothing_of_what_lies_behind_an_object);
    tcase_add_test(tc, test_policy_reads_nothing_behind_a_stack);
    tcase_add_test(tc, test_policy_thread_that_sets_what_it_borrowed_ends_it_once);
    return suite_run("policy", tc);
}
