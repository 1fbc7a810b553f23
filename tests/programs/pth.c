// GNU Pth: threads that it switches in one process thread each have their own values.
// usage: pth MODE [CARRIER]; a mode is one promise, named in the table at the end
// needs: pth.h
// link: -lpth
#include "carrier.h"
#include <pth.h>

enum { THREADS = 20, TURNS = 20 };

static void *turns(void *arg)
{
    long number = (long)arg;
    for (int i = 0; i < TURNS; i++) {
        long sees = current(), wants = i ? number + 1000 : number;
        if (sees != wants || i + 1 == TURNS)
            expect("thread", sees, wants);
        set_current(number + 1000);
        pth_yield(NULL);
    }
    return NULL;
}

static void *look(void *arg)
{
    long sees = current();
    set_current(-(long)arg);
    return (void *)sees;
}

/* Each starts with what its maker had, and keeps what it sets. */
static void mode_turns(void)
{
    pth_t all[THREADS];
    for (long i = 0; i < THREADS; i++) {
        set_current(i + 1);
        all[i] = pth_spawn(PTH_ATTR_DEFAULT, turns, (void *)(i + 1));
    }
    set_current(9);
    for (int i = 0; i < THREADS; i++) {
        pth_join(all[i], NULL);
        expect("outside", current(), 9);
    }
}

/* Stacks that are freed and serve again: each round's threads have what that round's maker had. */
static void mode_rounds(void)
{
    long wrong = 0;
    for (long i = 1; i <= 200; i++) {
        pth_t all[4];
        for (int k = 0; k < 4; k++) {
            set_current(i);
            all[k] = pth_spawn(PTH_ATTR_DEFAULT, look, (void *)i);
        }
        set_current(0);
        for (int k = 0; k < 4; k++) {
            void *has_seen;
            pth_join(all[k], &has_seen);
            wrong += has_seen != (void *)i;
        }
        wrong += current() != 0;
    }
    expect("of 800 threads wrong", wrong, 0);
}

static void *sleeper(void *arg)
{
    expect("starts with", current(), (long)arg);
    set_current((long)arg + 500);
    pth_usleep(1000);
    expect("after sleep", current(), (long)arg + 500);
    pth_exit(NULL);
    return NULL;
}

/* Those that wait are woken by Pth's own scheduler, and end by pth_exit. */
static void mode_sleep(void)
{
    pth_t all[3];
    for (long i = 0; i < 3; i++) {
        set_current(10 + i);
        all[i] = pth_spawn(PTH_ATTR_DEFAULT, sleeper, (void *)(10 + i));
    }
    set_current(0);
    for (int i = 0; i < 3; i++)
        pth_join(all[i], NULL);
    expect("outside", current(), 0);
}

static void *waits(void *arg)
{
    set_current(77);
    for (;;)
        pth_yield(NULL);
    return arg;
}

/* A cancelled one leaves nothing to the others. */
static void mode_cancel(void)
{
    for (int i = 1; i <= 10; i++) {
        pth_attr_t attributes = pth_attr_new();
        pth_t one;
        set_current(i);
        pth_attr_set(attributes, PTH_ATTR_CANCEL_STATE, PTH_CANCEL_ENABLE | PTH_CANCEL_ASYNCHRONOUS);
        one = pth_spawn(attributes, waits, NULL);
        pth_yield(NULL);
        pth_abort(one);
        pth_attr_destroy(attributes);
        expect("outside", current(), i);
    }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } modes[] = {{"turns", mode_turns}, {"sleep", mode_sleep}, {"cancel", mode_cancel}, {"rounds", mode_rounds}};
    carrier_choose(argc > 2 ? argv[2] : NULL);
    pth_init();
    for (unsigned i = 0; i < sizeof modes / sizeof modes[0]; i++)
        if (argc > 1 && !strcmp(argv[1], modes[i].name)) {
            modes[i].run();
            return verdict();
        }
    fprintf(stderr, "usage: pth MODE [CARRIER]\n");
    return 2;
}
