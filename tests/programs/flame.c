// Two callers give the same task to a GThreadPool, one of them three times as long: a profile sees the pool alone.
// libs: glib-2.0
// flags: -fno-omit-frame-pointer -fno-optimize-sibling-calls
#include <glib.h>
#include <stdio.h>
#include <time.h>

static GThreadPool *pool;
static gint left;

static gint64 used_us(void)
{
    struct timespec used;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return used.tv_sec * 1000000 + used.tv_nsec / 1000;
}

__attribute__((noinline)) static void spin(gint64 us)
{
    for (gint64 end = used_us() + us; used_us() < end;)
        for (volatile int i = 0; i < 20000; i++)
            ;
}

static void task(gpointer data, gpointer user)
{
    (void)user;
    spin(GPOINTER_TO_INT(data));
    g_atomic_int_add(&left, -1);
}

__attribute__((noinline)) static void serve_short(void)
{
    g_thread_pool_push(pool, GINT_TO_POINTER(5000), NULL);
    __asm__ volatile("");
}

__attribute__((noinline)) static void serve_long(void)
{
    g_thread_pool_push(pool, GINT_TO_POINTER(15000), NULL);
    __asm__ volatile("");
}

int main(void)
{
    pool = g_thread_pool_new(task, NULL, 2, TRUE, NULL);
    left = 40;
    for (int i = 0; i < 20; i++) {
        serve_short();
        serve_long();
    }
    while (g_atomic_int_get(&left) > 0)
        g_usleep(1000);
    g_thread_pool_free(pool, FALSE, TRUE);
    puts("done");
    return 0;
}
