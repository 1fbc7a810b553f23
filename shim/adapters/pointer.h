/*
 * For adapters of a context that is one thread-local pointer, read from outside by a profiler: the
 * variable is POINTER_VARIABLE, whose owner edits in place what it leads to, so each task borrows a
 * copy. The copy is ended only if the pointer still leads to it: a task that replaced it owns it.
 */
#ifndef BATON_ADAPTERS_POINTER_H
#define BATON_ADAPTERS_POINTER_H

#include <stdlib.h>

#include "baton_adapter.h"

struct pointer_attached {
    void *before, *borrowed;
};

/* By the adapter. NULL: no memory. */
static void *pointer_copy(const void *value);
static void pointer_end(void *value);

/* Also where the program does not export it. More of the adapter's own: POINTER_WANTED. */
#ifndef POINTER_WANTED
#define POINTER_WANTED
#endif
static struct baton_adapter_wanted wanted[] = {
    {POINTER_VARIABLE, NULL, BATON_ADAPTER_THREAD_LOCAL, 0, NULL, NULL, 0, 0}, POINTER_WANTED};
enum { WANTED = sizeof wanted / sizeof wanted[0] };

/* The calling thread's address: asked once a thread. */
static void *volatile *pointer_place(void)
{
    static __thread void *volatile *mine;

    if (!mine)
        mine = (void *volatile *)wanted[0].at(&wanted[0]);
    return mine;
}

/* A profiler stops the thread anywhere: the value is whole before the pointer leads to it. */
static void pointer_set(void *value)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    *pointer_place() = value;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static enum baton_adapter_result pointer_capture(const void *value, void **captured)
{
    return (*captured = pointer_copy(value)) ? BATON_ADAPTER_OK : BATON_ADAPTER_FAILED;
}

static enum baton_adapter_result attach(void *captured, void **attached)
{
    struct pointer_attached *scope = malloc(sizeof *scope);

    if (!scope)
        return BATON_ADAPTER_FAILED;
    scope->before = *pointer_place();
    scope->borrowed = captured ? pointer_copy(captured) : NULL;
    if (captured && !scope->borrowed) {
        free(scope);
        return BATON_ADAPTER_FAILED;
    }
    pointer_set(scope->borrowed);
    *attached = scope;
    return BATON_ADAPTER_OK;
}

static void pointer_leave(struct pointer_attached *scope, int is_thread)
{
    int is_ours = *pointer_place() == scope->borrowed;

    if (is_ours || !is_thread)
        pointer_set(scope->before);
    if (is_ours && scope->borrowed)
        pointer_end(scope->borrowed);
    free(scope);
}

static void detach(void *attached)
{
    pointer_leave(attached, 0);
}

static void detach_at_end(void *attached)
{
    pointer_leave(attached, 1);
}

static void exchange(void **state)
{
    void *now = *pointer_place();

    pointer_set(*state);
    *state = now;
}

#endif
