/* dynamic.c: what a program's or library's file tells the loader. */
#ifndef BATON_CLI_DYNAMIC_H
#define BATON_CLI_DYNAMIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A mapped file; texts that are answered lie in it. */
struct dynamic {
    const char *bytes;
    size_t len;
    uint64_t dynamic, strings; /* where these are in the file */
};

/* False: it cannot be read, or is no dynamically linked file of this machine's class. */
bool dynamic_open(const char *path, struct dynamic *out);
void dynamic_close(struct dynamic *file);
/* The name of the Nth library that it needs; NULL: there is none. */
const char *dynamic_needed(const struct dynamic *file, unsigned n);
/* Does it define this version, as GLIBC_2.34? */
bool dynamic_defines(const struct dynamic *file, const char *version);
/* A version that FILE needs of LIBRARY, which THERE is, and that it does not define; NULL. */
const char *dynamic_lacks(const struct dynamic *file, const char *library,
                          const struct dynamic *there);

#endif
