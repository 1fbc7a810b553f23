/*
 * libuv: where a request or a handle keeps what we know of it.
 *
 * Both have words that libuv reserves for itself and touches nowhere (read in 1.44.2; the init
 * functions do not clear them). They are private, so they are used only for versions that are known to
 * leave them alone; for all others there is a table by address.
 *
 * Ownership: from the submit to its callback the request owns the context; the callback's trampoline
 * takes everything out first, because the program may free the request or use it again.
 */
#ifndef BATON_FAMILIES_LIBUV_UV_H
#define BATON_FAMILIES_LIBUV_UV_H

#include "families/handoff.h"
#include "interpose/reentry.h"
#include "families/registration.h"

/* The heads that all requests and all handles share (UV_REQ_FIELDS, UV_HANDLE_FIELDS); the prototypes
 * test compares them with uv.h. */
struct uv_request {
    void *data;
    int type;
    void *reserved[6];
};

struct uv_handle {
    void *data;
    struct uv_loop_s *loop;
    int type;
    void *close_callback;
    void *queue[2];
    void *reserved[4];
};

enum { WORD_FUNCTION = 3, WORD_AFTER = 4, WORD_CONTEXT = 5 };
enum { WORD_CLOSE_CONTEXT = 0, WORD_CLOSE = 1, WORD_CHECK = 2, WORD_REPEAT = 3 };

extern struct library_place uv_place __attribute__((visibility("hidden")));

enum uv_words { UV_WORDS_UNKNOWN, UV_WORDS_FREE, UV_WORDS_TAKEN };
extern _Atomic unsigned uv_words __attribute__((visibility("hidden")));
/* libuv 1: what programs allocate for it cannot change within that. Known once uv_has_words was asked. */
extern _Atomic bool uv_is_one __attribute__((visibility("hidden")));
void uv_find_version(const void *caller);

/* To be asked before anything below; `caller` is of the program or of libuv. */
static inline bool uv_has_words(const void *caller)
{
    if (unlikely(atomic_load_explicit(&uv_words, memory_order_relaxed) == UV_WORDS_UNKNOWN))
        uv_find_version(caller);
    return likely(atomic_load_explicit(&uv_words, memory_order_relaxed) == UV_WORDS_FREE);
}

/* Such code as is of the libuv that came with the program: true is certain, false is not. */
static inline bool uv_is_code(const void *code)
{
    return (uintptr_t)code - atomic_load_explicit(&uv_place.start, memory_order_relaxed) <
           atomic_load_explicit(&uv_place.size, memory_order_relaxed);
}

/* Is it a call of the program's, of the libuv that came with it? False is not certain. */
static inline bool uv_is_quick(const void *real, const void *caller)
{
    uintptr_t start = atomic_load_explicit(&uv_place.start, memory_order_relaxed);
    uintptr_t size = atomic_load_explicit(&uv_place.size, memory_order_relaxed);

    return likely((uintptr_t)real - start < size && (uintptr_t)caller - start >= size &&
                  atomic_load_explicit(&uv_words, memory_order_relaxed) == UV_WORDS_FREE);
}

/* What a request carries; 24 bytes. */
struct uv_carried {
    void *function, *after;
    struct context *context;
};

bool uv_side_table_put(struct uv_request *request, struct uv_carried carried);
struct uv_carried uv_side_table_take(struct uv_request *request, bool keep);

/* False: no memory for it. */
static inline __attribute__((always_inline)) bool
uv_request_put(struct uv_request *request, const void *caller, struct uv_carried carried)
{
    if (unlikely(!uv_has_words(caller)))
        return uv_side_table_put(request, carried);
    request->reserved[WORD_FUNCTION] = carried.function;
    request->reserved[WORD_AFTER] = carried.after;
    request->reserved[WORD_CONTEXT] = carried.context;
    return true;
}

static inline __attribute__((always_inline)) struct uv_carried
uv_request_look(struct uv_request *request, bool keep)
{
    if (unlikely(atomic_load_explicit(&uv_words, memory_order_relaxed) != UV_WORDS_FREE))
        return uv_side_table_take(request, keep);
    return (struct uv_carried){request->reserved[WORD_FUNCTION], request->reserved[WORD_AFTER],
                               request->reserved[WORD_CONTEXT]};
}

static inline __attribute__((always_inline)) struct uv_carried uv_request_take(void *request)
{
    return uv_request_look(request, false);
}

/* Captures for a request. False: let it have the program's callback. */
static inline __attribute__((always_inline)) bool uv_request_capture(enum family family,
                                                                     void *request, void *function,
                                                                     void *after,
                                                                     const void *caller)
{
    struct context *context = context_capture(family);

    if (unlikely(!context))
        return false;
    if (unlikely(!uv_request_put(request, caller, (struct uv_carried){function, after, context}))) {
        context_rollback(family, context);
        context_count_bare(family, BARE_MEMORY);
        return false;
    }
    return true;
}

/* The submit failed. */
static inline void uv_request_rollback(enum family family, void *request)
{
    context_rollback(family, uv_request_take(request).context);
}

/* ---- handles ---- */

/* A call of the program with a callback of its own, not one that libuv makes to itself. */
#define UV_IS_OURS(object, callback, trampoline, name, caller)                       \
    (likely((object) && (callback)) && (void *)(callback) != (void *)(trampoline) && \
     !caller_is_reentrant(&uv_place, (void *)REAL_FOR(name, caller), caller))

enum { UV_CHECK = 0x5bad0b07 };

/* Flags of a handle's registration, besides those that all have. */
enum {
    UV_READS =
        REGISTRATION_OTHER, /* it has an alloc callback: uv_close may be called from it, and the other comes after */
    UV_IS_ASYNC = REGISTRATION_OTHER << 1,
};

/* Lets go of what the last uv_async_send has left (async.c). */
void uv_async_end(struct registration *registration);

struct registration *uv_registration_in_side_table(void *handle);
/* The handle's registration; NULL: it has none. */
static inline struct registration *uv_registration_of(void *any)
{
    struct uv_handle *handle = any;

    if (unlikely(atomic_load_explicit(&uv_words, memory_order_relaxed) != UV_WORDS_FREE))
        return uv_registration_in_side_table(handle);
    if ((uintptr_t)handle->reserved[WORD_CHECK] != ((uintptr_t)handle ^ (uintptr_t)UV_CHECK))
        return NULL;
    return handle->reserved[WORD_REPEAT];
}

/* False: no memory. */
bool uv_registration_set(void *handle, struct registration *registration, const void *caller);
/* Whatever the handle's memory holds, it is nothing of ours any more. */
void uv_registration_clear(void *handle);

#endif
