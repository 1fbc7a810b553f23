/*
 * The item of BATON_HOOKS for a function that may have handed work over: by its debug information where there is any
 * (item.c), else by what its instructions keep of its arguments, compared with what the worker calls.
 */
#include <stdio.h>
#include <string.h>

#include "elf/file.h"
#include "facts.h"

static unsigned index_of(const struct place *place)
{
    return (unsigned)(place->function - place->names->functions);
}

/* By what the function keeps of its arguments, and what the worker calls: without debug information. */
static bool shape_item(const struct channel *channel, const struct place *submit, char *buf,
                       size_t n)
{
    const struct code *code = code_of(submit->names);
    unsigned function = index_of(submit);

    for (unsigned i = 0; i < code->stores_count; i++) {
        const struct stored *callee = &code->stores[i];

        if (callee->function != function)
            continue;
        for (unsigned j = 0; j < code->stores_count; j++) {
            const struct stored *data = &code->stores[j];

            if (data->function != function || data->argument == callee->argument)
                continue;
            for (unsigned k = 0; k < code->calls_count; k++) {
                const struct called *called = &code->calls[k];

                if (called->callee - called->data != callee->offset - data->offset ||
                    called->data < 0 || called->callee != callee->offset ||
                    !pool_waits_in(channel, submit->names, called->function))
                    continue;
                snprintf(buf, n, "%s(kind=call,fn=%u,arg=%u)",
                         names_shown(submit->names, submit->function), callee->argument,
                         data->argument);
                return true;
            }
        }
    }
    return false;
}

/* A std::function that is taken out of an argument. */
static bool moved_item(const struct place *submit, char *buf, size_t n)
{
    const struct code *code = code_of(submit->names);

    for (unsigned i = 0; i < code->moves_count; i++) {
        const struct moved *moved = &code->moves[i];

        if (moved->function != index_of(submit) || moved->parts != MOVED_ALL)
            continue;
        snprintf(buf, n, "%s(kind=stdfunction,obj=%u)",
                 names_shown(submit->names, submit->function), moved->argument);
        return true;
    }
    return false;
}

/* Which argument the function keeps; where it keeps several, its own object is none of them. 0: none. */
static unsigned kept_argument(const struct place *submit)
{
    const struct code *code = code_of(submit->names);
    unsigned kept = 0;

    for (unsigned i = 0; i < code->stores_count; i++) {
        if (code->stores[i].function == index_of(submit) &&
            (!kept || kept == 1 || code->stores[i].argument < kept) &&
            (code->stores[i].argument > 1 || !kept))
            kept = code->stores[i].argument;
    }
    return kept;
}

/* A member function that is given nothing, and does not wake by itself: it keeps its own object for itself. */
static bool is_given_nothing(const struct place *submit, const struct place *waker)
{
    const char *name = submit->function->name;
    size_t len = name ? strlen(name) : 0;

    return submit->function != waker->function && len > 4 && !strncmp(name, "_ZN", 3) &&
           !strcmp(name + len - 2, "Ev");
}

/* An object of C++, of which the worker calls a virtual function: the first that is no destructor. A wrong guess is
 * harmless: what has no such vtable stays as it is. */
static bool virtual_item(const struct channel *channel, const struct place *submit, char *buf,
                         size_t n)
{
    enum { SLOT = sizeof(void *), DELETING = 1 };
    const struct code *code = code_of(submit->names);
    unsigned argument = place_is_start(submit) || is_given_nothing(submit, &channel->waker)
                            ? 0
                            : kept_argument(submit);
    int slot = -1;
    bool has_destructor = false;

    for (unsigned i = 0; argument && i < code->calls_count; i++) {
        const struct called *called = &code->calls[i];

        if (!called->is_virtual || called->callee < 0 || called->callee % SLOT ||
            !pool_waits_in(channel, submit->names, called->function))
            continue;
        if (called->callee == DELETING * SLOT)
            has_destructor = true;
        else if (slot < 0)
            slot = called->callee / SLOT;
    }
    if (slot < 0 || (has_destructor && slot < DELETING))
        return false;
    snprintf(buf, n, "%s(kind=virtual,obj=%u,slot=%d%s)",
             names_shown(submit->names, submit->function), argument, slot,
             has_destructor ? ",end=0+1" : "");
    return true;
}

/* An argument that is an object with a pointer to a function in it. */
static bool field_item(const struct channel *channel, const struct place *submit,
                       const struct signature *signature, char *buf, size_t n)
{
    const struct code *code = code_of(submit->names);

    for (unsigned i = 0; i < signature->count; i++) {
        const struct parameter *parameter = &signature->parameter[i];

        if (parameter->field_function < 0)
            continue;
        for (unsigned k = 0; k < code->calls_count; k++) {
            const struct called *called = &code->calls[k];

            if (called->callee != parameter->field_function ||
                !pool_waits_in(channel, submit->names, called->function))
                continue;
            if (called->data >= 0)
                snprintf(buf, n, "%s(kind=field,obj=%u,off=%d,data=%d)",
                         names_shown(submit->names, submit->function), i + 1, called->callee,
                         called->data);
            else
                snprintf(buf, n, "%s(kind=field,obj=%u,off=%d)",
                         names_shown(submit->names, submit->function), i + 1, called->callee);
            return true;
        }
    }
    return false;
}

/*
 * The function that the call before this return address goes to, when the next frame is of another one: it has left by
 * a jump, and is in no stack (`post` ends in a call of notify_one).
 */
struct place submit_hidden(const struct place *caller, const struct place *inner)
{
    enum { NEAR_CALL = 0xe8, CALL_LEN = 5 };
    struct place none = {NULL, NULL, 0}, hidden = *caller;
    const unsigned char *code;
    uintptr_t target;
    int32_t distance;

    if (!caller->function || caller->address < caller->function->start + CALL_LEN)
        return none;
    code = (const unsigned char *)(caller->names->module->elf.base + caller->address - CALL_LEN);
    if (!elf_module_holds(&caller->names->module->elf, (uintptr_t)code, CALL_LEN) ||
        code[0] != NEAR_CALL)
        return none;
    memcpy(&distance, code + 1, sizeof distance);
    target = caller->address + (uintptr_t)(intptr_t)distance;
    hidden.function = names_function(caller->names, target);
    hidden.address = target;
    return hidden.function && hidden.function->start == target &&
                   hidden.function != inner->function && code_is_known()
               ? hidden
               : none;
}

/* The item of a function that may have handed over. FIELD: of one that has it in an object, for the case that no other
 * fits. */
bool submit_item(struct channel *channel, const struct place *place, char *field, size_t n)
{
    struct signature signature;

    if (!place->function)
        return false;
    channel->is_static = place->function->is_local;
    if (!dwarf_signature(place->names, place->function, &signature))
        return shape_item(channel, place, channel->item, sizeof channel->item) ||
               moved_item(place, channel->item, sizeof channel->item) ||
               virtual_item(channel, place, channel->item, sizeof channel->item);
    if (dwarf_item(&signature, names_shown(place->names, place->function), channel->item,
                   sizeof channel->item))
        return true;
    if (!field[0] && !field_item(channel, place, &signature, field, n))
        virtual_item(channel, place, field, n);
    return false;
}
