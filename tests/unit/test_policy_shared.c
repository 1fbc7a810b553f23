// promise: captures share what they hold of a key only as long as the key, and the bytes that it points to, are the same
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include "context/variables.h"
#include "core.h"
#include "suite.h"

struct item {
    char text[56];
    _Atomic long references;
};

pthread_key_t key_copy, key_string, key_ref, key_clone, key_plain, key_left;
static pthread_key_t *const all_keys[] = {&key_copy,  &key_string, &key_ref,
                                          &key_clone, &key_plain,  &key_left};
static struct item *copied, *referred;
static char *string;
static bool sets_when_unreferred;
static struct context *handed_over;
static bool hands_over_when_unreferred;
static int destroyed, clones;

char *shared_clone(const char *text);
void shared_free(char *text);
struct item *shared_ref(struct item *item);
void shared_unref(struct item *item);

__attribute__((used, noinline)) struct item *shared_ref(struct item *item)
{
    item->references++;
    return item;
}

__attribute__((used, noinline)) void shared_unref(struct item *item)
{
    item->references--;
    if (sets_when_unreferred)
        core_set(key_left, "set by unref");
    if (hands_over_when_unreferred) {
        hands_over_when_unreferred = false;
        handed_over = context_capture(FAMILY_UNIT);
    }
}

__attribute__((used, noinline)) char *shared_clone(const char *text)
{
    clones++;
    return strdup(text);
}

__attribute__((used, noinline)) void shared_free(char *text)
{
    clones--;
    free(text);
}

static void begin(const char *text)
{
    copied = calloc(1, sizeof *copied);
    referred = calloc(1, sizeof *referred);
    string = malloc(64);
    strcpy(copied->text, text);
    strcpy(referred->text, text);
    strcpy(string, text);
    core_set(key_copy, copied);
    core_set(key_ref, referred);
    core_set(key_string, string);
    core_set(key_plain, "plain");
}

/* All is let go of: nobody has a reference but the owner. */
static void end(void)
{
    for (unsigned i = 0; i < sizeof all_keys / sizeof *all_keys; i++)
        core_set(*all_keys[i], NULL);
    ck_assert_int_eq(core_alive(), 0);
    ck_assert_int_eq(referred->references, 0);
    free(copied);
    free(referred);
    free(string);
}

struct seen {
    const char *copy, *string;
    struct item *ref;
};

static void look(void *arg)
{
    const struct seen *seen = arg;

    ck_assert_str_eq(((struct item *)core_get(key_copy))->text, seen->copy);
    ck_assert_str_eq(core_get(key_string), seen->string);
    ck_assert_ptr_eq(core_get(key_ref), seen->ref);
    ck_assert_str_eq(core_get(key_plain), "plain");
    ck_assert_ptr_ne(core_get(key_copy), copied);
    ck_assert_ptr_ne(core_get(key_string), string);
}

START_TEST(test_policy_shared_unchanged)
{
    struct context *first, *second;
    struct seen seen;

    begin("one");
    first = context_capture(FAMILY_UNIT);
    second = context_capture(FAMILY_UNIT);
    ck_assert_ptr_eq(first, second);
    seen = (struct seen){"one", "one", referred};
    core_run(first, look, &seen);
    core_run(second, look, &seen);
    ck_assert_int_eq(referred->references, 1); /* the snapshot's */
    thread_self->suppress++;
    ck_assert_ptr_eq(context_capture(FAMILY_UNIT), context_empty);
    thread_self->suppress--;
    end();
}
END_TEST

START_TEST(test_policy_shared_changed_in_place)
{
    struct context *contexts[4];
    struct seen seen[4];

    begin("one");
    contexts[0] = context_capture(FAMILY_UNIT);
    seen[0] = (struct seen){"one", "one", referred};
    strcpy(copied->text, "two");
    contexts[1] = context_capture(FAMILY_UNIT);
    seen[1] = (struct seen){"two", "one", referred};
    strcpy(string, "one and more");
    contexts[2] = context_capture(FAMILY_UNIT);
    seen[2] = (struct seen){"two", "one and more", referred};
    strcpy(string, "on");
    contexts[3] = context_capture(FAMILY_UNIT);
    seen[3] = (struct seen){"two", "on", referred};
    for (int i = 0; i < 4; i++)
        core_run(contexts[i], look, &seen[i]);
    end();
}
END_TEST

START_TEST(test_policy_shared_changed_value)
{
    struct context *first, *second, *third;
    struct item other = {"other", 0};
    struct seen seen;

    begin("one");
    first = context_capture(FAMILY_UNIT);
    core_set(key_ref, &other);
    second = context_capture(FAMILY_UNIT);
    core_set(key_ref, NULL);
    third = context_capture(FAMILY_UNIT);
    seen = (struct seen){"one", "one", referred};
    core_run(first, look, &seen);
    ck_assert_int_eq(referred->references, 0);
    seen.ref = &other;
    core_run(second, look, &seen);
    ck_assert_int_eq(other.references, 0);
    seen.ref = NULL;
    core_run(third, look, &seen);
    end();
}
END_TEST

