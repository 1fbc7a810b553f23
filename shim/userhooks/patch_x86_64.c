/*
 * Entry patches, as planned by baton-plan: verified, and applied while the process has one thread.
 *
 * No page is ever writable and executable: islands are written through a memfd that is mapped to be
 * read and executed only, code through /proc/self/mem. So it works under PR_SET_MDWE too. Whatever
 * fails, fails before the entry is touched.
 */
#include <elf.h>
#include <string.h>

#include "base/log.h"
#include "base/sys.h"
#include "userhooks/object.h"

enum {
    MODULES_KNOWN = 16,
    PAGE = 4096,
    DETOUR_SIZE = 16,
    JUMP_SIZE = 5,
    SHORT_SIZE = 2,
    REACH = 0x7f000000
};

static struct {
    int fd;
    uintptr_t address; /* of a page of islands */
    unsigned used;
} page = {.fd = -1};

static void *no(char *reason, size_t n, const char *why)
{
    fmt_buf(reason, n, "%s", why);
    return NULL;
}

/* ---- the module ---- */

struct wanted {
    const struct plan_patch *patch;
    struct elf_module *out;
};

/* Taken before the first patch, which changes what it is taken of. */
static uint64_t fingerprint(const struct elf_module *module)
{
    static struct {
        uintptr_t lo;
        uint64_t value;
    } known[MODULES_KNOWN];
    unsigned i;

    for (i = 0; i < MODULES_KNOWN && known[i].lo; i++) {
        if (known[i].lo == module->lo)
            return known[i].value;
    }
    if (i == MODULES_KNOWN)
        return 0;
    known[i].lo = module->lo;
    known[i].value = elf_module_fingerprint(module);
    return known[i].value;
}

static bool is_planned(const struct elf_module *module, const struct plan_patch *patch)
{
    size_t len;
    const uint8_t *id = elf_module_build_id(module, &len);
    uint64_t planned;

    if (patch->build_id_len)
        return id && len == patch->build_id_len && !memcmp(id, patch->build_id, len);
    memcpy(&planned, patch->build_id, sizeof planned);
    return (!id || len > sizeof patch->build_id) && fingerprint(module) == planned;
}

static int visit_module(const struct elf_module *module, void *arg)
{
    struct wanted *wanted = arg;

    if (!elf_module_is_startup(module) || !is_planned(module, wanted->patch))
        return 0;
    *wanted->out = *module;
    return 1;
}

static bool is_alone(void)
{
    char text[2048];
    int fd = sys_open("/proc/self/status", O_RDONLY, 0);
    long got = fd < 0 ? 0 : sys_read(fd, text, sizeof text - 1);
    const char *threads;

    if (fd >= 0)
        sys_close(fd);
    text[got > 0 ? got : 0] = '\0';
    threads = strstr(text, "\nThreads:\t");
    return threads && threads[10] == '1' && threads[11] == '\n';
}

/* ---- a page near the code ---- */

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

struct mappings {
    int fd;
    char buffer[1024];
    long len, at;
};

static bool next_char(struct mappings *maps, char *c)
{
    if (maps->at == maps->len) {
        maps->len = sys_read(maps->fd, maps->buffer, sizeof maps->buffer);
        maps->at = 0;
        if (maps->len <= 0) {
            maps->len = 0;
            return false;
        }
    }
    *c = maps->buffer[maps->at++];
    return true;
}

static bool next_mapping(struct mappings *maps, uintptr_t *low, uintptr_t *high)
{
    uintptr_t value = 0;
    char c;

    *low = *high = 0;
    while (next_char(maps, &c)) {
        if (digit(c) >= 0) {
            value = value << 4 | (uintptr_t)digit(c);
            continue;
        }
        if (c == '-') {
            *low = value;
            value = 0;
            continue;
        }
        *high = value;
        while (c != '\n' && next_char(maps, &c))
            ;
        return true;
    }
    return false;
}

/* The highest free page below `target`, else the lowest above: below a module nothing grows. */
static uintptr_t find_hole(uintptr_t target)
{
    struct mappings maps = {.fd = sys_open("/proc/self/maps", O_RDONLY, 0)};
    uintptr_t low, high, end = 65536 + PAGE, below = 0, above = 0;

    if (maps.fd < 0)
        return 0;
    while (next_mapping(&maps, &low, &high)) {
        if (low >= end + 2 * PAGE) {
            if (low <= target)
                below = low - PAGE;
            else if (!above)
                above = end + PAGE;
        }
        end = high;
    }
    sys_close(maps.fd);
    if (below && target - below < REACH)
        return below;
    return above && above - target < REACH ? above : 0;
}

static bool page_near(uintptr_t target)
{
    uintptr_t distance = page.address > target ? page.address - target : target - page.address;
    uintptr_t hole;
    long at;
    int fd;

    if (page.fd >= 0 && distance < REACH && page.used + PLAN_ISLAND + DETOUR_SIZE <= PAGE)
        return true;
    hole = find_hole(target);
    if (!hole)
        return false;
    if (sys_file_limit() < PAGE) /* a memory file counts as one */
        return false;
    fd = (int)SYS_CALL(memfd_create, "baton", 1u /* MFD_CLOEXEC */);
    if (fd < 0)
        return false;
    if (SYS_CALL(ftruncate, fd, (long)PAGE) < 0) {
        sys_close(fd);
        return false;
    }
    at = SYS_CALL(mmap, hole, (size_t)PAGE, PROT_READ | PROT_EXEC,
                  MAP_SHARED | 0x100000 /* MAP_FIXED_NOREPLACE */, fd, 0L);
    if (at != (long)hole) {
        if (at > 0)
            sys_unmap((void *)at, PAGE);
        sys_close(fd);
        return false;
    }
    if (page.fd >= 0)
        sys_close(page.fd);
    page.fd = fd;
    page.address = hole;
    page.used = 0;
    return true;
}

