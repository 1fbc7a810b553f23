// The precision and rounding that a thread chose for MPFR hold for the work that it hands to a GThreadPool.
// libs: glib-2.0 mpfr
#include <glib.h>
#include <mpfr.h>
#include <stdio.h>

struct job {
    mpfr_prec_t precision;
    mpfr_rnd_t rounding;
    const char *label;
    char digits[96];
};

static struct job jobs[] = {
    {24, MPFR_RNDN, "24 bits, to nearest", ""},
    {100, MPFR_RNDD, "100 bits, down", ""},
    {100, MPFR_RNDU, "100 bits, up", ""},
};

// Knows nothing of jobs' settings: it computes with whatever this thread's defaults are.
static void divide(gpointer data, gpointer unused)
{
    struct job *job = data;
    mpfr_t x;
    mpfr_init(x);
    mpfr_set_ui(x, 2, mpfr_get_default_rounding_mode());
    mpfr_div_ui(x, x, 3, mpfr_get_default_rounding_mode());
    mpfr_snprintf(job->digits, sizeof(job->digits), "%.34R*f", MPFR_RNDN, x);
    mpfr_clear(x);
}

int main(void)
{
    GThreadPool *pool = g_thread_pool_new(divide, NULL, 2, TRUE, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(jobs); i++) {
        mpfr_set_default_prec(jobs[i].precision);
        mpfr_set_default_rounding_mode(jobs[i].rounding);
        g_thread_pool_push(pool, &jobs[i], NULL);
    }
    g_thread_pool_free(pool, FALSE, TRUE);
    for (size_t i = 0; i < G_N_ELEMENTS(jobs); i++)
        printf("2/3 with %-20s %s\n", jobs[i].label, jobs[i].digits);
    mpfr_free_cache();
    return 0;
}
