/*
 * libpthreadpool: its parallel loops.
 *
 * A loop is synchronous: the record lies on the caller's stack, lends the context to every call of
 * the program's function, in whatever thread, the caller's too, and is let go when the loop returns.
 * The functions differ in how many numbers the program's function is given; one that is given more
 * than it looks at is not harmed, so two trampolines do for all of them: the numbers that fit into
 * registers, and eight.
 *
 * The library's functions call one another through their names: what comes with our trampoline has
 * been captured. Source: pthreadpool 0.0~git20210507, src/portable-api.c.
 */
#include "families/handoff.h"

struct loop {
    void (*function)(void);
    void *data;
    struct context *context;
};

#define FIVE(a)                                                                     \
    unsigned long a##1, unsigned long a##2, unsigned long a##3, unsigned long a##4, \
        unsigned long a##5
typedef void task_5(void *, FIVE(a));
typedef void task_8(void *, FIVE(a), unsigned long, unsigned long, unsigned long);

static GUARDED void run_5(void *arg, FIVE(a))
{
    GUARDED_FRAME();
    struct loop *loop = arg;

    SCOPE_RUN(loop->context, 0, ((task_5 *)loop->function)(loop->data, a1, a2, a3, a4, a5));
}

static GUARDED void run_8(void *arg, FIVE(a), unsigned long a6, unsigned long a7, unsigned long a8)
{
    GUARDED_FRAME();
    struct loop *loop = arg;

    SCOPE_RUN(loop->context, 0,
              ((task_8 *)loop->function)(loop->data, a1, a2, a3, a4, a5, a6, a7, a8));
}

static bool loop_begin(struct loop *loop, void (*function)(void), void *data)
{
    if (!function || function == (void (*)(void))run_5 || function == (void (*)(void))run_8)
        return false;
    loop->context = context_capture(FAMILY_PTHREADPOOL);
    loop->function = function;
    loop->data = data;
    return loop->context != NULL;
}

#define WORDS_1 unsigned long a
#define WORDS_2 WORDS_1, unsigned long b
#define WORDS_3 WORDS_2, unsigned long c
#define WORDS_4 WORDS_3, unsigned long d
#define WORDS_5 WORDS_4, unsigned long e
#define WORDS_6 WORDS_5, unsigned long f
#define WORDS_7 WORDS_6, unsigned long g
#define WORDS_8 WORDS_7, unsigned long h
#define NAMES_1 a
#define NAMES_2 NAMES_1, b
#define NAMES_3 NAMES_2, c
#define NAMES_4 NAMES_3, d
#define NAMES_5 NAMES_4, e
#define NAMES_6 NAMES_5, f
#define NAMES_7 NAMES_6, g
#define NAMES_8 NAMES_7, h

/* FUNCTION: the type of the program's. BETWEEN: what stands between the data and the numbers. */
#define RUN(NAME, trampoline, FUNCTION, BETWEEN, count)                                    \
    do {                                                                                   \
        struct loop loop;                                                                  \
                                                                                           \
        if (!loop_begin(&loop, (void (*)(void))function, data)) {                          \
            REAL(NAME)(pool, function, data, BETWEEN NAMES_##count, flags);                \
            return;                                                                        \
        }                                                                                  \
        REAL(NAME)                                                                         \
        (pool, (FUNCTION)(void (*)(void))trampoline, &loop, BETWEEN NAMES_##count, flags); \
        context_release_on(thread_self, loop.context);                                     \
    } while (0)

#define NOTHING
#define CORES unknown, most,
#define LOOP(NAME, trampoline, count)                                                   \
    void hook_##NAME(struct pthreadpool *pool, void (*function)(void *, WORDS_##count), \
                     void *data, WORDS_##count, unsigned flags)                         \
    {                                                                                   \
        RUN(NAME, trampoline, void (*)(void *, WORDS_##count), NOTHING, count);         \
    }
#define LOOP_CORES(NAME, trampoline, count)                                                       \
    void hook_##NAME(struct pthreadpool *pool, void (*function)(void *, unsigned, WORDS_##count), \
                     void *data, unsigned unknown, unsigned most, WORDS_##count, unsigned flags)  \
    {                                                                                             \
        RUN(NAME, trampoline, void (*)(void *, unsigned, WORDS_##count), CORES, count);           \
    }

/* clang-format off */
LOOP(pthreadpool_parallelize_1d, run_5, 1)
LOOP_CORES(pthreadpool_parallelize_1d_with_uarch, run_5, 1)
LOOP(pthreadpool_parallelize_1d_tile_1d, run_5, 2)
LOOP(pthreadpool_parallelize_2d, run_5, 2)
LOOP(pthreadpool_parallelize_2d_tile_1d, run_5, 3)
LOOP(pthreadpool_parallelize_2d_tile_2d, run_5, 4)
LOOP_CORES(pthreadpool_parallelize_2d_tile_2d_with_uarch, run_5, 4)
LOOP(pthreadpool_parallelize_3d, run_5, 3)
LOOP(pthreadpool_parallelize_3d_tile_1d, run_5, 4)
LOOP(pthreadpool_parallelize_3d_tile_2d, run_5, 5)
LOOP_CORES(pthreadpool_parallelize_3d_tile_2d_with_uarch, run_8, 5)
LOOP(pthreadpool_parallelize_4d, run_5, 4)
LOOP(pthreadpool_parallelize_4d_tile_1d, run_5, 5)
LOOP(pthreadpool_parallelize_4d_tile_2d, run_8, 6)
LOOP_CORES(pthreadpool_parallelize_4d_tile_2d_with_uarch, run_8, 6)
LOOP(pthreadpool_parallelize_5d, run_5, 5)
LOOP(pthreadpool_parallelize_5d_tile_1d, run_8, 6)
LOOP(pthreadpool_parallelize_5d_tile_2d, run_8, 7)
LOOP(pthreadpool_parallelize_6d, run_8, 6)
LOOP(pthreadpool_parallelize_6d_tile_1d, run_8, 7)
LOOP(pthreadpool_parallelize_6d_tile_2d, run_8, 8)
/* clang-format on */
