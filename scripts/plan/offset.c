/*
 * A function without a name, MODULE+0xOFFSET: of a stripped program there is nothing else to write. That one begins
 * there, and where it ends, .eh_frame_hdr says, which exceptions need and stripping leaves; any other offset
 * is no function.
 */
#include <stdlib.h>
#include <string.h>

#include "elf/file.h"
#include "plan.h"

/* The rows of .eh_frame_hdr in the one form that linkers write; NULL: there is none. */
static const unsigned char *frame_rows(const struct elf_module *elf, uintptr_t *header_address,
                                       uint32_t *count)
{
    for (size_t i = 0; i < elf->phnum; i++) {
        uintptr_t at = elf->base + elf->phdr[i].p_vaddr;
        const unsigned char *header = (const unsigned char *)at;

        if (elf->phdr[i].p_type != PT_GNU_EH_FRAME || !elf_module_holds(elf, at, 12) ||
            memcmp(header, "\x01\x1b\x03\x3b", 4) != 0)
            continue;
        memcpy(count, header + 8, 4);
        if (elf_module_room(elf, at + 12) / 8 < *count)
            return NULL;
        *header_address = at;
        return header + 12;
    }
    return NULL;
}

/* The end of the segment of code that ADDRESS is in; 0: it is in none. */
static uintptr_t code_end(const struct elf_module *elf, uintptr_t address)
{
    for (size_t i = 0; i < elf->phnum; i++) {
        const elf_phdr *p = &elf->phdr[i];
        uintptr_t start = elf->base + p->p_vaddr;

        if (p->p_type == PT_LOAD && p->p_flags & PF_X && address >= start &&
            address - start < p->p_filesz)
            return start + p->p_filesz;
    }
    return 0;
}

/* How long the function at ADDRESS is, by what its row of .eh_frame_hdr leads to, in the one form that compilers write
 * on these machines; 0: not known. The next function may be far away, and what is between, no code. */
static uint32_t length_of(const struct elf_module *elf, uintptr_t frame, uintptr_t address)
{
    enum { START = 8, LENGTH = 12, END = 16 };
    const unsigned char *entry = (const unsigned char *)frame;
    int32_t distance;
    uint32_t length;

    if (!elf_module_holds(elf, frame, END))
        return 0;
    memcpy(&distance, entry + START, sizeof distance);
    memcpy(&length, entry + LENGTH, sizeof length);
    return frame + START + (uintptr_t)(intptr_t)distance == address ? length : 0;
}

bool offset_find(const struct module *module, const char *text, struct elf_symbol *out)
{
    const struct elf_module *elf = &module->elf;
    const char *plus = strrchr(text, '+');
    char name[256], *end;
    uintptr_t header = 0, address, next;
    uint32_t count = 0, length = 0;
    const unsigned char *rows;
    bool begins = false;

    if (!plus || strncmp(plus, "+0x", 3) != 0 || (size_t)(plus - text) >= sizeof name)
        return false;
    memcpy(name, text, (size_t)(plus - text));
    name[plus - text] = '\0';
    address = elf->base + strtoull(plus + 1, &end, 16);
    rows = frame_rows(elf, &header, &count);
    next = code_end(elf, address);
    if (*end || !rows || !next || !elf_module_match(elf, name))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        int32_t distance;
        uintptr_t start;

        memcpy(&distance, rows + (size_t)i * 8, 4);
        start = header + (uintptr_t)(intptr_t)distance;
        if (start == address) {
            begins = true;
            memcpy(&distance, rows + (size_t)i * 8 + 4, 4);
            length = length_of(elf, header + (uintptr_t)(intptr_t)distance, address);
        }
        if (start > address && start < next)
            next = start;
    }
    if (length && length < next - address)
        next = address + length;
    *out = (struct elf_symbol){.value = address,
                               .size = next - address,
                               .source = ELF_FROM_SYMTAB,
                               .kind = ELF_FUNC,
                               .matches = 1};
    return begins;
}
