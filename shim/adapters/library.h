/*
 * For adapters: the library that is adapted, also where the program has opened it for one of its modules alone
 * (RTLD_LOCAL). It stays loaded from then on.
 */
#ifndef BATON_ADAPTERS_LIBRARY_H
#define BATON_ADAPTERS_LIBRARY_H

#include <dlfcn.h>

/* To be asked by dlsym. FILE is its name as it was linked; one of another version may be there for all. */
static inline void *library_of(const char *file)
{
    void *library = dlopen(file, RTLD_LAZY | RTLD_NOLOAD);

    return library ? library : RTLD_DEFAULT;
}

#endif
