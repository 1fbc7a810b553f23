/*
 * The program's file and its libraries, as the loader itself lists them (it resolves names and starts
 * nothing), each mapped as it would be in a process, but for reading only.
 */
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "elf/file.h"
#include "machine.h"
#include "plan.h"

struct module modules[MODULES_MAX];
unsigned modules_count;

enum { HEADERS_MAX = 1 << 12 };
static const uint64_t module_max = UINT64_C(1) << 32;

/* The program headers of the file, NULL when it is none of ours; the caller frees them. */
static elf_phdr *read_headers(int fd, elf_ehdr *header)
{
    elf_phdr *phdr;
    size_t size;

    if (pread(fd, header, sizeof *header, 0) != sizeof *header ||
        memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
        header->e_ident[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32) ||
        (header->e_type != ET_EXEC && header->e_type != ET_DYN) ||
        header->e_machine != OBJECT_MACHINE || header->e_phentsize != sizeof *phdr ||
        !header->e_phnum || header->e_phnum > HEADERS_MAX || header->e_phoff > INT64_MAX / 2)
        return NULL;
    size = header->e_phnum * sizeof *phdr;
    phdr = calloc(header->e_phnum, sizeof *phdr);
    if (phdr && pread(fd, phdr, size, (off_t)header->e_phoff) != (ssize_t)size) {
        free(phdr);
        return NULL;
    }
    return phdr;
}

/* What the segments span in memory. False: they do not hold together, or the file has not all of them. */
static bool measure(const elf_phdr *phdr, unsigned count, uint64_t file_size, uintptr_t *low,
                    uintptr_t *high)
{
    *low = UINTPTR_MAX;
    *high = 0;
    for (unsigned i = 0; i < count; i++) {
        const elf_phdr *p = &phdr[i];

        if (p->p_type != PT_LOAD)
            continue;
        if (p->p_filesz > p->p_memsz || p->p_memsz > module_max || p->p_vaddr > UINTPTR_MAX / 2 ||
            p->p_offset > file_size || p->p_filesz > file_size - p->p_offset)
            return false;
        if ((p->p_vaddr & ~(uintptr_t)4095) < *low)
            *low = p->p_vaddr & ~(uintptr_t)4095;
        if (p->p_vaddr + p->p_memsz > *high)
            *high = p->p_vaddr + p->p_memsz;
    }
    return *low < *high && *high - *low <= module_max;
}

/*
 * Mapped, so that only what is looked at is read; what lies otherwise in the file than in memory is read. BELOW: what
 * is in use already, up to there. What is behind the file's part is zero, as in a process.
 */
static bool put_segment(int fd, const elf_phdr *p, char *at, const char *below)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), skew = (uintptr_t)at % page;
    size_t len = (skew + p->p_filesz + page - 1) & ~(page - 1);

    if (p->p_offset % page != skew || at - skew < below)
        return pread(fd, at, p->p_filesz, (off_t)p->p_offset) == (ssize_t)p->p_filesz;
    if (p->p_filesz &&
        mmap(at - skew, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, fd,
             (off_t)(p->p_offset - skew)) == MAP_FAILED)
        return false;
    if (p->p_filesz && p->p_memsz > p->p_filesz)
        memset(at + p->p_filesz, 0, len - skew - p->p_filesz);
    return true;
}

static char *read_segments(int fd, const elf_phdr *phdr, unsigned count, uintptr_t low,
                           uintptr_t high)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    char *memory = mmap(NULL, high - low, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    const char *below = memory;

    if (memory == MAP_FAILED)
        return NULL;
    for (unsigned i = 0; i < count; i++) {
        char *at = memory + (phdr[i].p_vaddr - low);

        if (phdr[i].p_type != PT_LOAD)
            continue;
        if (!put_segment(fd, &phdr[i], at, below)) {
            munmap(memory, high - low);
            return NULL;
        }
        if (at + phdr[i].p_filesz > below)
            below = (char *)(((uintptr_t)at + phdr[i].p_filesz + page - 1) & ~(page - 1));
    }
    return memory;
}

