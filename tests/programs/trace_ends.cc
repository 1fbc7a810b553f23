// A task that ends otherwise than by returning: trace_ends exception|cancel|longjmp|setter|setter-longjmp|free
// libs: glib-2.0
// flags: -rdynamic
// setter: that of one that was jumped out of throws, or jumps, when its value is put back; item: fn:get=ends_get,set=ends_set
// free: likewise, of the last who has the value; item: key:request_key,clone=ends_clone,free=ends_free
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <glib.h>
#include <pthread.h>
#include <unistd.h>

pthread_key_t request_key;
extern "C" thread_local unsigned long request_number;
thread_local unsigned long request_number;
static jmp_buf outside, further;
static const char *way;
static bool is_there, throws;
static thread_local long value;

extern "C" long ends_get(void)
{
    return value;
}

extern "C" void ends_set(long now)
{
    bool does = throws;

    value = now;
    throws = false;
    if (does && !strcmp(way, "setter-longjmp"))
        longjmp(further, 1);
    if (does)
        throw 2;
}

extern "C" void *ends_clone(void *value)
{
    return value;
}

extern "C" void ends_free(void *)
{
    ends_set(value);
}

static void *thread(void *)
{
    __atomic_store_n(&is_there, true, __ATOMIC_RELEASE);
    if (!strcmp(way, "cancel"))
        for (;;)
            pause();
    pthread_exit(nullptr);
}

static gboolean task(gpointer)
{
    if (!strcmp(way, "exception"))
        throw 1;
    longjmp(outside, 1);
}

static gboolean nothing(gpointer)
{
    return G_SOURCE_REMOVE;
}

int main(int argc, char **argv)
{
    way = argc > 1 ? argv[1] : "exception";
    pthread_key_create(&request_key, nullptr);
    pthread_setspecific(request_key, (void *)7);
    value = 7;
    if (!strcmp(way, "cancel")) {
        pthread_t started;

        pthread_create(&started, nullptr, thread, nullptr);
        while (!__atomic_load_n(&is_there, __ATOMIC_ACQUIRE))
            usleep(1000);
        pthread_cancel(started);
        pthread_join(started, nullptr);
        return 0;
    }
    if (!strcmp(way, "exception")) {
        pthread_t started;

        pthread_create(
            &started, nullptr,
            [](void *) -> void * {
                GMainContext *own = g_main_context_new();
                GSource *source = g_idle_source_new();

                g_source_set_callback(source, task, nullptr, nullptr);
                g_source_attach(source, own);
                try {
                    g_main_context_iteration(own, FALSE);
                } catch (int) {
                    puts("caught");
                }
                return nullptr;
            },
            nullptr);
        pthread_join(started, nullptr);
        return 0;
    }
    if (!setjmp(outside)) {
        g_idle_add(task, nullptr);
        for (;;)
            g_main_context_iteration(nullptr, TRUE);
    }
    throws = !strncmp(way, "setter", 6) || !strcmp(way, "free");
    if (!strcmp(way, "free"))
        while (g_idle_remove_by_data(nullptr))
            ;
    try {
        if (!setjmp(further))
            g_idle_add(nothing, nullptr); /* the next handoff on this thread finds what was jumped out of */
    } catch (int) {
        puts("thrown");
    }
    g_idle_add(nothing, nullptr);
    while (g_main_context_iteration(nullptr, FALSE))
        ;
    return throws;
}
