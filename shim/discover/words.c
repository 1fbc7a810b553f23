/*
 * The words of thread-local storage of each module that came with the program or was opened since, compared with
 * what was noted last, the first time with the module's image. Read only, and only in the thread that owns them.
 *
 * The C library's own are left out: they are identities, caches and errno, and nothing that could be carried
 * by their bytes. A word that changes all the time is noted so many times and then not any more.
 */
#include <link.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>

#include "base/arch.h"
#include "base/sys.h"
#include "discover/own.h"
#include "discover/record.h"

enum { CHANGES_MAX = 200, LOOK_AGAIN = 64 };

struct region {
    uint32_t module, size;
    uint32_t shadow; /* where in the threads' copies */
    bool is_static;  /* one offset from the thread pointer for all threads */
    intptr_t offset;
    size_t modid;
    const unsigned char *image;
    size_t image_size;
};

static struct region regions[REGIONS_MAX];
static uint32_t regions_count, shadow_used, dynamic_count;
static unsigned long long seen_adds;
static uint32_t looks;
static bool has_begun;

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static bool is_left_out(const char *name)
{
    static const char *const names[] = {"libc.so",    "libc-",     "ld-linux",
                                        "libpthread", "libunwind", "libbaton"};

    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        if (!strncmp(name, names[i], strlen(names[i])))
            return true;
    }
    return false;
}

/* As elf_know_started, for reports. */
static void know_started(void)
{
    const char *started = (const char *)OWN(getauxval)(AT_EXECFN);
    struct stat one, other;

    if (started && strlen(started) < DISCOVER_PATH &&
        strcmp(base_name(started), base_name(page->module[0].path)) != 0 &&
        SYS_CALL(newfstatat, AT_FDCWD, started, &one, 0L) == 0 &&
        SYS_CALL(newfstatat, AT_FDCWD, "/proc/self/exe", &other, 0L) == 0 &&
        one.st_dev == other.st_dev && one.st_ino == other.st_ino)
        memcpy(page->started, started, strlen(started) + 1);
}

static void name_module(struct discover_module *module, const char *path, bool is_main)
{
    size_t len;

    if (is_main) {
        long got = sys_readlink("/proc/self/exe", module->path, DISCOVER_PATH - 1);

        module->path[got > 0 ? got : 0] = '\0';
        know_started();
        return;
    }
    len = strlen(path);
    if (len >= DISCOVER_PATH)
        len = DISCOVER_PATH - 1;
    memcpy(module->path, path, len);
    module->path[len] = '\0';
}

static void add_region(uint32_t number, const struct dl_phdr_info *info, const ElfW(Phdr) * tls)
{
    struct region *region = &regions[regions_count];
    uint32_t size = (uint32_t)((tls->p_memsz + 7) & ~(size_t)7);

    if (is_left_out(base_name(page->module[number].path)))
        return;
    if (regions_count == REGIONS_MAX || tls->p_memsz > SHADOW_MAX ||
        shadow_used + size > SHADOW_MAX) {
        page->words_left_out += (uint32_t)tls->p_memsz;
        return;
    }
    region->module = number;
    region->size = (uint32_t)tls->p_memsz;
    region->shadow = shadow_used;
    region->is_static = !has_begun && info->dlpi_tls_data;
    region->offset = (intptr_t)((uintptr_t)info->dlpi_tls_data - (uintptr_t)arch_tp());
    region->modid = info->dlpi_tls_modid;
    region->image = (const unsigned char *)info->dlpi_addr + tls->p_vaddr;
    region->image_size = tls->p_filesz;
    shadow_used += size;
    dynamic_count += !region->is_static;
    __atomic_store_n(&regions_count, regions_count + 1, __ATOMIC_RELEASE);
}

