/*
 * libgomp: target regions that nobody waits for (nowait), in programs without an accelerator.
 *
 * Such a region is a task of the host: libgomp copies the addresses of what the region maps, and calls
 * its function with the copy, later and in whatever thread. We put one entry more in front, mapped
 * as a number that libgomp neither follows nor looks up; the trampoline takes it off again.
 *
 * With an accelerator the function is the name under which its code was registered, so nothing is
 * changed. Regions that are waited for run in the calling thread. A task that cancellation may
 * discard is known to its team (gomp_team.h). Source: libgomp of gcc 12, target.c, task.c.
 */
#include <string.h>

#include "families/openmp/gomp_team.h"
#include "interpose/next.h"

typedef void omp_function(void *);

/* gomp-constants.h */
enum { TARGET_NOWAIT = 1, MAP_NUMBER = 13 };

enum { ENTRIES_ON_STACK = 16 };

struct region {
    omp_function *function;
    struct context *context;
    struct team *team;
    struct loose_task
        *loose; /* knows of the context until the region runs; NULL: cannot be discarded */
};

static GUARDED void run_region(void *addresses)
{
    GUARDED_FRAME();
    struct region *block = ((void **)addresses)[0], region = *block;
    struct team *outer = team_current;

    if (region.loose) {
        loose_take(region.loose);
        team_current = region.team;
    }
    handoff_free(block, sizeof *block);
    SCOPE_RUN(region.context, FRAME_OWNED, region.function((void **)addresses + 1));
    if (region.loose)
        team_current = outer;
}

static bool has_accelerator(const void *caller)
{
    static int known = -1;
    int count = __atomic_load_n(&known, __ATOMIC_RELAXED);

    if (count < 0) {
        int (*ask)(void) = (int (*)(void))next_find_for("omp_get_num_devices", caller);

        count = ask ? ask() : 1;
        __atomic_store_n(&known, count, __ATOMIC_RELAXED);
    }
    return count > 0;
}

static struct region *region_new(omp_function *function, bool is_loose)
{
    struct context *context = context_capture(FAMILY_GOMP);
    struct region *region = context ? handoff_alloc(sizeof *region) : NULL;

    if (region) {
        region->function = function;
        region->context = context;
        region->team = team_current;
        region->loose = is_loose ? loose_new(context) : NULL;
        if (!is_loose || region->loose) {
            if (is_loose) {
                region->loose->block = region;
                region->loose->block_size = sizeof *region;
            }
            return region;
        }
        handoff_free(region, sizeof *region);
    }
    if (context) {
        context_rollback(FAMILY_GOMP, context);
        context_count_bare(FAMILY_GOMP, BARE_MEMORY);
    }
    return NULL;
}

void hook_GOMP_target_ext(int device, omp_function *function, unsigned long count, void **addresses,
                          unsigned long *sizes, unsigned short *kinds, unsigned flags,
                          void **depend, void **arguments)
{
    const void *caller = __builtin_return_address(0);
    struct {
        void *addresses[ENTRIES_ON_STACK];
        unsigned long sizes[ENTRIES_ON_STACK];
        unsigned short kinds[ENTRIES_ON_STACK];
    } small;
    size_t all = count + 1, buffer = all * (sizeof *addresses + sizeof *sizes + sizeof *kinds);
    struct region *region = NULL;
    void **our_addresses = small.addresses;
    unsigned long *our_sizes = small.sizes;
    unsigned short *our_kinds = small.kinds;
    bool is_large = all > ENTRIES_ON_STACK;

    if (flags & TARGET_NOWAIT && function && !has_accelerator(caller)) {
        if (is_large) {
            our_addresses = mem_alloc(buffer);
            our_sizes = (unsigned long *)(our_addresses + all);
            our_kinds = (unsigned short *)(our_sizes + all);
        }
        if (our_addresses)
            region = region_new(function, team_can_cancel(caller));
        else
            context_count_bare(FAMILY_GOMP, BARE_MEMORY);
    }
    if (!region) {
        if (is_large && our_addresses != small.addresses)
            mem_free(our_addresses, buffer);
        REAL(GOMP_target_ext)
        (device, function, count, addresses, sizes, kinds, flags, depend, arguments);
        return;
    }
    our_addresses[0] = region;
    our_sizes[0] = sizeof(void *);
    our_kinds[0] = MAP_NUMBER;
    memcpy(our_addresses + 1, addresses, count * sizeof *addresses);
    memcpy(our_sizes + 1, sizes, count * sizeof *sizes);
    memcpy(our_kinds + 1, kinds, count * sizeof *kinds);
    REAL(GOMP_target_ext)
    (device, run_region, all, our_addresses, our_sizes, our_kinds, flags, depend, arguments);
    if (is_large)
        mem_free(our_addresses, buffer);
}
