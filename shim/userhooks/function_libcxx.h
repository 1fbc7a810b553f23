/* kind=stdfunction: libc++'s std::function, which holds a pointer to an object; what that points to is exchanged. */
#ifndef BATON_USERHOOKS_FUNCTION_LIBCXX_H
#define BATON_USERHOOKS_FUNCTION_LIBCXX_H

#include "base/lock.h"
#include "userhooks/named.h"

/* __value_func of ABI 1 (namespace std::__1), in every libc++ that has one: room for three words, and where the
 * object is; in the room itself where it fits. */
struct libcxx_function {
    _Alignas(16) char room[32];
    void *object; /* NULL: empty */
};

/* The virtual functions of __base, which all that it can hold have. */
enum libcxx_slot {
    LIBCXX_CLONE = 2,
    LIBCXX_CLONE_INTO,
    LIBCXX_DESTROY,
    LIBCXX_GIVE_BACK, /* destroy and deallocate */
    LIBCXX_CALL,
    LIBCXX_TARGET,
    LIBCXX_TARGET_TYPE, /* the last two are not there without RTTI */
    LIBCXX_SLOTS
};

struct libcxx_node {
    void *const *vtable;     /* first: it is an object of that kind itself */
    struct context *context; /* under lock_of (node) */
    void *object;            /* the program's own: in `room`, or where the program has made it */
    uint64_t mark;           /* LIBCXX_MARK while it is one */
    _Alignas(16) char room[32];
};
enum { LIBCXX_MARK = 0x63787878 };

static inline void *libcxx_virtual(const void *object, enum libcxx_slot slot)
{
    return (*(void *const *const *)object)[slot];
}

/* Does the function's name have this, as the linker knows it? */
bool function_takes(const struct thunk *thunk, const char *type);
/* Is it a std::function of libc++ that is not empty? Nothing is read that may not be. Slow. */
bool libcxx_is_function(const struct thunk *thunk, uintptr_t place);
/* What is no std::function that is known, where libc++ is: is it an empty one, whose room holds what was there before? Slow. */
bool libcxx_is_empty(const struct thunk *thunk, uintptr_t place);
/* False: there is no memory for it. Slow. */
bool libcxx_begin(struct named_hook *hook);
/* Does a value that anybody may have made up point to a node? Slow. */
bool libcxx_is_node(uintptr_t place);
/* Slow. */
void libcxx_submit(struct named_hook *hook, struct libcxx_function *function);

/* A reference to the node's context. */
static inline struct context *libcxx_context(struct libcxx_node *node)
{
    struct context *context;

    lock_take(lock_of(node));
    context = node->context;
    atomic_fetch_add_explicit(&context->refs, 1, memory_order_relaxed);
    lock_drop(lock_of(node));
    return context;
}

#endif
