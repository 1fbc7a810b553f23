/*
 * The program's file and its libraries, as the loader itself lists them (it resolves names and starts
 * nothing), each mapped as it would be in a process, but for reading only.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "elf/file.h"
#include "machine.h"
#include "plan.h"

struct module modules[MODULES_MAX];
unsigned modules_count;

static bool map_module(const char *path)
{
    struct module *module = &modules[modules_count];
    struct dl_phdr_info info;
    uintptr_t low = UINTPTR_MAX, high = 0;
    elf_ehdr header;
    elf_phdr *phdr;
    char *memory;
    int fd;

    if (modules_count == MODULES_MAX || strlen(path) >= sizeof module->path)
        return false;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    if (pread(fd, &header, sizeof header, 0) != sizeof header ||
        memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
        header.e_ident[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32) ||
        header.e_machine != OBJECT_MACHINE || header.e_phentsize != sizeof *phdr ||
        !(phdr = calloc(header.e_phnum, sizeof *phdr))) {
        close(fd);
        return false;
    }
    if (pread(fd, phdr, header.e_phnum * sizeof *phdr, (off_t)header.e_phoff) !=
        (ssize_t)(header.e_phnum * sizeof *phdr)) {
        close(fd);
        return false;
    }
    for (unsigned i = 0; i < header.e_phnum; i++) {
        if (phdr[i].p_type != PT_LOAD)
            continue;
        if (phdr[i].p_vaddr < low)
            low = phdr[i].p_vaddr & ~(uintptr_t)4095;
        if (phdr[i].p_vaddr + phdr[i].p_memsz > high)
            high = phdr[i].p_vaddr + phdr[i].p_memsz;
    }
    if (low >= high || high - low > (uintptr_t)1 << 32) {
        close(fd);
        return false;
    }
    memory = mmap(NULL, high - low, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    for (unsigned i = 0; memory != MAP_FAILED && i < header.e_phnum; i++) {
        if (phdr[i].p_type == PT_LOAD &&
            pread(fd, memory + (phdr[i].p_vaddr - low), phdr[i].p_filesz,
                  (off_t)phdr[i].p_offset) != (ssize_t)phdr[i].p_filesz)
            memory = MAP_FAILED;
    }
    close(fd);
    if (memory == MAP_FAILED)
        return false;
    memset(&info, 0, sizeof info);
    info.dlpi_addr = (uintptr_t)memory - low;
    info.dlpi_phdr = phdr;
    info.dlpi_phnum = header.e_phnum;
    memcpy(module->path, path, strlen(path) + 1);
    info.dlpi_name = module->path;
    elf_module_of_file(&info, modules_count == 0, module->path, &module->elf);
    modules_count++;
    return true;
}

/* "	libfoo.so.1 => /path (0x...)" or "	/path (0x...)" */
static void map_listed(char *line)
{
    char *path = strstr(line, "=> "), *end;

    path = path ? path + 3 : line + strspn(line, " \t");
    end = strstr(path, " (0x");
    if (!end)
        return;
    *end = '\0';
    if (!strchr(path, '/')) /* the kernel's own */
        return;
    map_module(path);
}

static bool list_libraries(const char *loader, const char *program)
{
    int ends[2];
    char line[8192];
    pid_t child;
    FILE *in;

    if (pipe2(ends, O_CLOEXEC) || (child = fork()) < 0)
        return false;
    if (child == 0) {
        unsetenv("LD_PRELOAD");
        dup2(ends[1], 1);
        execl(loader, loader, "--list", program, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    in = fdopen(ends[0], "r");
    while (in && fgets(line, sizeof line, in))
        map_listed(line);
    if (in)
        fclose(in);
    waitpid(child, NULL, 0);
    return true;
}

/* To list libraries the loader is run, so it must not be one that the file brings along. */
static bool is_known_loader(const char *loader)
{
    char real[PATH_MAX], system_real[PATH_MAX];

    return realpath(loader, real) && realpath(MACHINE_LOADER, system_real) &&
           !strcmp(real, system_real);
}

/* "#!INTERPRETER": what runs is the interpreter. */
static const char *script_interpreter(const char *program)
{
    static char line[256];
    int fd = open(program, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? 0 : read(fd, line, sizeof line - 1);
    char *start = line + 2;

    if (fd >= 0)
        close(fd);
    if (got < 3 || line[0] != '#' || line[1] != '!')
        return NULL;
    line[got] = '\0';
    start += strspn(start, " \t");
    start[strcspn(start, " \t\n")] = '\0';
    return start;
}

/* Says so unless IS_QUIET. */
static bool not_for_us(bool is_quiet, const char *program, const char *why)
{
    if (!is_quiet)
        fprintf(stderr, "baton: %s: %s\n", program, why);
    return false;
}

bool modules_load(const char *program, bool is_quiet)
{
    const char *interpreter = script_interpreter(program);
    const struct elf_module *main_module = &modules[0].elf;
    const char *loader = NULL;
    char real[PATH_MAX];

    if (!realpath(interpreter ? interpreter : program, real) || !map_module(real))
        return not_for_us(is_quiet, program, "not a program of this machine");
    for (size_t i = 0; i < main_module->phnum; i++) {
        if (main_module->phdr[i].p_type == PT_INTERP)
            loader = (const char *)(main_module->base + main_module->phdr[i].p_vaddr);
    }
    if (!loader)
        return not_for_us(is_quiet, program, "statically linked, no library can be loaded with it");
    if (strstr(loader, "/ld-musl-"))
        return not_for_us(is_quiet, program,
                          "made for musl, another C library; it runs without baton");
    if (!is_known_loader(loader)) {
        if (!is_quiet)
            fprintf(stderr,
                    "baton: %s: names a loader that is not the system's (%s), which is not run to "
                    "look at it: its "
                    "libraries are not known\n",
                    program, loader);
        return true;
    }
    return list_libraries(loader, modules[0].path);
}

bool modules_add(const char *path)
{
    for (unsigned i = 0; i < modules_count; i++) {
        if (!strcmp(modules[i].path, path))
            return true;
    }
    if (!map_module(path))
        return false;
    modules[modules_count - 1].is_later = true;
    return true;
}
