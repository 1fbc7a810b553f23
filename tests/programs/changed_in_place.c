// A struct that is filled in anew for every request: every task sees the latest of them.
// usage: changed_in_place heap|static|fresh|same|done   fresh, same, done: each sees its own
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct request {
    char name[24];
    long id;
};

pthread_key_t request_key;
struct request current;
static sem_t all_are_there;
static int wrong;

static void *task(void *id)
{
    const struct request *request;

    sem_wait(&all_are_there);
    request = pthread_getspecific(request_key);
    if (!request || request->id != (long)id)
        __atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
    return NULL;
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "heap";
    struct request *request = !strcmp(mode, "static") ? &current : calloc(1, sizeof *request);
    pthread_t threads[3];

    sem_init(&all_are_there, 0, 0);
    pthread_key_create(&request_key, NULL);
    for (long i = 0; i < 3; i++) {
        long id = strcmp(mode, "same") ? i + 1 : 1;

        if (!strcmp(mode, "fresh"))
            request = calloc(1, sizeof *request);
        request->id = id;
        pthread_setspecific(request_key, request);
        pthread_create(&threads[i], NULL, task, (void *)id);
        if (!strcmp(mode, "done")) {
            sem_post(&all_are_there);
            pthread_join(threads[i], NULL);
        }
    }
    for (int i = 0; i < 3 && strcmp(mode, "done"); i++)
        sem_post(&all_are_there);
    for (int i = 0; i < 3 && strcmp(mode, "done"); i++)
        pthread_join(threads[i], NULL);
    pthread_setspecific(request_key, NULL);
    printf("wrong %d\n", wrong);
    return wrong != 0;
}
