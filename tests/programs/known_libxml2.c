// libxml2's handler of errors is the task's of its request, and nobody else's.
// libs: libxml-2.0 glib-2.0
#include "adapter.h"
#include <libxml/xmlerror.h>
#include <libxml/globals.h>

static void handler(void *context, const char *format, ...)
{
}

static void set_request(long number)
{
    xmlSetGenericErrorFunc((void *)number, number ? handler : NULL);
}

static long seen(void)
{
    return (xmlGenericError == handler) == (xmlGenericErrorContext != NULL)
               ? (long)xmlGenericErrorContext
               : -1;
}

static void spoil(void)
{
    xmlSetGenericErrorFunc((void *)99, handler);
}

int main(void)
{
    return main_of_test();
}
