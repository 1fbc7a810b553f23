// Threads with the smallest stack there is hand work over, also right after a library was loaded.
// link: -ldl
// usage: small_stack [CARRIER]
#include "carrier.h"
#include <dlfcn.h>
#include <limits.h>

static long saw[3];
static pthread_attr_t small;

static void *leaf(void *place)
{
    saw[(long)place] = current();
    return NULL;
}

/* Exit runs in this thread, with its stack. */
static void *leaver(void *unused)
{
    expect("its second child sees", saw[2], 9);
    set_current(0);
    exit(verdict());
}

static void *middle(void *place)
{
    pthread_t thread;
    saw[0] = current();
    for (long i = 1; i <= 2; i++) {
        set_current(7 + i);
        pthread_create(&thread, &small, leaf, (void *)i);
        pthread_join(thread, NULL);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    carrier_choose(argc > 1 ? argv[1] : "key");
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, PTHREAD_STACK_MIN);
    set_current(7);
    pthread_create(&thread, &small, middle, NULL);
    dlopen("libresolv.so.2", RTLD_NOW); /* while it starts: names are looked for once more */
    pthread_join(thread, NULL);
    expect("thread sees", saw[0], 7);
    expect("its child sees", saw[1], 8);
    pthread_create(&thread, &small, leaver, NULL);
    pthread_join(thread, NULL);
    return 3;
}
