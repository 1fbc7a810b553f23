// Five threads set "who am I", interleave, start children, and read it back: each sees only its own.
// usage: five_universes [CARRIER]
#include "carrier.h"

#define UNIVERSES 5
#define ROUNDS 20

static pthread_barrier_t everybody;
static int own_right[UNIVERSES], child_right[UNIVERSES];

static long name_of(int universe, int round)
{
    return universe * 1000 + round;
}

struct child {
    int universe, round, right;
};

static void *child(void *argument)
{
    struct child *me = argument;
    long wanted = name_of(me->universe, me->round);
    me->right = current() == wanted;
    pthread_barrier_wait(&everybody); /* all children of this round are here, their parents too */
    me->right &= current() == wanted;
    set_current(9999);
    return NULL;
}

static void *universe(void *argument)
{
    int me = (int)(long)argument;
    for (int round = 1; round <= ROUNDS; round++) {
        struct child one = {me, round, 0};
        pthread_t thread;
        set_current(name_of(me, round));
        if (pthread_create(&thread, NULL, child, &one) != 0)
            abort();
        set_current(-me);
        pthread_barrier_wait(&everybody);
        pthread_join(thread, NULL);
        own_right[me - 1] += current() == -me;
        child_right[me - 1] += one.right;
    }
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t threads[UNIVERSES];
    carrier_choose(argc > 1 ? argv[1] : "key");
    pthread_barrier_init(&everybody, NULL, 2 * UNIVERSES);
    for (long i = 0; i < UNIVERSES; i++)
        pthread_create(&threads[i], NULL, universe, (void *)(i + 1));
    for (int i = 0; i < UNIVERSES; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < UNIVERSES; i++) {
        printf("universe %d: ", i + 1);
        expect("own", own_right[i], ROUNDS);
        printf("universe %d: ", i + 1);
        expect("children", child_right[i], ROUNDS);
    }
    return verdict();
}
