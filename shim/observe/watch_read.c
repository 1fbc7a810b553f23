/* What reports read of the live page: each thread's block, and times of its clock. */
#include "observe/watch.h"

void watch_each_thread(void (*visit)(const struct live_thread *live, void *arg), void *arg)
{
    uint32_t count = store_live ? atomic_load(&store_live->threads_used) : 0;

    for (uint32_t i = 0; i < count && i < LIVE_THREADS; i++)
        visit((const struct live_thread *)(void *)((char *)store_live + store_live->threads_at +
                                                   (size_t)i * LIVE_THREAD_SIZE),
              arg);
}

uint64_t watch_ns(uint64_t ticks)
{
    static struct trace_anchor now; /* one for all, so that what is longer stays longer */
    uint64_t passed;

    if (!now.ticks)
        now = store_anchor();
    passed = now.ticks - store_live->first_ticks;
    if (!store_has_ticks || !passed)
        return ticks;
    return (uint64_t)((unsigned __int128)ticks * (now.ns - store_live->first_ns) / passed);
}
