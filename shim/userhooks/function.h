/* kind=stdfunction: libstdc++'s std::function, replaced in place by one that carries a context. */
#ifndef BATON_USERHOOKS_FUNCTION_H
#define BATON_USERHOOKS_FUNCTION_H

#include "base/lock.h"
#include "userhooks/named.h"

/* libstdc++ since GCC 4.3 (std_function.h): what is stored in place may be moved bytewise. */
struct std_function {
    uint64_t any[2];
    bool (*manager)(void *to, const void *from, int operation);
    void *invoker;
};

struct function_node {
    uint64_t any[2]; /* the program's own function */
    bool (*manager)(void *to, const void *from, int operation);
    void *invoker;
    struct context *context; /* under lock_of (node) */
    uint64_t mark;           /* NODE_MARK while it is one */
};
enum { NODE_MARK = 0x6e6f6465 };

/* Does a value that anybody may have made up point to a std::function of ours, as far as its node? Slow. */
bool function_is_at(uintptr_t place);

/* Slow. */
void function_submit(struct thunk *thunk, struct std_function *function);

/* A reference to the node's context. */
static inline struct context *function_context(struct function_node *node)
{
    struct context *context;

    lock_take(lock_of(node));
    context = node->context;
    atomic_fetch_add_explicit(&context->refs, 1, memory_order_relaxed);
    lock_drop(lock_of(node));
    return context;
}

#endif
