/*
 * kind=stdfunction where the standard library is libc++: a std::function is a pointer to an object with virtual
 * functions, in the room beside it where it is small. It gets a node of ours to point to, which has the same virtual
 * functions: the one that calls is the hook's wrap thunk, the others copy and destroy nodes with what they hold.
 *
 * Rules: those of function.c. What it is shows the type of what it holds, as RTTI has it (libcxx_is_function); a small object is moved as libc++ itself moves one, by its copy constructor, which does not throw.
 */
#include "userhooks/function_libcxx.h"

#include <string.h>

#include "base/mem.h"
#include "context/internal.h"
#include "elf/elf.h"
#include "interpose/hooks.h"
#include "userhooks/core.h"
#include "userhooks/tally.h"

/* As a compiler lays a vtable out. */
struct vtable {
    intptr_t to_top;
    const void *type;
    void *slots[LIBCXX_SLOTS];
};

static struct libcxx_node *node_new(void *const *vtable, struct context *context)
{
    struct libcxx_node *node = mem_alloc(sizeof *node);

    if (!node)
        return NULL;
    node->vtable = vtable;
    node->context = context;
    node->mark = LIBCXX_MARK;
    thread_self->records.made += thread_enter() != NULL;
    return node;
}

/* What OBJECT, in the room of somebody else, is becomes the node's. */
static void copy_into(struct libcxx_node *node, const void *object)
{
    ((void (*)(const void *, void *))libcxx_virtual(object, LIBCXX_CLONE_INTO))(object, node->room);
    node->object = node->room;
}

static bool is_in_room(const struct libcxx_node *node)
{
    return node->object == (const void *)node->room;
}

static void *node_clone(struct libcxx_node *node)
{
    void *object =
        is_in_room(node)
            ? NULL
            : ((void *(*)(const void *))libcxx_virtual(node->object, LIBCXX_CLONE))(node->object);
    struct libcxx_node *copy;

    while (!(copy = node_new(node->vtable, libcxx_context(node)))) {
        context_release(node->context);
        lock_nap();
    }
    if (object)
        copy->object = object;
    else
        copy_into(copy, node->object);
    return copy;
}

/* libc++ asks this only of what lies in a room, where none of ours ever does: the program's own then. */
static void node_clone_into(const struct libcxx_node *node, void *at)
{
    ((void (*)(const void *, void *))libcxx_virtual(node->object, LIBCXX_CLONE_INTO))(node->object,
                                                                                      at);
}

static void node_destroy(struct libcxx_node *node)
{
    ((void (*)(void *))libcxx_virtual(
        node->object, is_in_room(node) ? LIBCXX_DESTROY : LIBCXX_GIVE_BACK))(node->object);
    context_release(node->context);
    node->mark = 0;
}

static void node_give_back(struct libcxx_node *node)
{
    node_destroy(node);
    mem_free(node, sizeof *node);
    if (thread_enter())
        thread_self->records.freed++;
}

static const void *node_target(const struct libcxx_node *node, const void *type)
{
    return ((const void *(*)(const void *, const void *))libcxx_virtual(
        node->object, LIBCXX_TARGET))(node->object, type);
}

static const void *node_target_type(const struct libcxx_node *node)
{
    return ((const void *(*)(const void *))libcxx_virtual(node->object, LIBCXX_TARGET_TYPE))(
        node->object);
}

bool libcxx_begin(struct named_hook *hook)
{
    struct vtable *made;
    void *const *none = NULL;

    if (atomic_load_explicit(&hook->libcxx, memory_order_acquire))
        return true;
    made = mem_alloc(sizeof *made);
    if (!made)
        return false;
    made->slots[0] = (void *)node_destroy;
    made->slots[1] = (void *)node_give_back;
    made->slots[LIBCXX_CLONE] = (void *)node_clone;
    made->slots[LIBCXX_CLONE_INTO] = (void *)node_clone_into;
    made->slots[LIBCXX_DESTROY] = (void *)node_destroy;
    made->slots[LIBCXX_GIVE_BACK] = (void *)node_give_back;
    made->slots[LIBCXX_CALL] = thunk_address(hook->callback, true);
    made->slots[LIBCXX_TARGET] = (void *)node_target;
    made->slots[LIBCXX_TARGET_TYPE] = (void *)node_target_type;
    if (!atomic_compare_exchange_strong(&hook->libcxx, &none, made->slots))
        mem_free(made, sizeof *made);
    return true;
}

