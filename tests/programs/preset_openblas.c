// OpenBLAS: what its workers compute is flushed to zero, or not, as the thread that asked for it has it.
// needs: openblas-pthread/openblas_config.h
// link: -L/usr/lib/x86_64-linux-gnu/openblas-pthread -Wl,-rpath,/usr/lib/x86_64-linux-gnu/openblas-pthread -lopenblas
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xmmintrin.h>

enum {
    THREADS = 4,
    SIZE = 128,
    LENGTH = 20000,
    ROUNDS = 6,
    FLUSH = 0x8040 /* results and operands */
};

void openblas_set_num_threads(int threads);
void dgemm_(const char *, const char *, const int *, const int *, const int *, const double *,
            const double *, const int *, const double *, const int *, const double *, double *,
            const int *);
void dsyrk_(const char *, const char *, const int *, const int *, const double *, const double *,
            const int *, const double *, double *, const int *);
void dpotrf_(const char *, const int *, double *, const int *, int *);
void daxpy_(const int *, const double *, const double *, const int *, double *, const int *);

static const int size = SIZE;
static const double one = 1, none;

static void flush(int is_wanted)
{
    _mm_setcsr((_mm_getcsr() & ~FLUSH) | (is_wanted ? FLUSH : 0));
}

// How many elements are not as `is_flushed` has them: all zero, or none; of the triangle that is computed only.
static int count_wrong(const double *matrix, int is_flushed, int is_triangle)
{
    int wrong = 0;

    for (int column = 0; column < SIZE; column++) {
        for (int row = is_triangle ? column : 0; row < SIZE; row++) {
            unsigned long bits;

            memcpy(&bits, &matrix[column * SIZE + row],
                   sizeof bits); // a comparison would flush, too
            wrong += is_flushed ? bits != 0 : bits == 0;
        }
    }
    return wrong;
}

static double *filled(double value)
{
    double *matrix = aligned_alloc(64, sizeof *matrix * SIZE * SIZE);

    for (int i = 0; i < SIZE * SIZE; i++)
        matrix[i] = value;
    return matrix;
}

// The products are denormal numbers, which are zero where results are flushed.
static int gemm(int is_flushed)
{
    double *a = filled(1e-200), *b = filled(1e-115), *c = filled(0);
    int wrong;

    flush(is_flushed);
    dgemm_("N", "N", &size, &size, &size, &one, a, &size, b, &size, &none, c, &size);
    flush(0);
    wrong = count_wrong(c, is_flushed, 0);
    free(a);
    free(b);
    free(c);
    return wrong;
}

static int syrk(int is_flushed)
{
    double *a = filled(1e-158), *c = filled(0);
    int wrong;

    flush(is_flushed);
    dsyrk_("L", "N", &size, &size, &one, a, &size, &none, c, &size);
    flush(0);
    wrong = count_wrong(c, is_flushed, 1);
    free(a);
    free(c);
    return wrong;
}

// Vectors: pieces that are called in another way than those of matrices. They are only to come out as they would.
static int axpy(int is_flushed)
{
    static double x[LENGTH], y[LENGTH];
    int n = LENGTH, step = 1, wrong = 0;
    const double three = 3;

    for (int i = 0; i < n; i++) {
        x[i] = i;
        y[i] = 1;
    }
    flush(is_flushed);
    daxpy_(&n, &three, x, &step, y, &step);
    flush(0);
    for (int i = 0; i < n; i++)
        wrong += y[i] != 3.0 * i + 1;
    return wrong;
}

// Factors of a matrix, each step of which hands work over.
static int potrf(int is_flushed)
{
    double *a = filled(1);
    int info = 1, wrong = 0;

    for (int i = 0; i < SIZE; i++)
        a[i * SIZE + i] = SIZE + 1.0;
    flush(is_flushed);
    dpotrf_("L", &size, a, &size, &info);
    flush(0);
    for (int i = 0; i < SIZE; i++)
        wrong += !(a[i * SIZE + i] > 1 && a[i * SIZE + i] < SIZE + 1.0);
    free(a);
    return wrong + (info != 0);
}

static void *caller(void *which)
{
    long wrong = 0;

    for (int i = 0; i < ROUNDS; i++)
        wrong += gemm((i + (which != NULL)) & 1);
    return (void *)wrong;
}

int main(void)
{
    int wrong[5] = {0};
    pthread_t threads[2];
    void *result;

    openblas_set_num_threads(THREADS);
    wrong[2] = axpy(0) + axpy(1);
    for (int i = 0; i < ROUNDS; i++) {
        wrong[0] += gemm(i & 1);
        wrong[1] += syrk(i & 1);
    }
    wrong[3] = potrf(0) + potrf(1);
    for (long i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, caller, (void *)i);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], &result);
        wrong[4] += (int)(long)result;
    }
    printf("gemm: wrong %d\nsyrk: wrong %d\naxpy: wrong %d\npotrf: wrong %d\nthreads: wrong %d\n",
           wrong[0], wrong[1], wrong[2], wrong[3], wrong[4]);
    wrong[0] += wrong[1] + wrong[2] + wrong[3] + wrong[4];
    puts(wrong[0] ? "WRONG" : "RIGHT");
    return wrong[0] != 0;
}
