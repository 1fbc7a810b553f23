// promise: whichever allocation fails, nothing is lost but context: no value, no reference, no block
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "context/pool/slab.h"
#include "context/variables.h"
#include "core.h"
#include "memory.h"
#include "suite.h"

/* ---- a life in which everything is allocated that can be ---- */

static pthread_key_t plain_key, owned_key;
__thread long word;

/* A value that its key destroys: 1 while it lives. */
enum { VALUES = 4096 };
static _Atomic int living[VALUES];
static _Atomic int values_used, wrong;

static void destroy(void *value)
{
    if (atomic_fetch_sub(&living[(uintptr_t)value], 1) != 1)
        atomic_fetch_add(&wrong, 1);
}

static void set_owned(void)
{
    int value = 1 + atomic_fetch_add(&values_used, 1);

    atomic_store(&living[value], 1);
    if (core_set(owned_key, (void *)(intptr_t)value)) /* refused: it is ours to end */
        destroy((void *)(intptr_t)value);
}

/* Who replaces a value ends it, unless something may still look at it. */
static void look(void *unused)
{
    uintptr_t value = (uintptr_t)core_get(owned_key);

    if (value && atomic_load(&living[value]) != 1)
        atomic_fetch_add(&wrong, 1);
}

static void value_end(void *unused)
{
}

static void run_nested(void *arg)
{
    long depth = (long)arg;
    struct context *context;

    look(NULL);
    if (!core_get(owned_key))
        set_owned();
    core_set(plain_key, (void *)depth);
    word = depth;
    context = context_capture(FAMILY_UNIT);
    if (depth > 0 && context)
        core_run(context, run_nested, (void *)(depth - 1));
    else if (depth > 0)
        run_nested((void *)(depth - 1));
    else if (context)
        context_release(context);
    look(NULL);
}

static struct var *var;

static void set_var(void *unused)
{
    struct thread *thread = thread_self;
    struct vars_entry *entry;
    struct vars_map *map;
    struct context *context;

    if (!vars_where(thread) || !(entry = vars_entry_new(var, (void *)1)))
        return;
    if (vars_with(vars_now(thread), entry, &map))
        vars_set_now(thread, map);
    vars_entry_unref(entry);
    context = context_capture(FAMILY_UNIT);
    if (context)
        core_run(context, look, NULL);
}

static void live(void *arg)
{
    struct record *records[3 * RECORDS_IN_CHUNK / 2];
    void *slab_objects[200];
    struct context *context;
    struct vars_context *entered;
    long before = word;

    if (!core_get(owned_key))
        set_owned();
    core_set(plain_key, (void *)1);
    context = context_capture(FAMILY_UNIT);
    word = 7;
    if (context)
        core_run(context_ref(context), run_nested, (void *)40);
    core_set(plain_key, (void *)2);
    if (context)
        context_release(context);
    context = context_capture(FAMILY_UNIT);
    core_set(plain_key, (void *)3);
    if (context)
        core_run(context, look, NULL);
    entered = vars_context_new(NULL);
    if (entered) {
        vars_run(entered, set_var, NULL);
        vars_context_unref(entered);
    }
    set_var(NULL);
    for (unsigned i = 0; i < sizeof records / sizeof records[0]; i++)
        records[i] = record_new();
    for (unsigned i = 0; i < sizeof slab_objects / sizeof slab_objects[0]; i++)
        slab_objects[i] = slab_new();
    for (unsigned i = 0; i < sizeof records / sizeof records[0]; i++) {
        if (records[i])
            record_free(records[i]);
    }
    for (unsigned i = 0; i < sizeof slab_objects / sizeof slab_objects[0]; i++) {
        if (slab_objects[i])
            slab_free(slab_objects[i]);
    }
    word = before;
    if (arg)
        pthread_exit(NULL);
}

/* As the hook of pthread_create: bare when nothing could be captured. */
struct bare {
    void (*call)(void *);
    void *arg;
};

