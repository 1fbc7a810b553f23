// OpenMP regions and tasks of LLVM's runtime: every member and every task sees what its maker saw.
// cc: clang
// flags: -fopenmp
// usage: openmp_llvm MODE [CARRIER]; a mode is one promise, named in the table at the end
#include "carrier.h"
#include <omp.h>

enum { THREADS = 3 };

static long saw[64], again[64];

static void member(void)
{
    int me = omp_get_thread_num();
    saw[me] = current();
    set_current(500 + me);
#pragma omp barrier
    again[me] = current();
}

static void mode_parallel(void)
{
    for (long round = 1; round <= 6; round++) {
        long value = round == 6 ? 0 : round * 100;
        set_current(value);
#pragma omp parallel num_threads(THREADS)
        member();
        for (int i = 0; i < THREADS; i++) {
            expect("member sees", saw[i], value);
            expect("and after a barrier", again[i], 500 + i);
        }
        expect("the master keeps what it set", current(), 500);
    }
}

/* An implicit barrier in the middle: what a member has set is there afterwards. */
static void mode_implicit_barrier(void)
{
    long sum = 0;
    set_current(100);
#pragma omp parallel num_threads(THREADS) reduction(+ : sum)
    {
        saw[omp_get_thread_num()] = current();
        set_current(500 + omp_get_thread_num());
#pragma omp for
        for (int i = 0; i < 90; i++)
            sum++;
        again[omp_get_thread_num()] = current();
    }
    expect("iterations", sum, 90);
    for (int i = 0; i < THREADS; i++) {
        expect("member sees", saw[i], 100);
        expect("after the loop", again[i], 500 + i);
    }
}

static void mode_nested(void)
{
    long inner[2][2];
    omp_set_max_active_levels(2);
    set_current(100);
#pragma omp parallel num_threads(2) shared(inner)
    {
        int outer = omp_get_thread_num();
        set_current(current() + 1 + outer);
#pragma omp parallel num_threads(2) shared(inner)
        inner[outer][omp_get_thread_num()] = current();
        saw[outer] = current();
    }
    for (int outer = 0; outer < 2; outer++) {
        expect("inner master sees", inner[outer][0], 101 + outer);
        expect("inner member sees", inner[outer][1], 101 + outer);
        expect("outer member has", saw[outer], 101 + outer);
    }
}

static void ran(int place)
{
    saw[place] = current();
    set_current(800 + place);
}

static void expect_tasks(int count)
{
    for (int i = 0; i < count; i++)
        expect("task sees", saw[i], 100 + i);
}

static void mode_tasks(void)
{
#pragma omp parallel num_threads(THREADS)
#pragma omp single
    {
        for (int i = 0; i < 32; i++) {
            set_current(100 + i);
#pragma omp task firstprivate(i) if (i % 4)
            ran(i);
        }
        set_current(9);
#pragma omp taskwait
        expect("the maker has", current(), 9);
    }
    expect_tasks(32);
}

static void descend(int depth)
{
    ran(depth);
    if (depth < 15) {
        set_current(100 + depth + 1);
#pragma omp task firstprivate(depth)
        descend(depth + 1);
        set_current(9);
#pragma omp taskwait
        if (current() != 9)
            wrong_results++;
    }
}

static void mode_deep(void)
{
#pragma omp parallel num_threads(THREADS)
#pragma omp single
    {
        set_current(100);
#pragma omp task
        descend(0);
    }
    expect_tasks(16);
}

/* Tasks that are left to the region's last barrier, and ones that come back after a pause. */
static void mode_late(void)
{
    for (int round = 0; round < 10; round++) {
        long after[8];
#pragma omp parallel num_threads(THREADS) shared(after)
#pragma omp single nowait
        for (int i = 0; i < 8; i++) {
            set_current(100 + i);
#pragma omp task firstprivate(i) untied shared(after)
            {
                saw[i] = current();
                set_current(800 + i);
#pragma omp taskyield
#pragma omp task
                saw[8 + i] = current();
#pragma omp taskwait
                after[i] = current();
            }
            set_current(9);
        }
        for (int i = 0; i < 8; i++) {
            expect("task sees", saw[i], 100 + i);
            expect("its own task sees", saw[8 + i], 800 + i);
            expect("and has its own back", after[i], 800 + i);
        }
    }
}

static void mode_taskloop(void)
{
    long right = 0;
#pragma omp parallel num_threads(THREADS)
#pragma omp single
    {
        set_current(100);
#pragma omp taskloop num_tasks(50)
        for (int i = 0; i < 50; i++) {
            if (current() == 100)
                __atomic_add_fetch(&right, 1, __ATOMIC_RELAXED);
            set_current(800);
        }
    }
    expect("iterations", right, 50);
}

static void mode_detach(void)
{
    omp_event_handle_t event = (omp_event_handle_t)0, second = event;
#pragma omp parallel num_threads(THREADS)
#pragma omp single
    {
        set_current(100);
#pragma omp task detach(event)
        ran(0);
        omp_fulfill_event(event);
        set_current(101);
#pragma omp task detach(second)
        {
            ran(1);
            omp_fulfill_event(second);
        }
        set_current(9);
#pragma omp taskwait
    }
    expect_tasks(2);
}

static void mode_teams(void)
{
    set_current(100);
#pragma omp teams num_teams(2)
    {
        saw[omp_get_team_num()] = current();
#pragma omp parallel num_threads(2)
        again[2 * omp_get_team_num() + omp_get_thread_num()] = current();
    }
    for (int i = 0; i < omp_get_num_teams() + 1; i++)
        expect("team sees", saw[i], 100);
    expect("member sees", again[0], 100);
    expect("member sees", again[2], 100);
}

/* Run with OMP_CANCELLATION=true. */
static void mode_cancel(void)
{
    for (int round = 0; round < 20; round++) {
#pragma omp parallel num_threads(2) shared(round)
#pragma omp single
#pragma omp taskgroup
        for (int i = 0; i < 50; i++) {
            set_current(100 + i);
#pragma omp task firstprivate(i)
            {
                if (current() != 100 + i)
                    wrong_results++;
                set_current(5);
#pragma omp cancel taskgroup if (round > 0)
            }
            set_current(9);
        }
    }
    expect("wrong", wrong_results, 0);
}

static const struct {
    const char *name;
    void (*run)(void);
} modes[] = {
    {"parallel", mode_parallel}, {"implicit_barrier", mode_implicit_barrier}, {"nested", mode_nested},
    {"tasks", mode_tasks},       {"deep", mode_deep},   {"late", mode_late},  {"taskloop", mode_taskloop},
    {"detach", mode_detach},     {"teams", mode_teams}, {"cancel", mode_cancel},
};

int main(int argc, char **argv)
{
    carrier_choose(argc > 2 ? argv[2] : "key");
    omp_set_dynamic(0);
    for (size_t i = 0; argc > 1 && i < sizeof(modes) / sizeof(modes[0]); i++)
        if (!strcmp(modes[i].name, argv[1])) {
            modes[i].run();
            set_current(0);
            return verdict();
        }
    return 2;
}