/* Set by a caller that does not come through us: the object is compared at each capture. */
START_TEST(test_policy_shared_changed_past_us)
{
    struct context *first, *second;
    struct item other = {"other", 0};
    struct seen seen;

    begin("one");
    first = context_capture(FAMILY_UNIT);
    pthread_setspecific(key_ref, &other);
    second = context_capture(FAMILY_UNIT);
    seen = (struct seen){"one", "one", referred};
    core_run(first, look, &seen);
    seen.ref = &other;
    core_run(second, look, &seen);
    end();
    ck_assert_int_eq(other.references, 0);
}
END_TEST

/* An object at the end of what may be read of it, and one whose bytes differ in the last only. */
START_TEST(test_policy_shared_last_byte)
{
    struct context *first, *second;
    struct item *seen;

    begin("one");
    first = context_capture(FAMILY_UNIT);
    copied->references = 1l << 56; /* its last byte */
    second = context_capture(FAMILY_UNIT);
    ck_assert_ptr_ne(first, second);
    seen = second->key[key_index_of[key_copy] - 1];
    ck_assert_int_eq(seen->references, 1l << 56);
    context_release(first);
    context_release(second);
    end();
}
END_TEST

static void write_and_take(void *unused)
{
    strcpy(((struct item *)core_get(key_copy))->text, "task");
    strcpy(core_get(key_string), "t");
    free(core_get(key_string)); /* taken over */
    core_set(key_string, NULL);
    core_set(key_plain, "task");
}

START_TEST(test_policy_shared_tasks_do_not_see_each_other)
{
    struct context *first, *second;
    struct seen seen;

    begin("one");
    seen = (struct seen){"one", "one", referred};
    first = context_capture(FAMILY_UNIT);
    second = context_capture(FAMILY_UNIT);
    core_run(context_ref(first), look, &seen);
    core_run(first, write_and_take, NULL);
    core_run(context_ref(second), look, &seen);
    core_run(second, look, &seen);
    ck_assert_ptr_eq(core_get(key_copy), copied);
    ck_assert_ptr_eq(core_get(key_string), string);
    ck_assert_str_eq(core_get(key_plain), "plain");
    end();
}
END_TEST

/* What the next is lent has the bytes that it should have, whatever the last one made of the same copy. */
static void note_string(void *arg)
{
    *(char **)arg = core_get(key_string);
}

static void write_in_place(void *unused)
{
    memcpy(core_get(key_string), "two", 4);
    ((struct item *)core_get(key_copy))->references = 1;
}

START_TEST(test_policy_shared_copies_are_kept)
{
    struct context *first, *second;
    char *lent[3] = {NULL, NULL, NULL};
    struct seen seen = {"one", "one", NULL};

    begin("one");
    seen.ref = referred;
    core_run(context_capture(FAMILY_UNIT), look, &seen); /* the overlay that lends is made */
    core_run(context_capture(FAMILY_UNIT), note_string, &lent[0]);
    core_run(context_capture(FAMILY_UNIT), note_string, &lent[1]);
    ck_assert_ptr_eq(lent[0], lent[1]);
    core_run(context_capture(FAMILY_UNIT), write_in_place, NULL);
    core_run(context_capture(FAMILY_UNIT), look, &seen);
    first = context_capture(FAMILY_UNIT);
    strcpy(string, "one, and much more than there is room for");
    second = context_capture(FAMILY_UNIT);
    core_run(context_ref(first), look, &seen);
    seen.string = string;
    core_run(context_ref(second), look, &seen);
    seen.string = "one";
    core_run(first, look, &seen);
    core_run(context_ref(second), write_and_take, NULL);
    core_set(key_string, NULL);
    core_run(context_capture(FAMILY_UNIT), note_string, &lent[2]);
    ck_assert_ptr_null(lent[2]);
    seen.string = string;
    core_run(second, look, &seen);
    end();
}
END_TEST

/* What a task has captured is not what it captures after it has written in place. */
static void hand_on(void *arg)
{
    struct seen seen = {"one", "one", arg};
    struct context *first = context_capture(FAMILY_UNIT), *second;

    strcpy(((struct item *)core_get(key_copy))->text, "two");
    second = context_capture(FAMILY_UNIT);
    core_run(first, look, &seen);
    seen.copy = "two";
    core_run(second, look, &seen);
}

