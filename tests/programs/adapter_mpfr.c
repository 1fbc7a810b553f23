// MPFR's default precision, rounding and exponents of the request are the task's, and nobody else's.
// libs: mpfr glib-2.0
#include "adapter.h"
#include <mpfr.h>

static void set_request(long number)
{
    mpfr_set_default_prec(number ? 100 + number : 53);
    mpfr_set_default_rounding_mode(number ? MPFR_RNDU : MPFR_RNDN);
    mpfr_set_emax(number ? 1000 + number : mpfr_get_emax_max());
}

static long seen(void)
{
    long number = mpfr_get_default_prec() == 53 ? 0 : mpfr_get_default_prec() - 100;
    if (mpfr_get_default_rounding_mode() != (number ? MPFR_RNDU : MPFR_RNDN))
        return -1;
    return number && mpfr_get_emax() != 1000 + number ? -1 : number;
}

static void spoil(void)
{
    mpfr_set_default_prec(24);
    mpfr_set_default_rounding_mode(MPFR_RNDZ);
    mpfr_set_emax(10);
}

int main(void)
{
    int status = main_of_test();
    mpfr_free_cache();
    return status;
}
