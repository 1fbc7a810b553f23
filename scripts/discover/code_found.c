/*
 * What the reading of instructions (code.c) has found: uses of variables, what is kept where, what is called, and
 * which functions can be reached from others.
 */
#include "discover.h"

#if defined(HAVE_ZYDIS) && defined(__x86_64__)
#include "code_parts.h"

void code_add_use(struct reading *r, struct names *of, int64_t offset, unsigned size,
                  unsigned access)
{
    struct code *code = r->code;

    if (offset < 0 || (size_t)offset >= of->module->elf.tls_size)
        return;
    code->uses = grown(code->uses, code->uses_count, sizeof *code->uses);
    code->uses[code->uses_count++] = (struct use){r->function, of, (size_t)offset, size, access};
}

void code_add_store(struct reading *r, unsigned argument, int64_t offset)
{
    struct code *code = r->code;

    code->stores = grown(code->stores, code->stores_count, sizeof *code->stores);
    code->stores[code->stores_count++] = (struct stored){r->function, argument, (int)offset};
}

void code_add_moved(struct reading *r, unsigned argument, unsigned part)
{
    struct code *code = r->code;

    for (unsigned i = code->moves_count; i-- && code->moves[i].function == r->function;) {
        if (code->moves[i].argument == argument) {
            code->moves[i].parts |= part;
            return;
        }
    }
    code->moves = grown(code->moves, code->moves_count, sizeof *code->moves);
    code->moves[code->moves_count++] = (struct moved){r->function, argument, part};
}

static bool is_vtable(const struct reading *r, unsigned id)
{
    const struct value *object = &r->general[7];

    for (unsigned i = 0; id && i < STARTS; i++) {
        if (r->starts[i].id == id && r->starts[i].object == object->id && object->kind != ARGUMENT)
            return true;
    }
    return false;
}

void code_add_called(struct reading *r, unsigned base, int64_t offset)
{
    struct code *code = r->code;
    const struct value *first = &r->general[7];
    int data = -2;

    if (base && first->kind == LOADED && first->base == base)
        data = (int)first->offset;
    else if (base && first->id == base)
        data = -1;
    code->calls = grown(code->calls, code->calls_count, sizeof *code->calls);
    code->calls[code->calls_count++] =
        (struct called){r->function, is_vtable(r, base), base ? (int)offset : -1, data};
}

void code_take_address(struct reading *r, uintptr_t address)
{
    const struct function *function = names_function(r->names, address);

    if (function && function->start == address)
        r->code->is_taken[function - r->names->functions] = true;
}

void code_add_edge(struct reading *r, uintptr_t target)
{
    const struct function *function = names_function(r->names, target);
    struct code *code = r->code;
    unsigned to;

    if (!function)
        return;
    to = (unsigned)(function - r->names->functions);
    if (to == r->function)
        return;
    code->edges = grown(code->edges, code->edges_count, sizeof *code->edges);
    code->edges[code->edges_count][0] = r->function;
    code->edges[code->edges_count++][1] = to;
}

/* A variable that the code uses at an offset that no name covers. */
static void add_unnamed(const struct use *use)
{
    struct names *names = use->of;
    size_t size = use->size ? use->size : 8;

    for (unsigned i = 0; i < names->variables_count; i++) {
        struct variable *variable = &names->variables[i];

        if (use->offset >= variable->offset &&
            use->offset < variable->offset + (variable->size ? variable->size : 1)) {
            if (!variable->name && use->offset == variable->offset && variable->size < size)
                variable->size = size;
            return;
        }
    }
    if (use->offset + size > names->module->elf.tls_size)
        size = names->module->elf.tls_size - use->offset;
    names->variables = grown(names->variables, names->variables_count, sizeof *names->variables);
    names->variables[names->variables_count++] = (struct variable){NULL, use->offset, size};
}

void code_variables(struct names *names)
{
    const struct code *code = code_of(names);

    for (unsigned i = 0; i < code->uses_count; i++)
        add_unnamed(&code->uses[i]);
}

void code_close(const struct names *names, bool *reached)
{
    const struct code *code = names->code;
    bool is_more = true;

    while (is_more) {
        is_more = false;
        for (unsigned i = 0; i < code->edges_count; i++) {
            if (reached[code->edges[i][0]] && !reached[code->edges[i][1]])
                is_more = reached[code->edges[i][1]] = true;
        }
    }
}

#else

void code_variables(struct names *names)
{
}

void code_close(const struct names *names, bool *reached)
{
}
#endif
