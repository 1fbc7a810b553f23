/*
 * Choosing whom the verdict names, of all that waited: objects of the same two places in the code are one.
 *
 * A pool that nobody knows, beside what is carried: threads that had set values woke it, in code that did not come
 * with the system, again and again; its threads came back to wait each time, and none of them ever ran with a value, had
 * one, or handed one over. Who awaits an answer has, or is the first thread; a known pool's workers run with them. Whether
 * such threads need any nobody can see of variables: a pool may set them by itself, and take them back. Of a key it is
 * seen: they set none, and looked for it, while those who woke them had now this value, now that.
 */
#include "base/waits.h"

#include <string.h>

enum { TURNS_MIN = 4 };

static const struct waits_module *module_of(const struct waits_page *page, uint64_t address)
{
    for (unsigned i = 0; i < WAITS_MODULES && page->modules[i].hi; i++) {
        const struct waits_module *module = &page->modules[i];

        if (address >= module->lo && address < module->hi && module->lo >= module->base)
            return module;
    }
    return NULL;
}

static bool is_pair(const struct waits_object *object)
{
    return object->object && object->waiter && object->waker && object->wakes &&
           object->threads_count && object->threads_count <= WAITS_THREADS;
}

/* The sum over all objects of these two places. */
static void sum(const struct waits_page *page, const struct waits_object *like,
                struct waits_chosen *out)
{
    uint32_t threads[WAITS_THREADS];

    uint32_t bare = 0, others = 0, has_main = 0, turns = 0;

    out->threads = out->wakes = out->held = out->missed = 0;
    for (unsigned i = 0; i < WAITS_OBJECTS; i++) {
        const struct waits_object *object = &page->objects[i];

        if (!is_pair(object) || object->waiter != like->waiter || object->waker != like->waker)
            continue;
        out->wakes += object->wakes;
        out->held += object->held;
        out->missed += object->missed;
        turns += object->turns;
        bare += object->bare;
        others += object->others;
        has_main |= object->has_main;
        for (unsigned j = 0; j < object->threads_count && j < WAITS_THREADS; j++) {
            unsigned k = 0;

            while (k < out->threads && threads[k] != object->threads[j])
                k++;
            if (k == out->threads && k < WAITS_THREADS)
                threads[out->threads++] = object->threads[j];
        }
    }
    if (others || has_main || bare < TURNS_MIN || out->held < TURNS_MIN ||
        out->held < out->wakes / 2)
        out->held = 0;
    if (!out->held || out->missed < TURNS_MIN || turns < TURNS_MIN)
        out->missed = 0;
}

/* The better one to name: a pool that looked for values and had none, or had none; one that is not waited for by the first thread; what was
 * woken more. */
static bool is_better(const struct waits_chosen *one, bool is_mains,
                      const struct waits_chosen *other, bool are_mains)
{
    if (!one->missed != !other->missed)
        return one->missed;
    if (!one->held != !other->held)
        return one->held;
    if (is_mains != are_mains)
        return are_mains;
    return one->wakes > other->wakes;
}

bool waits_choose(const struct waits_page *page, struct waits_chosen *out)
{
    bool is_found = false, is_mains = false;

    if (memcmp(page->magic, WAITS_MAGIC, sizeof page->magic) != 0)
        return false;
    for (unsigned i = 0; i < WAITS_OBJECTS; i++) {
        const struct waits_object *object = &page->objects[i];
        struct waits_chosen chosen;

        if (!is_pair(object))
            continue;
        sum(page, object, &chosen);
        chosen.waiter.address = object->waiter - 1;
        chosen.waker.address = object->waker - 1;
        chosen.waiter.module = module_of(page, chosen.waiter.address);
        chosen.waker.module = module_of(page, chosen.waker.address);
        if (!chosen.waiter.module || chosen.waiter.module != chosen.waker.module ||
            !chosen.waiter.module->is_own)
            chosen.held = chosen.missed = 0;
        if (is_found && !is_better(&chosen, object->has_main, out, is_mains))
            continue;
        *out = chosen;
        is_found = true;
        is_mains = object->has_main;
    }
    return is_found;
}
