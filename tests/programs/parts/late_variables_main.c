#include <stddef.h>
#include <dlfcn.h>

int main(int argc, char **argv)
{
    void *plugin = argc > 1 ? dlopen(argv[1], RTLD_NOW) : NULL;
    int (*use)(void) = plugin ? (int (*)(void))dlsym(plugin, "use_variables") : NULL;

    return use ? use() : 2;
}
