// A loop's thread with a key of its own, which its callbacks take for granted; the event was added by main.
// libs: libevent
// usage: thread_owns [submitter]: main has a value of the key too, and the callback aborts
#include <event2/event.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pthread_key_t own, nobodys;
static struct event_base *base;
static int is_submitters;

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    const char *const *name = pthread_getspecific(own);

    if (is_submitters)
        abort();
    printf("%s\n", *name);
    event_base_loopbreak(base);
}

static void *loop(void *arg)
{
    static const char *const name = "the thread's own";

    pthread_setspecific(own, &name);
    event_base_dispatch(base);
    return NULL;
}

int main(int argc, char **argv)
{
    static const char *const name = "main's";
    struct event *event;
    pthread_t thread;
    int ends[2];

    is_submitters = argc > 1 && !strcmp(argv[1], "submitter");
    if (pthread_key_create(&own, NULL) || pthread_key_create(&nobodys, NULL) || pipe(ends))
        return 1;
    if (is_submitters)
        pthread_setspecific(own, &name);
    base = event_base_new();
    event = event_new(base, ends[0], EV_READ | EV_PERSIST, on_readable, NULL);
    if (!event || event_add(event, NULL) || write(ends[1], "x", 1) != 1 ||
        pthread_create(&thread, NULL, loop, NULL))
        return 1;
    pthread_join(thread, NULL);
    event_free(event);
    event_base_free(base);
    return 0;
}
