/* See uv_parts.h. */
#include "handoffs/uv_parts.h"

#include "base/map.h"
#include "handoffs/next.h"

struct library_place uv_place;
_Atomic unsigned uv_words;

/* 1.44: read whole. Others may well leave the words alone; the table costs less than a guess. */
enum { UV_FIRST = 0x012c00, UV_LAST = 0x012cff };

void uv_find_version(const void *caller)
{
    unsigned (*get_version)(void) = (unsigned (*)(void))next_find_for("uv_version", caller);
    unsigned version = get_version ? get_version() : 0;

    atomic_store(&uv_words,
                 version >= UV_FIRST && version <= UV_LAST ? UV_WORDS_FREE : UV_WORDS_TAKEN);
}

static struct map requests;

bool uv_request_put_aside(struct uv_request *request, struct uv_carried carried)
{
    struct uv_carried *cell = cell_new();
    void *old;

    if (!cell)
        return false;
    *cell = carried;
    if (!map_put(&requests, request, cell, &old)) {
        cell_free(cell);
        return false;
    }
    if (old)
        cell_free(old); /* its callback never came; its context is lost with it */
    return true;
}

struct uv_carried uv_request_take_aside(struct uv_request *request, bool keep)
{
    struct uv_carried *cell = keep ? map_find(&requests, request) : map_take(&requests, request);
    struct uv_carried carried = {0};

    if (cell)
        carried = *cell;
    if (cell && !keep)
        cell_free(cell);
    return carried;
}

static struct map repeats;

struct repeat *uv_repeat_of_aside(void *handle)
{
    return map_find(&repeats, handle);
}

bool uv_repeat_set(void *any, struct repeat *repeat, const void *caller)
{
    struct uv_handle *handle = any;

    if (!uv_has_words(caller))
        return map_put(&repeats, handle, repeat, NULL);
    handle->reserved[WORD_REPEAT] = repeat;
    handle->reserved[WORD_CHECK] = (void *)((uintptr_t)handle ^ (uintptr_t)UV_CHECK);
    return true;
}

void uv_repeat_clear(void *any)
{
    struct uv_handle *handle = any;

    if (unlikely(atomic_load_explicit(&uv_words, memory_order_relaxed) != UV_WORDS_FREE))
        map_take(&repeats, handle);
    else
        handle->reserved[WORD_CHECK] = handle->reserved[WORD_REPEAT] = NULL;
}
