// A plugin in a namespace of its own has a C library of its own: its handoffs are not the program's.
// link: -ldl
// flags: -D_GNU_SOURCE
// usage: bypass_space PLUGIN
#include <dlfcn.h>

#include "carrier.h"

static void *read_value(void *unused)
{
    return (void *)current();
}

static long seen_by_thread(void)
{
    pthread_t thread;
    void *seen = NULL;
    pthread_create(&thread, NULL, read_value, NULL);
    pthread_join(thread, &seen);
    return (long)seen;
}

int main(int argc, char **argv)
{
    /* Both libraries count their keys from 0 and keep the values in one place: not the same number twice. */
    pthread_key_t unused[4];
    for (int i = 0; i < 4; i++)
        pthread_key_create(&unused[i], NULL);
    carrier_choose(NULL);
    void *space = dlmopen(LM_ID_NEWLM, argv[1], RTLD_NOW | RTLD_LOCAL);
    long (*thread)(long) = space ? (long (*)(long))dlsym(space, "plugin_thread") : NULL;
    if (!thread) {
        fprintf(stderr, "%s\n", dlerror());
        return 2;
    }
    set_current(5);
    printf("a thread in there sees %ld\n", thread(7));
    expect("a thread out here", seen_by_thread(), 5);
    dlclose(space);
    expect("a thread afterwards", seen_by_thread(), 5);
    return verdict();
}