START_TEST(test_policy_shared_handed_on)
{
    begin("one");
    core_run(context_capture(FAMILY_UNIT), hand_on, referred);
    core_run(context_capture(FAMILY_UNIT), hand_on, referred);
    end();
}
END_TEST

static void only_capture(void *unused)
{
    context_release(context_capture(FAMILY_UNIT));
}

START_TEST(test_policy_shared_task_captures_only)
{
    begin("one");
    for (int i = 0; i < 3; i++)
        core_run(context_capture(FAMILY_UNIT), only_capture, NULL);
    end();
}
END_TEST

START_TEST(test_policy_shared_nothing_at_first)
{
    struct seen seen;

    context_release(context_capture(FAMILY_UNIT));
    begin("one");
    seen = (struct seen){"one", "one", referred};
    core_run(context_capture(FAMILY_UNIT), look, &seen);
    end();
}
END_TEST

/* The last to let go does so at once, whichever thread it is: the owner may wait for it. */
static void *run_elsewhere(void *context)
{
    struct seen seen = {"one", "one", referred};

    core_run(context, look, &seen);
    ck_assert_int_eq(referred->references, 0);
    thread_leave(thread_self);
    return NULL;
}

START_TEST(test_policy_shared_let_go_at_once)
{
    struct context *first, *second;
    pthread_t thread;
    struct seen seen;

    begin("one");
    seen = (struct seen){"one", "one", referred};
    first = context_capture(FAMILY_UNIT);
    second = context_capture(FAMILY_UNIT);
    core_set(key_plain, NULL);
    core_set(key_plain, "plain");
    core_run(first, look, &seen);
    pthread_create(&thread, NULL, run_elsewhere, second);
    pthread_join(thread, NULL);
    end();
}
END_TEST

/* What a thread that ends has kept for its next task it gives back. */
static void *run_some_and_end(void *contexts)
{
    struct seen seen = {"one", "one", referred};
    struct thread *thread;

    for (int i = 0; i < 3; i++)
        core_run(((struct context **)contexts)[i], look, &seen);
    thread = thread_self;
    ck_assert_ptr_nonnull(thread->lending);
    thread_leave(thread);
    return thread;
}

START_TEST(test_policy_shared_thread_ends)
{
    struct context *contexts[3];
    pthread_t thread;
    void *ended;

    begin("one");
    for (int i = 0; i < 3; i++)
        contexts[i] = context_capture(FAMILY_UNIT);
    pthread_create(&thread, NULL, run_some_and_end, contexts);
    pthread_join(thread, &ended);
    ck_assert_ptr_null(((struct thread *)ended)->lending);
    end();
}
END_TEST

START_TEST(test_policy_shared_unref_sets_a_key)
{
    struct seen seen;

    begin("one");
    destroyed = 0;
    seen = (struct seen){"one", "one", referred};
    for (int i = 0; i < 3; i++) {
        struct context *context = context_capture(FAMILY_UNIT);

        sets_when_unreferred = true;
        core_run(context, look, &seen);
        sets_when_unreferred = false;
        ck_assert_ptr_null(core_get(key_left));
        ck_assert_int_eq(destroyed, i + 1);
    }
    end();
}
END_TEST

START_TEST(test_policy_shared_unref_hands_over)
{
    struct seen seen;

    begin("one");
    seen = (struct seen){"one", "one", referred};
    for (int i = 0; i < 3; i++) {
        struct context *context = context_capture(FAMILY_UNIT);

        hands_over_when_unreferred = true;
        core_run(context, look, &seen);
        ck_assert(!hands_over_when_unreferred);
        context_release(handed_over);
    }
    end();
}
END_TEST

static void delete_key(void *unused)
{
    core_key_delete(key_string);
}

START_TEST(test_policy_shared_key_is_deleted)
{
    struct seen seen;

    begin("one");
    seen = (struct seen){"one", "one", referred};
    core_run(context_capture(FAMILY_UNIT), look, &seen);
    core_run(context_capture(FAMILY_UNIT), delete_key, NULL);
    core_key_create(&key_string, NULL);
    core_set(key_string, string);
    core_run(context_capture(FAMILY_UNIT), look, &seen);
    end();
}
END_TEST

static jmp_buf way_out;

static void jump(void *unused)
{
    longjmp(way_out, 1);
}

static __attribute__((noinline)) void run_deeper(struct context *context)
{
    volatile char buffer[4096] = "";

    core_run(context, jump, NULL);
    ck_assert_int_eq(buffer[0], 0);
}

START_TEST(test_policy_shared_longjmp)
{
    struct seen seen;

    begin("one");
    seen = (struct seen){"one", "one", referred};
    core_run(context_capture(FAMILY_UNIT), look, &seen);
    if (!setjmp(way_out))
        run_deeper(context_capture(FAMILY_UNIT));
    core_run(context_capture(FAMILY_UNIT), look, &seen);
    end();
}
END_TEST

