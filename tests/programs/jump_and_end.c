// A thread jumps out of a callback and ends with nothing handed over in between: the callback's context is let go.
// libs: libuv
// usage: jump_and_end [CARRIER]
#include "carrier.h"
#include <setjmp.h>
#include <uv.h>

static jmp_buf out;
static uv_loop_t loop;
static uv_work_t request;
static long saw, destroyed;
static pthread_key_t witness_key;

static void witness(void *unused)
{
    destroyed++;
}

static void nothing(uv_work_t *unused)
{
}

static void after(uv_work_t *unused, int status)
{
    saw = current();
    set_current(7);
    longjmp(out, 1);
}

static void *body(void *unused)
{
    pthread_setspecific(witness_key, &loop);
    set_current(5);
    uv_queue_work(&loop, &request, nothing, after);
    set_current(9);
    if (!setjmp(out))
        uv_run(&loop, UV_RUN_DEFAULT);
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    carrier_choose(argc > 1 ? argv[1] : "key");
    pthread_key_create(&witness_key, witness);
    for (int i = 0; i < 20; i++) {
        uv_loop_init(&loop);
        pthread_create(&thread, NULL, body, NULL);
        pthread_join(thread, NULL);
        uv_run(&loop, UV_RUN_NOWAIT);
        uv_loop_close(&loop);
        expect("callback sees", saw, 5);
    }
    expect("threads ended", destroyed, 20);
    return verdict();
}
