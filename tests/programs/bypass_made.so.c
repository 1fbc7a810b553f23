// A plugin whose constructor reads its host's key, sets it, and may open another plugin past others in between.
// link: -ldl
// flags: -D_GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

long made_saw, made_saw_after; /* the second behind the other plugin */

__attribute__((constructor)) static void load(void)
{
    pthread_key_t key = (pthread_key_t)atoi(getenv("MADE_KEY"));
    const char *adds = getenv("MADE_ADDS"), *other = getenv("MADE_OPENS");

    made_saw = (long)pthread_getspecific(key);
    if (adds)
        pthread_setspecific(key, (void *)(made_saw + atol(adds)));
    if (other) {
        char *name = strdup(other);
        unsetenv("MADE_OPENS");
        dlopen(name, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
        setenv("MADE_OPENS", name, 1);
        free(name);
    }
    made_saw_after = (long)pthread_getspecific(key);
}
