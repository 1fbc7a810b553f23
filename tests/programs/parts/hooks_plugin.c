/* A plugin with a pool of its own: opened RTLD_LOCAL, it hands work over in its constructor, through
 * a table of functions, and through what the program has from dlsym. */
#include "hooks_pools.h"
#include <pthread.h>
#include <sched.h>

extern void plugin_see(void *number);
extern void plugin_set(long number);
extern int plugin_ran(void);

struct plugin_table {
    int (*submit)(void *pool, void (*function)(void *), void *argument);
};
struct plugin_table plugin_table = {call_submit};

__attribute__((constructor)) static void opened(void)
{
    call_start(2);
    for (long i = 1; i <= 100; i++) {
        plugin_set(i);
        call_submit(NULL, plugin_see, (void *)i);
    }
    plugin_set(0);
    while (plugin_ran() < 100)
        sched_yield();
}
