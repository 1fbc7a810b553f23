// Every row of hooks.def for libgomp has the type that the compiler itself calls it by.
// flags: -Ishim -fopenmp
#include <stdio.h>

#define GOMP_parallel __builtin_GOMP_parallel
#define GOMP_parallel_reductions __builtin_GOMP_parallel_reductions
#define GOMP_parallel_sections __builtin_GOMP_parallel_sections
#define GOMP_parallel_loop_static __builtin_GOMP_parallel_loop_static
#define GOMP_parallel_loop_dynamic __builtin_GOMP_parallel_loop_dynamic
#define GOMP_parallel_loop_guided __builtin_GOMP_parallel_loop_guided
#define GOMP_parallel_loop_runtime __builtin_GOMP_parallel_loop_runtime
#define GOMP_parallel_loop_nonmonotonic_dynamic __builtin_GOMP_parallel_loop_nonmonotonic_dynamic
#define GOMP_parallel_loop_nonmonotonic_guided __builtin_GOMP_parallel_loop_nonmonotonic_guided
#define GOMP_parallel_loop_nonmonotonic_runtime __builtin_GOMP_parallel_loop_nonmonotonic_runtime
#define GOMP_parallel_loop_maybe_nonmonotonic_runtime __builtin_GOMP_parallel_loop_maybe_nonmonotonic_runtime
#define GOMP_teams_reg __builtin_GOMP_teams_reg
#if __GNUC__ > 10 /* before, it had one argument less: no event to wait for */
#define GOMP_task __builtin_GOMP_task
#else
typedef void gomp_task(void (*)(void *), void *, void (*)(void *, void *), long, long, _Bool, unsigned, void *, int);
_Static_assert(__builtin_types_compatible_p(__typeof__(__builtin_GOMP_task), gomp_task), "GOMP_task is another one");
void GOMP_task(void (*)(void *), void *, void (*)(void *, void *), long, long, _Bool, unsigned, void *, int, void *);
#endif
#define GOMP_taskloop __builtin_GOMP_taskloop
#define GOMP_taskloop_ull __builtin_GOMP_taskloop_ull

/* The compiler's own declaration has void * for all pointers; these are those of libgomp_g.h. */
void GOMP_target_ext(int, void (*)(void *), unsigned long, void **, unsigned long *, unsigned short *, unsigned,
                     void **, void **);

/* Compilers emit calls of these no more, and no header declares them. */
typedef void omp_function(void *);
void GOMP_parallel_start(omp_function *, void *, unsigned);
void GOMP_parallel_end(void);
void GOMP_parallel_sections_start(omp_function *, void *, unsigned, unsigned);
void GOMP_parallel_loop_static_start(omp_function *, void *, unsigned, long, long, long, long);
void GOMP_parallel_loop_dynamic_start(omp_function *, void *, unsigned, long, long, long, long);
void GOMP_parallel_loop_guided_start(omp_function *, void *, unsigned, long, long, long, long);
void GOMP_parallel_loop_runtime_start(omp_function *, void *, unsigned, long, long, long);

#define WANT_GOMP 1
#include "prototypes.h"