/* ---- writing ---- */

static bool fix_island(const struct plan_patch *patch, const struct elf_module *module,
                       uintptr_t island, uint8_t *bytes)
{
    for (unsigned i = 0; i < patch->fixups; i++) {
        const struct plan_fixup *fixup = &patch->fixup[i];
        uint64_t target = module->base + fixup->target;

        if (fixup->kind == FIXUP_ABSOLUTE) {
            if (fixup->at + 8u > patch->island_len)
                return false;
            memcpy(bytes + fixup->at, &target, 8);
        } else {
            int64_t distance = (int64_t)(target - (island + fixup->end));
            int32_t narrow = (int32_t)distance;

            if (fixup->at + 4u > patch->island_len || narrow != distance)
                return false;
            memcpy(bytes + fixup->at, &narrow, 4);
        }
    }
    return true;
}

static bool write_code(uintptr_t address, const void *bytes, size_t len)
{
    int fd = sys_open("/proc/self/mem", O_RDWR, 0);
    bool is_written = fd >= 0 && SYS_CALL(pwrite64, fd, bytes, len, address) == (long)len;

    if (fd >= 0)
        sys_close(fd);
    return is_written && !memcmp((const void *)address, bytes, len);
}

/* Five bytes of a jump from code to target. */
static void make_jump(uint8_t *bytes, uintptr_t code, uintptr_t target)
{
    int32_t distance = (int32_t)(target - (code + JUMP_SIZE));

    bytes[0] = 0xe9;
    memcpy(bytes + 1, &distance, 4);
}

static bool is_as_planned(const struct plan_patch *patch, const struct elf_module *module)
{
    uintptr_t code = module->base + patch->address, padding = module->base + patch->padding;

    if (!elf_module_has_code(module, code, patch->window) ||
        memcmp((const void *)code, patch->expected, patch->window) != 0)
        return false;
    return !patch->padding ||
           (elf_module_has_code(module, padding, JUMP_SIZE) && code - padding < 120 &&
            !memcmp((const void *)padding, patch->padding_expected, JUMP_SIZE));
}

/* The entry last: from then on calls go to the island. */
static bool write_entry(const struct plan_patch *patch, const struct elf_module *module,
                        uintptr_t detour)
{
    uintptr_t code = module->base + patch->address, padding = module->base + patch->padding;
    uint8_t entry[PLAN_WINDOW], jump[JUMP_SIZE];

    memset(entry, 0x90, sizeof entry);
    if (!patch->padding) {
        make_jump(entry, code, detour);
        return write_code(code, entry, patch->window);
    }
    make_jump(jump, padding, detour);
    entry[0] = 0xeb;
    entry[1] = (uint8_t)(padding - (code + SHORT_SIZE));
    return write_code(padding, jump, sizeof jump) && write_code(code, entry, patch->window);
}

void *patch_apply(const struct plan_patch *patch, void *thunk, struct elf_module *where,
                  char *reason, size_t n)
{
    static const uint8_t jump_far[6] = {0xff, 0x25}; /* jmp *0(%rip): the address follows */
    uint8_t bytes[PLAN_ISLAND + DETOUR_SIZE] = {0};
    struct wanted wanted = {patch, where};
    uintptr_t code, island, detour;
    unsigned detour_at = (patch->island_len + 7u) & ~7u;

    reason[0] = '\0';
    if (patch->island_len > PLAN_ISLAND || patch->fixups > PLAN_FIXUPS ||
        patch->window > PLAN_WINDOW || patch->window < (patch->padding ? SHORT_SIZE : JUMP_SIZE) ||
        !elf_each_module(visit_module, &wanted))
        return NULL;
    code = where->base + patch->address;
    if (!is_as_planned(patch, where))
        return no(reason, n,
                  "its code is not what the plan was made for: something else has changed it");
    if (!is_alone())
        return no(reason, n, "several threads run already");
    if (!page_near(code))
        return no(reason, n, "no memory for code near to it");
    island = page.address + page.used;
    detour = island + detour_at;
    memcpy(bytes, patch->island, patch->island_len);
    memcpy(bytes + detour_at, jump_far, sizeof jump_far);
    memcpy(bytes + detour_at + sizeof jump_far, &thunk, sizeof thunk);
    if (!fix_island(patch, where, island, bytes))
        return no(reason, n, "no memory for code near to it");
    if (SYS_CALL(pwrite64, page.fd, bytes, (size_t)detour_at + DETOUR_SIZE, (long)page.used) !=
        (long)detour_at + DETOUR_SIZE)
        return no(reason, n, "no memory for code near to it");
    if (!write_entry(patch, where, detour))
        return no(reason, n, "/proc/self/mem cannot be written to: the system forbids patches");
    page.used += (detour_at + DETOUR_SIZE + 15u) & ~15u;
    return (void *)island;
}

void patch_end(void)
{
    if (page.fd >= 0)
        sys_close(page.fd);
    page.fd = -1;
}
