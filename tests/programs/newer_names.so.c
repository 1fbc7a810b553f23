// Functions that libraries have gained since those that are installed: GLib 2.78, libuv 1.46, BIND 9.20. What they were given runs
// when it is fired, by a call that nobody sees.
#include <stddef.h>

struct connect;
static void (*once)(void *);
static void *once_data;
static void (*connected)(struct connect *, int);
static struct connect *connecting;
static unsigned (*work)(void *);
static void (*after)(void *, unsigned), (*job)(void *);
static void *work_data, *job_data;

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

/* With lanes, and as it was in 9.20.0, where the work was the second argument. */
void *isc_work_enqueue(void *loop, size_t lane, unsigned (*function)(void *), void (*then)(void *, unsigned), void *data)
{
    if (lane < 2) {
        work = function;
        after = then;
        work_data = data;
    } else {
        ((void (*)(void *))lane)(then);
        ((void (*)(void *))(size_t)function)(then);
    }
    return &work;
}

void isc_async_run(void *loop, void (*function)(void *), void *data)
{
    job = function;
    job_data = data;
}

void newer_fire(void)
{
    if (work)
        after(work_data, work(work_data));
    if (job)
        job(job_data);
    work = NULL;
    job = NULL;
    if (once)
        once(once_data);
    if (connected)
        connected(connecting, 0);
    once = NULL;
    connected = NULL;
}
