/*
 * A word that holds a number, an address that no machine has, or one where nothing is, then a string that ends in its last page,
 * and one that does not end there: each is handed to a thread, with the number of the turn beside it.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

__thread const char *word;
__thread long turn;

static void *work(void *unused)
{
    printf(" %ld:%s", turn, word ? word : "nothing");
    return unused;
}

static void hand_over(const void *value)
{
    pthread_t thread;

    word = value;
    turn++;
    if (!pthread_create(&thread, NULL, work, NULL))
        pthread_join(thread, NULL);
}

int main(void)
{
    char *pages = mmap(NULL, 12288, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (pages == MAP_FAILED || munmap(pages + 8192, 4096))
        return 2;
    hand_over((const void *)(uintptr_t)5);
    hand_over((const void *)(uintptr_t)123456789);
    hand_over((const void *)(uintptr_t)0x4141414141414141);
    hand_over(pages + 8192);
    hand_over(strcpy(pages + 8192 - 6, "right"));
    hand_over(strcpy(pages + 4096 - 3, "across"));
    hand_over(strcpy(pages + 4096 - 3, "across"));
    memset(pages + 8192 - 6, 'x', 6);
    hand_over(pages + 8192 - 6);
    word = NULL;
    puts("");
    return 0;
}
