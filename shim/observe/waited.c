/*
 * What libbaton-waits.so (shim/waits/) writes to, and what of it a report has. That library is found by the name of its
 * one variable, once, where a report was asked for; no other program pays for it. Nor is it lent anything on valgrind, which
 * would complain of words of the stack that it looks at for who called.
 */
#include "observe/waited.h"

#include <string.h>

#include "base/live.h"
#include "base/log.h"
#include "base/text.h"
#include "base/waits.h"
#include "elf/elf.h"

_Static_assert(sizeof(struct waits_page) <= LIVE_ROOM, "it has to fit into the file's head");

static struct waits_page *_Atomic *noted; /* where that library looks for its page */

/* A caller from there calls for somebody else. */
static bool is_runtime(const char *name)
{
    static const char *const names[] = {
        "libc.so.", "libstdc++.so.", "libc++.so.",  "libpthread.so.", "libgcc_s.so.",
        "ld-linux", "libbaton",      "libglib-2.0", "libQt5Core.",    "libQt6Core."};

    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        if (!strncmp(name, names[i], strlen(names[i])))
            return true;
    }
    return false;
}

struct listing {
    struct waits_page *page;
    unsigned count;
};

static int add_module(const struct elf_module *module, void *arg)
{
    struct listing *listing = arg;
    struct waits_module *out = &listing->page->modules[listing->count];
    unsigned texts = 0;

    for (size_t i = 0; i < module->phnum && texts < WAITS_TEXTS; i++) {
        const elf_phdr *p = &module->phdr[i];

        if (p->p_type != PT_LOAD || (p->p_flags & (PF_X | PF_R)) != (PF_X | PF_R))
            continue;
        out->texts[texts].lo = module->base + p->p_vaddr;
        out->texts[texts++].hi = module->base + p->p_vaddr + p->p_memsz;
    }
    out->base = module->base;
    out->lo = module->lo;
    out->hi = module->hi;
    out->is_runtime = is_runtime(module->name);
    fmt_buf(out->name, sizeof out->name, "%s", module->name);
    return ++listing->count == WAITS_MODULES;
}

/* The thread that begins is the first: of the process, or of a child of fork. */
static void begin_page(void *page)
{
    ((struct waits_page *)page)->main_thread = waits_thread();
}

void waited_begin(void)
{
    struct listing listing = {arch_is_on_valgrind() ? NULL : live_room(), 0};

    noted = listing.page ? elf_lookup_global("baton_waits_page", NULL, NULL, NULL) : NULL;
    if (!noted)
        return;
    elf_each_startup(add_module, &listing);
    memcpy(listing.page->magic, WAITS_MAGIC, sizeof listing.page->magic);
    live_lend((void *_Atomic *)noted, offsetof(struct waits_page, objects), begin_page);
}

static void name_place(const struct waits_place *place, char *buf, size_t n)
{
    struct elf_module module;

    if (place->module)
        fmt_buf(buf, n, "%s+0x%lx", place->module->name,
                (unsigned long)(place->address - place->module->base));
    else if (elf_module_at((const void *)place->address, &module))
        fmt_buf(buf, n, "%s+0x%lx", module.name, (unsigned long)(place->address - module.base));
    else
        fmt_buf(buf, n, "0x%lx", (unsigned long)place->address);
}

bool waited_most(struct waited *out)
{
    const struct waits_page *page = noted ? atomic_load(noted) : NULL;
    struct waits_chosen chosen;

    if (!page || !waits_choose(page, &chosen))
        return false;
    name_place(&chosen.waiter, out->at, sizeof out->at);
    name_place(&chosen.waker, out->from, sizeof out->from);
    out->threads = chosen.threads;
    out->wakes = chosen.wakes;
    return true;
}
