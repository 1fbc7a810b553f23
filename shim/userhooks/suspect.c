/*
 * Is what an item of BATON_HOOKS calls a function, an object, a field with a function in it one? An argument that is
 * none stays as it is: a thunk or a record in its place would be taken for what the function does expect there.
 *
 * Rules: nothing is read that may not be read. Looked at until the first that is right, slowly: the arguments of a
 * function do not change their kinds. Code that was made at run time lies in no module and is believed.
 */
#include <unistd.h>

#include "base/sys.h"
#include "elf/elf.h"
#include "userhooks/named.h"

enum { LEAST_ADDRESS = 65536, LIST_LOOKED = 64 /* of one call */ };

/* Where malloc's first heap is. Of addresses in no module: those of code that was made are far from there. */
static bool is_on_heap(const void *address)
{
    return (uintptr_t)sbrk(0) - (uintptr_t)address < (uintptr_t)1 << 40;
}

bool suspect_is_code(const void *address)
{
    struct elf_module module;

    if ((uintptr_t)address < LEAST_ADDRESS || !sys_is_readable(address, 1))
        return false;
    if (!elf_module_at(address, &module))
        return !is_on_heap(address);
    return elf_module_has_code(&module, (uintptr_t)address, 1);
}

bool suspect_is_object(uintptr_t object, size_t size)
{
    return object >= LEAST_ADDRESS && object % sizeof(void *) == 0 &&
           sys_is_readable((const void *)object, size);
}

bool suspect_is_text(uintptr_t text, size_t size)
{
    return text >= LEAST_ADDRESS && sys_is_readable((const void *)text, size);
}

static bool found_right(struct named_hook *hook)
{
    atomic_store_explicit(&hook->is_right, true, memory_order_relaxed);
    return true;
}

static bool found_wrong(struct named_hook *hook, enum named_fault fault)
{
    named_found_fault(hook, fault);
    return false;
}

bool named_has_pointer(struct named_hook *hook, uintptr_t place)
{
    if (suspect_is_object(place, sizeof(void *)))
        return true;
    named_say_fault(hook, FAULT_POINTER);
    return false;
}

bool named_has_list(struct named_hook *hook, uintptr_t object, unsigned most)
{
    unsigned count = 0;

    for (; object && count < most; count++) {
        if (object < LEAST_ADDRESS || !named_has_pointer(hook, object + hook->spec.next)) {
            named_say_fault(hook, FAULT_POINTER);
            return false;
        }
        object = *(const uintptr_t *)(object + hook->spec.next);
    }
    return count > 1 ? found_right(hook) : true; /* of one alone nothing was followed */
}

bool named_has_function(struct named_hook *hook, const void *address)
{
    return suspect_is_code(address) ? found_right(hook) : found_wrong(hook, FAULT_FUNCTION);
}

static bool has_field_at(struct named_hook *hook, uintptr_t object)
{
    const struct named_spec *spec = &hook->spec;

    return suspect_is_object(object, sizeof(void *)) &&
           suspect_is_object(object + spec->off, sizeof(void *)) &&
           (!spec->has_data || suspect_is_object(object + spec->data, sizeof(void *))) &&
           (!spec->has_next || suspect_is_object(object + spec->next, sizeof(void *))) &&
           (!spec->unless ||
            sys_is_readable((const void *)(object + spec->unless_at), sizeof(uint32_t)));
}

/*
 * A whole list, where it is one: nothing is known of what lies at `next` before a second object was there. Nor of the
 * field of an object that is left alone, which may hold anything.
 */
bool named_has_field(struct named_hook *hook, uintptr_t object)
{
    unsigned count = 0, functions = 0;

    for (; object && count < LIST_LOOKED; count++) {
        const void *field;

        if (!has_field_at(hook, object))
            return found_wrong(hook, FAULT_OBJECT);
        field = *(void *const *)(object + hook->spec.off);
        if (!named_leaves_alone(hook, object)) {
            if (!field)
                return true; /* as good as any, and nothing will be done */
            if (!suspect_is_code(field))
                return found_wrong(hook, FAULT_FIELD);
            functions++;
        }
        if (!hook->spec.has_next)
            return functions ? found_right(hook) : true;
        object = *(const uintptr_t *)(object + hook->spec.next);
    }
    return functions && count > 1 ? found_right(hook) : true;
}
