/*
 * libgomp: parallel regions and teams, sections and loops among them.
 *
 * A region is synchronous: its record lies on the stack of the thread that starts it and lends the
 * context to the others; it is let go when the region has ended. The starting thread takes part in
 * its own values, because what it sets must be there afterwards. The others get the context lent
 * and their own values back, so nothing of a region shows in the next one.
 *
 * Work sharing inside a region (GOMP_loop_*, GOMP_sections_*) hands no function over: nothing to do.
 * Source: libgomp of gcc 12, parallel.c, loop.c, sections.c, teams.c. It calls itself directly, not
 * through our names.
 */
#include "context/fast.h"
#include "families/openmp/gomp_team.h"

typedef void omp_function(void *);

static GUARDED void run_borrowed_slow(struct team *team)
{
    GUARDED_FRAME();
    SCOPE_RUN(team->context, 0, team->function(team->data));
}

static GUARDED void run_borrowed(struct team *team)
{
    GUARDED_FRAME();
    SCOPE_RUN_FAST(&team->context, 0, team->function(team->data), run_borrowed_slow(team));
}

static void run_member(void *arg)
{
    struct team *team = arg;

    if (thread_self == team->master)
        team->function(team->data);
    else
        run_borrowed(team);
}

/* A member of a team whose tasks may be discarded says to which region its tasks belong. */
static GUARDED void run_cancellable(void *arg)
{
    GUARDED_FRAME();
    struct team *team = arg, *outer = team_current;

    team_current = team;
    run_member(team);
    team_current = outer;
}

/* Not inlined, as all that is rare: so the hooks below keep the program's arguments in registers. */
static __attribute__((noinline)) omp_function *team_begin(struct team *team, omp_function *function,
                                                          void *data, const void *caller)
{
    bool cancels = team_can_cancel(caller);

    team->function = function;
    team->data = data;
    team->context = function ? context_capture(FAMILY_GOMP) : NULL;
    team->master = thread_self;
    team->loose = NULL;
    return !team->context ? NULL : cancels ? run_cancellable : run_member;
}

static void team_end(struct team *team)
{
    if (team->loose)
        loose_drop_all(team);
    context_release_on(thread_self, team->context);
}

/* One region: NAME with the program's function and data, or with ours. */
#define REGION(result, NAME, first_word, ...)                                               \
    do {                                                                                    \
        struct team team;                                                                   \
        omp_function *run = team_begin(&team, function, data, __builtin_return_address(0)); \
                                                                                            \
        if (!run) {                                                                         \
            result REAL(NAME)(function, data, __VA_ARGS__);                                 \
        } else {                                                                            \
            team.first = (first_word);                                                      \
            result REAL(NAME)(run, &team, __VA_ARGS__);                                     \
            team_end(&team);                                                                \
        }                                                                                   \
    } while (0)

/* The form of nearly all regions, and how it is entered once TEAM_CHOOSE has chosen it. */
static APART void parallel_slow(omp_function *function, void *data, unsigned threads,
                                unsigned flags)
{
    REGION(, GOMP_parallel, NULL, threads, flags);
}

static void parallel_plain(omp_function *function, void *data, unsigned threads, unsigned flags)
{
    struct context *context = context_try_capture(FAMILY_GOMP);
    struct team team;

    if (!context) {
        parallel_slow(function, data, threads, flags);
        return;
    }
    team.function = function;
    team.data = data;
    team.master = thread_self;
    team.context = context;
    ((REAL_TYPE(GOMP_parallel))hook_real[HOOK_GOMP_parallel])(run_member, &team, threads, flags);
    context_release_on(thread_self, team.context);
}

void hook_GOMP_parallel(omp_function *function, void *data, unsigned threads, unsigned flags)
{
    TEAM_CHOOSE(GOMP_parallel, parallel_plain);
    parallel_slow(function, data, threads, flags);
}

unsigned hook_GOMP_parallel_reductions(omp_function *function, void *data, unsigned threads,
                                       unsigned flags)
{
    unsigned result;

    REGION(result =, GOMP_parallel_reductions, *(void **)data, threads, flags);
    return result;
}

void hook_GOMP_parallel_sections(omp_function *function, void *data, unsigned threads,
                                 unsigned count, unsigned flags)
{
    REGION(, GOMP_parallel_sections, NULL, threads, count, flags);
}

