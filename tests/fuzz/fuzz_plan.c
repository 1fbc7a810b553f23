// baton-plan: a program's file, mapped and asked everything that is asked of one.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "memory_file.h"
#include "plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char path[] = "/program";
    char buf[160];

    log_level = -1;
    memory_file_put(path, data, size);
    modules_count = 0;
    if (modules_add(path)) {
        const struct module *module = &modules[0];
        struct elf_symbol symbol;

        memset(&symbol, 0, sizeof symbol);
        (void)elf_find_symbol(&module->elf, "main", NULL, ELF_FUNC, &symbol);
        (void)modules_imports(module, "puts");
        (void)modules_is_in_table(module, module->elf.lo);
        (void)offset_find(module, "program+0x1000", &symbol);
        (void)elf_module_is_go(&module->elf);
        (void)modules_exports(module, "puts");
        (void)modules_checks_calls(module);
        (void)modules_clones(module, "main", 0, buf, sizeof buf);
        (void)modules_was_global(module, "main", module->elf.lo);
        (void)modules_is_free(module, module->elf.lo, 16);
        (void)modules_calls_directly(module, module->elf.lo);
        (void)modules_twin(module, "main", module->elf.lo, buf, sizeof buf);
        modules_forget();
    }
    return 0;
}
