// Shaped as CUDA's runtime library is, and not that library: eight devices, of which each thread has a current one.
// flags: -Wl,-soname,libcudart.so.12
enum { SUCCESS = 0, INVALID_VALUE = 1, INVALID_DEVICE = 101, DEVICES = 8 };

static __thread int current;
static int sets;

int cudaGetDevice(int *device)
{
    if (!device)
        return INVALID_VALUE;
    *device = current;
    return SUCCESS;
}

int cudaSetDevice(int device)
{
    __atomic_add_fetch(&sets, 1, __ATOMIC_RELAXED);
    if (device < 0 || device >= DEVICES)
        return INVALID_DEVICE;
    current = device;
    return SUCCESS;
}

/* Not CUDA's: how often a device was set. */
int cudart_shaped_sets(void)
{
    return __atomic_load_n(&sets, __ATOMIC_RELAXED);
}