#define LOOP(NAME)                                                                               \
    void hook_##NAME(omp_function *function, void *data, unsigned threads, long start, long end, \
                     long step, long chunk, unsigned flags)                                      \
    {                                                                                            \
        REGION(, NAME, NULL, threads, start, end, step, chunk, flags);                           \
    }
#define LOOP_RUNTIME(NAME)                                                                       \
    void hook_##NAME(omp_function *function, void *data, unsigned threads, long start, long end, \
                     long step, unsigned flags)                                                  \
    {                                                                                            \
        REGION(, NAME, NULL, threads, start, end, step, flags);                                  \
    }
LOOP(GOMP_parallel_loop_static)
LOOP(GOMP_parallel_loop_dynamic)
LOOP(GOMP_parallel_loop_guided)
LOOP(GOMP_parallel_loop_nonmonotonic_dynamic)
LOOP(GOMP_parallel_loop_nonmonotonic_guided)
LOOP_RUNTIME(GOMP_parallel_loop_runtime)
LOOP_RUNTIME(GOMP_parallel_loop_nonmonotonic_runtime)
LOOP_RUNTIME(GOMP_parallel_loop_maybe_nonmonotonic_runtime)

/* Up to gcc 13 all teams run one after the other in the calling thread; nothing says that they must. */
void hook_GOMP_teams_reg(omp_function *function, void *data, unsigned teams, unsigned threads,
                         unsigned flags)
{
    REGION(, GOMP_teams_reg, NULL, teams, threads, flags);
}

/* ---- split start and end: programs built by gcc before 4.9 ---- */

/*
 * The starting thread calls its part itself, between the two functions. What was started is a
 * stack of the thread's; starts that there was no memory to remember are on top of it, counted.
 */
static __thread struct team *started;
static __thread unsigned started_bare;

static struct team *team_start(omp_function *function, void *data, const void *caller,
                               omp_function **run)
{
    struct team *team = started_bare ? NULL : handoff_alloc(sizeof *team);

    if (team && !(*run = team_begin(team, function, data, caller))) {
        handoff_free(team, sizeof *team);
        team = NULL;
    }
    if (!team) {
        started_bare++;
        return NULL;
    }
    team->outer = started;
    started = team;
    return team;
}

#define START(NAME, ...)                                                                   \
    do {                                                                                   \
        omp_function *run;                                                                 \
        struct team *team = team_start(function, data, __builtin_return_address(0), &run); \
                                                                                           \
        if (team)                                                                          \
            REAL(NAME)(run, team, __VA_ARGS__);                                            \
        else                                                                               \
            REAL(NAME)(function, data, __VA_ARGS__);                                       \
        if (team && team_cancels == CANCELS) {                                             \
            team->first = team_current;                                                    \
            team_current = team;                                                           \
        }                                                                                  \
    } while (0)

void hook_GOMP_parallel_start(omp_function *function, void *data, unsigned threads)
{
    START(GOMP_parallel_start, threads);
}

void hook_GOMP_parallel_sections_start(omp_function *function, void *data, unsigned threads,
                                       unsigned count)
{
    START(GOMP_parallel_sections_start, threads, count);
}

#define LOOP_START(NAME)                                                                         \
    void hook_##NAME(omp_function *function, void *data, unsigned threads, long start, long end, \
                     long step, long chunk)                                                      \
    {                                                                                            \
        START(NAME, threads, start, end, step, chunk);                                           \
    }
LOOP_START(GOMP_parallel_loop_static_start)
LOOP_START(GOMP_parallel_loop_dynamic_start)
LOOP_START(GOMP_parallel_loop_guided_start)

void hook_GOMP_parallel_loop_runtime_start(omp_function *function, void *data, unsigned threads,
                                           long start, long end, long step)
{
    START(GOMP_parallel_loop_runtime_start, threads, start, end, step);
}

void hook_GOMP_parallel_end(void)
{
    struct team *team;

    REAL(GOMP_parallel_end)();
    if (started_bare) {
        started_bare--;
        return;
    }
    team = started;
    if (!team) /* started before we were there */
        return;
    started = team->outer;
    if (team_current == team)
        team_current = team->first;
    team_end(team);
    handoff_free(team, sizeof *team);
}
