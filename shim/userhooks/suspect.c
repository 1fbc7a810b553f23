/*
 * Is what an item of BATON_HOOKS calls a function, an object, a field with a function in it one? An argument that is
 * none stays as it is: a thunk or a record in its place would be taken for what the function does expect there.
 *
 * Rules: nothing is read that may not be read. Looked at until the first that is right, slowly: the arguments of a
 * function do not change their kinds. Code that was made at run time lies in no module: it is believed where the system
 * calls the memory executable, or does not answer.
 */
#include <string.h>
#include <unistd.h>

#include "base/sandbox.h"
#include "base/sys.h"
#include "elf/elf.h"
#include "userhooks/named.h"

enum { LEAST_ADDRESS = 65536, LIST_LOOKED = 64 /* of one call */ };

/* Where malloc's first heap is. Of addresses in no module: those of code that was made are far from there. */
static bool is_on_heap(const void *address)
{
    return elf_heap_end() - (uintptr_t)address < (uintptr_t)1 << 40;
}

/* One line of the system's list: "7f00-7f10 rwxp ...". True: it is about the address, and says so in *IS_CODE. */
static bool tells_of(const char *line, uintptr_t address, bool *is_code)
{
    uintptr_t ends[2] = {0, 0};

    for (unsigned i = 0; i < 2; i++, line++) {
        for (; *line && *line != '-' && *line != ' '; line++)
            ends[i] = ends[i] * 16 + (uintptr_t)(*line <= '9' ? *line - '0' : *line - 'a' + 10);
        if (!*line)
            return false;
    }
    if (address < ends[0] || address >= ends[1])
        return false;
    *is_code = strnlen(line, 3) == 3 && line[2] == 'x';
    return true;
}

/* Is it in memory that may hold data, and nothing else? Of no module's; what the system does not say is not held against it. */
static bool is_data(const void *address)
{
    enum { HEAD = 64 /* of a line is looked at */ };
    char text[512], line[HEAD];
    bool is_code = true, is_told = false;
    long got, len = 0;
    int fd;

    if (sandbox_is_shut() || (fd = sys_open("/proc/self/maps", O_RDONLY, 0)) < 0)
        return false;
    while (!is_told && (got = sys_read(fd, text, sizeof text)) > 0) {
        for (long i = 0; i < got && !is_told; i++) {
            if (text[i] != '\n') {
                if (len < HEAD - 1)
                    line[len++] = text[i];
                continue;
            }
            line[len] = '\0';
            len = 0;
            is_told = tells_of(line, (uintptr_t)address, &is_code);
        }
    }
    sys_close(fd);
    return is_told && !is_code;
}

static bool is_code(const void *address, bool may_be_made)
{
    struct elf_module module;

    if ((uintptr_t)address < LEAST_ADDRESS || !sandbox_is_readable(address, 1))
        return false;
    if (!elf_module_at(address, &module))
        return may_be_made && !is_on_heap(address) && !is_data(address);
    return elf_module_has_code(&module, (uintptr_t)address, 1);
}

bool suspect_is_code(const void *address)
{
    return is_code(address, true);
}

/* The system is not asked at every call of a function that was wrong before. */
static bool is_function(const struct thunk *thunk, const void *address)
{
    return is_code(address, !atomic_load(&thunk->fault));
}

bool suspect_is_object(uintptr_t object, size_t size)
{
    return object >= LEAST_ADDRESS && object % sizeof(void *) == 0 &&
           sandbox_is_readable((const void *)object, size);
}

bool suspect_is_text(uintptr_t text, size_t size)
{
    return text >= LEAST_ADDRESS && sandbox_is_readable((const void *)text, size);
}

static bool found_right(struct thunk *thunk)
{
    named_found_right(thunk->hook, thunk);
    return true;
}

static bool found_wrong(struct thunk *thunk, enum named_fault fault)
{
    named_found_fault(thunk, fault);
    return false;
}

bool named_has_pointer(struct thunk *thunk, uintptr_t place)
{
    if (suspect_is_object(place, sizeof(void *)))
        return true;
    named_say_fault(thunk, FAULT_POINTER);
    return false;
}

bool named_has_list(struct thunk *thunk, uintptr_t object, unsigned most)
{
    uint32_t next = thunk->hook->spec.next;
    unsigned count = 0;

    for (; object && count < most; count++) {
        if (object < LEAST_ADDRESS || !named_has_pointer(thunk, object + next)) {
            named_say_fault(thunk, FAULT_POINTER);
            return false;
        }
        object = *(const uintptr_t *)(object + next);
    }
    return count > 1 ? found_right(thunk) : true; /* of one alone nothing was followed */
}

bool named_has_function(struct thunk *thunk, const void *address)
{
    return is_function(thunk, address) || found_wrong(thunk, FAULT_FUNCTION);
}

static bool has_field_at(const struct named_hook *hook, uintptr_t object)
{
    const struct named_spec *spec = &hook->spec;

    return suspect_is_object(object, sizeof(void *)) &&
           suspect_is_object(object + spec->off, sizeof(void *)) &&
           (!spec->has_data || suspect_is_object(object + spec->data, sizeof(void *))) &&
           (!spec->has_next || suspect_is_object(object + spec->next, sizeof(void *))) &&
           (!spec->unless ||
            sandbox_is_readable((const void *)(object + spec->unless_at), sizeof(uint32_t)));
}

/*
 * A whole list, where it is one: nothing is known of what lies at `next` before a second object was there. Nor of the
 * field of an object that is left alone, which may hold anything.
 */
bool named_has_field(struct thunk *thunk, uintptr_t object)
{
    const struct named_hook *hook = thunk->hook;
    unsigned count = 0, functions = 0;

    for (; object && count < LIST_LOOKED; count++) {
        const void *field;

        if (!has_field_at(hook, object))
            return found_wrong(thunk, FAULT_OBJECT);
        field = *(void *const *)(object + hook->spec.off);
        if (!named_leaves_alone(hook, object)) {
            if (!field)
                return true; /* as good as any, and nothing will be done */
            if (!is_function(thunk, field))
                return found_wrong(thunk, FAULT_FIELD);
            functions++;
        }
        if (!hook->spec.has_next)
            return functions ? found_right(thunk) : true;
        object = *(const uintptr_t *)(object + hook->spec.next);
    }
    return functions && count > 1 ? found_right(thunk) : true;
}
