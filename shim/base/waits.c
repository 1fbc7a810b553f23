/*
 * Choosing whom the verdict names, of all that waited: objects of the same two places in the code are one.
 */
#include "base/waits.h"

#include <string.h>

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

    out->threads = out->wakes = 0;
    for (unsigned i = 0; i < WAITS_OBJECTS; i++) {
        const struct waits_object *object = &page->objects[i];

        if (!is_pair(object) || object->waiter != like->waiter || object->waker != like->waker)
            continue;
        out->wakes += object->wakes;
        for (unsigned j = 0; j < object->threads_count && j < WAITS_THREADS; j++) {
            unsigned k = 0;

            while (k < out->threads && threads[k] != object->threads[j])
                k++;
            if (k == out->threads && k < WAITS_THREADS)
                threads[out->threads++] = object->threads[j];
        }
    }
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
        if (is_found &&
            (is_mains == !!object->has_main ? chosen.wakes <= out->wakes : !!object->has_main))
            continue;
        chosen.waiter.address = object->waiter - 1;
        chosen.waker.address = object->waker - 1;
        chosen.waiter.module = module_of(page, chosen.waiter.address);
        chosen.waker.module = module_of(page, chosen.waker.address);
        *out = chosen;
        is_found = true;
        is_mains = object->has_main;
    }
    return is_found;
}
