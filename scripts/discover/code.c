/*
 * What the instructions of a module say, read once from its first to its last (x86-64): which function
 * reads, writes or changes which thread-local variable, who calls whom, whose address is taken, which
 * argument is kept where, and which pointers are called with what.
 *
 * No flow is followed: within a function the instructions are read in the order of their addresses, and what
 * registers hold is forgotten at calls and at its end. What is found is evidence for the judge, which asks
 * for several kinds of it, and no proof.
 */
#include "discover.h"

#if defined(HAVE_ZYDIS) && defined(__x86_64__)
#include <Zydis/Zydis.h>
#include <stdlib.h>
#include <string.h>

#include "elf/file.h"

enum kind {
    UNKNOWN,
    THREAD_POINTER,
    THREAD_OFFSET, /* of a variable from the thread pointer */
    VARIABLE,      /* its address */
    DESCRIPTOR,    /* the address of a TLS descriptor of it */
    INDEX,         /* the address of what __tls_get_addr takes */
    ARGUMENT,
    LOADED /* from `base` at `offset` */
};

struct value {
    enum kind kind;
    struct names *of;
    int64_t offset;
    unsigned argument;
    unsigned id, base; /* two registers with one id hold the same */
};

enum { GENERAL = 16, SLOTS = 48, ARGUMENT_REGISTERS = 6 };

/* What the loader would write there. */
struct relocation {
    uintptr_t at;
    unsigned type;
    uint32_t symbol;
    int64_t addend;
};

struct reading {
    struct names *names;
    struct code *code;
    const struct elf_module *elf;
    struct relocation *relocations;
    unsigned relocations_count;
    int64_t block; /* where the program's own block is before the thread pointer */
    unsigned function;
    struct value general[GENERAL], vector[16][2];
    struct {
        int base;
        int64_t offset;
        struct value value;
    } slots[SLOTS];
    unsigned slots_next;
    unsigned next_id;
};

bool code_is_known(void)
{
    return true;
}

static int by_place(const void *one, const void *other)
{
    const struct relocation *a = one, *b = other;

    return a->at != b->at ? (a->at < b->at ? -1 : 1) : 0;
}

static const struct relocation *relocation_at(const struct reading *r, uintptr_t at)
{
    struct relocation wanted_one = {.at = at};

    return r->relocations_count ? bsearch(&wanted_one, r->relocations, r->relocations_count,
                                          sizeof *r->relocations, by_place)
                                : NULL;
}

static void add_relocations(struct reading *r, uintptr_t table, size_t size)
{
    const struct elf_module *elf = r->elf;

    for (size_t at = 0; at + sizeof(Elf64_Rela) <= size; at += sizeof(Elf64_Rela)) {
        Elf64_Rela row;

        if (!elf_module_holds(elf, elf->base + table + at, sizeof row))
            return;
        memcpy(&row, (const void *)(elf->base + table + at), sizeof row);
        r->relocations = grown(r->relocations, r->relocations_count, sizeof *r->relocations);
        r->relocations[r->relocations_count++] =
            (struct relocation){row.r_offset, (unsigned)ELF64_R_TYPE(row.r_info),
                                (uint32_t)ELF64_R_SYM(row.r_info), row.r_addend};
    }
}

static void read_relocations(struct reading *r)
{
    uintptr_t rela = 0, jmprel = 0;
    size_t rela_size = 0, jmprel_size = 0;

    for (const elf_dyn *d = r->elf->dynamic; elf_dynamic_is(r->elf, d); d++) {
        switch (d->d_tag) {
        case DT_RELA:
            rela = d->d_un.d_ptr;
            break;
        case DT_RELASZ:
            rela_size = d->d_un.d_val;
            break;
        case DT_JMPREL:
            jmprel = d->d_un.d_ptr;
            break;
        case DT_PLTRELSZ:
            jmprel_size = d->d_un.d_val;
            break;
        default:
            break;
        }
    }
    add_relocations(r, rela, rela_size);
    add_relocations(r, jmprel, jmprel_size);
    if (r->relocations_count)
        qsort(r->relocations, r->relocations_count, sizeof *r->relocations, by_place);
}

/* The variable that a relocation means, which may be another module's. */
static bool variable_of(struct reading *r, const struct relocation *relocation, int64_t addend,
                        struct value *out)
{
    const struct elf_module *elf = r->elf;
    const elf_sym *symbol;
    const char *name;

