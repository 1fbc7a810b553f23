/* A library that opens plugins by name, where its own search path finds them. */
#include <dlfcn.h>

void *opener_open(const char *name)
{
    return dlopen(name, RTLD_NOW | RTLD_DEEPBIND);
}
