// The floating-point control of the request is the task's; what the worker's flags say stays the worker's, traps never fire late.
// libs: glib-2.0
// link: -lm
// flags: -frounding-math -D_GNU_SOURCE
#include "carrier.h"
#include <fenv.h>
#include <glib.h>

static long rounds_up, flag_kept, first = 1;

static void work(gpointer data, gpointer user_data)
{
    volatile double zero = 0, one = 1, result;
    volatile long double long_zero = 0, long_one = 1, long_result;
    if (first) {
        first = 0;
        result = one / zero; /* raises a flag that stays up, in SSE and in x87 */
        long_result = long_one / long_zero;
        return;
    }
    rounds_up += fegetround() == FE_UPWARD;
    flag_kept += fetestexcept(FE_DIVBYZERO) != 0;
    long_result = long_one / 3; /* would trap, were the old flag raised now */
    result = (double)long_result;
    (void)result;
}

int main(void)
{
    GThreadPool *pool = g_thread_pool_new(work, NULL, 1, TRUE, NULL);
    g_thread_pool_push(pool, pool, NULL);
    while (__atomic_load_n(&first, __ATOMIC_ACQUIRE))
        sleep_ms(1);
    fesetround(FE_UPWARD);
    g_thread_pool_push(pool, pool, NULL);
    feenableexcept(FE_DIVBYZERO);
    g_thread_pool_push(pool, pool, NULL);
    fedisableexcept(FE_DIVBYZERO);
    g_thread_pool_free(pool, FALSE, TRUE);
    expect("rounds up", rounds_up, 2);
    expect("flag kept", flag_kept, 2);
    return verdict();
}
