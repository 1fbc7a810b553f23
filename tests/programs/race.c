/* Threads that inherit the current request; with "race" the program has a race of its own, else none.
 *
 * usage: race clean|race CARRIER
 */
#include "carrier.h"

enum { ROUNDS = 4, THREADS = 4 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int right, racy, has_race;

static void *work(void *arg)
{
    if (has_race)
        racy++;
    pthread_mutex_lock(&mutex);
    right += current() == (long)arg;
    pthread_mutex_unlock(&mutex);
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS];

    has_race = argc > 1 && !strcmp(argv[1], "race");
    carrier_choose(argc > 2 ? argv[2] : NULL);
    for (long round = 1; round <= ROUNDS; round++) {
        set_current(round);
        for (int i = 0; i < THREADS; i++)
            pthread_create(&threads[i], NULL, work, (void *)round);
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
    }
    printf("%d of %d right\n", right, ROUNDS * THREADS);
    return right != ROUNDS * THREADS;
}
