/* Nanoseconds of CPU that the three events of a handoff take, where a session of LTTng-UST takes them: lttng COUNT */
#define TRACEPOINT_CREATE_PROBES
#define TRACEPOINT_DEFINE
#include "lttng_events.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double cpu_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

int main(int argc, char **argv)
{
    long count = argc > 1 ? atol(argv[1]) : 100000;
    double best = 1e9;

    for (int round = 0; round < 10; round++) {
        double begin = cpu_ns(), took;

        for (long i = 0; i < count; i++) {
            tracepoint(handoffs, submit, (uint64_t)i, (uint64_t)(i * 3));
            tracepoint(handoffs, start, (uint64_t)i);
            tracepoint(handoffs, end, (uint64_t)i);
        }
        took = (cpu_ns() - begin) / (double)count;
        best = took < best ? took : best;
    }
    printf("%.1f\n", best);
    return 0;
}
