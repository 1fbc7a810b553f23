/* Between the files that read BATON_HOOKS (spec.h). */
#ifndef BATON_USERHOOKS_SPEC_NAME_H
#define BATON_USERHOOKS_SPEC_NAME_H

#include "userhooks/spec.h"

static inline bool spec_fail(struct spec_error *error, const char *at, const char *expected)
{
    error->at = at;
    error->expected = expected;
    return false;
}

/* FUNCTION[@MODULE][#FILE.c], in either order, cut at the marks. False: error is filled. */
bool spec_read_name(char *text, struct named_spec *out, struct spec_error *error);

#endif
