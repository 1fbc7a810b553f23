// Functions of newer libraries than may be installed, as a library that came later has them (newer_names.so).
// libs: glib-2.0 libuv
// link: -ldl
// usage: newer_names LIBRARY [CARRIER]
#define _GNU_SOURCE // RTLD_DEFAULT, RTLD_NEXT, before glibc 2.36
#include "carrier.h"
#include <dlfcn.h>
#include <glib.h>
#include <uv.h>

static long saw_once = -1, saw_connected = -1, saw_work[3] = {-1, -1, -1}, saw_after[2] = {-1, -1};

static void on_once(void *data)
{
    saw_once = current();
}

static unsigned on_work(void *data)
{
    saw_work[(long)data] = current();
    return 77;
}

static void on_after(void *data, unsigned result)
{
    saw_after[(long)data] = result == 77 ? current() : -1;
}

static void on_work_once(void *data)
{
    on_work(data);
}

static void on_after_once(void *data)
{
    on_after(data, 77);
}

static void on_job(void *data)
{
    saw_work[(long)data] = current();
}

static void on_connected(uv_connect_t *request, int status)
{
    saw_connected = current();
}

int main(int argc, char **argv)
{
    static uv_connect_t request;
    static uv_pipe_t pipe;
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_GLOBAL);
    unsigned (*add)(unsigned, void (*)(void *), void *) =
        (unsigned (*)(unsigned, void (*)(void *), void *))dlsym(RTLD_DEFAULT, "g_timeout_add_seconds_once");
    int (*connect)(uv_connect_t *, uv_pipe_t *, const char *, size_t, unsigned, uv_connect_cb) =
        (int (*)(uv_connect_t *, uv_pipe_t *, const char *, size_t, unsigned, uv_connect_cb))dlsym(RTLD_DEFAULT,
                                                                                                  "uv_pipe_connect2");
    typedef void *enqueue_work(void *, size_t, unsigned (*)(void *), void (*)(void *, unsigned), void *);
    typedef void *enqueue_once(void *, void (*)(void *), void (*)(void *), void *);
    enqueue_work *enqueue = (enqueue_work *)dlsym(RTLD_DEFAULT, "isc_work_enqueue");
    void (*run)(void *, void (*)(void *), void *) =
        (void (*)(void *, void (*)(void *), void *))dlsym(RTLD_DEFAULT, "isc_async_run");
    void (*fire)(void) = library ? (void (*)(void))dlsym(library, "newer_fire") : NULL;
    if (!add || !connect || !enqueue || !run || !fire)
        return 2;
    uv_pipe_init(uv_default_loop(), &pipe, 0);
    carrier_choose(argc > 2 ? argv[2] : "key");
    set_current(101);
    add(0, on_once, NULL);
    set_current(102);
    expect("an error is told", connect(&request, &pipe, "", 0, 0, on_connected), -22);
    expect("connected", connect(&request, &pipe, "name", 4, 0, on_connected), 0);
    set_current(103);
    enqueue(NULL, 1, on_work, on_after, (void *)0);
    set_current(104);
    run(NULL, on_job, (void *)2);
    set_current(9);
    ((enqueue_once *)(void *)enqueue)(NULL, on_work_once, on_after_once, (void *)1);
    fire();
    // Where the installed libraries have them, their own loops run what they were given.
    for (int i = 0; i < 5000 && (saw_once == -1 || saw_connected == -1); i++) {
        g_main_context_iteration(NULL, FALSE);
        uv_run(uv_default_loop(), UV_RUN_NOWAIT);
        sleep_ms(1);
    }
    expect("timeout sees", saw_once, 101);
    expect("connect sees", saw_connected, 102);
    expect("work sees", saw_work[0], 103);
    expect("what comes after it sees", saw_after[0], 103);
    expect("a job sees", saw_work[2], 104);
    expect("work without a lane sees", saw_work[1], 9);
    expect("what comes after it sees", saw_after[1], 9);
    expect("the caller has", current(), 9);
    set_current(0);
    return verdict();
}
