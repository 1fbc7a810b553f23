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
#include <stdlib.h>

#include "code_parts.h"

bool code_is_known(void)
{
    return true;
}

static void read_call(struct reading *r, const ZydisDecodedOperand *operand, uintptr_t rip)
{
    struct value answer = code_fresh(r);

    if (r->general[0].kind == DESCRIPTOR && operand->type == ZYDIS_OPERAND_TYPE_MEMORY &&
        code_general_of(operand->mem.base) == 0) {
        /* It keeps all registers but the one of its answer. */
        r->general[0].kind = THREAD_OFFSET;
        return;
    }
    if (r->general[7].kind == INDEX) {
        answer = r->general[7];
        answer.kind = VARIABLE;
    } else if (operand->type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
        code_add_edge(r, rip + (uintptr_t)operand->imm.value.s);
    } else if (operand->type == ZYDIS_OPERAND_TYPE_REGISTER) {
        int number = code_general_of(operand->reg.value);
        const struct value *callee = number >= 0 ? &r->general[number] : NULL;

        r->code->is_indirect[r->function] = true;
        if (callee && callee->kind == LOADED)
            code_add_called(r, callee->base, callee->offset);
        else
            code_add_called(r, 0, 0);
    } else if (operand->type == ZYDIS_OPERAND_TYPE_MEMORY &&
               operand->mem.base != ZYDIS_REGISTER_RIP) {
        int number = code_general_of(operand->mem.base);

        r->code->is_indirect[r->function] = true;
        code_add_called(r, number >= 0 ? r->general[number].id : 0, operand->mem.disp.value);
    }
    code_after_call(r);
    if (answer.kind == VARIABLE)
        r->general[0] = answer;
}

