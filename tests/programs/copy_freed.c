// A slot still names memory that is unmapped: a large block after free(), a mapping, the end of the heap that was given
// back. What copies its value at a handoff lives on.
// usage: copy_freed block|mapping|heap
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { LARGE = 200000, /* M_MMAP_THRESHOLD is 128 KiB */ BLOCKS = 64, BLOCK = 20000, ROOM = 32 };

pthread_key_t request_key;
static int wrong;
static char *blocks[BLOCKS], *below[ROOM];

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

static char *get(char kind)
{
    if (kind == 'b')
        return calloc(1, LARGE);
    if (kind == 'm')
        return mmap(NULL, LARGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < ROOM; i++)
        below[i] = malloc(i % 2 ? 64 : 20);
    for (int i = 0; i < BLOCKS; i++)
        blocks[i] = malloc(BLOCK);
    for (int i = 0; i < ROOM; i++) /* what is allocated meanwhile lies below */
        free(below[i]);
    return blocks[BLOCKS - 2];
}

static void give_back(char kind, char *value)
{
    if (kind == 'b')
        free(value);
    else if (kind == 'm')
        munmap(value, LARGE);
    for (int i = 0; kind == 'h' && i < BLOCKS; i++)
        free(blocks[i]);
    malloc_trim(0);
}

int main(int argc, char **argv)
{
    enum { TIMES = 4 };

    pthread_key_create(&request_key, NULL);
    hand_over(NULL); /* the thread's stack and table are kept for the next */
    for (int i = 0; argc == 2 && i < TIMES; i++) {
        char *value = get(*argv[1]);

        strcpy(value, "of the request");
        pthread_setspecific(request_key, value);
        hand_over("of the request");
        hand_over("of the request");
        give_back(*argv[1], value);
        hand_over(NULL);
    }
    printf("wrong %d\n", wrong);
    return wrong != 0;
}
