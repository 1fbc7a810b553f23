/*
 * Start-up: `startup ROUNDS PROGRAM VARIANT...` where a VARIANT is "NAME VAR=VALUE VAR=VALUE..."
 * (one argument). Every round starts the program once in each variant, in a shuffled order, so that
 * the machine's slow seconds hit all alike; all of it on one CPU, so that no wake-up crosses the
 * hypervisor. Prints one line a variant: wall time (quickest, median), CPU time of the child as the
 * kernel accounts it (exec, loader, program, exit), fewest page faults, and for both times the median of
 * the ratios to the first variant of the same round, with the quarter above and below.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { VARIANT_MAX = 24, VARIABLE_MAX = 16 };

struct variant {
    const char *name;
    char *environment[VARIABLE_MAX + 1];
    double *wall_us, *cpu_us;
    long faults;
};

static double now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void run_once(const char *program, struct variant *variant, int round)
{
    char *arguments[] = {(char *)program, NULL};
    struct rusage usage;
    double begin = now_us();
    int status;
    pid_t child = vfork();

    if (child == 0) {
        execve(program, arguments, variant->environment);
        _exit(127);
    }
    if (child < 0 || wait4(child, &status, 0, &usage) != child || status) {
        fprintf(stderr, "startup: %s fails as %s (status %#x)\n", program, variant->name, status);
        exit(3);
    }
    if (round < 0)
        return;
    variant->wall_us[round] = now_us() - begin;
    variant->cpu_us[round] =
        (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
        (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
    if (!variant->faults || usage.ru_minflt < variant->faults)
        variant->faults = usage.ru_minflt; /* how pages fall into the kernel's steps is a lottery */
}

static int by_size(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;

    return (a > b) - (a < b);
}

/* Quickest, quarter, median and third quarter of what is copied from `values`. */
struct spread {
    double best, low, median, high;
};

static struct spread spread_of(const double *values, const double *base, int count)
{
    double *sorted = calloc((size_t)count, sizeof(double));
    struct spread spread;

    for (int i = 0; i < count; i++)
        sorted[i] = base ? values[i] / base[i] : values[i];
    qsort(sorted, (size_t)count, sizeof(*sorted), by_size);
    spread = (struct spread){sorted[0], sorted[count / 4], sorted[count / 2], sorted[count * 3 / 4]};
    free(sorted);
    return spread;
}

static void parse_variant(struct variant *variant, char *text, int rounds)
{
    int count = 0;

    variant->name = strtok(text, " ");
    for (char *word = strtok(NULL, " "); word && count < VARIABLE_MAX; word = strtok(NULL, " "))
        variant->environment[count++] = word;
    variant->wall_us = calloc((size_t)rounds, sizeof(double));
    variant->cpu_us = calloc((size_t)rounds, sizeof(double));
}

int main(int argc, char **argv)
{
    static struct variant variants[VARIANT_MAX];
    int order[VARIANT_MAX];
    int rounds = argc > 3 ? atoi(argv[1]) : 0;
    int count = argc - 3;
    cpu_set_t one;

    if (rounds < 1 || count > VARIANT_MAX) {
        fprintf(stderr, "startup ROUNDS PROGRAM VARIANT...\n");
        return 2;
    }
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    sched_setaffinity(0, sizeof(one), &one);
    for (int i = 0; i < count; i++) {
        parse_variant(&variants[i], argv[3 + i], rounds);
        order[i] = i;
    }
    srandom(1);
    for (int round = -2; round < rounds; round++) {
        for (int i = count - 1; i > 0; i--) {
            int other = (int)(random() % (i + 1)), kept = order[i];

            order[i] = order[other];
            order[other] = kept;
        }
        for (int i = 0; i < count; i++)
            run_once(argv[2], &variants[order[i]], round);
    }
    for (int i = 0; i < count; i++) {
        struct variant *variant = &variants[i];
        struct spread wall = spread_of(variant->wall_us, NULL, rounds);
        struct spread cpu = spread_of(variant->cpu_us, NULL, rounds);
        struct spread wall_ratio = spread_of(variant->wall_us, variants[0].wall_us, rounds);
        struct spread cpu_ratio = spread_of(variant->cpu_us, variants[0].cpu_us, rounds);

        printf("way=startup variant=%s best_us=%.1f median_us=%.1f ratio=%.4f ratio_low=%.4f "
               "ratio_high=%.4f cpu_best_us=%.1f cpu_median_us=%.1f cpu_ratio=%.4f "
               "cpu_ratio_low=%.4f cpu_ratio_high=%.4f faults=%ld\n",
               variant->name, wall.best, wall.median, wall_ratio.median, wall_ratio.low,
               wall_ratio.high, cpu.best, cpu.median, cpu_ratio.median, cpu_ratio.low,
               cpu_ratio.high, variant->faults);
    }
    return 0;
}
