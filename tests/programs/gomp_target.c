// Target regions that nobody waits for: on the host they are tasks, each sees what its maker saw.
// flags: -fopenmp -foffload=disable
// parts: parts/gomp_target_see.c
// usage: gomp_target MODE [CARRIER]; a mode is one promise, named in the table at the end
#include "carrier.h"
#include <omp.h>

enum { COUNT = 16 };

/* A target region may not name a thread-local variable; what it calls may. See parts/gomp_target_see.c. */
extern long (*target_current)(void);
extern void (*target_set)(long);
long target_see(void);
void target_put(long value);

static long saw[COUNT];

static void expect_all(const char *what)
{
    for (int i = 0; i < COUNT; i++) {
        expect(what, saw[i], 100 + i);
        saw[i] = 0;
    }
}

#define IN_TEAM _Pragma("omp parallel num_threads(3)") _Pragma("omp single")

static void mode_nowait(void)
{
    IN_TEAM
    {
        for (int i = 0; i < COUNT; i++) {
            set_current(100 + i);
#pragma omp target nowait map(tofrom : saw) firstprivate(i)
            {
                saw[i] = target_see();
                target_put(7777);
            }
        }
        set_current(9);
#pragma omp taskwait
        expect("the maker has", current(), 9);
    }
    expect_all("region sees");
    for (int i = 0; i < COUNT; i++) { /* outside of any region */
        set_current(100 + i);
#pragma omp target nowait map(tofrom : saw) firstprivate(i)
        {
            saw[i] = target_see();
            target_put(7777);
        }
    }
    set_current(9);
#pragma omp taskwait
    expect_all("outside, region sees");
    expect("the maker has", current(), 9);
}

/* One after the other by what they depend on; waited for, and at once in a final task. */
static void mode_order(void)
{
    long order = 0;
    IN_TEAM
    {
        for (int i = 0; i < COUNT; i++) {
            set_current(100 + i);
#pragma omp target nowait map(tofrom : saw, order) firstprivate(i) depend(inout : order)
            {
                saw[i] = order++ == i ? target_see() : -1;
                target_put(7777);
            }
        }
        set_current(9);
#pragma omp taskwait
        expect_all("in order, region sees");
#pragma omp task final(1)
        for (int i = 0; i < COUNT; i++) {
            set_current(100 + i);
#pragma omp target nowait map(tofrom : saw) firstprivate(i)
            saw[i] = target_see();
        }
#pragma omp taskwait
        expect_all("in a final task, region sees");
        set_current(42);
        long here = 0;
#pragma omp target map(tofrom : here)
        here = target_see();
        expect("waited for, region sees", here, 42);
        set_current(43);
        here = 0;
#pragma omp target nowait map(tofrom : here)
        {
            here = target_see();
            target_put(7777);
        }
        set_current(9);
#pragma omp taskwait
        expect("region sees", here, 43);
    }
}

/* More to map than fits into a small block. */
static void mode_wide(void)
{
    IN_TEAM
    {
        for (int i = 0; i < COUNT; i++) {
            long a = i, b = 1, c = 2, d = 3, e = 4, f = 5, g = 6, h = 7, j = 8, k = 9, l = 10, m = 11, n = 12, o = 13,
                 p = 14, q = 15, r = 16, s = 17, t = 18, u = 19;
            struct {
                long words[5];
            } large = {{i, i, i, i, i}};
            set_current(100 + i);
#pragma omp target nowait map(tofrom : saw) firstprivate(a, b, c, d, e, f, g, h, j, k, l, m, n, o, p, q, r, s, t, u, large)
            {
                long sum = b + c + d + e + f + g + h + j + k + l + m + n + o + p + q + r + s + t + u;
                saw[a] = sum == 190 && large.words[4] == a ? target_see() : -1;
                target_put(7777);
            }
        }
        set_current(9);
#pragma omp taskwait
    }
    expect_all("region sees");
}

/* Cancellation discards some (OMP_CANCELLATION=true). */
static void mode_cancel(void)
{
    long ran = 0, wrong = 0;
    for (int round = 0; round < 20; round++) {
        int ten_have_run = 0;
#pragma omp parallel num_threads(2) shared(ten_have_run)
        {
            int is_maker = 0; /* the other one must not cancel before anything is made */
#pragma omp single nowait
            for (int i = 0; i < 40; i++) {
                is_maker = 1;
                set_current(100 + i);
#pragma omp target nowait map(tofrom : ran, wrong) firstprivate(i)
                {
                    __atomic_add_fetch(&ran, 1, __ATOMIC_RELAXED);
                    __atomic_add_fetch(&wrong, target_see() != 100 + i, __ATOMIC_RELAXED);
                    target_put(7777);
                }
                set_current(9);
                if (i == 9) {
#pragma omp taskwait
                    __atomic_store_n(&ten_have_run, 1, __ATOMIC_RELEASE);
                }
            }
            while (!__atomic_load_n(&ten_have_run, __ATOMIC_ACQUIRE))
                usleep(10); /* else a slow maker's tasks would all be discarded */
#pragma omp cancel parallel if (is_maker)
        }
    }
    expect("cancellation is on", omp_get_cancellation(), 1);
    expect("wrong", wrong, 0);
    printf("some were discarded: %d\n", ran < 800);
}

static const struct {
    const char *name;
    void (*run)(void);
} modes[] = {{"nowait", mode_nowait}, {"order", mode_order}, {"wide", mode_wide}, {"cancel", mode_cancel}};

int main(int argc, char **argv)
{
    carrier_choose(argc > 2 ? argv[2] : "key");
    target_current = current;
    target_set = set_current;
    omp_set_dynamic(0);
    for (size_t i = 0; argc > 1 && i < sizeof(modes) / sizeof(modes[0]); i++)
        if (!strcmp(modes[i].name, argv[1])) {
            modes[i].run();
            return verdict();
        }
    return 2;
}
