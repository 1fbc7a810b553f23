// A task that ends otherwise than by returning: trace_ends exception|cancel|longjmp
// libs: glib-2.0
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <glib.h>
#include <pthread.h>
#include <unistd.h>

pthread_key_t request_key;
extern "C" thread_local unsigned long request_number;
thread_local unsigned long request_number;
static jmp_buf outside;
static const char *way;
static bool is_there;

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
    g_idle_add(nothing, nullptr); /* the next handoff on this thread finds what was jumped out of */
    return 0;
}
