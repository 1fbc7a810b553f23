// OpenMP regions and tasks of libgomp: every member and every task sees what its maker saw.
// flags: -fopenmp
// usage: gomp MODE [CARRIER]; a mode is one promise, named in the table at the end
#include "carrier.h"
#include <cstdint>
#include <omp.h>

enum { THREADS = 3 };

/* Compilers emit calls of these; the forms that gcc 12 emits no more are called by hand. */
extern "C" {
typedef void body(void *);
void GOMP_parallel_loop_static(body *, void *, unsigned, long, long, long, long, unsigned);
void GOMP_parallel_loop_dynamic(body *, void *, unsigned, long, long, long, long, unsigned);
void GOMP_parallel_loop_guided(body *, void *, unsigned, long, long, long, long, unsigned);
void GOMP_parallel_loop_runtime(body *, void *, unsigned, long, long, long, unsigned);
void GOMP_parallel_loop_nonmonotonic_dynamic(body *, void *, unsigned, long, long, long, long, unsigned);
void GOMP_parallel_loop_nonmonotonic_guided(body *, void *, unsigned, long, long, long, long, unsigned);
void GOMP_parallel_loop_nonmonotonic_runtime(body *, void *, unsigned, long, long, long, unsigned);
void GOMP_parallel_loop_maybe_nonmonotonic_runtime(body *, void *, unsigned, long, long, long, unsigned);
bool GOMP_loop_static_next(long *, long *);
bool GOMP_loop_dynamic_next(long *, long *);
bool GOMP_loop_guided_next(long *, long *);
bool GOMP_loop_runtime_next(long *, long *);
bool GOMP_loop_nonmonotonic_dynamic_next(long *, long *);
bool GOMP_loop_nonmonotonic_guided_next(long *, long *);
bool GOMP_loop_nonmonotonic_runtime_next(long *, long *);
bool GOMP_loop_maybe_nonmonotonic_runtime_next(long *, long *);
void GOMP_loop_end_nowait(void);
void GOMP_parallel_sections(body *, void *, unsigned, unsigned, unsigned);
unsigned GOMP_sections_next(void);
void GOMP_sections_end_nowait(void);
void GOMP_parallel_start(body *, void *, unsigned);
void GOMP_parallel_sections_start(body *, void *, unsigned, unsigned);
void GOMP_parallel_loop_static_start(body *, void *, unsigned, long, long, long, long);
void GOMP_parallel_loop_dynamic_start(body *, void *, unsigned, long, long, long, long);
void GOMP_parallel_loop_guided_start(body *, void *, unsigned, long, long, long, long);
void GOMP_parallel_loop_runtime_start(body *, void *, unsigned, long, long, long);
void GOMP_parallel_end(void);
}

static long saw[64];

static void expect_members(const char *what, long wanted)
{
    for (int i = 0; i < THREADS; i++) {
        expect(what, saw[i], wanted);
        saw[i] = -1;
    }
}

/* Each member tells what it sees and leaves something of its own. */
static void member(void)
{
    saw[omp_get_thread_num()] = current();
    set_current(500 + omp_get_thread_num());
}

static void region(void)
{
#pragma omp parallel num_threads(THREADS)
    member();
}

static void mode_parallel(void)
{
    for (long round = 1; round <= 5; round++) {
        set_current(round * 100);
        region();
        expect_members("member sees", round * 100);
        expect("the master keeps what it set", current(), 500);
    }
    set_current(0);
    region();
    expect_members("member of a region without value sees", 0);
}

/* Threads that were made, and left with values, by a bigger region. */
static void mode_join(void)
{
    set_current(1);
    region();
    expect_members("member sees", 1);
    set_current(0);
#pragma omp parallel num_threads(2)
    saw[omp_get_thread_num()] = current();
    expect("member sees", saw[0], 0);
    expect("member sees", saw[1], 0);
    set_current(7);
    region();
    expect_members("member sees", 7);
}

