// Every way to start a thread from C: old symbol versions, by dlsym, C11, GLib's four: one handoff each.
// libs: glib-2.0
// flags: -Wno-deprecated-declarations -Wno-restrict
// link: -ldl
// usage: all_the_ways WAY [CARRIER]
#define _GNU_SOURCE /* RTLD_DEFAULT, in older headers */
#include "carrier.h"
#include <dlfcn.h>
#include <glib.h>

int old_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *),
                       void *argument);
#if defined(__x86_64__)
__asm__(".symver old_pthread_create, pthread_create@GLIBC_2.2.5");
#else
__asm__(".symver old_pthread_create, pthread_create@GLIBC_2.17");
#endif

typedef int (*create_function)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

static long seen = -1;

static void *body(void *argument)
{
    seen = current();
    return argument;
}

static int body_c11(void *argument)
{
    body(argument);
    return 0;
}

int main(int argc, char **argv)
{
    const char *way = argc > 1 ? argv[1] : "plain";
    pthread_t thread;
    thrd_t c11;
    GThread *one = NULL;
    void *result = NULL;
    carrier_choose(argc > 2 ? argv[2] : "key");
    set_current(7);
    if (!strcmp(way, "plain")) {
        pthread_create(&thread, NULL, body, body);
    } else if (!strcmp(way, "old")) {
        old_pthread_create(&thread, NULL, body, body);
    } else if (!strcmp(way, "dlsym")) {
        ((create_function)dlsym(RTLD_DEFAULT, "pthread_create"))(&thread, NULL, body, body);
    } else if (!strcmp(way, "c11")) {
        thrd_create(&c11, body_c11, body);
        thrd_join(c11, NULL);
    } else if (!strcmp(way, "g_thread_new")) {
        one = g_thread_new("one", body, body);
    } else if (!strcmp(way, "g_thread_try_new")) {
        one = g_thread_try_new("one", body, body, NULL);
    } else if (!strcmp(way, "g_thread_create")) {
        one = g_thread_create(body, body, TRUE, NULL);
    } else if (!strcmp(way, "g_thread_create_full")) {
        one = g_thread_create_full(body, body, 1 << 20, TRUE, TRUE, G_THREAD_PRIORITY_NORMAL, NULL);
    } else {
        return 2;
    }
    set_current(8);
    if (one)
        result = g_thread_join(one);
    else if (strcmp(way, "c11"))
        pthread_join(thread, &result);
    if (strcmp(way, "c11"))
        expect("its result is its own", result == body, 1);
    expect("the thread sees", seen, 7);
    expect("the creator has", current(), 8);
    set_current(0);
    return verdict();
}
