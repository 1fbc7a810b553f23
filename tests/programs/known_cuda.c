// Each request has a device of a library shaped as CUDA's runtime (libcudart.so.c); its tasks work on that one.
// libs: glib-2.0
// link: -ldl -Wl,-rpath,$ORIGIN
// usage: known_cuda [never]: no request ever sets a device, and nobody else does
#define ENDS_UNTOLD
#include "adapter.h"
#include <dlfcn.h>

static int (*cudaGetDevice)(int *), (*cudaSetDevice)(int), (*cudart_shaped_sets)(void), is_never;

static void set_request(long number)
{
    if (!is_never)
        cudaSetDevice((int)number % 8);
}

static long seen(void)
{
    int device = -1;

    cudaGetDevice(&device);
    return device;
}

static void spoil(void)
{
    set_request(2);
}

int main(int argc, char **argv)
{
    void *library = dlopen("libcudart.so", RTLD_NOW);

    if (!library)
        return 2;
    cudaGetDevice = (int (*)(int *))dlsym(library, "cudaGetDevice");
    cudaSetDevice = (int (*)(int))dlsym(library, "cudaSetDevice");
    cudart_shaped_sets = (int (*)(void))dlsym(library, "cudart_shaped_sets");
    is_never = argc > 1;
    if (!is_never)
        return main_of_test();
    for (int i = 0; i < 3; i++) {
        pthread_t thread;
        pthread_create(&thread, NULL, look, NULL);
        pthread_join(thread, NULL);
    }
    expect("threads on device 0", right, 3);
    expect("devices set", cudart_shaped_sets(), 0);
    (void)main_of_test;
    return verdict();
}