    *out = (struct value){.of = r->names, .offset = addend};
    if (!relocation->symbol)
        return true;
    if (!elf->dynsym ||
        !elf_module_holds(elf, (uintptr_t)&elf->dynsym[relocation->symbol], sizeof *symbol))
        return false;
    symbol = &elf->dynsym[relocation->symbol];
    if (symbol->st_shndx != SHN_UNDEF) {
        out->offset = (int64_t)symbol->st_value + addend;
        return true;
    }
    if (symbol->st_name >= elf->dynstr_len)
        return false;
    name = elf->dynstr + symbol->st_name;
    for (unsigned i = 0; i < modules_count; i++) {
        struct elf_symbol found;

        if (modules[i].elf.tls_size &&
            elf_dynsym_find(&modules[i].elf, name, NULL, ELF_TLS, &found)) {
            *out = (struct value){.of = names_of(&modules[i]), .offset = (int64_t)found.value};
            return true;
        }
    }
    return false;
}

/* What lies in the file at an address. */
static int64_t word_at(const struct reading *r, uintptr_t address)
{
    int64_t word = 0;

    if (elf_module_holds(r->elf, r->elf->base + address, sizeof word))
        memcpy(&word, (const void *)(r->elf->base + address), sizeof word);
    return word;
}

/* ---- registers ---- */

static int general_of(ZydisRegister reg)
{
    ZydisRegister wide = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg);

    return wide >= ZYDIS_REGISTER_RAX && wide <= ZYDIS_REGISTER_R15
               ? (int)(wide - ZYDIS_REGISTER_RAX)
               : -1;
}

static int vector_of(ZydisRegister reg)
{
    return reg >= ZYDIS_REGISTER_XMM0 && reg <= ZYDIS_REGISTER_XMM15
               ? (int)(reg - ZYDIS_REGISTER_XMM0)
               : -1;
}

static struct value fresh(struct reading *r)
{
    return (struct value){.kind = UNKNOWN, .id = ++r->next_id};
}

static struct value *slot_of(struct reading *r, int base, int64_t offset, bool is_made)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        if (r->slots[i].value.id && r->slots[i].base == base && r->slots[i].offset == offset)
            return &r->slots[i].value;
    }
    if (!is_made)
        return NULL;
    r->slots_next = (r->slots_next + 1) % SLOTS;
    r->slots[r->slots_next].base = base;
    r->slots[r->slots_next].offset = offset;
    return &r->slots[r->slots_next].value;
}

static void begin_function(struct reading *r)
{
    static const int order[ARGUMENT_REGISTERS] = {7, 6, 2, 1, 8, 9};

    for (unsigned i = 0; i < GENERAL; i++)
        r->general[i] = fresh(r);
    for (unsigned i = 0; i < ARGUMENT_REGISTERS; i++) {
        r->general[order[i]].kind = ARGUMENT;
        r->general[order[i]].argument = i + 1;
    }
    memset(r->slots, 0, sizeof r->slots);
    memset(r->vector, 0, sizeof r->vector);
    r->slots_next = 0;
}

static void after_call(struct reading *r)
{
    static const int lost[] = {0, 1, 2, 6, 7, 8, 9, 10, 11};

    for (unsigned i = 0; i < sizeof lost / sizeof *lost; i++)
        r->general[lost[i]] = fresh(r);
    memset(r->vector, 0, sizeof r->vector);
}

/* ---- what is found ---- */

static void add_use(struct reading *r, struct names *of, int64_t offset, unsigned size,
                    unsigned access)
{
    struct code *code = r->code;

    if (offset < 0 || (size_t)offset >= of->module->elf.tls_size)
        return;
    code->uses = grown(code->uses, code->uses_count, sizeof *code->uses);
    code->uses[code->uses_count++] = (struct use){r->function, of, (size_t)offset, size, access};
}

static void add_store(struct reading *r, unsigned argument, int64_t offset)
{
    struct code *code = r->code;

    code->stores = grown(code->stores, code->stores_count, sizeof *code->stores);
    code->stores[code->stores_count++] = (struct stored){r->function, argument, (int)offset};
}

