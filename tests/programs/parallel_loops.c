// libpthreadpool: every call of a loop's function sees the values of the loop's caller, in every form of loop.
// link: -lpthreadpool
// usage: parallel_loops MODE [CARRIER]
#include "carrier.h"
#include <pthreadpool.h>

static pthreadpool_t pool;
static long calls, right, bad_arguments;
static long expected_value;
static const int marker = 5;

/* Which thread takes part is up to the pool; each call leaves something for nobody. */
static void called(const void *data, size_t items, size_t outside)
{
    __atomic_add_fetch(&calls, (long)items, __ATOMIC_RELAXED);
    if (current() == expected_value)
        __atomic_add_fetch(&right, (long)items, __ATOMIC_RELAXED);
    if (data != &marker || outside)
        __atomic_add_fetch(&bad_arguments, 1, __ATOMIC_RELAXED);
    set_current(800);
}

/* An older library has not these two. */
#pragma weak pthreadpool_parallelize_6d
#pragma weak pthreadpool_parallelize_6d_tile_1d
void pthreadpool_parallelize_6d(pthreadpool_t, void (*)(void *, size_t, size_t, size_t, size_t, size_t, size_t), void *, size_t,
                                size_t, size_t, size_t, size_t, size_t, uint32_t);
void pthreadpool_parallelize_6d_tile_1d(pthreadpool_t,
                                        void (*)(void *, size_t, size_t, size_t, size_t, size_t, size_t, size_t), void *,
                                        size_t, size_t, size_t, size_t, size_t, size_t, size_t, uint32_t);

#define N size_t
static void d1(void *p, N i) { called(p, 1, i >= 60); }
static void d1u(void *p, uint32_t u, N i) { called(p, 1, i >= 60 || u > 7); }
static void d1t1(void *p, N i, N a) { called(p, a, i + a > 60); }
static void d2(void *p, N i, N j) { called(p, 1, i >= 6 || j >= 10); }
static void d2t1(void *p, N i, N j, N a) { called(p, a, i >= 6 || j + a > 10); }
static void d2t2(void *p, N i, N j, N a, N b) { called(p, a * b, i + a > 6 || j + b > 10); }
static void d2t2u(void *p, uint32_t u, N i, N j, N a, N b) { called(p, a * b, i + a > 6 || j + b > 10 || u > 7); }
static void d3(void *p, N i, N j, N k) { called(p, 1, i >= 2 || j >= 3 || k >= 10); }
static void d3t1(void *p, N i, N j, N k, N a) { called(p, a, i >= 2 || j >= 3 || k + a > 10); }
static void d3t2(void *p, N i, N j, N k, N a, N b) { called(p, a * b, i >= 2 || j + a > 3 || k + b > 10); }
static void d3t2u(void *p, uint32_t u, N i, N j, N k, N a, N b) { called(p, a * b, i >= 2 || j + a > 3 || k + b > 10 || u > 7); }
static void d4(void *p, N i, N j, N k, N l) { called(p, 1, i >= 2 || j >= 3 || k >= 2 || l >= 5); }
static void d4t1(void *p, N i, N j, N k, N l, N a) { called(p, a, i >= 2 || j >= 3 || k >= 2 || l + a > 5); }
static void d4t2(void *p, N i, N j, N k, N l, N a, N b) { called(p, a * b, i >= 2 || j >= 3 || k + a > 2 || l + b > 5); }
static void d4t2u(void *p, uint32_t u, N i, N j, N k, N l, N a, N b)
{
    called(p, a * b, i >= 2 || j >= 3 || k + a > 2 || l + b > 5 || u > 7);
}
static void d5(void *p, N i, N j, N k, N l, N m) { called(p, 1, i >= 2 || j >= 3 || k >= 2 || l >= 5 || m >= 1); }
static void d5t1(void *p, N i, N j, N k, N l, N m, N a) { called(p, a, i >= 2 || j >= 3 || k >= 2 || l >= 1 || m + a > 5); }
static void d5t2(void *p, N i, N j, N k, N l, N m, N a, N b)
{
    called(p, a * b, i >= 2 || j >= 3 || k >= 1 || l + a > 2 || m + b > 5);
}
static void d6(void *p, N i, N j, N k, N l, N m, N n)
{
    called(p, 1, i >= 2 || j >= 3 || k >= 2 || l >= 5 || m >= 1 || n >= 1);
}
static void d6t1(void *p, N i, N j, N k, N l, N m, N n, N a)
{
    called(p, a, i >= 2 || j >= 3 || k >= 2 || l >= 1 || m >= 1 || n + a > 5);
}
static void d6t2(void *p, N i, N j, N k, N l, N m, N n, N a, N b)
{
    called(p, a * b, i >= 2 || j >= 3 || k >= 1 || l >= 1 || m + a > 2 || n + b > 5);
}

