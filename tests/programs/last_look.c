// When a thread ends its key destructors see what it set itself, and nothing of what it inherited.
// usage: last_look [CARRIER]
#include "carrier.h"

static pthread_key_t observer_key; /* made first: its destructor is called before others' values go */
static long seen_last;

static void observe(void *unused)
{
    seen_last = current();
}

static void *keeps(void *argument)
{
    pthread_setspecific(observer_key, argument);
    expect("inherited", current(), 5);
    return NULL;
}

static void *sets(void *argument)
{
    keeps(argument);
    set_current(9);
    return NULL;
}

static void *sets_and_exits(void *argument)
{
    sets(argument);
    pthread_exit(NULL);
}

static void run(const char *what, void *(*body)(void *), long wanted)
{
    pthread_t thread;
    seen_last = -1;
    pthread_create(&thread, NULL, body, &seen_last);
    pthread_join(thread, NULL);
    expect(what, seen_last, wanted);
    expect("the creator has", current(), 5);
}

int main(int argc, char **argv)
{
    pthread_key_create(&observer_key, observe);
    carrier_choose(argc > 1 ? argv[1] : "key");
    set_current(5);
    run("of what it inherited", keeps, 0);
    run("of what it set", sets, 9);
    run("of what it set before pthread_exit", sets_and_exits, 9);
    set_current(0);
    return verdict();
}
