// Functions of newer libraries than may be installed, as a library that came later has them (newer_names.so).
// libs: glib-2.0 libuv
// link: -ldl
// usage: newer_names LIBRARY [CARRIER]
#define _GNU_SOURCE // RTLD_DEFAULT, RTLD_NEXT, before glibc 2.36
#include "carrier.h"
#include <dlfcn.h>
#include <glib.h>
#include <uv.h>

static long saw_once = -1, saw_connected = -1;

static void on_once(void *data)
{
    saw_once = current();
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
    void (*fire)(void) = library ? (void (*)(void))dlsym(library, "newer_fire") : NULL;
    if (!add || !connect || !fire)
        return 2;
    uv_pipe_init(uv_default_loop(), &pipe, 0);
    carrier_choose(argc > 2 ? argv[2] : "key");
    set_current(101);
    add(0, on_once, NULL);
    set_current(102);
    expect("an error is told", connect(&request, &pipe, "", 0, 0, on_connected), -22);
    expect("connected", connect(&request, &pipe, "name", 4, 0, on_connected), 0);
    set_current(9);
    fire();
    // Where the installed libraries have them, their own loops run what they were given.
    for (int i = 0; i < 5000 && (saw_once == -1 || saw_connected == -1); i++) {
        g_main_context_iteration(NULL, FALSE);
        uv_run(uv_default_loop(), UV_RUN_NOWAIT);
        sleep_ms(1);
    }
    expect("timeout sees", saw_once, 101);
    expect("connect sees", saw_connected, 102);
    expect("the caller has", current(), 9);
    set_current(0);
    return verdict();
}