static void begin(long value)
{
    set_current(value);
    expected_value = value;
    calls = right = bad_arguments = 0;
}

static void end(const char *name)
{
    puts(name);
    expect("calls", calls, 60);
    expect("right", right, 60);
    expect("bad arguments", bad_arguments, 0);
    expect("the caller has", current(), expected_value);
}

#define FORM(name, function, ...)                                                              \
    do {                                                                                       \
        begin(expected_value + 1);                                                             \
        pthreadpool_parallelize_##name(pool, function, (void *)&marker, __VA_ARGS__, 0);       \
        end(#name);                                                                            \
    } while (0)

int main(int argc, char **argv)
{
    carrier_choose(argc > 1 ? argv[1] : "key");
    pool = pthreadpool_create(3);
    expected_value = 100;
    FORM(1d, d1, 60);
    FORM(1d_with_uarch, d1u, 0, 3, 60);
    FORM(1d_tile_1d, d1t1, 60, 7);
    FORM(2d, d2, 6, 10);
    FORM(2d_tile_1d, d2t1, 6, 10, 3);
    FORM(2d_tile_2d, d2t2, 6, 10, 4, 3);
    FORM(2d_tile_2d_with_uarch, d2t2u, 0, 3, 6, 10, 4, 3);
    FORM(3d, d3, 2, 3, 10);
    FORM(3d_tile_1d, d3t1, 2, 3, 10, 3);
    FORM(3d_tile_2d, d3t2, 2, 3, 10, 2, 3);
    FORM(3d_tile_2d_with_uarch, d3t2u, 0, 3, 2, 3, 10, 2, 3);
    FORM(4d, d4, 2, 3, 2, 5);
    FORM(4d_tile_1d, d4t1, 2, 3, 2, 5, 2);
    FORM(4d_tile_2d, d4t2, 2, 3, 2, 5, 2, 2);
    FORM(4d_tile_2d_with_uarch, d4t2u, 0, 3, 2, 3, 2, 5, 2, 2);
    FORM(5d, d5, 2, 3, 2, 5, 1);
    FORM(5d_tile_1d, d5t1, 2, 3, 2, 1, 5, 2);
    FORM(5d_tile_2d, d5t2, 2, 3, 1, 2, 5, 2, 2);
    if (pthreadpool_parallelize_6d)
        FORM(6d, d6, 2, 3, 2, 5, 1, 1);
    else
        puts("6d: not in this library");
    if (pthreadpool_parallelize_6d_tile_1d)
        FORM(6d_tile_1d, d6t1, 2, 3, 2, 1, 1, 5, 2);
    else
        puts("6d_tile_1d: not in this library");
    FORM(6d_tile_2d, d6t2, 2, 3, 1, 1, 2, 5, 2, 2);
    begin(0);
    pthreadpool_parallelize_1d(pool, d1, (void *)&marker, 60, 0);
    end("no value");
    begin(9);
    pthreadpool_parallelize_1d(NULL, d1, (void *)&marker, 60, 0);
    end("no pool");
    begin(10);
    pthreadpool_parallelize_1d(pool, d1, (void *)&marker, 1, 0);
    calls *= 60, right *= 60;
    end("one call");
    pthreadpool_destroy(pool);
    set_current(0);
    return verdict();
}
