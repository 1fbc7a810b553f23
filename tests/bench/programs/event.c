/* libevent: an event made active by hand, a timer that is due at once, base_once. */
#include "drive.h"

#include <event2/event.h>
#include <stdlib.h>

static struct event_base *base;
static struct event **events;
static size_t in_flight;

static void run_task(evutil_socket_t fd, short what, void *data)
{
    (void)fd;
    (void)what;
    drive_task((size_t)data);
}

static void setup(size_t count)
{
    in_flight = count;
    base = event_base_new();
    events = calloc(2 * count, sizeof(struct event *));
    for (size_t i = 0; i < 2 * count; i++)
        events[i] = event_new(base, -1, 0, run_task, (void *)i);
}

static void activate(size_t index)
{
    event_active(events[index], EV_TIMEOUT, 0);
}

static void activate_nested(size_t index)
{
    activate(index + in_flight);
}

static void add_timer(size_t index)
{
    static const struct timeval now = {0, 0};

    event_add(events[index], &now);
}

/* With its object: what each one takes, from its making on. */
static void setup_none(size_t count)
{
    in_flight = count;
    base = event_base_new();
    events = calloc(count, sizeof(struct event *));
}

static void make_timer(size_t index)
{
    events[index] = event_new(base, -1, 0, run_task, (void *)index);
    add_timer(index);
}

static void loop_and_free(void)
{
    event_base_loop(base, 0);
    for (size_t i = 0; i < in_flight; i++) {
        if (events[i])
            event_free(events[i]);
        events[i] = NULL;
    }
}

static void add_timer_nested(size_t index)
{
    add_timer(index + in_flight);
}

static void once(size_t index)
{
    static const struct timeval now = {0, 0};

    event_base_once(base, -1, EV_TIMEOUT, run_task, (void *)index, &now);
}

static void loop(void)
{
    event_base_loop(base, 0);
}

const struct way drive_ways[] = {
    {.name = "event.active",
     .setup = setup,
     .submit = activate,
     .finish = loop,
     .nest = activate_nested,
     .is_same_thread = true},
    {.name = "event.timer",
     .setup = setup,
     .submit = add_timer,
     .finish = loop,
     .nest = add_timer_nested,
     .is_same_thread = true},
    {.name = "event.new",
     .setup = setup_none,
     .submit = make_timer,
     .finish = loop_and_free,
     .is_same_thread = true},
    {.name = "event.once",
     .setup = setup,
     .submit = once,
     .finish = loop,
     .is_same_thread = true},
    {0},
};
