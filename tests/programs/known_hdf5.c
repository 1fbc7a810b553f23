// How HDF5 reports errors is the task's of its request, and nobody else's; the stack itself is not lost by a handoff.
// libs: hdf5 glib-2.0
#include "adapter.h"
#include <hdf5.h>

static herr_t report(hid_t stack, void *number)
{
    return 0;
}

static void set_request(long number)
{
    H5Eset_auto2(H5E_DEFAULT, number ? report : (H5E_auto2_t)H5Eprint2, (void *)number);
}

static long seen(void)
{
    H5E_auto2_t function = NULL;
    void *number = NULL;

    H5Eget_auto2(H5E_DEFAULT, &function, &number);
    return (function == report) == (number != NULL) ? (long)number : -1;
}

static void spoil(void)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

static gpointer nothing(gpointer data)
{
    return data;
}

int main(void)
{
    int status;

    H5open();
    status = main_of_test();
    set_request(1);
    H5Gopen2(12345, "none", H5P_DEFAULT);
    expect("errors on the stack", H5Eget_num(H5E_DEFAULT) > 0, 1);
    g_thread_join(g_thread_new("one", nothing, NULL));
    expect("and after a handoff", H5Eget_num(H5E_DEFAULT) > 0, 1);
    set_request(0);
    return status | verdict();
}
