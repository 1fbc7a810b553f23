// A file server that opens files as the request's user, in tasks too: setfsuid and setfsgid of the thread. For root.
// libs: glib-2.0
#define ENDS_UNTOLD
#include "adapter.h"
#include <sys/fsuid.h>

static void set_request(long number)
{
    setfsgid(number ? (gid_t)(2000 + number) : 0);
    setfsuid(number ? (uid_t)(1000 + number) : 0);
}

static long seen(void)
{
    long user = setfsuid((uid_t)-1), group = setfsgid((gid_t)-1);

    if ((user != 0) != (group != 0))
        return -1;
    return user && user - 1000 != group - 2000 ? -1 : user ? user - 1000 : 0;
}

static void spoil(void)
{
    set_request(99);
}

int main(void)
{
    set_request(1);
    if (seen() != 1)
        return 77;
    set_request(0);
    return main_of_test();
}
