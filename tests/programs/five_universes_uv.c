// Five universes on one thread, as libuv callbacks: each chain of callbacks sees only its own "who am I".
// libs: libuv
// usage: five_universes_uv [CARRIER]
#include "carrier.h"
#include <uv.h>

enum { UNIVERSES = 5, ROUNDS = 20 };

struct universe {
    long name;
    int round, own_right, child_right, timer_right, children;
    uv_timer_t timer, next;
    uv_fs_t requests[ROUNDS];
};

static struct universe universes[UNIVERSES];
static uv_loop_t *loop;

/* A file-system request is a child of its round. */
static void on_request(uv_fs_t *request)
{
    struct universe *me = request->data;
    long round = request - me->requests;
    me->child_right += current() == me->name * 1000 + round;
    set_current(9999);
    uv_fs_req_cleanup(request);
}

/* A timer of its own counts in its own context. */
static void on_timer(uv_timer_t *timer)
{
    struct universe *me = timer->data;
    long seen = current();
    me->timer_right += seen >= me->name * 100000 && seen < me->name * 100000 + 5000;
    set_current(seen + 1);
}

static void on_round(uv_timer_t *timer)
{
    struct universe *me = timer->data;
    me->own_right += current() == me->name;
    set_current(me->name * 1000 + me->round);
    me->requests[me->round].data = me;
    uv_fs_stat(loop, &me->requests[me->round], "/", on_request);
    set_current(me->name);
    if (++me->round < ROUNDS) {
        uv_timer_start(timer, on_round, (uint64_t)me->name % 2, 0);
    } else {
        uv_close((uv_handle_t *)timer, NULL);
        uv_close((uv_handle_t *)&me->timer, NULL);
    }
    set_current(-me->name);
}

int main(int argc, char **argv)
{
    carrier_choose(argc > 1 ? argv[1] : "key");
    loop = uv_default_loop();
    for (int i = 0; i < UNIVERSES; i++) {
        struct universe *me = &universes[i];
        me->name = i + 1;
        me->timer.data = me->next.data = me;
        uv_timer_init(loop, &me->timer);
        uv_timer_init(loop, &me->next);
        set_current(me->name * 100000);
        uv_timer_start(&me->timer, on_timer, 0, 1);
        set_current(me->name);
        uv_timer_start(&me->next, on_round, 1, 0);
    }
    set_current(77);
    uv_run(loop, UV_RUN_DEFAULT);
    for (int i = 0; i < UNIVERSES; i++) {
        printf("universe %d: ", i + 1);
        expect("own", universes[i].own_right, ROUNDS);
        printf("universe %d: ", i + 1);
        expect("requests", universes[i].child_right, ROUNDS);
        printf("universe %d: ", i + 1);
        expect("timer", universes[i].timer_right > 0, 1);
    }
    expect("the loop's thread has", current(), 77);
    uv_loop_close(loop);
    return verdict();
}