/* Two words at once: what compilers make of stores to neighbours. */
static bool read_vector(struct reading *r, const ZydisDecodedInstruction *insn,
                        const ZydisDecodedOperand *operands, uintptr_t rip)
{
    int to = operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER ? code_vector_of(operands[0].reg.value)
                                                             : -1;
    int from = operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER
                   ? code_vector_of(operands[1].reg.value)
                   : -1;
    struct value value;

    switch (insn->mnemonic) {
    case ZYDIS_MNEMONIC_MOVQ:
        if (to < 0)
            return false;
        if (operands[1].type == ZYDIS_OPERAND_TYPE_MEMORY)
            value = code_loaded(r, &operands[1], rip);
        else if (from >= 0)
            value = r->vector[from][0];
        else if (code_general_of(operands[1].reg.value) >= 0)
            value = r->general[code_general_of(operands[1].reg.value)];
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
        r->vector[to][1] = code_loaded(r, &operands[1], rip);
        return true;
    case ZYDIS_MNEMONIC_MOVUPS:
    case ZYDIS_MNEMONIC_MOVAPS:
    case ZYDIS_MNEMONIC_MOVDQU:
    case ZYDIS_MNEMONIC_MOVDQA:
        if (operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY && from >= 0) {
            struct place place = code_place_of(r, &operands[0]);

            for (int half = 0; half < 2; half++) {
                if (place.is_object && r->vector[from][half].kind == ARGUMENT)
                    code_add_store(r, r->vector[from][half].argument, place.offset + 8 * half);
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
        place = code_place_of(r, operand);
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
        code_add_use(r, place.of, place.offset, access == ACCESS_ADDRESS ? 0 : operand->size / 8,
                     access);
    }
}

/* Of a std::function, as libstdc++ moves it: 16 bytes that are whatever it holds, the manager, the invoker. */
static void note_moved(struct reading *r, const ZydisDecodedInstruction *insn,
                       const ZydisDecodedOperand *operands)
{
    enum { MANAGER_AT = 16, INVOKER_AT = 24 };

    for (unsigned i = 0; i < insn->operand_count_visible && i < 2; i++) {
        const ZydisDecodedOperand *operand = &operands[i];
        int base = operand->type == ZYDIS_OPERAND_TYPE_MEMORY &&
                           operand->mem.segment != ZYDIS_REGISTER_FS &&
                           operand->mem.index == ZYDIS_REGISTER_NONE
                       ? code_general_of(operand->mem.base)
                       : -1;
        int64_t at = operand->mem.disp.value;
        bool is_read = operand->actions & ZYDIS_OPERAND_ACTION_MASK_READ;

        if (base < 0 || operand->mem.type == ZYDIS_MEMOP_TYPE_AGEN ||
            (r->general[base].kind != ARGUMENT && r->general[base].kind != INSIDE))
            continue;
        if (r->general[base].kind == INSIDE)
            at += r->general[base].offset;
        if (is_read && operand->size == 128 && at == 0)
            code_add_moved(r, r->general[base].argument, MOVED_FUNCTOR);
        else if (is_read && operand->size == 64 && at == MANAGER_AT)
            code_add_moved(r, r->general[base].argument, MOVED_MANAGER);
        else if (is_read && operand->size == 64 && at == INVOKER_AT)
            code_add_moved(r, r->general[base].argument, MOVED_INVOKER);
        else if (!is_read && at == MANAGER_AT &&
                 (operand->size == 128 ||
                  (insn->mnemonic == ZYDIS_MNEMONIC_MOV &&
                   operands[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE && !operands[1].imm.value.u)))
            code_add_moved(r, r->general[base].argument, MOVED_CLEARED);
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
            code_add_edge(r, rip + (uintptr_t)operands[0].imm.value.s);
        else if (operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER ||
                 operands[0].mem.base != ZYDIS_REGISTER_RIP) {
            /* A tail call, or a table of a switch: those have an index. */
            int number = operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY &&
                                 operands[0].mem.index == ZYDIS_REGISTER_NONE
                             ? code_general_of(operands[0].mem.base)
                             : -1;

            if (number >= 0) {
                r->code->is_indirect[r->function] = true;
                code_add_called(r, r->general[number].id, operands[0].mem.disp.value);
            } else if (operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
                       code_general_of(operands[0].reg.value) >= 0 &&
                       r->general[code_general_of(operands[0].reg.value)].kind == LOADED) {
                r->code->is_indirect[r->function] = true;
                code_add_called(r, r->general[code_general_of(operands[0].reg.value)].base,
                                r->general[code_general_of(operands[0].reg.value)].offset);
            }
        }
        return;
    }
    note_memory(r, insn, operands, rip);
    note_moved(r, insn, operands);
    if (insn->operand_count_visible >= 2 && read_vector(r, insn, operands, rip))
        return;
    if (insn->operand_count_visible && operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
        operands[0].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)
        to = code_general_of(operands[0].reg.value);
    if (insn->mnemonic == ZYDIS_MNEMONIC_MOV && operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY) {
        int from = operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER
                       ? code_general_of(operands[1].reg.value)
                       : -1;
        struct place place = code_place_of(r, &operands[0]);

        if (operands[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE)
            code_take_address(r, (uintptr_t)operands[1].imm.value.u);
        if (place.is_slot) {
            struct value *slot = code_slot_of(r, place.base, place.offset, true);

            *slot = from >= 0 ? r->general[from] : code_fresh(r);
            if (from >= 0 && r->general[from].kind == ARGUMENT && place.base == 4 &&
                operands[0].size == 64)
                code_add_store(r, r->general[from].argument, place.offset);
        } else if (place.is_object && from >= 0 && r->general[from].kind == ARGUMENT) {
            code_add_store(r, r->general[from].argument, place.offset);
        }
        return;
    }
    if (to < 0)
        return;
    value = code_fresh(r);
    if (insn->mnemonic == ZYDIS_MNEMONIC_MOV && operands[0].size == 64) {
        if (operands[1].type == ZYDIS_OPERAND_TYPE_MEMORY)
            value = code_loaded(r, &operands[1], rip);
        else if (operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER &&
                 code_general_of(operands[1].reg.value) >= 0)
            value = r->general[code_general_of(operands[1].reg.value)];
        r->has_frame |= operands[0].reg.value == ZYDIS_REGISTER_RBP &&
                        operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER &&
                        operands[1].reg.value == ZYDIS_REGISTER_RSP;
    } else if (insn->mnemonic == ZYDIS_MNEMONIC_LEA) {
        value = code_address_of(r, &operands[1], rip);
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
            value = code_loaded(r, &operands[1], rip);
            value.kind = value.kind == THREAD_OFFSET ? VARIABLE : UNKNOWN;
        } else if (before->kind == VARIABLE && operands[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
            value = *before;
            value.offset += operands[1].imm.value.s;
        }
        if (value.kind == VARIABLE)
            code_add_use(r, value.of, value.offset, 0, ACCESS_ADDRESS);
    }
    if (insn->mnemonic == ZYDIS_MNEMONIC_MOV && operands[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE)
        code_take_address(r, (uintptr_t)operands[1].imm.value.u);
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
    code_begin_function(r);
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
            code_take_address(r, (uintptr_t)relocation->addend);
        else if ((relocation->type == R_X86_64_64 || relocation->type == R_X86_64_GLOB_DAT) &&
                 relocation->symbol && r->elf->dynsym &&
                 elf_module_holds(r->elf, (uintptr_t)&r->elf->dynsym[relocation->symbol],
                                  sizeof(elf_sym)))
            code_take_address(r, r->elf->dynsym[relocation->symbol].st_value);
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
            code_take_address(r, (uintptr_t)code_word_at(r, p->p_vaddr + at));
    }
}

struct code *code_of(struct names *names)
{
    struct reading *r;
    ZydisDecoder decoder;

    if (names->code)
        return names->code;
    r = allocated(calloc(1, sizeof *r));
    r->names = names;
    r->elf = &names->module->elf;
    r->code = names->code = allocated(calloc(1, sizeof *r->code));
    r->code->is_taken = allocated(calloc(names->functions_count + 1, 1));
    r->code->is_indirect = allocated(calloc(names->functions_count + 1, 1));
    for (size_t i = 0; i < r->elf->phnum; i++) {
        const elf_phdr *p = &r->elf->phdr[i];

        if (p->p_type == PT_TLS && p->p_align)
            r->block = (int64_t)((p->p_memsz + p->p_align - 1) / p->p_align * p->p_align);
    }
    code_read_relocations(r);
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    for (r->function = 0; r->function < names->functions_count; r->function++)
        read_function(r, &decoder);
    read_data(r);
    free(r->relocations);
    free(r);
    return names->code;
}

#else

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
#endif
