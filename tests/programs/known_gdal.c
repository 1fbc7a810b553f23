// GDAL's options of the thread are the task's of its request, and nobody else's.
// libs: gdal glib-2.0
#define ENDS_UNTOLD
#include "adapter.h"
#include <cpl_conv.h>

static void set_request(long number)
{
    char text[32];

    snprintf(text, sizeof text, "%ld", number);
    CPLSetThreadLocalConfigOption("REQUEST", number ? text : NULL);
}

static long seen(void)
{
    const char *text = CPLGetThreadLocalConfigOption("REQUEST", NULL);

    return text ? atol(text) : 0;
}

static void spoil(void)
{
    CPLSetThreadLocalConfigOption("REQUEST", "99");
}

int main(void)
{
    return main_of_test();
}
