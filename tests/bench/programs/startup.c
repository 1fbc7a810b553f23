/*
 * Start-up: `startup ROUNDS PROGRAM VARIANT...` where a VARIANT is "NAME VAR=VALUE VAR=VALUE..."
 * (one argument). Every round starts the program once in each variant, in another order, so that
 * the machine's slow seconds hit all alike. Prints one line a variant: the quickest, the median,
 * and the median of its ratios to the first variant of the same round.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { VARIANT_MAX = 16, VARIABLE_MAX = 16 };

struct variant {
    const char *name;
    char *environment[VARIABLE_MAX + 1];
    double *ns;
};

static double now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static double run_once(const char *program, const struct variant *variant)
{
    char *arguments[] = {(char *)program, NULL};
    double begin = now_ns();
    int status;
    pid_t child = vfork();

    if (child == 0) {
        execve(program, arguments, variant->environment);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status) {
        fprintf(stderr, "startup: %s fails as %s (status %#x)\n", program, variant->name, status);
        exit(3);
    }
    return now_ns() - begin;
}

static int by_size(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;

    return (a > b) - (a < b);
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof(*values), by_size);
    return values[count / 2];
}

static void parse_variant(struct variant *variant, char *text, int rounds)
{
    int count = 0;

    variant->name = strtok(text, " ");
    for (char *word = strtok(NULL, " "); word && count < VARIABLE_MAX; word = strtok(NULL, " "))
        variant->environment[count++] = word;
    variant->ns = calloc((size_t)rounds, sizeof(double));
}

int main(int argc, char **argv)
{
    static struct variant variants[VARIANT_MAX];
    int rounds = argc > 3 ? atoi(argv[1]) : 0;
    int count = argc - 3;
    double *ratios, *kept;

    if (rounds < 1 || count > VARIANT_MAX) {
        fprintf(stderr, "startup ROUNDS PROGRAM VARIANT...\n");
        return 2;
    }
    for (int i = 0; i < count; i++)
        parse_variant(&variants[i], argv[3 + i], rounds);
    for (int round = -2; round < rounds; round++) {
        for (int i = 0; i < count; i++) {
            struct variant *variant = &variants[(i + round + 2) % count];
            double ns = run_once(argv[2], variant);

            if (round >= 0)
                variant->ns[round] = ns;
        }
    }
    ratios = calloc((size_t)rounds, sizeof(double));
    kept = calloc((size_t)rounds, sizeof(double));
    for (int i = 0; i < count; i++) {
        for (int round = 0; round < rounds; round++)
            ratios[round] = variants[i].ns[round] / variants[0].ns[round];
        memcpy(kept, variants[i].ns, (size_t)rounds * sizeof(double));
        double middle = median(kept, rounds);
        printf("way=startup variant=%s best_us=%.1f median_us=%.1f ratio=%.4f\n",
               variants[i].name, kept[0] / 1000, middle / 1000, median(ratios, rounds));
    }
    return 0;
}
