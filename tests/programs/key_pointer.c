// Which library the program's own pointers for keys lead to, by the call and by the address.
// flags: -D_GNU_SOURCE
// link: -ldl
// usage: key_pointer [CARRIER]
#include "carrier.h"
#include <dlfcn.h>

static const char *library_of(void *function)
{
    Dl_info info;
    const char *slash = dladdr(function, &info) ? strrchr(info.dli_fname, '/') : NULL;
    return slash ? slash + 1 : "none";
}

int main(int argc, char **argv)
{
    carrier_choose(argc > 1 ? argv[1] : "key");
    printf("pthread_getspecific is in %s\n", library_of((void *)pthread_getspecific));
    printf("tss_set is in %s\n", library_of((void *)tss_set));
    return 0;
}