static void add_called(struct reading *r, unsigned base, int64_t offset)
{
    struct code *code = r->code;
    const struct value *first = &r->general[7];
    int data = -2;

    if (base && first->kind == LOADED && first->base == base)
        data = (int)first->offset;
    else if (base && first->id == base)
        data = -1;
    code->calls = grown(code->calls, code->calls_count, sizeof *code->calls);
    code->calls[code->calls_count++] = (struct called){r->function, base ? (int)offset : -1, data};
}

static void take_address(struct reading *r, uintptr_t address)
{
    const struct function *function = names_function(r->names, address);

    if (function && function->start == address)
        r->code->is_taken[function - r->names->functions] = true;
}

static void add_edge(struct reading *r, uintptr_t target)
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

/* ---- one instruction ---- */

struct place {
    bool is_variable, is_slot, is_object;
    struct names *of;
    int64_t offset;
    int base;
};

/* What a memory operand means. RIP: the address that it is relative to. */
static struct place place_of(struct reading *r, const ZydisDecodedOperand *operand, uintptr_t rip)
{
    const struct value *base, *index;
    int64_t displacement = operand->mem.disp.value;
    int base_number = general_of(operand->mem.base), index_number = general_of(operand->mem.index);
    struct place place = {.base = base_number, .offset = displacement};
    bool is_thread = operand->mem.segment == ZYDIS_REGISTER_FS;

    (void)rip;
    base = base_number >= 0 ? &r->general[base_number] : NULL;
    index = index_number >= 0 ? &r->general[index_number] : NULL;
    if (is_thread && !base && !index && r->elf->is_main) {
        place.is_variable = true;
        place.of = r->names;
        place.offset = displacement + r->block;
    } else if (is_thread && base && base->kind == THREAD_OFFSET) {
        place.is_variable = true;
        place.of = base->of;
        place.offset = base->offset + displacement;
    } else if (!is_thread && base && base->kind == VARIABLE) {
        place.is_variable = true;
        place.of = base->of;
        place.offset = base->offset + displacement;
    } else if (!is_thread && base && base->kind == THREAD_POINTER && r->elf->is_main && !index) {
        place.is_variable = true;
        place.of = r->names;
        place.offset = displacement + r->block;
    } else if (!is_thread && (base_number == 4 || base_number == 5) && !index) {
        place.is_slot = true;
    } else if (!is_thread && base && !index) {
        place.is_object = true;
    }
    return place;
}

static struct value loaded(struct reading *r, const ZydisDecodedOperand *operand, uintptr_t rip)
{
    struct value value = fresh(r), found;
    uintptr_t address = rip + (uintptr_t)operand->mem.disp.value;
    const struct relocation *relocation;
    struct place place;

    if (operand->mem.base == ZYDIS_REGISTER_RIP) {
        relocation = relocation_at(r, address);
        if (relocation && relocation->type == R_X86_64_TPOFF64 &&
            variable_of(r, relocation, relocation->addend, &found)) {
            value.kind = THREAD_OFFSET;
            value.of = found.of;
            value.offset = found.offset;
        }
        return value;
    }
    if (operand->mem.segment == ZYDIS_REGISTER_FS && operand->mem.base == ZYDIS_REGISTER_NONE &&
        operand->mem.index == ZYDIS_REGISTER_NONE && operand->mem.disp.value == 0) {
        value.kind = THREAD_POINTER;
        return value;
    }
    place = place_of(r, operand, rip);
    if (place.is_slot) {
        struct value *slot = slot_of(r, place.base, place.offset, false);

        return slot ? *slot : value;
    }
    if (place.is_object) {
        value.kind = LOADED;
        value.base = r->general[place.base].id;
        value.offset = place.offset;
    }
    return value;
}

static struct value address_of(struct reading *r, const ZydisDecodedOperand *operand, uintptr_t rip)
{
    struct value value = fresh(r), found;
    const struct relocation *relocation;
    struct place place;

    if (operand->mem.base == ZYDIS_REGISTER_RIP) {
        uintptr_t address = rip + (uintptr_t)operand->mem.disp.value;

        take_address(r, address);
        relocation = relocation_at(r, address);
        if (relocation && relocation->type == R_X86_64_DTPMOD64) {
            const struct relocation *second = relocation_at(r, address + 8);
            bool is_known = second && second->type == R_X86_64_DTPOFF64
                                ? variable_of(r, second, second->addend, &found)
                                : variable_of(r, relocation, word_at(r, address + 8), &found);

            if (is_known) {
                value.kind = INDEX;
                value.of = found.of;
                value.offset = found.offset;
            }
        } else if (relocation && relocation->type == R_X86_64_TLSDESC &&
                   variable_of(r, relocation, relocation->addend, &found)) {
            value.kind = DESCRIPTOR;
            value.of = found.of;
            value.offset = found.offset;
        }
        return value;
    }
    place = place_of(r, operand, rip);
    if (place.is_variable) {
        value.kind = VARIABLE;
        value.of = place.of;
        value.offset = place.offset;
    }
    return value;
}

