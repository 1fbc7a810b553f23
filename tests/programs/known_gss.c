// GSSAPI's credential cache is the task's of its request, and nobody else's.
// libs: krb5-gssapi glib-2.0
#include "adapter.h"
#include <gssapi/gssapi_krb5.h>

static void set_request(long number)
{
    OM_uint32 minor;
    char name[32];

    snprintf(name, sizeof name, "MEMORY:%ld", number);
    gss_krb5_ccache_name(&minor, number ? name : NULL, NULL);
}

static long seen(void)
{
    OM_uint32 minor;
    const char *name = NULL;
    long number = 0;
    char *kept;

    gss_krb5_ccache_name(&minor, NULL, &name);
    sscanf(name ? name : "", "MEMORY:%ld", &number);
    kept = strdup(name ? name : "");
    gss_krb5_ccache_name(&minor, number ? kept : NULL, NULL);
    free(kept);
    return number;
}

static void spoil(void)
{
    set_request(99);
}

int main(void)
{
    return main_of_test();
}