static int look_at(struct dl_phdr_info *info, size_t size, void *is_first_call)
{
    bool *is_first = is_first_call, is_main = *is_first;
    struct discover_module *module;
    const ElfW(Phdr) *tls = NULL;
    uint32_t number;

    *is_first = false;
    seen_adds = info->dlpi_adds;
    for (number = 0; number < page->modules; number++) {
        if (page->module[number].base == info->dlpi_addr &&
            (is_main || !strncmp(page->module[number].path, info->dlpi_name, DISCOVER_PATH - 1)))
            return 0;
    }
    if (number == DISCOVER_MODULES || (!is_main && !info->dlpi_name[0]))
        return 0;
    module = &page->module[number];
    module->base = info->dlpi_addr;
    module->lo = UINT64_MAX;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];

        if (p->p_type == PT_TLS)
            tls = p;
        if (p->p_type != PT_LOAD)
            continue;
        if (info->dlpi_addr + p->p_vaddr < module->lo)
            module->lo = info->dlpi_addr + p->p_vaddr;
        if (info->dlpi_addr + p->p_vaddr + p->p_memsz > module->hi)
            module->hi = info->dlpi_addr + p->p_vaddr + p->p_memsz;
    }
    name_module(module, info->dlpi_name, is_main);
    module->tls_size = tls ? tls->p_memsz : 0;
    page->modules = number + 1;
    if (tls && tls->p_memsz)
        add_region(number, info, tls);
    return 0;
}

void words_begin(void)
{
    bool is_first = true;

    OWN(dl_iterate_phdr)(look_at, &is_first);
    has_begun = true;
}

static int see_adds(struct dl_phdr_info *info, size_t size, void *adds)
{
    *(unsigned long long *)adds = info->dlpi_adds;
    return 1;
}

/* Two threads may look at once: each adds what it finds, under this. */
static void look_again(void)
{
    static uint32_t is_looking;
    unsigned long long adds = 0;
    uint32_t nobody = 0;
    bool is_first = true;

    if (__atomic_fetch_add(&looks, 1, __ATOMIC_RELAXED) % LOOK_AGAIN)
        return;
    OWN(dl_iterate_phdr)(see_adds, &adds);
    if (adds == seen_adds || !__atomic_compare_exchange_n(&is_looking, &nobody, 1, false,
                                                          __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return;
    OWN(dl_iterate_phdr)(look_at, &is_first);
    __atomic_store_n(&is_looking, 0, __ATOMIC_RELEASE);
}

static void copy_image(unsigned char *to, const struct region *region)
{
    size_t size = region->image_size < region->size ? region->image_size : region->size;

    memcpy(to, region->image, size);
    memset(to + size, 0, region->size - size);
}

void words_thread(struct recorder *recorder)
{
    uint32_t count = __atomic_load_n(&regions_count, __ATOMIC_ACQUIRE);

    for (uint32_t i = 0; i < count; i++) {
        if (regions[i].is_static)
            copy_image(recorder->shadow + regions[i].shadow, &regions[i]);
    }
}

static void compare(struct recorder *recorder, const struct region *region,
                    const unsigned char *block)
{
    unsigned char *shadow = recorder->shadow + region->shadow;

    for (uint32_t at = 0; at < region->size; at += 8) {
        uint32_t len = region->size - at < 8 ? region->size - at : 8;
        uint8_t *changes = &recorder->changes[(region->shadow + at) / 8];
        struct discover_event *event;

        if (!memcmp(shadow + at, block + at, len))
            continue;
        memcpy(shadow + at, block + at, len);
        if (*changes >= CHANGES_MAX)
            continue;
        ++*changes;
        event = record_place(recorder);
        if (!event)
            return;
        event->which = region->module;
        event->object = at;
        memcpy(&event->value, block + at, len);
        record_commit(event, DISCOVER_WORD);
    }
}

/* Blocks of libraries that were opened later: where they are the loader says, if this thread has one. */
static int compare_dynamic(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct recorder *recorder = arg;

    for (uint32_t i = 0; info->dlpi_tls_data && i < regions_count; i++) {
        if (regions[i].is_static || regions[i].modid != info->dlpi_tls_modid ||
            page->module[regions[i].module].base != info->dlpi_addr)
            continue;
        compare(recorder, &regions[i], info->dlpi_tls_data);
    }
    return 0;
}

void words_note(struct recorder *recorder)
{
    uint32_t count;

    look_again();
    count = __atomic_load_n(&regions_count, __ATOMIC_ACQUIRE);
    for (uint32_t i = 0; i < count; i++) {
        if (regions[i].is_static)
            compare(recorder, &regions[i], (const unsigned char *)arch_tp() + regions[i].offset);
    }
    if (dynamic_count)
        OWN(dl_iterate_phdr)(compare_dynamic, recorder);
}
