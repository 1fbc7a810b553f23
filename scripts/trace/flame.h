/* A profile whose samples stand under the submitter (flame.c). */
#ifndef BATON_TRACE_FLAME_H
#define BATON_TRACE_FLAME_H

#include <stdio.h>

#include "trace.h"

struct flame {
    char **stacks;        /* a sample each, outermost frame first, ';' between; sorted */
    size_t count, joined; /* joined: so many were in a run of the trace */
};

/* in: what `perf script` has printed. */
void flame_read(struct flame *flame, const struct trace *trace, FILE *in);
void flame_write_folded(const struct flame *flame, FILE *out);
void flame_write_svg(const struct flame *flame, FILE *out);

#endif
