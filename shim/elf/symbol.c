/* The smallest pieces: a note in a run of notes, a symbol of a table put into one struct.
 *
 * Promise: nothing is believed: a length that leaves the notes ends them, a symbol whose value lies
 * outside of its module is none. Notes are looked through for a megabyte at most.
 */
#include "elf/file.h"

#include <string.h>

/* No linker writes as many; a damaged file may name half a gigabyte of zeros. */
#define NOTES_MAX ((size_t)1 << 20)

const uint8_t *elf_note(const void *notes, size_t len, const char *owner, uint32_t type,
                        size_t *desc_size)
{
    const uint8_t *p = notes;
    ElfW(Nhdr) note;

    len = len < NOTES_MAX ? len : NOTES_MAX;
    while (len >= sizeof note) {
        size_t name_len, desc_len;

        memcpy(&note, p, sizeof note);
        p += sizeof note;
        len -= sizeof note;
        name_len = ((size_t)note.n_namesz + 3) & ~(size_t)3;
        desc_len = ((size_t)note.n_descsz + 3) & ~(size_t)3;
        if (name_len > len || note.n_descsz > len - name_len)
            break;
        if (note.n_type == type && note.n_namesz == 4 && strncmp((const char *)p, owner, 4) == 0) {
            *desc_size = note.n_descsz;
            return p + name_len;
        }
        if (desc_len > len - name_len)
            break;
        p += name_len + desc_len;
        len -= name_len + desc_len;
    }
    *desc_size = 0;
    return NULL;
}

const uint8_t *elf_note_build_id(const void *notes, size_t len, size_t *id_len)
{
    const uint8_t *id = elf_note(notes, len, "GNU", NT_GNU_BUILD_ID, id_len);

    if (id && *id_len >= 2 && *id_len <= 64)
        return id;
    *id_len = 0;
    return NULL;
}

bool elf_symbol_fill(const struct elf_module *module, unsigned char info, unsigned section,
                     uintptr_t value, size_t size, enum elf_source source, struct elf_symbol *out)
{
    unsigned bind = info >> 4;
    struct elf_symbol s = {.value = value, .size = size, .source = source, .matches = 1};

    s.kind = elf_symbol_kind(info);
    s.is_local = bind == STB_LOCAL;
    s.is_ifunc = (info & 15) == STT_GNU_IFUNC;
    if (s.kind == ELF_TLS) {
        if (value > module->tls_size || size > module->tls_size - value)
            return false;
    } else if (section != SHN_ABS) {
        s.value += module->base;
        if (s.value < module->lo || s.value >= module->hi || size > module->hi - s.value)
            return false;
    }
    *out = s;
    return true;
}