static void read_call(struct reading *r, const ZydisDecodedOperand *operand, uintptr_t rip)
{
    struct value answer = fresh(r);

    if (r->general[0].kind == DESCRIPTOR && operand->type == ZYDIS_OPERAND_TYPE_MEMORY &&
        general_of(operand->mem.base) == 0) {
        /* It keeps all registers but the one of its answer. */
        r->general[0].kind = THREAD_OFFSET;
        return;
    }
    if (r->general[7].kind == INDEX) {
        answer = r->general[7];
        answer.kind = VARIABLE;
    } else if (operand->type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
        add_edge(r, rip + (uintptr_t)operand->imm.value.s);
    } else if (operand->type == ZYDIS_OPERAND_TYPE_REGISTER) {
        int number = general_of(operand->reg.value);
        const struct value *callee = number >= 0 ? &r->general[number] : NULL;

        r->code->is_indirect[r->function] = true;
        if (callee && callee->kind == LOADED)
            add_called(r, callee->base, callee->offset);
        else
            add_called(r, 0, 0);
    } else if (operand->type == ZYDIS_OPERAND_TYPE_MEMORY &&
               operand->mem.base != ZYDIS_REGISTER_RIP) {
        int number = general_of(operand->mem.base);

        r->code->is_indirect[r->function] = true;
        add_called(r, number >= 0 ? r->general[number].id : 0, operand->mem.disp.value);
    }
    after_call(r);
    if (answer.kind == VARIABLE)
        r->general[0] = answer;
}

/* Two words at once: what compilers make of stores to neighbours. */
static bool read_vector(struct reading *r, const ZydisDecodedInstruction *insn,
                        const ZydisDecodedOperand *operands, uintptr_t rip)
{
    int to = operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER ? vector_of(operands[0].reg.value)
                                                             : -1;
    int from = operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER ? vector_of(operands[1].reg.value)
                                                               : -1;
    struct value value;

    switch (insn->mnemonic) {
    case ZYDIS_MNEMONIC_MOVQ:
        if (to < 0)
            return false;
        if (operands[1].type == ZYDIS_OPERAND_TYPE_MEMORY)
            value = loaded(r, &operands[1], rip);
        else if (from >= 0)
            value = r->vector[from][0];
        else if (general_of(operands[1].reg.value) >= 0)
            value = r->general[general_of(operands[1].reg.value)];
        else
            return false;
        r->vector[to][0] = value;
        return true;
    case ZYDIS_MNEMONIC_PUNPCKLQDQ:
        if (to < 0 || from < 0)
            return false;
        r->vector[to][1] = r->vector[from][0];
        return true;
    case ZYDIS_MNEMONIC_MOVHPS:
        if (to < 0 || operands[1].type != ZYDIS_OPERAND_TYPE_MEMORY)
            return false;
        r->vector[to][1] = loaded(r, &operands[1], rip);
        return true;
    case ZYDIS_MNEMONIC_MOVUPS:
    case ZYDIS_MNEMONIC_MOVAPS:
    case ZYDIS_MNEMONIC_MOVDQU:
    case ZYDIS_MNEMONIC_MOVDQA:
        if (operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY && from >= 0) {
            struct place place = place_of(r, &operands[0], rip);

            for (int half = 0; half < 2; half++) {
                if (place.is_object && r->vector[from][half].kind == ARGUMENT)
                    add_store(r, r->vector[from][half].argument, place.offset + 8 * half);
            }
        }
        return false;
    default:
        return false;
    }
}

