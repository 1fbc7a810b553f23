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
#include "context/context.h"
#include "context/internal.h"
#include "context/slot_counts.h"
#include "elf/elf.h"
#include "slots/keys.h"
#include "slots/slots.h"
#include "slots/words.h"

_Static_assert(sizeof(struct waits_page) <= LIVE_ROOM, "it has to fit into the file's head");

static struct waits_lent *noted; /* where that library looks for its page */

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

/* Of a library's own folder, and not of the system's, whose pools and loops are no business of the program's. */
static bool is_own(const struct elf_module *module)
{
    static const char *const folders[] = {"/lib/", "/lib64/", "/usr/lib/", "/usr/lib64/",
                                          "/usr/local/lib/"};

    for (unsigned i = 0; !module->is_main && i < sizeof folders / sizeof *folders; i++) {
        if (!strncmp(module->path, folders[i], strlen(folders[i])))
            return false;
    }
    return true;
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
    out->is_own = !out->is_runtime && is_own(module);
    fmt_buf(out->name, sizeof out->name, "%s", module->name);
    return ++listing->count == WAITS_MODULES;
}

/* The thread that begins is the first: of the process, or of a child of fork. */
static void begin_page(void *page)
{
    ((struct waits_page *)page)->main_thread = waits_thread();
}

static uint64_t handed_over(const struct thread *thread)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < FAMILIES_MAX; i++)
        sum += thread->counts.carried[i] - thread->counts.empty[i];
    return sum;
}

/* Values of the thread's own. Those that only a function reads it is taken to have that has handed over such before:
 * nobody's function is called from here. */
static bool has_own(uint64_t handed)
{
    if (handed && slots_have_copied && !slots_are_words)
        return true;
    for (unsigned i = 0; i < slots_key_count; i++) {
        if (key_bindings[i].is_bound && slots_calls.key_read(key_bindings[i].key))
            return true;
    }
    return words_are_any && !words_same(slots_initial);
}

/* Of the values of keys, the thread's own if VALUES is NULL: others have another number. */
static uint32_t number_of(void *const *values)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < slots_key_count; i++) {
        uint64_t value = 0;

        if (values)
            value = (uintptr_t)values[i];
        else if (key_bindings[i].is_bound)
            value = (uintptr_t)slots_calls.key_read(key_bindings[i].key);
        sum = (sum + value) * UINT64_C(0x9e3779b97f4a7c15);
    }
    return (uint32_t)(sum >> 32);
}

/* What is attached and was changed is the task's own; what it set of words beside that is not looked for. */
static void look(struct waits_look *out, bool is_wait)
{
    struct thread *thread = thread_self;
    struct context *attached = thread_is_attached(thread) ? thread->attached : NULL;
    uint64_t handed = handed_over(thread);

    *out = (struct waits_look){.dealings = handed + slot_counts_runs(thread)};
    if (is_wait && thread->has_missed) {
        out->has_missed = true;
        thread->has_missed = false;
    }
    if (!attached || attached->flags & CONTEXT_EMPTY) {
        out->sight = has_own(handed) ? WAITS_OWN : WAITS_NONE;
        out->values = number_of(NULL);
        return;
    }
    out->sight = WAITS_GIVEN;
    if (!(attached->flags & CONTEXT_OVERLAY))
        return;
    if (attached->base->flags & CONTEXT_EMPTY)
        out->sight = WAITS_NONE;
    out->has_set = attached->flags & CONTEXT_TOUCHED;
    out->values = number_of(attached->key);
    for (unsigned i = 0; i < slots_key_count; i++) {
        if (attached->key[i])
            out->sight = out->has_set ? WAITS_OWN : WAITS_GIVEN;
    }
}

void waited_begin(void)
{
    struct listing listing = {arch_is_on_valgrind() ? NULL : live_room(), 0};

    noted = listing.page ? elf_lookup_global("baton_waits_page", NULL, NULL, NULL) : NULL;
    if (!noted)
        return;
    elf_each_startup(add_module, &listing);
    memcpy(listing.page->magic, WAITS_MAGIC, sizeof listing.page->magic);
    noted->look = look;
    live_lend((void *_Atomic *)&noted->page, offsetof(struct waits_page, objects), begin_page);
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
    const struct waits_page *page = noted ? atomic_load(&noted->page) : NULL;
    struct waits_chosen chosen;

    if (!page || !waits_choose(page, &chosen))
        return false;
    name_place(&chosen.waiter, out->at, sizeof out->at);
    name_place(&chosen.waker, out->from, sizeof out->from);
    out->threads = chosen.threads;
    out->wakes = chosen.wakes;
    out->held = chosen.held;
    out->missed = chosen.missed;
    return true;
}
