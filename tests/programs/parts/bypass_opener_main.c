#include <dlfcn.h>
#include <stdio.h>

void *opener_open(const char *name);

int main(int argc, char **argv)
{
    void *plugin = opener_open(argv[1]);
    printf("%s\n", plugin ? "opened" : dlerror());
    return plugin ? 0 : 1;
}
