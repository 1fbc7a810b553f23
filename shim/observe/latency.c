/*
 * Times between handing over and running, out of what each thread has counted. Two buckets a power of two,
 * so a quantile is right to a factor of 1.5; the greatest is exact.
 */
#include "observe/latency.h"

#include <string.h>

#include "base/mem.h"
#include "observe/watch.h"
#include "userhooks/named.h"

static struct latency *of_hooks; /* NULL: there is no memory for it, or nobody asks */

struct summing {
    unsigned family;
    struct latency *latency;
};

static void add_thread(const struct live_thread *live, void *arg)
{
    const struct summing *summing = arg;
    struct latency *latency = summing->latency;

    latency->count += live->started[summing->family];
    if (live->queue_max[summing->family] > latency->max)
        latency->max = live->queue_max[summing->family];
    for (unsigned i = 0; i < LIVE_BUCKETS; i++)
        latency->buckets[i] += live->queue[summing->family][i];
}

void latency_sum(unsigned family, struct latency *out)
{
    struct summing summing = {family, out};

    memset(out, 0, sizeof *out);
    if (family < LIVE_FAMILIES)
        watch_each_thread(add_thread, &summing);
}

void latency_begin_hooks(void)
{
    if (named_count)
        of_hooks = mem_alloc(named_count * sizeof *of_hooks);
}

void latency_note_hook(unsigned index, uint64_t ticks)
{
    struct latency *latency = of_hooks && index < named_count ? &of_hooks[index] : NULL;
    uint64_t most;

    if (!latency)
        return;
    __atomic_fetch_add(&latency->count, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&latency->buckets[live_bucket(ticks)], 1, __ATOMIC_RELAXED);
    most = __atomic_load_n(&latency->max, __ATOMIC_RELAXED);
    while (ticks > most && !__atomic_compare_exchange_n(&latency->max, &most, ticks, true,
                                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
}

void latency_forget_hooks(void)
{
    if (of_hooks)
        memset(of_hooks, 0, named_count * sizeof *of_hooks);
}

const struct latency *latency_of_hook(unsigned index)
{
    return of_hooks && of_hooks[index].count ? &of_hooks[index] : NULL;
}

uint64_t latency_quantile(const struct latency *latency, unsigned percent)
{
    uint64_t total = 0, passed = 0;

    for (unsigned i = 0; i < LIVE_BUCKETS; i++)
        total += latency->buckets[i];
    for (unsigned i = 0; i + 1 < LIVE_BUCKETS; i++) {
        uint64_t end = live_bucket_start(i + 1);

        passed += latency->buckets[i];
        if (passed * 100 >= total * percent)
            return watch_ns(end < latency->max ? end : latency->max);
    }
    return watch_ns(latency->max);
}
