// Threads whose frames nobody can unwind are cancelled by a library that is opened when they have long been started.
// usage: thread_cancelled_late PLUGIN key|tls|owned   owned: of owners that end before the threads do
// flags: -fno-asynchronous-unwind-tables -fno-unwind-tables -fno-exceptions
// link: -ldl
#include "carrier.h"
#include <dlfcn.h>

enum { THREADS = 8 };

static pthread_t waiting[THREADS];
static int number, right, is_owned;

static void gone(void *value)
{
    printf("destroyed %s\n", (char *)value);
}

static void *wait_for_it(void *unused)
{
    right += is_owned ? pthread_getspecific(request_key) != NULL : current() == 5;
    __atomic_add_fetch(&number, 1, __ATOMIC_RELEASE);
    while (pause())
        ;
    return unused;
}

static void *start_one(void *thread)
{
    int before = __atomic_load_n(&number, __ATOMIC_ACQUIRE);

    if (is_owned)
        pthread_setspecific(request_key, "a value");
    pthread_create(thread, NULL, wait_for_it, NULL);
    while (__atomic_load_n(&number, __ATOMIC_ACQUIRE) == before)
        usleep(200);
    return NULL;
}

int main(int argc, char **argv)
{
    void (*cancel)(pthread_t);
    void *plugin;

    is_owned = !strcmp(argv[2], "owned");
    setvbuf(stdout, NULL, _IONBF, 0);
    if (is_owned) {
        pthread_key_create(&request_key, gone);
    } else {
        carrier_choose(argv[2]);
        set_current(5);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_t owner;

        if (is_owned) {
            pthread_create(&owner, NULL, start_one, &waiting[i]);
            pthread_join(owner, NULL);
        } else {
            start_one(&waiting[i]);
        }
    }
    plugin = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    cancel = plugin ? (void (*)(pthread_t))dlsym(plugin, "plugin_cancel") : NULL;
    if (!cancel) {
        fprintf(stderr, "%s\n", dlerror());
        return 2;
    }
    for (int i = 0; i < THREADS; i++) {
        cancel(waiting[i]);
        pthread_join(waiting[i], NULL);
    }
    printf("%d of %d saw it\n", right, THREADS);
    return right != THREADS;
}