/* The last run in a context of its own is lent what the context holds; a run before it, or one that borrows the
 * context, is not. */
static void look_at_clone(void *unused)
{
    ck_assert_str_eq(core_get(key_clone), "cloned");
}

static GUARDED void run_borrowed(struct context *context)
{
    GUARDED_FRAME();
    SCOPE_RUN(context, 0, look_at_clone(NULL));
}

START_TEST(test_policy_shared_lent_for_good)
{
    struct context *context;

    slots_always_build = true;
    begin("one");
    core_set(key_clone, "cloned");
    clones = 0;
    for (int i = 0; i < 3; i++)
        core_run(context_capture(FAMILY_UNIT), look_at_clone, NULL);
    ck_assert_int_eq(clones, 0);
    context = context_capture(FAMILY_UNIT);
    core_run(context_ref(context), look_at_clone, NULL);
    run_borrowed(context);
    run_borrowed(context);
    ck_assert_int_eq(clones, 1);
    core_run(context, look_at_clone, NULL);
    ck_assert_int_eq(clones, 0);
    end();
    slots_always_build = false;
}
END_TEST

/* Variables go along with held keys. */
static struct var *variable;

static void look_for_variable(void *value)
{
    struct vars_entry *entry = vars_find(vars_now(thread_self), variable);

    ck_assert_ptr_eq(entry ? entry->value : NULL, value);
}

START_TEST(test_policy_shared_variables)
{
    struct vars_entry *entry;
    struct vars_map *map;

    begin("one");
    variable = vars_new_var("variable", NULL, NULL);
    for (int i = 0; i < 2; i++)
        core_run(context_capture(FAMILY_UNIT), look_for_variable, NULL);
    entry = vars_entry_new(variable, "set");
    ck_assert(vars_with(NULL, entry, &map));
    vars_where(thread_self);
    vars_set_now(thread_self, map);
    core_run(context_capture(FAMILY_UNIT), look_for_variable, entry->value);
    vars_set_now(thread_self, NULL);
    core_run(context_capture(FAMILY_UNIT), look_for_variable, NULL);
    vars_entry_unref(entry);
    end();
}
END_TEST

static void destroy(void *unused)
{
    destroyed++;
}

/* What a task has set is noted by 64 keys together: those before key_left fill the first of them. */
static __attribute__((noinline)) void fill_keys(void)
{
    static pthread_key_t filling[64];

    for (int i = 0; i < 64; i++)
        core_key_create(&filling[i], NULL);
}

static __attribute__((noinline)) void create_keys(void)
{
    for (unsigned i = 0; i < sizeof all_keys / sizeof *all_keys; i++)
        core_key_create(all_keys[i], all_keys[i] == &key_left ? destroy : NULL);
}

int main(void)
{
    static char carry[4096] = "BATON_CARRY=key:key_copy,copy=64;key:key_string,string;"
                              "key:key_ref,ref=shared_ref,unref=shared_unref;"
                              "key:key_clone,clone=shared_clone,free=shared_free;key:key_plain;";
    TCase *tc = tcase_create("policy_shared");

    for (int i = 0; i < 64; i++)
        sprintf(carry + strlen(carry), "key:by=main#%d;", i + 1);
    strcat(carry, "key:key_left");
    core_start(carry);
    fill_keys();
    create_keys();
    slots_always_build = false; /* as it is with a leak checker, which finds nothing: end() */
    tcase_add_test(tc, test_policy_shared_unchanged);
    tcase_add_test(tc, test_policy_shared_changed_in_place);
    tcase_add_test(tc, test_policy_shared_changed_value);
    tcase_add_test(tc, test_policy_shared_changed_past_us);
    tcase_add_test(tc, test_policy_shared_last_byte);
    tcase_add_test(tc, test_policy_shared_tasks_do_not_see_each_other);
    tcase_add_test(tc, test_policy_shared_copies_are_kept);
    tcase_add_test(tc, test_policy_shared_handed_on);
    tcase_add_test(tc, test_policy_shared_task_captures_only);
    tcase_add_test(tc, test_policy_shared_nothing_at_first);
    tcase_add_test(tc, test_policy_shared_let_go_at_once);
    tcase_add_test(tc, test_policy_shared_thread_ends);
    tcase_add_test(tc, test_policy_shared_unref_sets_a_key);
    tcase_add_test(tc, test_policy_shared_unref_hands_over);
    tcase_add_test(tc, test_policy_shared_key_is_deleted);
    tcase_add_test(tc, test_policy_shared_longjmp);
    tcase_add_test(tc, test_policy_shared_lent_for_good);
    tcase_add_test(tc, test_policy_shared_variables);
    return suite_run("policy_shared", tc);
}
