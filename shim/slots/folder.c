/*
 * Where this library lies: beside it are its adapters and codecs. Nothing is opened; where it cannot be known,
 * what would be there is refused.
 */
#include <string.h>
#include <unistd.h>

#include "base/sys.h"
#include "elf/elf.h"
#include "slots/slots.h"

/* The program is baton-plan, which lies beside the library. */
static size_t program_folder(char *path)
{
    long len = sys_readlink("/proc/self/exe", path, SLOT_FOLDER_SIZE / 2);

    while (len > 0 && path[len - 1] != '/')
        len--;
    len = len > 0 ? len : 0;
    path[len] = '\0';
    return (size_t)len;
}

/* LD_PRELOAD may name the library from where the program was started. */
size_t slot_own_folder(char *path)
{
    struct elf_module module;
    const char *slash;
    size_t at = 0;

    if (!elf_module_at((const void *)slot_own_folder, &module))
        return 0;
    if (module.is_main)
        return program_folder(path);
    slash = strrchr(module.path, '/');
    if (!slash)
        return 0;
    if (module.path[0] != '/') {
        if (SYS_CALL(getcwd, path, SLOT_FOLDER_SIZE / 2) < 0)
            return 0;
        at = strlen(path);
        path[at++] = '/';
    }
    if (at + (size_t)(slash - module.path) + 64 > SLOT_FOLDER_SIZE)
        return 0;
    memcpy(path + at, module.path, (size_t)(slash - module.path) + 1);
    path[at + (size_t)(slash - module.path) + 1] = '\0';
    return at + (size_t)(slash - module.path) + 1;
}
