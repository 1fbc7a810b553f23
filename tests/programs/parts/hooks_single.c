/* The pools and their user in one unit: the compiler knows which registers each function leaves
 * alone, and counts on it. */
#include "hooks_pools.c"
#define main pools_main
#include "hooks_main.c"
#undef main
#ifdef LIBRARY
#define main library_main
int library_main(int argc, char **argv);
#endif

/* The callback and its data stay in registers over the calls, which write neither. */
__attribute__((noinline)) static int pass_on(void *pool, void (*function)(void *), void *argument)
{
    return call_submit(pool, function, argument);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return pools_main(argc, argv);
    pthread_key_create(&request_key, NULL);
    call_start(WORKERS);
    for (int i = 0; i < TASKS; i++) {
        set(7);
        pass_on(NULL, see_argument, (void *)7);
    }
    set(0);
    call_stop();
    printf("ran %d wrong %d\n", ran, wrong);
    return wrong != 0;
}
