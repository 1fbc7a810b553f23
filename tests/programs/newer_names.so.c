// Functions that libraries have gained since those that are installed: GLib 2.78, libuv 1.46. What they were given runs
// when it is fired, by a call that nobody sees.
#include <stddef.h>

struct connect;
static void (*once)(void *);
static void *once_data;
static void (*connected)(struct connect *, int);
static struct connect *connecting;

unsigned g_timeout_add_seconds_once(unsigned interval, void (*function)(void *), void *data)
{
    once = function;
    once_data = data;
    return 1;
}

int uv_pipe_connect2(struct connect *request, void *pipe, const char *name, size_t length, unsigned flags,
                     void (*callback)(struct connect *, int))
{
    if (!length)
        return -22;
    connecting = request;
    connected = callback;
    return 0;
}

void newer_fire(void)
{
    if (once)
        once(once_data);
    if (connected)
        connected(connecting, 0);
    once = NULL;
    connected = NULL;
}
