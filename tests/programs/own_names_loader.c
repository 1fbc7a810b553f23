// own_names that refers to the loader's list, of which it has a copy then that is filled when the libraries have been relocated
// flags: -rdynamic -fno-pie -no-pie
#include "own_names.c"

int version_of_the_loader(void)
{
    return _r_debug.r_version;
}
