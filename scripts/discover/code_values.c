/*
 * What registers, places on the stack and operands hold while a function is read (code.c): the thread pointer,
 * a thread-local variable's address or offset, an argument, what was loaded from where. What a variable is,
 * the module's relocations say.
 */
#include "discover.h"

#if defined(HAVE_ZYDIS) && defined(__x86_64__)
#include <stdlib.h>
#include <string.h>

#include "code_parts.h"

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
    size_t room = elf_module_room(elf, elf->base + table);

    size = size < room ? size : room;
    for (size_t at = 0; at + sizeof(Elf64_Rela) <= size; at += sizeof(Elf64_Rela)) {
        Elf64_Rela row;

        memcpy(&row, (const void *)(elf->base + table + at), sizeof row);
        r->relocations = grown(r->relocations, r->relocations_count, sizeof *r->relocations);
        r->relocations[r->relocations_count++] =
            (struct relocation){row.r_offset, (unsigned)ELF64_R_TYPE(row.r_info),
                                (uint32_t)ELF64_R_SYM(row.r_info), row.r_addend};
    }
}

void code_read_relocations(struct reading *r)
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
int64_t code_word_at(const struct reading *r, uintptr_t address)
{
    int64_t word = 0;

    if (elf_module_holds(r->elf, r->elf->base + address, sizeof word))
        memcpy(&word, (const void *)(r->elf->base + address), sizeof word);
    return word;
}

/* ---- registers ---- */

int code_general_of(ZydisRegister reg)
{
    ZydisRegister wide = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg);

    return wide >= ZYDIS_REGISTER_RAX && wide <= ZYDIS_REGISTER_R15
               ? (int)(wide - ZYDIS_REGISTER_RAX)
               : -1;
}

int code_vector_of(ZydisRegister reg)
{
    return reg >= ZYDIS_REGISTER_XMM0 && reg <= ZYDIS_REGISTER_XMM15
               ? (int)(reg - ZYDIS_REGISTER_XMM0)
               : -1;
}

struct value code_fresh(struct reading *r)
{
    return (struct value){.kind = UNKNOWN, .id = ++r->next_id};
}

struct value *code_slot_of(struct reading *r, int base, int64_t offset, bool is_made)
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

void code_begin_function(struct reading *r)
{
    static const int order[ARGUMENT_REGISTERS] = {7, 6, 2, 1, 8, 9};

    for (unsigned i = 0; i < GENERAL; i++)
        r->general[i] = code_fresh(r);
    for (unsigned i = 0; i < ARGUMENT_REGISTERS; i++) {
        r->general[order[i]].kind = ARGUMENT;
        r->general[order[i]].argument = i + 1;
    }
    memset(r->slots, 0, sizeof r->slots);
    memset(r->starts, 0, sizeof r->starts);
    r->has_frame = false;
    memset(r->vector, 0, sizeof r->vector);
    r->slots_next = 0;
}

void code_after_call(struct reading *r)
{
    static const int lost[] = {0, 1, 2, 6, 7, 8, 9, 10, 11};

    for (unsigned i = 0; i < sizeof lost / sizeof *lost; i++)
        r->general[lost[i]] = code_fresh(r);
    memset(r->vector, 0, sizeof r->vector);
}

/* ---- operands ---- */

/* What a memory operand means. RIP: the address that it is relative to. */
struct place code_place_of(struct reading *r, const ZydisDecodedOperand *operand)
{
    const struct value *base, *index;
    int64_t displacement = operand->mem.disp.value;
    int base_number = code_general_of(operand->mem.base),
        index_number = code_general_of(operand->mem.index);
    struct place place = {.base = base_number, .offset = displacement};
    bool is_thread = operand->mem.segment == ZYDIS_REGISTER_FS;

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
    } else if (!is_thread && (base_number == 4 || (base_number == 5 && r->has_frame)) && !index) {
        place.is_slot = true;
    } else if (!is_thread && base && !index) {
        place.is_object = true;
    }
    return place;
}

struct value code_loaded(struct reading *r, const ZydisDecodedOperand *operand, uintptr_t rip)
{
    struct value value = code_fresh(r), found;
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
    place = code_place_of(r, operand);
    if (place.is_slot) {
        struct value *slot = code_slot_of(r, place.base, place.offset, false);

        return slot ? *slot : value;
    }
    if (place.is_object) {
        value.kind = LOADED;
        value.base = r->general[place.base].id;
        value.offset = place.offset;
        if (!place.offset) {
            r->starts_next = (r->starts_next + 1) % STARTS;
            r->starts[r->starts_next].id = value.id;
            r->starts[r->starts_next].object = value.base;
        }
    }
    return value;
}

struct value code_address_of(struct reading *r, const ZydisDecodedOperand *operand, uintptr_t rip)
{
    struct value value = code_fresh(r), found;
    const struct relocation *relocation;
    struct place place;

    if (operand->mem.base == ZYDIS_REGISTER_RIP) {
        uintptr_t address = rip + (uintptr_t)operand->mem.disp.value;

        code_take_address(r, address);
        relocation = relocation_at(r, address);
        if (relocation && relocation->type == R_X86_64_DTPMOD64) {
            const struct relocation *second = relocation_at(r, address + 8);
            bool is_known = second && second->type == R_X86_64_DTPOFF64
                                ? variable_of(r, second, second->addend, &found)
                                : variable_of(r, relocation, code_word_at(r, address + 8), &found);

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
    place = code_place_of(r, operand);
    if (place.is_variable) {
        value.kind = VARIABLE;
        value.of = place.of;
        value.offset = place.offset;
    } else if (place.is_object && r->general[place.base].kind == ARGUMENT) {
        value.kind = INSIDE;
        value.argument = r->general[place.base].argument;
        value.offset = place.offset;
    }
    return value;
}

#endif
