/*
 * A request in memory that no allocator knows: pages around an arena's, which are gone then, the arena's, its
 * inside, one with words around it as glibc's blocks have them, its last bytes, and one that is shorter than was said.
 * Each is handed to a thread, which prints it.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

__thread char *request;

static void *work(void *unused)
{
    printf(" %s", request ? request : "nothing");
    return unused;
}

static void hand_over(char *value)
{
    pthread_t thread;

    request = value;
    if (!pthread_create(&thread, NULL, work, NULL))
        pthread_join(thread, NULL);
}

int main(void)
{
    char *pages = mmap(NULL, 12288, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *arena = pages + 4096;
    size_t *block;

    if (pages == MAP_FAILED)
        return 2;
    hand_over(strcpy(pages, "below"));
    hand_over(strcpy(arena + 4096, "behind"));
    if (munmap(pages, 4096) || munmap(arena + 4096, 4096))
        return 2;
    hand_over(strcpy(arena, "mine"));
    hand_over(strcpy(arena + 3, "mine"));
    block = (size_t *)(void *)(arena + 2048);
    block[1] = 32;
    block[5] = 1; /* the next one says: the one before is in use */
    hand_over(strcpy((char *)(block + 2), "sized-and-longer-than-24-bytes"));
    block = (size_t *)(void *)(arena + 3072);
    block[1] = 32 | 2; /* a mapping of its own */
    hand_over(strcpy((char *)(block + 2), "mapped-and-longer-than-16"));
    hand_over(strcpy(arena + 4096 - 48, "mine"));
    hand_over(strcpy(arena + 4096 - 8, "short"));
    request = NULL;
    puts("");
    return 0;
}
