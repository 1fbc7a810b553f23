/*
 * Context carried by hand in C, as a program that knew everything would do it: one thread-local
 * pointer (borrowed; or with a reference count), k __thread words, k pthread keys.
 */
#include "peer.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum { K_MAX = 64 };

static int k;
static pthread_key_t keys[K_MAX];
static __thread void *current;
static __thread long words[K_MAX];

struct counted {
    atomic_long references;
};

static struct counted snapshot = {1};
static void *borrowed[PEER_TASKS];
static struct counted *counted[PEER_TASKS];
static long word_copies[PEER_TASKS][K_MAX];
static void *key_copies[PEER_TASKS][K_MAX];

static void pointer_batch(void)
{
    for (int i = 0; i < PEER_TASKS; i++)
        borrowed[i] = current;
    for (int i = 0; i < PEER_TASKS; i++) {
        void *own = current;

        *(void *volatile *)&current = borrowed[i];
        peer_task();
        *(void *volatile *)&current = own;
    }
}

static void counted_batch(void)
{
    for (int i = 0; i < PEER_TASKS; i++) {
        counted[i] = &snapshot;
        atomic_fetch_add(&snapshot.references, 1);
    }
    for (int i = 0; i < PEER_TASKS; i++) {
        void *own = current;

        *(void *volatile *)&current = counted[i];
        peer_task();
        *(void *volatile *)&current = own;
        atomic_fetch_sub(&counted[i]->references, 1);
    }
}

static void words_batch(void)
{
    long own[K_MAX];

    for (int i = 0; i < PEER_TASKS; i++)
        memcpy(word_copies[i], words, (size_t)k * sizeof(long));
    for (int i = 0; i < PEER_TASKS; i++) {
        memcpy(own, words, (size_t)k * sizeof(long));
        memcpy(words, word_copies[i], (size_t)k * sizeof(long));
        peer_task();
        memcpy(words, own, (size_t)k * sizeof(long));
    }
}

static void keys_batch(void)
{
    void *own[K_MAX];

    for (int i = 0; i < PEER_TASKS; i++) {
        for (int j = 0; j < k; j++)
            key_copies[i][j] = pthread_getspecific(keys[j]);
    }
    for (int i = 0; i < PEER_TASKS; i++) {
        for (int j = 0; j < k; j++) {
            own[j] = pthread_getspecific(keys[j]);
            pthread_setspecific(keys[j], key_copies[i][j]);
        }
        peer_task();
        for (int j = 0; j < k; j++)
            pthread_setspecific(keys[j], own[j]);
    }
}

int main(int argc, char **argv)
{
    for (int i = 0; i < K_MAX; i++) {
        pthread_key_create(&keys[i], NULL);
        pthread_setspecific(keys[i], &keys[i]);
    }
    for (int i = 1; i < argc; i++) {
        k = atoi(argv[i]);
        peer_report("hand-pointer", k, pointer_batch);
        peer_report("hand-refcount", k, counted_batch);
        peer_report("hand-words", k, words_batch);
        peer_report("hand-keys", k, keys_batch);
    }
    return 0;
}
