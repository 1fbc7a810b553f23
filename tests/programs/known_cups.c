// The user of CUPS is the task's of its request, and nobody else's.
// needs: cups/cups.h
// libs: glib-2.0
// link: -lcups
#include "adapter.h"
#include <cups/cups.h>

static void set_request(long number)
{
    char user[32];

    snprintf(user, sizeof user, "request-%ld", number);
    cupsSetUser(number ? user : NULL);
}

static long seen(void)
{
    long number = 0;

    sscanf(cupsUser(), "request-%ld", &number);
    return number;
}

static void spoil(void)
{
    cupsSetUser("request-99");
}

int main(void)
{
    return main_of_test();
}
