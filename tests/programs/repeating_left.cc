// A repeating callback leaves its first run by an exception, longjmp, pthread_exit or cancellation.
// libs: libuv glib-2.0 libevent libevent_pthreads libsystemd
// usage: repeating_left LIBRARY MODE
#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <event2/event.h>
#include <event2/thread.h>
#include <glib.h>
#include <pthread.h>
#include <systemd/sd-event.h>
#include <unistd.h>
#include <uv.h>
extern "C" pthread_key_t request_key;
pthread_key_t request_key;

static const char *library, *mode;
static int runs, wrong, destroyed;
static jmp_buf before;

static void destroy(void *value)
{
    destroyed++;
    free(value);
}

// True: the callback shall end its registration.
static bool run()
{
    const char *value = (const char *)pthread_getspecific(request_key);

    runs++;
    wrong += !value || strcmp(value, "of the task");
    if (runs == 1) {
        if (!strcmp(mode, "throw"))
            throw 1;
        if (!strcmp(mode, "jump"))
            longjmp(before, 1);
        if (!strcmp(mode, "exit"))
            pthread_exit(nullptr);
        if (!strcmp(mode, "cancel")) {
            pthread_cancel(pthread_self());
            pthread_testcancel();
        }
    }
    return runs >= 3;
}

// Runs `loop` until its callback has ended it, and again when the first run was left.
template <class F> static void again(F loop)
{
    (void)setjmp(before);
    try {
        loop();
    } catch (int) {
        loop();
    }
}

// A thread that ends in the task still has the task's value itself, which must end with it.
static void in_loop()
{
    if (strcmp(mode, "exit") && strcmp(mode, "cancel"))
        pthread_setspecific(request_key, strdup("of the loop"));
}

static void *with_uv(void *unused)
{
    static uv_loop_t loop;
    static uv_timer_t timer;

    uv_loop_init(&loop);
    uv_timer_init(&loop, &timer);
    pthread_setspecific(request_key, strdup("of the task"));
    uv_timer_start(&timer, [](uv_timer_t *timer) {
        if (run())
            uv_close((uv_handle_t *)timer, nullptr);
    }, 0, 1);
    in_loop();
    again([] { uv_run(&loop, UV_RUN_DEFAULT); });
    uv_loop_close(&loop);
    return unused;
}

static void *with_glib(void *unused)
{
    GMainContext *context = g_main_context_new();
    GSource *source = g_timeout_source_new(1);

    pthread_setspecific(request_key, strdup("of the task"));
    g_source_set_callback(source, [](void *) { return (int)!run(); }, nullptr, nullptr);
    g_source_attach(source, context);
    in_loop();
    for (;;)
        g_main_context_iteration(context, TRUE);
    return unused;
}

static void *with_event(void *threads)
{
    struct timeval soon = {0, 1000};

    if (threads)
        evthread_use_pthreads();
    struct event_base *base = event_base_new();
    struct event *event = event_new(base, -1, EV_PERSIST, [](int, short, void *) { run(); }, nullptr);
    pthread_setspecific(request_key, strdup("of the task"));
    event_add(event, &soon);
    in_loop();
    event_base_dispatch(base);
    return nullptr;
}

static void *with_sd(void *unused)
{
    sd_event *event;

    sd_event_new(&event);
    pthread_setspecific(request_key, strdup("of the task"));
    sd_event_add_defer(event, nullptr, [](sd_event_source *, void *) { return run() ? 0 : 0; }, nullptr);
    in_loop();
    sd_event_loop(event);
    return unused;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void *(*run)(void *);
        void *argument;
    } libraries[] = {{"libuv", with_uv, nullptr},
                     {"glib", with_glib, nullptr},         {"libevent", with_event, nullptr},
                     {"libevent-threads", with_event, &wrong}, {"sd-event", with_sd, nullptr}};
    pthread_t thread;
    pthread_attr_t attributes;

    if (argc < 3)
        return 2;
    library = argv[1], mode = argv[2];
    pthread_key_create(&request_key, destroy);
    for (auto &entry : libraries) {
        if (strcmp(entry.name, library))
            continue;
        pthread_attr_init(&attributes);
        pthread_create(&thread, &attributes, entry.run, entry.argument);
        pthread_join(thread, nullptr);
        printf("runs %d, destroyed %d\n", runs, destroyed);
        puts(wrong ? "WRONG" : "RIGHT");
        return wrong != 0;
    }
    return 2;
}
