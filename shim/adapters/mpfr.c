// MPFR: the default precision, rounding mode and exponent range of the thread.
// Flags are results, not settings: they stay the thread's.
#include "adapters/library.h"

struct settings {
    long precision, least, most, rounding;
};

#include "adapters/settings.h"

static struct {
    long (*get_precision)(void);
    void (*set_precision)(long);
    int (*get_rounding)(void);
    void (*set_rounding)(int);
    long (*get_least)(void);
    int (*set_least)(long);
    long (*get_most)(void);
    int (*set_most)(long);
} mpfr;
static struct settings settings_fresh = {53, 1 - (1L << 62), (1L << 62) - 1, 0};

static const char *start(void)
{
    static const char *const names[] = {"mpfr_get_default_prec",
                                        "mpfr_set_default_prec",
                                        "mpfr_get_default_rounding_mode",
                                        "mpfr_set_default_rounding_mode",
                                        "mpfr_get_emin",
                                        "mpfr_set_emin",
                                        "mpfr_get_emax",
                                        "mpfr_set_emax"};
    void **place = (void **)&mpfr, *library = library_of("libmpfr.so.6");

    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (!(place[i] = dlsym(library, names[i])))
            return "libmpfr is not loaded";
    }
    return NULL;
}

static void settings_read(struct settings *now)
{
    *now = (struct settings){mpfr.get_precision(), mpfr.get_least(), mpfr.get_most(),
                             mpfr.get_rounding()};
}

static void settings_write(const struct settings *settings)
{
    mpfr.set_precision(settings->precision);
    mpfr.set_rounding((int)settings->rounding);
    mpfr.set_least(settings->least);
    mpfr.set_most(settings->most);
}

SETTINGS_ADAPTER("mpfr", start);