static bool map_module(const char *path)
{
    struct module *module = &modules[modules_count];
    struct dl_phdr_info info;
    uintptr_t low, high;
    struct stat st;
    elf_ehdr header;
    elf_phdr *phdr = NULL;
    char *memory = NULL;
    int fd;

    if (modules_count == MODULES_MAX || strlen(path) >= sizeof module->path)
        return false;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return false;
    if (!fstat(fd, &st) && S_ISREG(st.st_mode) && (phdr = read_headers(fd, &header)) &&
        measure(phdr, header.e_phnum, (uint64_t)st.st_size, &low, &high))
        memory = read_segments(fd, phdr, header.e_phnum, low, high);
    close(fd);
    if (!memory) {
        free(phdr);
        return false;
    }
    memset(&info, 0, sizeof info);
    info.dlpi_addr = (uintptr_t)memory - low;
    info.dlpi_phdr = phdr;
    info.dlpi_phnum = header.e_phnum;
    memcpy(module->path, path, strlen(path) + 1);
    info.dlpi_name = module->path;
    module->memory = memory;
    module->memory_len = high - low;
    elf_module_fill(&info, modules_count == 0, &module->elf);
    elf_module_trim(&module->elf);
    module->elf.path = module->path;
    module->elf.name = strrchr(module->path, '/') ? strrchr(module->path, '/') + 1 : module->path;
    modules_count++;
    return true;
}

bool modules_open_symbols(const struct module *module, struct elf_file *out)
{
    struct elf_file own;
    bool is_there;

    elf_file_open_module(&module->elf, &own);
    if (own.symtab.count) {
        *out = own;
        return true;
    }
    is_there = elf_file_open_debug(&module->elf, &own, NULL, out);
    elf_file_close(&own);
    if (is_there && out->symtab.count)
        return true;
    elf_file_close(out);
    return false;
}

void modules_forget(void)
{
    while (modules_count) {
        struct module *module = &modules[--modules_count];

        munmap(module->memory, module->memory_len);
        free((void *)(uintptr_t)module->elf.phdr);
        memset(module, 0, sizeof *module);
    }
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

/* Nothing of what is mapped here is copied for a process that becomes another at once. Its number; 0: there is none. */
static pid_t spawn_listing(const char *file, const char *loader, const char *program, int out)
{
    char *const arguments[] = {(char *)(uintptr_t)loader, (char *)(uintptr_t) "--list",
                               (char *)(uintptr_t)program, NULL};
    posix_spawn_file_actions_t actions;
    pid_t child = 0;

    if (posix_spawn_file_actions_init(&actions) != 0)
        return 0;
    if (posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO) != 0 ||
        posix_spawn(&child, file, &actions, NULL, arguments, environ) != 0)
        child = 0;
    posix_spawn_file_actions_destroy(&actions);
    return child;
}

static bool list_libraries(const char *loader, const char *program)
{
    const char *tests = secure_getenv("BATON_TEST_LOADER"); /* starts it in an emulator */
    int ends[2];
    char line[8192];
    pid_t child;
    FILE *in;

    if (pipe2(ends, O_CLOEXEC))
        return false;
    unsetenv("LD_PRELOAD");
    child = spawn_listing(tests ? tests : loader, loader, program, ends[1]);
    close(ends[1]);
    in = fdopen(ends[0], "r");
    while (in && fgets(line, sizeof line, in))
        map_listed(line);
    if (in)
        fclose(in);
    if (child)
        waitpid(child, NULL, 0);
    return child != 0;
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

/* Files are looked at where they are mapped: one that is cut short or written anew meanwhile ends this process, and the
 * program runs as if nothing of it were known. */
static void say_cut(int number)
{
    static const char text[] = "baton: a file changed while it was looked at: try again\n";
    ssize_t ignored = write(STDERR_FILENO, text, sizeof text - 1);

    (void)number;
    (void)ignored;
    _exit(CUT);
}

void modules_watch_cut(void)
{
    signal(SIGBUS, say_cut);
}

/* Says so unless IS_QUIET. */
static bool not_for_us(bool is_quiet, const char *program, const char *why)
{
    if (!is_quiet)
        fprintf(stderr, "baton: %s: %s\n", program, why);
    return false;
}

static const char *loader_shown(const char *loader)
{
    static char shown[PATH_MAX];

    snprintf(shown, sizeof shown, "%s", loader);
    text_clean(shown, strlen(shown));
    return shown;
}

/* The text in a segment; NULL: it is not in the module, or does not end there. */
static const char *text_in(const struct elf_module *module, const elf_phdr *segment)
{
    uintptr_t start = module->base + segment->p_vaddr;

    if (!segment->p_filesz || !elf_module_holds(module, start, segment->p_filesz) ||
        !memchr((const void *)start, '\0', segment->p_filesz))
        return NULL;
    return (const char *)start;
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
            loader = text_in(main_module, &main_module->phdr[i]);
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
                    program, loader_shown(loader));
        return true;
    }
    return list_libraries(loader, modules[0].path) ||
           not_for_us(is_quiet, program, "the system's loader cannot be asked for its libraries");
}

int modules_each(int (*visit)(const struct elf_module *module, void *arg), void *arg)
{
    for (unsigned i = 0; i < modules_count; i++) {
        int answer = visit(&modules[i].elf, arg);

        if (answer)
            return answer;
    }
    return 0;
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
