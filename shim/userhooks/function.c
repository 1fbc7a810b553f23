/*
 * kind=stdfunction. The program's function moves into a node of ours; what it held becomes a
 * std::function whose invoker is a wrap thunk and whose manager copies and destroys nodes. Copies
 * share the context, each with a reference of its own.
 *
 * Rules: the manager calls the program's copy constructors and destructors, which may throw: nothing
 * of ours is held then. A copy cannot be refused, so it waits for memory rather than fail.
 */
#include "userhooks/function.h"

#include <sched.h>
#include <string.h>

#include "base/lock.h"
#include "base/mem.h"
#include "base/sandbox.h"
#include "elf/elf.h"
#include "interpose/hooks.h"
#include "userhooks/core.h"
#include "userhooks/function_libcxx.h"
#include "userhooks/tally.h"
#include "base/sys.h"

enum operation { GET_TYPE_INFO, GET_POINTER, CLONE, DESTROY };

static struct function_node *node_new(const struct std_function *function, struct context *context)
{
    struct function_node *node = mem_alloc(sizeof *node);

    if (!node)
        return NULL;
    node->any[0] = function->any[0];
    node->any[1] = function->any[1];
    node->manager = function->manager;
    node->invoker = function->invoker;
    node->context = context;
    node->mark = NODE_MARK;
    thread_self->records.made += thread_enter() != NULL;
    return node;
}

static bool manage(void *to, const void *from, int operation)
{
    struct function_node *node = *(struct function_node *const *)from, *copy;
    struct std_function cloned;

    switch (operation) {
    case CLONE:
        node->manager(cloned.any, node->any, CLONE);
        cloned.manager = node->manager;
        cloned.invoker = node->invoker;
        while (!(copy = node_new(&cloned, function_context(node)))) {
            context_release(node->context);
            lock_nap();
        }
        *(struct function_node **)to = copy;
        return false;
    case DESTROY:
        /* `to` is what is destroyed; `from` is the same or not to be read. */
        node = *(struct function_node **)to;
        node->manager(node->any, node->any, DESTROY);
        context_release(node->context);
        node->mark = 0;
        mem_free(node, sizeof *node);
        if (thread_enter())
            thread_self->records.freed++;
        return false;
    default:
        return node->manager(to, node->any, operation);
    }
}

bool function_is_at(uintptr_t place)
{
    uintptr_t node;

    if (!suspect_is_object(place, sizeof(void *)))
        return false;
    node = *(const uintptr_t *)place;
    return suspect_is_object(node, sizeof(struct function_node)) &&
           ((const struct function_node *)node)->mark == NODE_MARK;
}

/* Managers have a name in common, where they have one: two functions of a struct of the program's own have others. */
static bool is_manager(const void *address)
{
    struct elf_symbol symbol;
    char name[ELF_FULL];

    return suspect_is_code(address) &&
           (sandbox_is_shut() || !elf_symbol_at(address, ELF_FUNC, &symbol, name, sizeof name) ||
            symbol.value != (uintptr_t)address || address == (const void *)manage ||
            strstr(name, "_manager"));
}

/* As named_has_function. An absl::AnyInvocable has the same four words, and another manager. */
static bool has_callable(struct thunk *thunk, uintptr_t object)
{
    struct named_hook *hook = thunk->hook;
    const struct std_function *function = (const struct std_function *)object;
    bool is_libcxx, is_gnu;

    if (atomic_load(&thunk->fault)) { /* its type stays */
        named_unmet(hook);
        return false;
    }
    is_libcxx = libcxx_is_function(thunk, object);
    if (is_libcxx && !atomic_load(&hook->is_gnu) && !libcxx_begin(hook))
        return false;
    is_gnu = !is_libcxx && suspect_is_object(object, sizeof *function) && function->manager &&
             is_manager((const void *)function->manager) && suspect_is_code(function->invoker);
    /* The item's callbacks run through one thunk, which knows those of one standard library. */
    if ((is_libcxx && atomic_load(&hook->is_gnu)) ||
        (!is_libcxx &&
         (atomic_load(&hook->libcxx) || !suspect_is_object(object, sizeof *function) ||
          (function->manager && !is_gnu) || function_takes(thunk, "12AnyInvocable")))) {
        if (!is_gnu && libcxx_is_empty(thunk, object))
            named_unmet(hook);
        else
            named_found_fault(thunk, FAULT_CALLABLE);
        return false;
    }
    if (!is_libcxx && function->manager)
        atomic_store(&hook->is_gnu, true);
    if (is_libcxx || function->manager)
        named_found_right(hook, thunk);
    return true;
}

void function_submit(struct thunk *thunk, struct std_function *function)
{
    struct named_hook *hook = thunk->hook;
    struct context *context, *old;
    struct function_node *node;

    if (!hook->callback)
        return;
    if (!function) {
        named_unmet(hook);
        return;
    }
    if (!named_is_right(hook, thunk) && !has_callable(thunk, (uintptr_t)function))
        return;
    if (atomic_load_explicit(&hook->libcxx, memory_order_relaxed)) {
        libcxx_submit(hook, (struct libcxx_function *)(void *)function);
        return;
    }
    if (!function->manager) {
        named_unmet(hook);
        return;
    }
    context = context_capture(FAMILY_NAMED);
    if (!context)
        return;
    if (function->manager == manage) {
        /* The program hands the same one over again: it, and copies from now on, carry the new one. */
        node = *(struct function_node **)(void *)function->any;
        lock_take(lock_of(node));
        old = node->context;
        node->context = context;
        lock_drop(lock_of(node));
        context_release(old);
        tally_carried(hook, 1);
        return;
    }
    node = node_new(function, context);
    if (!node) {
        context_rollback(FAMILY_NAMED, context);
        context_count_bare(FAMILY_NAMED, BARE_MEMORY);
        return;
    }
    function->any[0] = (uint64_t)node;
    function->manager = manage;
    function->invoker = thunk_address(hook->callback, true);
    tally_carried(hook, 1);
}
