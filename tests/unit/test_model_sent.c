/* uv_async_send against the callbacks that it causes, in every interleaving (families/libuv/sent.h). */
#include "context/context.h"
#include "model.h"
#include "suite.h"

/* ---- contexts that know who has them ---- */

enum { NONE, FIRST, SECOND, THIRD, CONTEXTS };

static struct {
    _Alignas(16) char place[16];
    int references, is_cached;
} contexts[CONTEXTS];
static int last_put; /* by the order of the exchanges */
static void *waiting;
static struct context *let_go;

static struct context *context_of(int which)
{
    return (struct context *)(void *)contexts[which].place;
}

static int which_of(const struct context *context)
{
    for (int i = FIRST; i < CONTEXTS; i++) {
        if (context == context_of(i))
            return i;
    }
    ck_assert_ptr_null(context);
    return NONE;
}

static struct context *model_ref(struct context *context)
{
    model_step();
    ck_assert_int_gt(contexts[which_of(context)].references, 0);
    contexts[which_of(context)].references++;
    return context;
}

static void model_release(struct context *context)
{
    model_step();
    ck_assert_int_gt(contexts[which_of(context)].references, 0);
    contexts[which_of(context)].references--;
}

static void note_put(void *place, uintptr_t value)
{
    if (place == &waiting && !(value & 1) && value)
        last_put = which_of((struct context *)value);
}

#define context_ref model_ref
#define context_release model_release
#define __atomic_load_n(...) (model_step(), __atomic_load_n(__VA_ARGS__))
#define __atomic_exchange_n(place, value, order)                  \
    (model_step(), note_put((void *)(place), (uintptr_t)(value)), \
     __atomic_exchange_n(place, value, order))
#define __atomic_compare_exchange_n(...) (model_step(), __atomic_compare_exchange_n(__VA_ARGS__))
#define __atomic_fetch_or(...) (model_step(), last_put = NONE, __atomic_fetch_or(__VA_ARGS__))
#include "families/libuv/sent.h"

/* ---- libuv: of several sends one callback ---- */

static bool is_pending;
static int last_seen, callbacks;

static void uv_send(void)
{
    model_step();
    is_pending = true;
}

static void round_of_loop(void)
{
    struct context *context;

    model_step();
    if (!is_pending)
        return;
    is_pending = false;
    callbacks++;
    context = sent_take(&waiting, &let_go);
    if (context) {
        ck_assert_int_gt(contexts[which_of(context)].references, 0);
        last_seen = which_of(context);
        model_release(context);
    } else {
        last_seen = NONE;
    }
}

static void loop(void)
{
    round_of_loop();
    round_of_loop();
}

static void send(int which)
{
    contexts[which].references = 1;
    sent_put(&waiting, context_of(which));
    uv_send();
}

static void send_first(void)
{
    send(FIRST);
}

static void send_second(void)
{
    send(SECOND);
}

static void send_none(void)
{
    sent_put_none(&waiting);
    uv_send();
}

/* Its thread has the context as well. */
static void send_by_handler(int which)
{
    contexts[which].references = 2;
    contexts[which].is_cached = 1;
    if (!sent_put_by_handler(&waiting, &let_go, context_of(which))) {
        contexts[which].references--;
        sent_put_none(&waiting);
    }
    uv_send();
}

static void handler(void)
{
    send_by_handler(THIRD);
}

/* There is room for one that is replaced. */
static void handlers(void)
{
    for (int which = FIRST; which <= THIRD; which++)
        send_by_handler(which);
}

static void reset(void)
{
    memset(contexts, 0, sizeof contexts);
    last_put = last_seen = NONE;
    waiting = let_go = NULL;
    is_pending = false;
    callbacks = 0;
}

/* The handle is closed: no callback comes any more. */
static void check_closed(void)
{
    sent_end(&waiting, &let_go);
    for (int i = FIRST; i < CONTEXTS; i++)
        ck_assert_int_eq(contexts[i].references, contexts[i].is_cached);
}

static void check(void)
{
    while (is_pending)
        round_of_loop();
    ck_assert_int_gt(callbacks, 0);
    ck_assert_int_eq(last_seen, last_put);
    ck_assert_ptr_null(let_go);
    for (int more = 0; more < 2; more++) { /* than come of one send */
        is_pending = true;
        round_of_loop();
    }
    ck_assert_ptr_null(sent_context(waiting));
    check_closed();
}

static void explore(void (*one)(void), void (*other)(void))
{
    struct model model = {{one, other, loop}, reset, check};

    ck_assert_uint_gt(model_explore(&model), 1000);
}

START_TEST(test_model_sent_by_two_threads)
{
    explore(send_first, send_second);
}
END_TEST

START_TEST(test_model_sent_by_a_thread_and_a_handler)
{
    explore(send_first, handler);
}
END_TEST

START_TEST(test_model_sent_by_handlers_one_after_the_other)
{
    struct model model = {{handlers, round_of_loop}, reset, check};

    ck_assert_uint_gt(model_explore(&model), 1000);
}
END_TEST

START_TEST(test_model_sent_to_a_handle_that_is_closed)
{
    struct model model = {{send_first, handler, round_of_loop}, reset, check_closed};

    ck_assert_uint_gt(model_explore(&model), 1000);
}
END_TEST

START_TEST(test_model_sent_by_a_thread_that_has_a_context_and_one_that_has_none)
{
    explore(send_first, send_none);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("model_sent");

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, test_model_sent_by_two_threads);
    tcase_add_test(tests, test_model_sent_by_a_thread_and_a_handler);
    tcase_add_test(tests, test_model_sent_by_handlers_one_after_the_other);
    tcase_add_test(tests, test_model_sent_to_a_handle_that_is_closed);
    tcase_add_test(tests, test_model_sent_by_a_thread_that_has_a_context_and_one_that_has_none);
    return suite_run("model_sent", tests);
}
