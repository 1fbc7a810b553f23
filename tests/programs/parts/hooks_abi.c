/* See hooks_abi.h. */
#include "hooks_abi.h"
#include <stdarg.h>

#define HERE __attribute__((noinline, noclone))

HERE long abi_ints(long a, long b, long c, long d, long e, long f, long g, long h, long i, long j, long k, long l)
{
    return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h + 9 * i + 10 * j + 11 * k + 12 * l;
}

HERE double abi_doubles(double a, double b, double c, double d, double e, double f, double g, double h, double i,
                        double j, int k)
{
    return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h + 9 * i + 10 * j + k;
}

HERE struct two_ints abi_two_ints(long a)
{
    return (struct two_ints){a + 1, a + 2};
}

HERE struct two_doubles abi_two_doubles(double a)
{
    return (struct two_doubles){a + 1, a + 2};
}

HERE struct mixed abi_mixed(long a, double b)
{
    return (struct mixed){a + 1, b + 2};
}

HERE struct big abi_big_result(long a)
{
    struct big big;
    for (int i = 0; i < 9; i++)
        big.words[i] = a + i;
    return big;
}

HERE long abi_big_argument(struct big value, long a)
{
    for (int i = 0; i < 9; i++)
        a += value.words[i];
    return a;
}

HERE long double abi_long_double(long double a, long b)
{
    return a * 2 + b;
}

HERE COMPLEX_LONG_DOUBLE abi_complex(COMPLEX_LONG_DOUBLE a)
{
    return a * 3;
}

HERE double abi_variadic(int count, ...)
{
    double sum = 0;
    va_list args;
    va_start(args, count);
    for (int i = 0; i < count; i++)
        sum += i % 2 ? va_arg(args, double) : (double)va_arg(args, long);
    va_end(args);
    return sum;
}

#if defined(__x86_64__)
__attribute__((target("avx"))) HERE __m256d abi_avx(__m256d a, __m256d b)
{
    return _mm256_add_pd(a, b);
}

__attribute__((target("avx512f"))) HERE __m512d abi_avx512(__m512d a, __m512d b)
{
    return _mm512_add_pd(a, b);
}
#endif

HERE long abi_recurse(long depth)
{
    volatile long here = depth;
    return depth ? abi_recurse(depth - 1) + (here == depth) : 0;
}

HERE long abi_callback(long (*function)(long), long argument)
{
    long result = function(argument);
    __asm__ volatile("" ::: "memory");
    return result + 1;
}

__asm__(".text\n.p2align 4\n.globl abi_nothing\n.type abi_nothing,%function\nabi_nothing:\n"
#if defined(__x86_64__)
        ".nops 8\n"
#endif
        "ret\n.size abi_nothing, . - abi_nothing\n");
