// Copying a context costs the same for one variable and for many: prints nanoseconds of a processor.
// flags: -Iinclude -O2
// usage: contextvars_cost VARIABLES
#include "baton.h"
#include <stdio.h>
#include <time.h>

static double now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time); /* what others do meanwhile does not count */
    return time.tv_sec * 1e9 + time.tv_nsec;
}

static void nothing(void *argument)
{
}

int main(int argc, char **argv)
{
    long count = argc > 1 ? atol(argv[1]) : 1;
    const long rounds = 50000;
    baton_var *last = NULL;
    double best[3] = {1e9, 1e9, 1e9};
    for (long i = 0; i < count; i++) {
        last = baton_var_new("var", NULL, NULL);
        baton_set(last, (void *)(i + 1), NULL);
    }
    for (int repeat = 0; repeat < 7; repeat++) {
        double start = now_ns(), cost[3];
        for (long i = 0; i < rounds; i++)
            baton_context_free(baton_context_copy());
        cost[0] = now_ns() - start;
        start = now_ns();
        for (long i = 0; i < rounds; i++) {
            baton_handoff *handoff = baton_capture();
            baton_run(handoff, nothing, NULL);
            baton_release(handoff);
        }
        cost[1] = now_ns() - start;
        start = now_ns();
        for (long i = 0; i < rounds; i++)
            baton_set(last, (void *)i, NULL);
        cost[2] = now_ns() - start;
        for (int k = 0; k < 3; k++)
            best[k] = cost[k] < best[k] ? cost[k] : best[k];
    }
    printf("variables %ld copy_ns %.1f handoff_ns %.1f set_ns %.1f\n", count, best[0] / rounds, best[1] / rounds,
           best[2] / rounds);
    return 0;
}
