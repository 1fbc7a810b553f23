// An ELF file: its tables of symbols, notes and debug link, read to the end.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "elf/file.h"

static size_t read_table(const struct elf_table *table)
{
    struct elf_cursor cursor = {.table = table, .want = ELF_ANY};
    const elf_file_sym *symbol;
    const char *name;
    size_t sum = 0;

    while ((symbol = elf_cursor_next(&cursor, &name)))
        sum += strlen(name) + symbol->st_value + (cursor.file ? strlen(cursor.file) : 0);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static volatile size_t sink;
    unsigned char *copy = malloc(size ? size : 1); /* its end is watched */
    struct elf_file file;

    memcpy(copy, data, size);
    if (elf_file_parse(copy, size, &file)) {
        sink += read_table(&file.symtab) + read_table(&file.dynsym);
        for (size_t i = 0; i < file.phnum; i++) {
            elf_phdr header;

            memcpy(&header, (const char *)file.phdr + i * sizeof header, sizeof header);
            sink += header.p_vaddr;
        }
        for (size_t i = 0; i < file.build_id_len; i++)
            sink += file.build_id[i];
        sink += file.debug_link ? strlen(file.debug_link) : 0;
    }
    free(copy);
    return 0;
}