static void note_memory(struct reading *r, const ZydisDecodedInstruction *insn,
                        const ZydisDecodedOperand *operands, uintptr_t rip)
{
    for (unsigned i = 0; i < insn->operand_count_visible; i++) {
        const ZydisDecodedOperand *operand = &operands[i];
        unsigned access = 0;
        struct place place;

        if (operand->type != ZYDIS_OPERAND_TYPE_MEMORY)
            continue;
        place = place_of(r, operand, rip);
        if (!place.is_variable)
            continue;
        if (operand->mem.type == ZYDIS_MEMOP_TYPE_AGEN) {
            access = ACCESS_ADDRESS;
        } else {
            if (operand->actions & ZYDIS_OPERAND_ACTION_MASK_READ)
                access |= ACCESS_READ;
            if (operand->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)
                access |= ACCESS_WRITE;
        }
        if (insn->mnemonic == ZYDIS_MNEMONIC_NOP)
            continue;
        add_use(r, place.of, place.offset, access == ACCESS_ADDRESS ? 0 : operand->size / 8,
                access);
    }
}

static void read_instruction(struct reading *r, const ZydisDecodedInstruction *insn,
                             const ZydisDecodedOperand *operands, uintptr_t rip)
{
    int to = -1;
    struct value value;

    if (insn->meta.category == ZYDIS_CATEGORY_CALL) {
        read_call(r, &operands[0], rip);
        return;
    }
    if (insn->meta.category == ZYDIS_CATEGORY_UNCOND_BR ||
        insn->meta.category == ZYDIS_CATEGORY_COND_BR) {
        if (operands[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE)
            add_edge(r, rip + (uintptr_t)operands[0].imm.value.s);
        else if (operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER ||
                 operands[0].mem.base != ZYDIS_REGISTER_RIP) {
            /* A tail call, or a table of a switch: those have an index. */
            int number = operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY &&
                                 operands[0].mem.index == ZYDIS_REGISTER_NONE
                             ? general_of(operands[0].mem.base)
                             : -1;

            if (number >= 0) {
                r->code->is_indirect[r->function] = true;
                add_called(r, r->general[number].id, operands[0].mem.disp.value);
            } else if (operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
                       general_of(operands[0].reg.value) >= 0 &&
                       r->general[general_of(operands[0].reg.value)].kind == LOADED) {
                r->code->is_indirect[r->function] = true;
                add_called(r, r->general[general_of(operands[0].reg.value)].base,
                           r->general[general_of(operands[0].reg.value)].offset);
            }
        }
        return;
    }
    note_memory(r, insn, operands, rip);
    if (insn->operand_count_visible >= 2 && read_vector(r, insn, operands, rip))
        return;
    if (insn->operand_count_visible && operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
        operands[0].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)
        to = general_of(operands[0].reg.value);
    if (insn->mnemonic == ZYDIS_MNEMONIC_MOV && operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY) {
        int from = operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER
                       ? general_of(operands[1].reg.value)
                       : -1;
        struct place place = place_of(r, &operands[0], rip);

        if (operands[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE)
            take_address(r, (uintptr_t)operands[1].imm.value.u);
        if (place.is_slot) {
            struct value *slot = slot_of(r, place.base, place.offset, true);

            *slot = from >= 0 ? r->general[from] : fresh(r);
            if (from >= 0 && r->general[from].kind == ARGUMENT && place.base == 4 &&
                operands[0].size == 64)
                add_store(r, r->general[from].argument, place.offset);
        } else if (place.is_object && from >= 0 && r->general[from].kind == ARGUMENT) {
            add_store(r, r->general[from].argument, place.offset);
        }
        return;
    }
    if (to < 0)
        return;
    value = fresh(r);
    if (insn->mnemonic == ZYDIS_MNEMONIC_MOV && operands[0].size == 64) {
        if (operands[1].type == ZYDIS_OPERAND_TYPE_MEMORY)
            value = loaded(r, &operands[1], rip);
        else if (operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER &&
                 general_of(operands[1].reg.value) >= 0)
            value = r->general[general_of(operands[1].reg.value)];
    } else if (insn->mnemonic == ZYDIS_MNEMONIC_LEA) {
        value = address_of(r, &operands[1], rip);
    } else if (insn->mnemonic == ZYDIS_MNEMONIC_ADD && operands[0].size == 64) {
        const struct value *before = &r->general[to];

        if (before->kind == THREAD_OFFSET && operands[1].type == ZYDIS_OPERAND_TYPE_MEMORY &&
            operands[1].mem.segment == ZYDIS_REGISTER_FS) {
            value = *before;
            value.kind = VARIABLE;
        } else if (before->kind == THREAD_POINTER &&
                   operands[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE && r->elf->is_main) {
            value.kind = VARIABLE;
            value.of = r->names;
            value.offset = operands[1].imm.value.s + r->block;
        } else if (before->kind == THREAD_POINTER &&
                   operands[1].type == ZYDIS_OPERAND_TYPE_MEMORY) {
            value = loaded(r, &operands[1], rip);
            value.kind = value.kind == THREAD_OFFSET ? VARIABLE : UNKNOWN;
        } else if (before->kind == VARIABLE && operands[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
            value = *before;
            value.offset += operands[1].imm.value.s;
        }
        if (value.kind == VARIABLE)
            add_use(r, value.of, value.offset, 0, ACCESS_ADDRESS);
    }
    if (insn->mnemonic == ZYDIS_MNEMONIC_MOV && operands[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE)
        take_address(r, (uintptr_t)operands[1].imm.value.u);
    r->general[to] = value;
}

static void read_function(struct reading *r, const ZydisDecoder *decoder)
{
    const struct function *function = &r->names->functions[r->function];
    const unsigned char *code = (const unsigned char *)(r->elf->base + function->start);
    size_t len = function->end - function->start, at = 0;
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];

    if (!elf_module_holds(r->elf, r->elf->base + function->start, len))
        return;
    begin_function(r);
    while (at < len &&
           ZYAN_SUCCESS(ZydisDecoderDecodeFull(decoder, code + at, len - at, &insn, operands))) {
        at += insn.length;
        read_instruction(r, &insn, operands, function->start + at);
    }
}

/* Pointers to functions in data: by relocation, or where the file is not to be moved, as they stand. */
static void read_data(struct reading *r)
{
    bool is_fixed = false;

    for (unsigned i = 0; i < r->relocations_count; i++) {
        const struct relocation *relocation = &r->relocations[i];

        if (relocation->type == R_X86_64_RELATIVE)
            take_address(r, (uintptr_t)relocation->addend);
        else if ((relocation->type == R_X86_64_64 || relocation->type == R_X86_64_GLOB_DAT) &&
                 relocation->symbol && r->elf->dynsym &&
                 elf_module_holds(r->elf, (uintptr_t)&r->elf->dynsym[relocation->symbol],
                                  sizeof(elf_sym)))
            take_address(r, r->elf->dynsym[relocation->symbol].st_value);
    }
    for (size_t i = 0; i < r->elf->phnum; i++) {
        const elf_phdr *p = &r->elf->phdr[i];

        if (p->p_type == PT_LOAD && p->p_offset == 0)
            is_fixed = p->p_vaddr != 0;
    }
    for (size_t i = 0; is_fixed && i < r->elf->phnum; i++) {
        const elf_phdr *p = &r->elf->phdr[i];

        for (size_t at = 0; p->p_type == PT_LOAD && !(p->p_flags & PF_X) && at + 8 <= p->p_filesz;
             at += 8)
            take_address(r, (uintptr_t)word_at(r, p->p_vaddr + at));
    }
}

struct code *code_of(struct names *names)
{
    struct reading *r;
    ZydisDecoder decoder;

    if (names->code)
        return names->code;
    r = wanted(calloc(1, sizeof *r));
    r->names = names;
    r->elf = &names->module->elf;
    r->code = names->code = wanted(calloc(1, sizeof *r->code));
    r->code->is_taken = wanted(calloc(names->functions_count + 1, 1));
    r->code->is_indirect = wanted(calloc(names->functions_count + 1, 1));
    for (size_t i = 0; i < r->elf->phnum; i++) {
        const elf_phdr *p = &r->elf->phdr[i];

        if (p->p_type == PT_TLS && p->p_align)
            r->block = (int64_t)((p->p_memsz + p->p_align - 1) / p->p_align * p->p_align);
    }
    read_relocations(r);
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    for (r->function = 0; r->function < names->functions_count; r->function++)
        read_function(r, &decoder);
    read_data(r);
    free(r->relocations);
    free(r);
    return names->code;
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

bool code_is_known(void)
{
    return false;
}

struct code *code_of(struct names *names)
{
    static bool none[1];
    static struct code nothing = {.is_taken = none, .is_indirect = none};

    return &nothing;
}

void code_close(const struct names *names, bool *reached)
{
}
#endif
