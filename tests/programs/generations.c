// Children of children: each inherits what its creator holds at that moment, inherited or its own.
// usage: generations [CARRIER]
#include "carrier.h"

static long saw[8];

static void start_and_join(void *(*body)(void *), long place)
{
    pthread_t thread;
    pthread_create(&thread, NULL, body, (void *)place);
    pthread_join(thread, NULL);
}

static void *leaf(void *place)
{
    saw[(long)place] = current();
    set_current(99);
    return NULL;
}

static void *middle(void *place)
{
    saw[(long)place] = current();
    start_and_join(leaf, 2); /* what was inherited is handed on */
    set_current(8);
    start_and_join(leaf, 3); /* what was set since */
    set_current(0);
    start_and_join(leaf, 4); /* nothing */
    saw[5] = current();
    return NULL;
}

int main(int argc, char **argv)
{
    carrier_choose(argc > 1 ? argv[1] : "key");
    set_current(7);
    start_and_join(middle, 1);
    expect("child sees", saw[1], 7);
    expect("grandchild sees what the child inherited", saw[2], 7);
    expect("grandchild sees what the child set", saw[3], 8);
    expect("grandchild of an emptied child sees", saw[4], 0);
    expect("the child keeps its own", saw[5], 0);
    expect("main has", current(), 7);
    set_current(0);
    return verdict();
}
