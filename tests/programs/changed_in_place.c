// A struct that is filled in anew for every request: every task sees the latest of them.
// stack, inside: where it lies, that no allocator knows; freed: each has one of its own, at the address of the last;
// gone: its memory is not there any more when it is handed over again.
// usage: changed_in_place heap|static|stack|inside|freed|fresh|same|done|gone   the last four: each sees its own
//        changed_in_place FIRST SECOND   "object" of the one library, and of another that is loaded then
#include <dlfcn.h>
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
static int wrong, is_gone;

static void *task(void *id)
{
    const struct request *request;

    sem_wait(&all_are_there);
    request = pthread_getspecific(request_key);
    if (!request || (!is_gone && request->id != (long)id))
        __atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
    return NULL;
}

static struct request *object_of(const char *library)
{
    void *loaded = dlopen(library, RTLD_NOW);
    struct request *object = loaded ? dlsym(loaded, "object") : NULL;
    pthread_t thread;

    if (!object)
        exit(2);
    if (strstr(library, "first")) {
        pthread_setspecific(request_key, object);
        sem_post(&all_are_there);
        pthread_create(&thread, NULL, task, NULL);
        pthread_join(thread, NULL);
        wrong = 0;
        dlclose(loaded);
    }
    return object;
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "heap";
    struct request room[2], *request = malloc(sizeof *request);
    pthread_t threads[3];

    sem_init(&all_are_there, 0, 0);
    pthread_key_create(&request_key, NULL);
    if (argc > 2) {
        const struct request *before = object_of(argv[1]);

        request = object_of(argv[2]);
        printf("%s\n", before == request ? "at the same address" : "at another address");
    }
    if (!strcmp(mode, "static"))
        request = &current;
    if (!strcmp(mode, "stack"))
        request = room;
    if (!strcmp(mode, "inside"))
        request = (struct request *)(void *)((char *)calloc(1, 4096) + 1000);
    if ((is_gone = !strcmp(mode, "gone")))
        request = malloc(200000);
    memset(request, 0, sizeof *request);

    for (long i = 0; i < 3; i++) {
        long id = strcmp(mode, "same") ? i + 1 : 1;

        if (!strcmp(mode, "fresh"))
            request = calloc(1, sizeof *request);
        if (!strcmp(mode, "freed")) {
            free(request);
            request = malloc(sizeof *request);
            memset(request, 0, sizeof *request);
        }
        if (is_gone && i == 1)
            free(request);
        if (!is_gone || i == 0) {
            request->id = id;
            pthread_setspecific(request_key, request);
        }
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
