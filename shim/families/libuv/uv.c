/* See uv.h. */
#include "families/libuv/uv.h"

#include "base/map.h"
#include "interpose/next.h"
#include "interpose/versions.h"

struct library_place uv_place;
_Atomic unsigned uv_words;

_Atomic bool uv_is_one;

void uv_find_version(const void *caller)
{
    unsigned (*get_version)(void) = (unsigned (*)(void))next_find_for("uv_version", caller);
    unsigned version = get_version ? get_version() : 0;

    /* Others may well leave the words alone; the table costs less than a guess. */
    atomic_store(&uv_is_one, version >> 16 == 1);
    atomic_store(&uv_words,
                 version_is_read(VERSION_LIBUV, version) ? UV_WORDS_FREE : UV_WORDS_TAKEN);
}

static struct map requests;

bool uv_side_table_put(struct uv_request *request, struct uv_carried carried)
{
    struct uv_carried *object = slab_new();
    void *old;

    if (!object)
        return false;
    *object = carried;
    if (!map_put(&requests, request, object, &old)) {
        slab_free(object);
        return false;
    }
    if (old)
        slab_free(old); /* its callback never came; its context is lost with it */
    return true;
}

struct uv_carried uv_side_table_take(struct uv_request *request, bool keep)
{
    struct uv_carried *object = keep ? map_find(&requests, request) : map_take(&requests, request);
    struct uv_carried carried = {0};

    if (object)
        carried = *object;
    if (object && !keep)
        slab_free(object);
    return carried;
}

static struct map registrations;

struct registration *uv_registration_in_side_table(void *handle)
{
    return map_find(&registrations, handle);
}

bool uv_registration_set(void *any, struct registration *registration, const void *caller)
{
    struct uv_handle *handle = any;

    if (!uv_has_words(caller))
        return map_put(&registrations, handle, registration, NULL);
    handle->reserved[WORD_REPEAT] = registration;
    handle->reserved[WORD_CHECK] = (void *)((uintptr_t)handle ^ (uintptr_t)UV_CHECK);
    return true;
}

void uv_registration_clear(void *any)
{
    struct uv_handle *handle = any;

    if (unlikely(atomic_load_explicit(&uv_words, memory_order_relaxed) != UV_WORDS_FREE))
        map_take(&registrations, handle);
    else
        handle->reserved[WORD_CHECK] = handle->reserved[WORD_REPEAT] = NULL;
}
