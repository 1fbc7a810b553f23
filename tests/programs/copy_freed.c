// A slot still names a large block after it was freed, which unmaps it: what copies its value at a handoff lives on.
// usage: copy_freed
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

pthread_key_t request_key;
static int wrong;

static void *task(void *wanted)
{
    const char *value = pthread_getspecific(request_key);

    wrong += wanted && (!value || strcmp(value, wanted) != 0);
    return NULL;
}

static void hand_over(const char *wanted)
{
    pthread_t thread;

    pthread_create(&thread, NULL, task, (void *)wanted);
    pthread_join(thread, NULL);
}

int main(void)
{
    enum { LARGE = 200000, TIMES = 4 }; /* M_MMAP_THRESHOLD is 128 KiB */

    pthread_key_create(&request_key, NULL);
    for (int i = 0; i < TIMES; i++) {
        char *value = calloc(1, LARGE);

        strcpy(value, "of the request");
        pthread_setspecific(request_key, value);
        hand_over("of the request");
        hand_over("of the request");
        free(value);
        hand_over(NULL);
    }
    printf("wrong %d\n", wrong);
    return wrong != 0;
}
