/* Where a name is, among all modules.
 *
 * Promise: many names cost little more than one. Hash tables answer for exported names first, and
 * only what is left opens files, each once for all names. After a dlopen only the new modules are
 * looked at: the loader appends to its list, so the ones in front are known, unless one was
 * unloaded meanwhile.
 */
#include "elf/elf.h"

#include <string.h>

#include "base/config.h"
#include "elf/file.h"
#include "base/log.h"

struct elf_sweep {
    struct elf_search *searches;
    size_t n, index, skip, found;
    const elf_phdr *self;
    uintptr_t vdso, loader;
    struct elf_folder last;
};

/* Static names of the C library and the loader are nobody's context, and on a machine with their
 * debug files the search in them is half of a small program's start. A MODULE names them still. */
static bool elf_is_libc(const struct elf_sweep *sweep, const struct elf_module *module)
{
    return (sweep->loader && module->base == sweep->loader) || elf_module_match(module, "libc");
}

static bool elf_is_wanted(const struct elf_search *s, const struct elf_module *module)
{
    return !s->query.found.matches && (!s->module || elf_module_match(module, s->module));
}

static bool elf_is_swept(struct elf_sweep *sweep, const struct elf_module *module)
{
    return sweep->index++ < sweep->skip || module->phdr == sweep->self || module->lo == sweep->vdso;
}

static void elf_take_found(struct elf_sweep *sweep, struct elf_search *s,
                           const struct elf_query *query, const struct elf_module *module)
{
    s->query.found = query->found;
    s->where = *module;
    sweep->found++;
}

static int elf_sweep_exported(const struct elf_module *module, void *arg)
{
    struct elf_sweep *sweep = arg;

    if (elf_is_swept(sweep, module))
        return 0;
    for (size_t i = 0; i < sweep->n; i++) {
        struct elf_search *s = &sweep->searches[i];
        struct elf_query query = s->query;

        if (!s->query.file && elf_is_wanted(s, module) &&
            elf_dynsym_find_hashed(module, query.name, query.hash, NULL, query.want,
                                   &query.found) &&
            elf_find_symbols(module, &query, 1))
            elf_take_found(sweep, s, &query, module);
    }
    return sweep->found == sweep->n;
}

enum { BATCH_MAX = 16 };

static int elf_sweep_files(const struct elf_module *module, void *arg)
{
    struct elf_sweep *sweep = arg;
    struct elf_query batch[BATCH_MAX];
    size_t of[BATCH_MAX], at = 0;
    bool is_libc = elf_is_libc(sweep, module);

    if (elf_is_swept(sweep, module))
        return 0;
    while (at < sweep->n) {
        size_t n = 0;

        for (; at < sweep->n && n < BATCH_MAX; at++) {
            if (!elf_is_wanted(&sweep->searches[at], module) ||
                (is_libc && !sweep->searches[at].module))
                continue;
            of[n] = at;
            batch[n++] = sweep->searches[at].query;
        }
        if (!n || !elf_find_symbols_after(module, batch, n, &sweep->last))
            continue;
        for (size_t i = 0; i < n; i++)
            if (batch[i].found.matches)
                elf_take_found(sweep, &sweep->searches[of[i]], &batch[i], module);
    }
    return sweep->found == sweep->n;
}

static void elf_sweep_prepare(struct elf_sweep *sweep)
{
    /* Linked into a test program we are not a library of our own. */
    sweep->self = elf_own_headers();
    sweep->vdso = elf_vdso();
    sweep->loader = _r_debug.r_ldbase;
}

static int elf_visit_counts(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct elf_seen *now = arg;

    now->loaded = info->dlpi_adds;
    now->unloaded = info->dlpi_subs;
    return 1;
}

bool elf_is_changed(struct elf_seen *seen)
{
    struct elf_seen now = {0};
    bool is_changed;

    elf_iterate(elf_visit_counts, &now);
    is_changed = seen->loaded != now.loaded || seen->unloaded != now.unloaded;
    *seen = now;
    return is_changed;
}

/* How many are found; after an unload only those in modules that always stay. */
static size_t elf_count_found(struct elf_search *searches, size_t n, bool has_unloaded)
{
    size_t found = 0;

    for (size_t i = 0; i < n; i++) {
        struct elf_search *s = &searches[i];

        if (s->query.found.matches && has_unloaded && !elf_module_is_startup(&s->where))
            s->query.found.matches = 0;
        found += s->query.found.matches > 0;
    }
    return found;
}

size_t elf_search_modules(struct elf_search *searches, size_t n, struct elf_seen *seen)
{
    struct elf_sweep sweep = {.searches = searches, .n = n};
    struct elf_seen now = {0};
    bool has_unloaded;
    size_t before;

    elf_iterate(elf_visit_counts, &now);
    if (seen && seen->loaded == now.loaded && seen->unloaded == now.unloaded)
        return 0;
    has_unloaded = seen && seen->loaded && seen->unloaded != now.unloaded;
    before = sweep.found = elf_count_found(searches, n, has_unloaded);
    sweep.skip = seen && !has_unloaded ? seen->count : 0;
    now.count = sweep.skip;
    for (size_t i = 0; i < n; i++)
        searches[i].query.hash = elf_name_hash(searches[i].query.name);
    if (before < n) {
        elf_sweep_prepare(&sweep);
        elf_each_module(elf_sweep_exported, &sweep);
    }
    if (sweep.found < n) {
        sweep.index = 0;
        elf_each_module(elf_sweep_files, &sweep);
        if (sweep.found < n)
            now.count = sweep.index; /* to the end of the list */
    }
    if (seen)
        *seen = now;
    return sweep.found - before;
}

struct elf_near_sweep {
    struct elf_sweep sweep;
    const struct elf_search *search;
    unsigned best;
    char *buf;
    size_t n;
};

static int elf_sweep_nearest(const struct elf_module *module, void *arg)
{
    struct elf_near_sweep *near = arg;
    const struct elf_query *query = &near->search->query;
    size_t len = strlen(query->name);
    unsigned distance;
    char name[256];

    if (elf_is_swept(&near->sweep, module) || (query->want == ELF_TLS && !module->tls_size))
        return 0;
    if (near->search->module ? !elf_module_match(module, near->search->module)
                             : elf_is_libc(&near->sweep, module))
        return 0;
    if (!elf_nearest(module, query->name, query->want, name, sizeof name))
        return 0;
    /* A clone, name.isra.0, is the name itself. */
    distance = strncmp(name, query->name, len) == 0 && name[len] == '.'
                   ? 0
                   : config_name_distance(name, query->name);
    if (distance < near->best) {
        near->best = distance;
        fmt_buf(near->buf, near->n, "%s@%s", name, module->is_main ? "main" : module->name);
    }
    return 0;
}

bool elf_search_nearest(const struct elf_search *search, char *buf, size_t n)
{
    struct elf_near_sweep near = {.search = search, .best = UINT32_MAX, .buf = buf, .n = n};

    elf_sweep_prepare(&near.sweep);
    elf_each_module(elf_sweep_nearest, &near);
    return near.best != UINT32_MAX;
}