/* Threads of an inner region are new; their master is a member of the outer one. */
static void mode_nested(void)
{
    long inner[2][2];
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    omp_set_nested(1); /* before gcc 11 the levels alone allow nothing */
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

typedef bool next_function(long *, long *);
static long iterations_done;

static void loop_member(void *next)
{
    long start, end;
    member();
    while (((next_function *)next)(&start, &end))
        __atomic_add_fetch(&iterations_done, end - start, __ATOMIC_RELAXED);
    GOMP_loop_end_nowait();
}

static void expect_loop(const char *name, long wanted)
{
    puts(name);
    expect_members("member sees", wanted);
    expect("iterations", iterations_done, 100);
    iterations_done = 0;
    set_current(wanted + 1);
}

static void mode_loops(void)
{
    set_current(1);
    GOMP_parallel_loop_static(loop_member, (void *)GOMP_loop_static_next, THREADS, 0, 100, 1, 5, 0);
    expect_loop("static", 1);
    GOMP_parallel_loop_dynamic(loop_member, (void *)GOMP_loop_dynamic_next, THREADS, 0, 100, 1, 5, 0);
    expect_loop("dynamic", 2);
    GOMP_parallel_loop_guided(loop_member, (void *)GOMP_loop_guided_next, THREADS, 0, 100, 1, 5, 0);
    expect_loop("guided", 3);
    GOMP_parallel_loop_runtime(loop_member, (void *)GOMP_loop_runtime_next, THREADS, 0, 100, 1, 0);
    expect_loop("runtime", 4);
    GOMP_parallel_loop_nonmonotonic_dynamic(loop_member, (void *)GOMP_loop_nonmonotonic_dynamic_next, THREADS, 0, 100,
                                            1, 5, 0);
    expect_loop("nonmonotonic dynamic", 5);
    GOMP_parallel_loop_nonmonotonic_guided(loop_member, (void *)GOMP_loop_nonmonotonic_guided_next, THREADS, 0, 100, 1,
                                           5, 0);
    expect_loop("nonmonotonic guided", 6);
    GOMP_parallel_loop_nonmonotonic_runtime(loop_member, (void *)GOMP_loop_nonmonotonic_runtime_next, THREADS, 0, 100,
                                            1, 0);
    expect_loop("nonmonotonic runtime", 7);
    GOMP_parallel_loop_maybe_nonmonotonic_runtime(loop_member, (void *)GOMP_loop_maybe_nonmonotonic_runtime_next,
                                                  THREADS, 0, 100, 1, 0);
    expect_loop("maybe nonmonotonic runtime", 8);
}

static void sections_member(void *)
{
    member();
    while (GOMP_sections_next())
        __atomic_add_fetch(&iterations_done, 1, __ATOMIC_RELAXED);
    GOMP_sections_end_nowait();
}

static void mode_sections(void)
{
    long sections[3] = {-1, -1, -1};
    set_current(5);
    GOMP_parallel_sections(sections_member, NULL, THREADS, 100, 0);
    expect_loop("sections", 5);
    set_current(6);
#pragma omp parallel sections num_threads(3)
    {
#pragma omp section
        sections[0] = current();
#pragma omp section
        sections[1] = current();
#pragma omp section
        sections[2] = current();
    }
    for (int i = 0; i < 3; i++)
        expect("section sees", sections[i], 6);
}

/* GOMP_parallel_reductions: the runtime reads the region's data. */
static void mode_reductions(void)
{
    long sum = 0;
    set_current(3);
#pragma omp parallel num_threads(THREADS) reduction(task, + : sum)
    {
        saw[omp_get_thread_num()] = current();
#pragma omp task in_reduction(+ : sum)
        sum += current();
        set_current(77);
    }
    expect_members("member sees", 3);
    expect("sum of what the tasks saw", sum, 3 * THREADS);
}

/* Runs in the calling thread in libgomp 12; the region in it does not. */
static void mode_teams(void)
{
    set_current(4);
#pragma omp teams num_teams(2) thread_limit(THREADS)
#pragma omp parallel num_threads(THREADS)
    saw[omp_get_thread_num()] = current();
    expect("member sees", saw[0], 4);
    expect("member sees", saw[1], 4);
}

static void started_member(void *next)
{
    if (next)
        loop_member(next);
    else
        member();
}

#define SPLIT(start, next)                    \
    do {                                      \
        start;                                \
        started_member((void *)(next));       \
        GOMP_parallel_end();                  \
    } while (0)

/* What gcc before 4.9 made of a region. */
static void mode_split(void)
{
    set_current(1);
    SPLIT(GOMP_parallel_start(started_member, NULL, THREADS), NULL);
    expect_members("member sees", 1);
    expect("the master keeps what it set", current(), 500);
    set_current(2);
    SPLIT(GOMP_parallel_loop_static_start(started_member, (void *)GOMP_loop_static_next, THREADS, 0, 100, 1, 5),
          GOMP_loop_static_next);
    expect_loop("static", 2);
    SPLIT(GOMP_parallel_loop_dynamic_start(started_member, (void *)GOMP_loop_dynamic_next, THREADS, 0, 100, 1, 5),
          GOMP_loop_dynamic_next);
    expect_loop("dynamic", 3);
    SPLIT(GOMP_parallel_loop_guided_start(started_member, (void *)GOMP_loop_guided_next, THREADS, 0, 100, 1, 5),
          GOMP_loop_guided_next);
    expect_loop("guided", 4);
    SPLIT(GOMP_parallel_loop_runtime_start(started_member, (void *)GOMP_loop_runtime_next, THREADS, 0, 100, 1),
          GOMP_loop_runtime_next);
    expect_loop("runtime", 5);
    GOMP_parallel_sections_start(sections_member, NULL, THREADS, 100);
    sections_member(NULL);
    GOMP_parallel_end();
    expect_loop("sections", 6);
    /* One inside the other. */
    omp_set_max_active_levels(1);
    set_current(8);
    GOMP_parallel_start(started_member, NULL, THREADS);
    GOMP_parallel_start(started_member, NULL, THREADS);
    started_member(NULL);
    GOMP_parallel_end();
    set_current(8);
    started_member(NULL);
    GOMP_parallel_end();
    expect_members("outer member sees", 8);
}

/* ---- tasks ---- */

#define IN_TEAM _Pragma("omp parallel num_threads(THREADS)") _Pragma("omp single")

static void ran(int place)
{
    saw[place] = current();
    set_current(800 + place);
}

static void expect_tasks(const char *what, int count)
{
    for (int i = 0; i < count; i++)
        expect(what, saw[i], 100 + i);
}

static void mode_tasks(void)
{
    IN_TEAM
    {
        for (int i = 0; i < 32; i++) {
            set_current(100 + i);
#pragma omp task firstprivate(i)
            ran(i);
        }
        set_current(9);
#pragma omp taskwait
        expect("the maker has", current(), 9);
    }
    expect_tasks("task sees", 32);
}

/* More than libgomp queues, and tasks that must not wait: they run at once, in the maker's thread. */
static void mode_undeferred(void)
{
    for (int i = 0; i < 16; i++) {
        set_current(100 + i);
#pragma omp task firstprivate(i) if (i % 2)
        ran(i);
        expect("the maker has", current(), 100 + i);
    }
    expect_tasks("task sees", 16);
}

struct Copied {
    long value;
    static long alive, copies;
    explicit Copied(long value) : value(value)
    {
        __atomic_add_fetch(&alive, 1, __ATOMIC_RELAXED);
    }
    Copied(const Copied &other) : value(other.value)
    {
        __atomic_add_fetch(&alive, 1, __ATOMIC_RELAXED);
        __atomic_add_fetch(&copies, 1, __ATOMIC_RELAXED);
    }
    ~Copied()
    {
        __atomic_sub_fetch(&alive, 1, __ATOMIC_RELAXED);
    }
};
long Copied::alive, Copied::copies;

static void make_copying(int i)
{
    Copied copied(i);
    set_current(100 + i);
#pragma omp task firstprivate(copied) if (i % 4)
    ran((int)copied.value);
    set_current(9);
}

/* Tasks with a copy function: constructors and destructors of what they take along. */
static void mode_copy(void)
{
    IN_TEAM
    {
        for (int i = 0; i < 16; i++)
            make_copying(i);
#pragma omp taskwait
    }
    expect_tasks("task sees", 16);
    expect("copies made", Copied::copies, 16);
    expect("copies left", Copied::alive, 0);
}

struct alignas(64) Wide {
    long number;
    char rest[8000];
};

/* Blocks of arguments that are large, or aligned more than most. */
static void mode_large(void)
{
    long misaligned = 0;
    IN_TEAM
    {
        for (int i = 0; i < 8; i++) {
            Wide wide = {i, {}};
            wide.rest[7999] = (char)i;
            set_current(100 + i);
#pragma omp task firstprivate(wide) if (i % 3) shared(misaligned)
            {
                misaligned += (uintptr_t)&wide.number % 64 != 0 || wide.rest[7999] != wide.number;
                ran((int)wide.number);
            }
            set_current(9);
        }
#pragma omp taskwait
    }
    expect_tasks("task sees", 8);
    expect("misaligned", misaligned, 0);
}

static void mode_depend(void)
{
    int order[8] = {}, at = 0, token;
    (void)token;
    IN_TEAM
    {
        for (int i = 0; i < 8; i++) {
            set_current(100 + i);
#pragma omp task firstprivate(i) depend(inout : token) shared(at, order)
            {
                order[at++] = i;
                ran(i);
            }
        }
        set_current(9);
#pragma omp taskwait
    }
    expect_tasks("task sees", 8);
    for (int i = 0; i < 8; i++)
        expect("in order", order[i], i);
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

/* Each task makes one and waits for it. */
static void mode_deep(void)
{
    IN_TEAM
    {
        set_current(100);
#pragma omp task
        descend(0);
    }
    expect_tasks("task sees", 16);
}

/* The event of a detachable task comes to the task and to its maker. */
static void mode_detach(void)
{
#if defined(__clang__) || __GNUC__ >= 11
    omp_event_handle_t event, second, inside = (omp_event_handle_t)0;
    IN_TEAM
    {
        set_current(100);
#pragma omp task detach(event)
        ran(0);
        omp_fulfill_event(event);
        set_current(101);
#pragma omp task detach(second) shared(inside)
        {
            inside = second;
            ran(1);
            omp_fulfill_event(second);
        }
        set_current(9);
#pragma omp taskwait
    }
    expect_tasks("task sees", 2);
    expect("the task knows its event", inside != (omp_event_handle_t)0, 1);
#else
    exit(77);
#endif
}

/* ---- task loops ---- */

static long loop_saw[600], loop_runs[600];

static void iteration(long i)
{
    loop_saw[i] = current();
    loop_runs[i]++;
}

static void expect_iterations(const char *what, long count, long wanted)
{
    long right = 0;
    for (long i = 0; i < count; i++) {
        right += loop_saw[i] == wanted && loop_runs[i] == 1;
        loop_saw[i] = -1;
        loop_runs[i] = 0;
    }
    expect(what, right, count);
}

static volatile unsigned long long beyond_long = 1ULL << 63;

/* A task loop that waits for its tasks: its maker and whoever helps. */
static void mode_taskloop(void)
{
    long sum = 0;
    IN_TEAM
    {
        set_current(1);
#pragma omp taskloop num_tasks(50)
        for (long i = 0; i < 50; i++) {
            iteration(i);
            set_current(800); /* for nobody else */
        }
        expect_iterations("iterations", 50, 1);
#pragma omp taskloop
        for (long i = 0; i < 50; i++)
            iteration(i);
        expect_iterations("iterations in some tasks", 50, 1);
        set_current(2);
#pragma omp taskloop grainsize(7)
        for (long i = 49; i >= 0; i--)
            iteration(i);
        expect_iterations("iterations downwards", 50, 2);
        set_current(3);
#pragma omp taskloop num_tasks(11)
        for (unsigned long long i = 0; i < 50; i++)
            iteration((long)i);
        expect_iterations("unsigned long long", 50, 3);
        unsigned long long first = beyond_long;
#pragma omp taskloop num_tasks(11)
        for (unsigned long long i = first; i < first + 50; i++)
            iteration((long)(i - first));
        expect_iterations("beyond the signed ones", 50, 3);
        set_current(4);
#pragma omp taskloop reduction(+ : sum) num_tasks(5)
        for (long i = 0; i < 50; i++)
            sum += current();
        expect("reduction", sum, 200);
        set_current(5);
#pragma omp taskloop if (0) num_tasks(4)
        for (long i = 0; i < 50; i++) {
            iteration(i);
            set_current(6);
            set_current(5);
        }
        expect_iterations("at once", 50, 5);
        Copied copied(0);
        set_current(6);
#pragma omp taskloop firstprivate(copied) num_tasks(8)
        for (long i = 0; i < 50; i++)
            iteration(i + copied.value);
        expect_iterations("with copies", 50, 6);
        set_current(7);
#pragma omp taskloop
        for (long i = 5; i < 5; i++)
            iteration(i);
        expect("after an empty loop", current(), 7);
    }
    expect("copies left", Copied::alive, 0);
    set_current(8);
#pragma omp taskloop
    for (long i = 0; i < 50; i++)
        iteration(i);
    expect_iterations("outside of a region", 50, 8);
}

static void mode_nogroup(void)
{
    IN_TEAM
    {
        set_current(1);
#pragma omp taskloop nogroup
        for (long i = 0; i < 100; i++)
            iteration(i);
        set_current(1);
#pragma omp taskloop nogroup grainsize(3)
        for (long i = 299; i >= 100; i -= 1)
            iteration(i);
#pragma omp taskloop nogroup num_tasks(7)
        for (unsigned long long i = 300; i < 400; i++)
            iteration((long)i);
        set_current(9);
#pragma omp taskwait
    }
    expect_iterations("iterations", 400, 1);
    set_current(2);
#pragma omp taskloop nogroup num_tasks(3)
    for (long i = 0; i < 400; i += 2)
        for (long j = i; j < i + 2; j++)
            iteration(j);
    expect_iterations("outside of a region", 400, 2);
}

/* ---- cancellation: run with OMP_CANCELLATION=true ---- */

static long discarded_ran;

/* Queued tasks are discarded; those that run still see their maker's value. */
static void mode_cancel(void)
{
    expect("cancellation is on", omp_get_cancellation(), 1);
    for (int round = 0; round < 20; round++) {
        int total = 0;
#pragma omp parallel num_threads(2) shared(total)
        {
#pragma omp single nowait
            {
#pragma omp taskgroup
                {
                    for (int i = 0; i < 100; i++) {
                        set_current(100 + i);
#pragma omp task firstprivate(i) shared(total)
                        {
                            if (current() != 100 + i)
                                wrong_results++;
                            set_current(5);
                            __atomic_add_fetch(&total, 1, __ATOMIC_RELAXED);
#pragma omp cancel taskgroup
                        }
#pragma omp task firstprivate(i) shared(total)
                        {
                            /* made by a task's thread, or at the barrier */
                            set_current(200 + i);
#pragma omp task firstprivate(i)
                            if (current() != 200 + i)
                                wrong_results++;
                        }
                    }
                }
            }
        }
        discarded_ran += total;
    }
    printf("some were discarded: %d\n", discarded_ran < 2000);
    for (int round = 0; round < 20; round++) {
#pragma omp parallel num_threads(2)
        {
#pragma omp single nowait
            {
                for (int i = 0; i < 40; i++) {
                    Copied copied(i);
                    set_current(100 + i);
#pragma omp task firstprivate(copied)
                    if (current() != 100 + copied.value)
                        wrong_results++;
                }
                set_current(1);
#pragma omp taskloop nogroup num_tasks(20)
                for (long i = 0; i < 100; i++)
                    if (current() != 1)
                        wrong_results++;
                set_current(9);
            }
#pragma omp cancel parallel
        }
    }
    expect("copies left", Copied::alive, 0);
    expect("wrong", wrong_results, 0);
}

static const struct {
    const char *name;
    void (*run)(void);
} modes[] = {
    {"parallel", mode_parallel}, {"join", mode_join},       {"nested", mode_nested},     {"loops", mode_loops},
    {"sections", mode_sections}, {"reductions", mode_reductions}, {"teams", mode_teams}, {"split", mode_split},
    {"tasks", mode_tasks},       {"undeferred", mode_undeferred}, {"copy", mode_copy},   {"large", mode_large},
    {"depend", mode_depend},     {"deep", mode_deep},       {"detach", mode_detach},     {"taskloop", mode_taskloop},
    {"nogroup", mode_nogroup},   {"cancel", mode_cancel},
};

int main(int argc, char **argv)
{
    carrier_choose(argc > 2 ? argv[2] : "key");
    omp_set_dynamic(0);
    for (size_t i = 0; argc > 1 && i < sizeof(modes) / sizeof(modes[0]); i++)
        if (!strcmp(modes[i].name, argv[1])) {
            modes[i].run();
            return verdict();
        }
    return 2;
}
