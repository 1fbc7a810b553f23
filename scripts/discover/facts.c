/*
 * The file of a run, and names for its addresses. It was written by another process while this one reads it, or
 * by anything else: every number is checked before it is used.
 */
#include "facts.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

const struct discover_header *facts;
uint32_t facts_events;

static struct names *module_names[DISCOVER_MODULES];
static uint32_t modules_known;

bool facts_open(const char *path)
{
    struct stat status;
    void *memory;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return false;
    memory = fstat(fd, &status) == 0 && status.st_size >= (off_t)sizeof *facts
                 ? mmap(NULL, sizeof *facts, PROT_READ, MAP_PRIVATE, fd, 0)
                 : MAP_FAILED;
    close(fd);
    if (memory == MAP_FAILED)
        return false;
    facts = memory;
    if (memcmp(facts->magic, DISCOVER_MAGIC, sizeof facts->magic) != 0 || !facts->module[0].path[0])
        return false;
    modules_known = facts->modules < DISCOVER_MODULES ? facts->modules : DISCOVER_MODULES;
    facts_events = facts->events < DISCOVER_EVENTS ? facts->events : DISCOVER_EVENTS;
    for (uint32_t i = 0; i < modules_known; i++) {
        if (memchr(facts->module[i].path, '\0', DISCOVER_PATH) && facts->module[i].path[0] == '/' &&
            modules_add(facts->module[i].path))
            module_names[i] = names_of_path(facts->module[i].path);
        if (module_names[i])
            module_names[i]->module->is_later = false;
    }
    return module_names[0] != NULL;
}

struct names *facts_module(uint32_t number)
{
    return number < modules_known ? module_names[number] : NULL;
}

struct place facts_place(uint64_t address, bool is_return)
{
    struct place place = {.address = address};

    for (uint32_t i = 0; i < modules_known; i++) {
        const struct discover_module *module = &facts->module[i];

        if (address < module->lo || address >= module->hi || !module_names[i])
            continue;
        place.names = module_names[i];
        place.address = address - module->base;
        place.function = names_function(place.names, place.address - is_return);
    }
    return place;
}

const char *facts_program(void)
{
    bool is_link = facts->started[0] && memchr(facts->started, '\0', DISCOVER_PATH);

    return is_link ? facts->started : facts->module[0].path;
}

const char *facts_called(const struct names *names)
{
    const char *slash = strrchr(facts_program(), '/');

    if (!names->module->elf.is_main)
        return names->module->elf.name;
    return slash ? slash + 1 : facts_program();
}

bool facts_is_runtime(const struct names *names)
{
    static const char *const known[] = {"libc.so",   "libc-",    "ld-linux",  "libpthread",
                                        "libstdc++", "libgcc_s", "libunwind", "libbaton",
                                        "libc++",    "libdl.",   "libm."};
    const char *name = names->module->elf.name;

    for (unsigned i = 0; i < sizeof known / sizeof *known; i++) {
        if (!strncmp(name, known[i], strlen(known[i])))
            return true;
    }
    return false;
}

bool facts_is_allocator(const struct names *names)
{
    struct elf_symbol symbol;

    return !names->module->elf.is_main &&
           elf_dynsym_find(&names->module->elf, "malloc", NULL, ELF_FUNC, &symbol) &&
           elf_dynsym_find(&names->module->elf, "free", NULL, ELF_FUNC, &symbol);
}

/* Functions that do no more than wait or wake for who calls them: GLib's, libuv's, Python's. */
static bool is_wrapper(const struct place *place)
{
    static const char *const known[] = {"g_cond_",          "uv_cond_",      "uv_sem_",
                                        "uv_barrier_",      "PyThread_",     "vips_semaphore_",
                                        "apr_thread_cond_", "isc_condition_"};
    const char *name = place->function ? place->function->name : NULL;

    for (unsigned i = 0; name && i < sizeof known / sizeof *known; i++) {
        if (!strncmp(name, known[i], strlen(known[i])))
            return true;
    }
    return false;
}

uint32_t facts_inner(uint32_t number)
{
    const struct discover_stack *stack = number < DISCOVER_STACKS ? &facts->stack[number] : NULL;
    uint32_t count = stack && stack->count <= DISCOVER_FRAMES ? stack->count : 0;

    for (uint32_t i = 0; i < count; i++) {
        struct place place = facts_place(stack->frames[i], true);

        if (place.names && !facts_is_runtime(place.names) && !(is_wrapper(&place) && i + 1 < count))
            return i;
    }
    return count;
}

bool facts_has_frame(uint32_t number, const char *name)
{
    const struct discover_stack *stack = number < DISCOVER_STACKS ? &facts->stack[number] : NULL;

    for (uint32_t i = 0; stack && i < stack->count && i < DISCOVER_FRAMES; i++) {
        struct place place = facts_place(stack->frames[i], true);

        if (place.function && place.function->name && !strcmp(place.function->name, name))
            return true;
    }
    return false;
}

const char *facts_name(const struct place *place)
{
    static char buffers[8][500];
    static unsigned next;
    char *buffer = buffers[next++ % 8];

    if (!place->names)
        return "?";
    if (place->function && place->function->name)
        snprintf(buffer, sizeof buffers[0], "%s", place->function->name);
    else
        snprintf(buffer, sizeof buffers[0], "%s+0x%zx", place->names->shown,
                 (size_t)(place->function ? place->function->start : place->address));
    return buffer;
}

char *facts_demangled(const char *name)
{
    typedef char *demangler(const char *mangled, char *buffer, size_t *length, int *status);
    static demangler *demangle;
    static bool has_looked;
    int status;

    if (strncmp(name, "_Z", 2) != 0)
        return NULL;
    if (!has_looked) {
        void *library = dlopen("libstdc++.so.6", RTLD_LAZY | RTLD_LOCAL);

        demangle = library ? (demangler *)(uintptr_t)dlsym(library, "__cxa_demangle") : NULL;
        has_looked = true;
    }
    return demangle ? demangle(name, NULL, NULL, &status) : NULL;
}

/* As the source has it, short enough for a line. */
const char *facts_shown(const struct place *place)
{
    enum { SHOWN = 100 };
    static char buffers[4][SHOWN + 8];
    static unsigned next;
    const char *name = facts_name(place);
    char *buffer = buffers[next++ % 4], *text = facts_demangled(name);

    if (!text)
        return name;
    snprintf(buffer, sizeof buffers[0], "%.*s%s", SHOWN, text, strlen(text) > SHOWN ? "..." : "");
    free(text);
    return buffer;
}
