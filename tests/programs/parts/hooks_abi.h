/* Functions of every shape that the calling convention has. */
#ifndef HOOKS_ABI_H
#define HOOKS_ABI_H
#include <complex.h>
#include <setjmp.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif
#ifdef __cplusplus
extern "C" {
#define COMPLEX_LONG_DOUBLE __complex__ long double
#else
#define COMPLEX_LONG_DOUBLE _Complex long double
#endif

struct two_ints { long a, b; };
struct two_doubles { double a, b; };
struct mixed { long a; double b; };
struct big { long words[9]; };

long abi_ints(long a, long b, long c, long d, long e, long f, long g, long h, long i, long j, long k, long l);
double abi_doubles(double a, double b, double c, double d, double e, double f, double g, double h, double i,
                   double j, int k);
struct two_ints abi_two_ints(long a);
struct two_doubles abi_two_doubles(double a);
struct mixed abi_mixed(long a, double b);
struct big abi_big_result(long a);
long abi_big_argument(struct big value, long a);
long double abi_long_double(long double a, long b);
COMPLEX_LONG_DOUBLE abi_complex(COMPLEX_LONG_DOUBLE a);
double abi_variadic(int count, ...);
#if defined(__x86_64__)
__m256d abi_avx(__m256d a, __m256d b);
__m512d abi_avx512(__m512d a, __m512d b);
#endif
long abi_recurse(long depth);
long abi_callback(long (*function)(long), long argument);
void abi_nothing(void); /* writes no register at all */

#ifdef __cplusplus
}
#endif
#endif