static bool is_node(const void *object)
{
    return libcxx_virtual(object, LIBCXX_GIVE_BACK) == (void *)node_give_back;
}

bool libcxx_is_node(uintptr_t place)
{
    return suspect_is_object(place, sizeof(struct libcxx_node)) &&
           ((const struct libcxx_node *)place)->mark == LIBCXX_MARK;
}

/* The name of an object's type, as far as it can be read: that of libc++'s own, which no other has. */
static bool has_type_of_libcxx(const void *type)
{
    static const char begin[] = "NSt3__110__function";
    const char *name;

    if (!suspect_is_object((uintptr_t)type, 2 * sizeof(void *)))
        return false;
    name = ((const char *const *)type)[1];
    if (!suspect_is_text((uintptr_t)name, sizeof begin + 1))
        return false;
    name += *name == '*'; /* GCC, of a type that no other file knows */
    return !strncmp(name, begin, sizeof begin - 1);
}

bool function_takes(const struct thunk *thunk, const char *type)
{
    bool is_so = thunk->name && strstr(thunk->name, type) != NULL;

    if (thunk->name)
        return is_so;
    is_so = strstr(thunk->hook->spec.function, type) != NULL; /* another copy of one of them */
    for (unsigned i = 0; !is_so && i < thunks_rows_end; i++)
        is_so = thunks[i].hook == thunk->hook && thunks[i].name && strstr(thunks[i].name, type);
    return is_so;
}

/* Of a libstdc++ function nothing is read behind its end. */
static bool may_be_libcxx(const struct thunk *thunk, bool is_named_so)
{
    struct elf_module module;

    return is_named_so || atomic_load(&thunk->hook->libcxx) || elf_module_find("libc++", &module);
}

bool libcxx_is_empty(const struct thunk *thunk, uintptr_t place)
{
    const struct libcxx_function *function = (const struct libcxx_function *)place;

    return may_be_libcxx(thunk, function_takes(thunk, "NSt3__1")) &&
           suspect_is_object((uintptr_t)&function->object, sizeof function->object) &&
           !function->object;
}

bool libcxx_is_function(const struct thunk *thunk, uintptr_t place)
{
    const struct libcxx_function *function = (const struct libcxx_function *)place;
    bool is_named_so = function_takes(thunk, "NSt3__1");
    const struct vtable *vtable;

    if (!may_be_libcxx(thunk, is_named_so))
        return false;
    if (!suspect_is_object((uintptr_t)&function->object, sizeof function->object) ||
        !suspect_is_object((uintptr_t)function->object, sizeof(void *)))
        return false;
    vtable = (const struct vtable *)(*(const uintptr_t *)function->object -
                                     offsetof(struct vtable, slots));
    if (!suspect_is_object((uintptr_t)vtable, offsetof(struct vtable, slots[LIBCXX_CALL + 1])))
        return false;
    for (unsigned i = 0; i <= LIBCXX_CALL; i++) {
        if (!suspect_is_code(vtable->slots[i]))
            return false;
    }
    if (is_node(function->object)) /* of another hook, in front of this one */
        return true;
    return vtable->type ? has_type_of_libcxx(vtable->type) : is_named_so;
}

void libcxx_submit(struct named_hook *hook, struct libcxx_function *function)
{
    void *object = function->object;
    struct libcxx_node *node;
    struct context *context, *old;

    if (!object) {
        named_unmet(hook);
        return;
    }
    context = context_capture(FAMILY_NAMED);
    if (!context)
        return;
    if (is_node(object)) {
        /* The program hands the same one over again: it, and copies from now on, carry the new one. */
        node = object;
        lock_take(lock_of(node));
        old = node->context;
        node->context = context;
        lock_drop(lock_of(node));
        context_release(old);
        tally_carried(hook, 1);
        return;
    }
    node = node_new(atomic_load_explicit(&hook->libcxx, memory_order_relaxed), context);
    if (!node) {
        context_rollback(FAMILY_NAMED, context);
        context_count_bare(FAMILY_NAMED, BARE_MEMORY);
        return;
    }
    if (object == (void *)function->room) {
        copy_into(node, object);
        ((void (*)(void *))libcxx_virtual(object, LIBCXX_DESTROY))(object);
    } else {
        node->object = object;
    }
    function->object = node;
    tally_carried(hook, 1);
}
