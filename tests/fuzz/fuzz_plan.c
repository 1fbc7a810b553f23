// baton-plan: a program's file, mapped and asked everything that is asked of one.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    static char path[64];
    char buf[160];

    log_level = -1;
    if (fd < 0) {
        fd = memfd_create("program", MFD_CLOEXEC);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    if (ftruncate(fd, 0) || pwrite(fd, data, size, 0) != (ssize_t)size)
        return 0;
    modules_count = 0;
    if (modules_add(path)) {
        const struct module *module = &modules[0];
        struct elf_symbol symbol;

        memset(&symbol, 0, sizeof symbol);
        (void)elf_find_symbol(&module->elf, "main", NULL, ELF_FUNC, &symbol);
        (void)modules_imports(module, "puts");
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
