// MPFR: the default precision, rounding mode and exponent range of the thread.
// Flags are results, not settings: they stay the thread's.
#include <stdlib.h>

#include "baton_adapter.h"
#include "library.h"

struct settings {
    long precision, least, most;
    int rounding;
};

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

static struct settings now(void)
{
    return (struct settings){mpfr.get_precision(), mpfr.get_least(), mpfr.get_most(),
                             mpfr.get_rounding()};
}

static void apply(const struct settings *settings)
{
    mpfr.set_precision(settings->precision);
    mpfr.set_rounding(settings->rounding);
    mpfr.set_least(settings->least);
    mpfr.set_most(settings->most);
}

static enum baton_adapter_result capture(void **captured)
{
    struct settings *settings = malloc(sizeof *settings);

    if (!settings)
        return BATON_ADAPTER_FAILED;
    *settings = now();
    *captured = settings;
    return BATON_ADAPTER_OK;
}

struct attached {
    struct settings before, lent;
};

static int is_same(const struct settings *one, const struct settings *other)
{
    return one->precision == other->precision && one->least == other->least &&
           one->most == other->most && one->rounding == other->rounding;
}

/* Of a thread that set nothing. */
static const struct settings fresh = {53, 1 - (1L << 62), (1L << 62) - 1, 0};

static enum baton_adapter_result attach(void *captured, void **attached)
{
    struct attached *scope = malloc(sizeof *scope);

    if (!scope)
        return BATON_ADAPTER_FAILED;
    scope->before = now();
    scope->lent = captured ? *(struct settings *)captured : fresh;
    apply(&scope->lent);
    *attached = scope;
    return BATON_ADAPTER_OK;
}

static void detach(void *attached)
{
    struct attached *scope = attached;

    apply(&scope->before);
    free(scope);
}

static void detach_at_end(void *attached)
{
    struct attached *scope = attached;
    struct settings own = now();

    if (is_same(&own, &scope->lent))
        apply(&scope->before);
    free(scope);
}

static void exchange(void **state)
{
    struct settings *goes = malloc(sizeof *goes), *comes = *state;

    if (!goes)
        return;
    *goes = now();
    apply(comes ? comes : &fresh);
    free(comes);
    if (is_same(goes, &fresh)) {
        free(goes);
        goes = NULL;
    }
    *state = goes;
}

const struct baton_adapter baton_adapter = {
    BATON_ADAPTER_VERSION, "mpfr", start, capture, attach, detach, free, detach_at_end, exchange};
