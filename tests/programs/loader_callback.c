// Keys made inside a callback of dl_iterate_phdr, where the loader's lock is held.
// link: -lpthread -ldl
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

enum { ROUNDS = 100 };

static atomic_int rounds;

static int visit(struct dl_phdr_info *info, size_t size, void *arg)
{
    pthread_key_t key;

    if (pthread_key_create(&key, NULL) == 0)
        pthread_key_delete(key);
    return 1;
}

/* A library that comes and goes: names are looked for again each time. */
static void *come_and_go(void *arg)
{
    pthread_key_t key;

    for (; atomic_load(&rounds) < ROUNDS; atomic_fetch_add(&rounds, 1)) {
        void *handle = dlopen("libm.so.6", RTLD_NOW);

        if (pthread_key_create(&key, NULL) == 0)
            pthread_key_delete(key);
        if (handle)
            dlclose(handle);
    }
    return NULL;
}

int main(void)
{
    pthread_t thread;

    pthread_create(&thread, NULL, come_and_go, NULL);
    while (atomic_load(&rounds) < ROUNDS) {
        dl_iterate_phdr(visit, NULL);
        sched_yield(); /* the loader's lock is not fair: the other thread would wait for long */
    }
    pthread_join(thread, NULL);
    puts("done");
    return 0;
}
