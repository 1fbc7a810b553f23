/*
 * A context's references in every interleaving (context/lifetime.c, snapshot.c, draft.c): what a thread hands over, changes and
 * hands over again, against those who run it, hand it on, and let go in batches.
 */
#include <stdatomic.h>
#include <string.h>

#include "model.h"

/* Before the headers, whose functions in line count too. Other words than references are no choices. */
static void step_at(const volatile void *place, size_t size);
#undef atomic_fetch_add_explicit
#undef atomic_fetch_sub_explicit
#undef atomic_load_explicit
#define CHANGED(place, sign, amount)     \
    __extension__({                      \
        __typeof__(*(place) + 0) was_;   \
                                         \
        step_at(place, sizeof *(place)); \
        was_ = *(place);                 \
        *(place) = was_ sign(amount);    \
        was_;                            \
    })
#define atomic_fetch_add_explicit(place, more, order) CHANGED(place, +, more)
#define atomic_fetch_sub_explicit(place, less, order) CHANGED(place, -, less)
#define atomic_load_explicit(place, order) (step_at(place, sizeof *(place)), *(place))

#include "context/draft.c"
#include "context/lifetime.c"
#include "context/snapshot.c"

#include "core.h"
#include "suite.h"

enum { HANDOFFS = 3, THREADS = 3 };

extern char __data_start[], _end[];
static struct thread *blocks[THREADS];

/* The counter of a context is the only word of eight bytes that is no variable. */
static void step_at(const volatile void *place, size_t size)
{
    int self = model_state.current;

    if (size != sizeof(int64_t) || self < 0 ||
        ((const volatile char *)place >= __data_start && (const volatile char *)place < _end))
        return;
    model_step();
    thread_self = blocks[self];
}

/* ---- the program ---- */

pthread_key_t request_key;
static void *value; /* of the first thread; the others have none of their own */
static struct context *waiting[HANDOFFS];

static void *read_key(pthread_key_t key)
{
    return key == request_key && thread_self == blocks[0] ? value : NULL;
}

static int write_key(pthread_key_t key, const void *to)
{
    if (key == request_key)
        value = (void *)(uintptr_t)to;
    return 0;
}

static void submit(int count)
{
    thread_self = blocks[0];
    for (int i = 0; i < count; i++) {
        context_set_key(request_key, 0, (void *)(uintptr_t)(i + 1), write_key);
        waiting[i] = context_of_thread(thread_self);
    }
}

static void submit_two(void)
{
    submit(2);
}

static void submit_three(void)
{
    submit(3);
}

/* What was handed over is what it was then, for as long as somebody has it. */
static void look(const struct context *context, int which)
{
    ck_assert_ptr_eq(context->key[0], (void *)(uintptr_t)(which + 1));
    ck_assert_int_gt(atomic_load(&context->refs), 0);
}

static struct context *take(int which)
{
    struct context *context = waiting[which];

    waiting[which] = NULL;
    return context;
}

static void run(int which, bool hands_on)
{
    struct context *context = take(which), *again;

    if (!context)
        return;
    look(context, which);
    if (hands_on) {
        thread_self->attached = context;
        again = context_of_task(thread_self);
        look(again, which);
        thread_self->attached = NULL;
        context_release_on(thread_self, again);
    }
    look(context, which);
    context_release_on(thread_self, context);
}

static void run_all(bool hands_on)
{
    thread_self = blocks[model_state.current < 0 ? 1 : model_state.current];
    for (int i = 0; i < HANDOFFS; i++)
        run(i, hands_on);
}

static void worker(void)
{
    run_all(false);
}

static void worker_that_hands_on(void)
{
    run_all(true);
}

/* As a thread that ends. */
static void flush(struct thread *thread)
{
    thread_self = thread;
    context_drop_snapshot(thread);
    context_flush_batch(thread);
    context_flush_releases(thread);
}

static void reset(void)
{
    value = NULL;
}

static void check(void)
{
    worker();
    for (int i = 0; i < THREADS; i++)
        flush(blocks[i]);
    ck_assert_int_eq(context_count_made(), 0);
}

static void begin(void)
{
    static char carry[] = "BATON_CARRY=key:request_key";

    if (blocks[0]) /* Check does not always fork for a test */
        return;
    core_start(carry);
    core_key_create(&request_key, NULL);
    slots_resolve();
    ck_assert_uint_eq(slots_key_count, 1);
    ck_assert(key_bindings[0].is_bound);
    slots_calls.key_read = read_key;
    for (int i = 0; i < THREADS; i++) {
        thread_self = &thread_unknown;
        blocks[i] = thread_begin();
        ck_assert_ptr_nonnull(blocks[i]);
    }
}

static void explore(void (*one)(void), void (*two)(void), void (*three)(void))
{
    struct model model = {{one, two, three}, reset, check};

    begin();
    ck_assert_uint_gt(model_explore(&model), 100);
}

START_TEST(test_model_contexts_renewed_while_two_let_go)
{
    explore(submit_two, worker, worker);
}
END_TEST

START_TEST(test_model_contexts_renewed_twice)
{
    explore(submit_three, worker, NULL);
}
END_TEST

START_TEST(test_model_contexts_handed_on)
{
    explore(submit_two, worker_that_hands_on, worker);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("model_contexts");

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, test_model_contexts_renewed_while_two_let_go);
    tcase_add_test(tests, test_model_contexts_renewed_twice);
    tcase_add_test(tests, test_model_contexts_handed_on);
    return suite_run("model_contexts", tests);
}