static void *bare_main(void *arg)
{
    struct bare bare = *(struct bare *)arg;

    free(arg);
    bare.call(bare.arg);
    return NULL;
}

static pthread_t start_thread(void (*call)(void *), void *arg)
{
    struct context *context = context_capture(FAMILY_UNIT);
    pthread_t thread;

    if (context) {
        struct core_start *start = malloc(sizeof *start);

        *start = (struct core_start){context, call, arg};
        pthread_create(&thread, NULL, core_thread_main, start);
    } else {
        struct bare *bare = malloc(sizeof *bare);

        *bare = (struct bare){call, arg};
        pthread_create(&thread, NULL, bare_main, bare);
    }
    return thread;
}

static struct context *left;

/* Hands over a value of its own, which ends with this thread unless the context could count it. */
static void leave_a_context(void *unused)
{
    set_owned();
    left = context_capture(FAMILY_UNIT);
}

/* A thread of the program's own: its block goes back by the key of the thread room. */
static void *program_thread(void *unused)
{
    pthread_join(start_thread(leave_a_context, NULL), NULL);
    if (left)
        core_run(left, look, NULL);
    pthread_join(start_thread(live, NULL), NULL); /* inherits nothing */
    live(NULL);
    pthread_join(start_thread(live, NULL), NULL);
    pthread_join(start_thread(live, (void *)1), NULL);
    return NULL;
}

static int64_t alive_total;

static void one_life(void)
{
    pthread_t thread;

    memset((void *)living, 0, sizeof living);
    atomic_store(&values_used, 0);
    pthread_create(&thread, NULL, program_thread, NULL);
    pthread_join(thread, NULL);
    atomic_store(&fail_from, -1);
    alive_total = 0;
    for (int i = 1; i <= atomic_load(&values_used); i++)
        alive_total += atomic_load(&living[i]);
}

static void fail_one_by_one(long count)
{
    long total, before;

    one_life(); /* what is kept for ever is there now */
    one_life();
    before = atomic_load(&blocks_made);
    one_life();
    total = atomic_load(&blocks_made) - before;
    ck_assert_int_gt(total, 20);
    for (long at = 0; at <= total; at++) {
        atomic_store(&fail_count, count);
        atomic_store(&fail_from, atomic_load(&blocks_made) + at);
        one_life();
        ck_assert_msg(atomic_load(&wrong) == 0, "allocation %ld of %ld: a value was wrong", at,
                      total);
        ck_assert_msg(alive_total == 0, "allocation %ld of %ld: %ld values not destroyed", at,
                      total, (long)alive_total);
        ck_assert_msg(core_alive() == 0, "allocation %ld of %ld: contexts alive", at, total);
        ck_assert_msg(values_count() == 0, "allocation %ld of %ld: values held", at, total);
    }
}

START_TEST(test_no_memory_once)
{
    fail_one_by_one(1);
}
END_TEST

START_TEST(test_no_memory_for_a_while)
{
    fail_one_by_one(7);
}
END_TEST

START_TEST(test_no_memory_at_all_from_then_on)
{
    fail_one_by_one(1000000);
}
END_TEST

static __attribute__((noinline)) void create_keys(void)
{
    core_key_create(&plain_key, NULL);
    core_key_create(&owned_key, destroy);
    __asm__("");
}

int main(void)
{
    TCase *tc = tcase_create("no_memory");
    int status = 0;
    pid_t other = fork(); /* what is carried is said once in a process */

    core_start(other ? "BATON_CARRY=key:plain_key;key:owned_key"
                     : "BATON_CARRY=key:plain_key;key:owned_key;tls:word");
    create_keys();
    var = vars_new_var("var", NULL, value_end);
    tcase_set_timeout(tc, 100);
    tcase_add_test(tc, test_no_memory_once);
    tcase_add_test(tc, test_no_memory_for_a_while);
    tcase_add_test(tc, test_no_memory_at_all_from_then_on);
    if (other && waitpid(other, &status, 0) != other)
        status = 1;
    return suite_run("no_memory", tc) || status;
}
