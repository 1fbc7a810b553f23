/* Searching all names of a module: what is exported, what its file has, what its debug file has.
 *
 * Promise: names are found where they are, or not at all: a value outside of the module is thrown
 * away, two different symbols of one name are counted, and an exported name goes before a static
 * one. One pass over a file serves all queries: the files are large (165,000 symbols) and a start
 * may take milliseconds in all. Nothing is kept mapped.
 */
#include "elf/elf.h"

#include <string.h>

#include "base/config.h"
#include "base/log.h"
#include "base/text.h"
#include "elf/file.h"

/* A query made ready for one pass. The first eight bytes as one word tell nearly all names apart
 * and stay in one cache line: the names of a large file are tens of megabytes. */
struct elf_target {
    struct elf_query *query;
    size_t len; /* of a pattern: up to its '*' */
    bool is_pattern;
    uint64_t head, mask;
};

static struct elf_target elf_target_make(struct elf_query *query)
{
    static const unsigned char ones[8] = {255, 255, 255, 255, 255, 255, 255, 255};
    const char *star = strchr(query->name, '*');
    struct elf_target t = {.query = query,
                           .len = star ? (size_t)(star - query->name) : strlen(query->name),
                           .is_pattern = star != NULL};
    size_t n = t.len < sizeof t.head ? t.len : sizeof t.head;

    memcpy(&t.head, query->name, n);
    memcpy(&t.mask, ones, n);
    return t;
}

static bool elf_name_fits(const char *name, size_t capacity, const struct elf_target *t)
{
    static const char lto_suffix[] = ".lto_priv.";

    if (t->is_pattern)
        return text_glob(t->query->name, name);
    return t->len < capacity && memcmp(name, t->query->name, t->len) == 0 &&
           (!name[t->len] || strncmp(name + t->len, lto_suffix, sizeof lto_suffix - 1) == 0);
}

static bool elf_file_fits(const char *file, const char *wanted)
{
    const char *slash;

    if (!wanted)
        return true;
    if (!file)
        return false;
    slash = strrchr(file, '/');
    return strcmp(file, wanted) == 0 || (slash && strcmp(slash + 1, wanted) == 0);
}

static void elf_query_take(struct elf_query *q, const struct elf_symbol *symbol)
{
    unsigned matches = q->found.matches;

    if (matches && q->found.value == symbol->value && q->found.kind == symbol->kind)
        return; /* an alias */
    if (!matches || (q->found.is_local && !symbol->is_local))
        q->found = *symbol;
    q->found.matches = matches + 1;
}

enum { BATCH_MAX = 16 };

static void elf_take_symbol(const struct elf_module *m, const elf_file_sym *sym, const char *file,
                            enum elf_source source, struct elf_query *q)
{
    struct elf_symbol found;

    if (!(elf_symbol_kind(sym->st_info) & q->want))
        return;
    if (q->file && (sym->st_info >> 4 != STB_LOCAL || !elf_file_fits(file, q->file)))
        return;
    if (elf_symbol_fill(m, sym->st_info, sym->st_shndx, sym->st_value, sym->st_size, source,
                        &found))
        elf_query_take(q, &found);
}

struct elf_scan {
    const struct elf_module *module;
    const struct elf_table *table;
    enum elf_source source;
    const char *file; /* of the local symbols that follow */
    size_t count;
    struct elf_target targets[BATCH_MAX];
};

/* A symbol that may be one of those that are looked for. */
static __attribute__((noinline)) void elf_scan_near(const struct elf_scan *scan,
                                                    const elf_file_sym *sym)
{
    const char *name = scan->table->str + sym->st_name;
    size_t capacity = scan->table->str_len - sym->st_name;

    for (size_t i = 0; i < scan->count; i++)
        if (elf_name_fits(name, capacity, &scan->targets[i])) {
            struct elf_query *query = scan->targets[i].query;
            unsigned before = query->found.matches;

            elf_take_symbol(scan->module, sym, scan->file, scan->source, query);
            if (query->full && query->found.matches > before)
                fmt_buf(query->full, ELF_FULL, "%s", name);
        }
}

/* Nearly all symbols are somebody else's: what is done for each of them is 165,000 times a start. */
static void elf_scan(const struct elf_module *m, const struct elf_table *table,
                     enum elf_source source, struct elf_query **queries, size_t n)
{
    struct elf_scan scan = {.module = m, .table = table, .source = source, .count = n};
    const elf_file_sym *sym = table->sym, *end = table->sym + table->count;
    const char *str = table->str;
    size_t str_len = table->str_len;
    unsigned want = 0, types = 0;

    for (size_t i = 0; i < n; i++) {
        scan.targets[i] = elf_target_make(queries[i]);
        want |= queries[i]->want;
    }
    for (unsigned type = 0; type < 16; type++)
        types |= (elf_symbol_kind((unsigned char)type) & want ? 1u : 0u) << type;
    for (; sym < end; sym++) {
        unsigned type = sym->st_info & 15;
        size_t at = sym->st_name;
        bool is_near = false;

        if (!(types >> type & 1)) {
            if (type == STT_FILE)
                scan.file = at < str_len ? str + at : NULL;
            continue;
        }
        if (sym->st_shndx == SHN_UNDEF || !at || at >= str_len)
            continue;
        if (str_len - at >= sizeof(uint64_t)) {
            uint64_t head;

            memcpy(&head, str + at, sizeof head);
            for (size_t i = 0; i < n; i++)
                is_near |= (head & scan.targets[i].mask) == scan.targets[i].head;
            if (!is_near)
                continue;
        }
        elf_scan_near(&scan, sym);
    }
}

/* An object that a library exports may live in the program: a copy relocation moved it there. */
static void elf_follow_copy(const struct elf_module *m, struct elf_query *q)
{
    struct elf_module program;
    struct elf_symbol in_program;

    if (m->is_main || q->found.kind != ELF_OBJECT || !elf_module_find("main", &program))
        return;
    if (elf_dynsym_find(&program, q->name, NULL, ELF_OBJECT, &in_program))
        q->found = in_program;
}

/* The queries that a file may answer. */
static size_t elf_pending(struct elf_query *queries, size_t n, bool has_tls, struct elf_query **out)
{
    size_t pending = 0;

    for (size_t i = 0; i < n && pending < BATCH_MAX; i++)
        if (!queries[i].found.matches && (has_tls || queries[i].want != ELF_TLS))
            out[pending++] = &queries[i];
    return pending;
}

static void elf_find_in_files(const struct elf_module *m, struct elf_query *queries, size_t n,
                              struct elf_folder *last)
{
    struct elf_query *pending[BATCH_MAX];
    struct elf_file file, debug;
    size_t count = elf_pending(queries, n, m->tls_size > 0, pending);

    if (!count)
        return;
    elf_file_open_module(m, &file);
    if (file.symtab.count)
        elf_scan(m, &file.symtab, ELF_FROM_SYMTAB, pending, count);
    else if (elf_file_open_debug(m, &file, last, &debug)) {
        elf_scan(m, &debug.symtab, ELF_FROM_DEBUG, pending, count);
        elf_file_close(&debug);
    }
    elf_file_close(&file);
}

size_t elf_find_symbols(const struct elf_module *module, struct elf_query *queries, size_t n)
{
    return elf_find_symbols_after(module, queries, n, NULL);
}

size_t elf_find_symbols_after(const struct elf_module *module, struct elf_query *queries, size_t n,
                              struct elf_folder *last)
{
    size_t found = 0;

    for (size_t i = 0; i < n; i++) {
        struct elf_query *q = &queries[i];

        memset(&q->found, 0, sizeof q->found);
        if (!q->file &&
            elf_dynsym_find_hashed(module, q->name, q->hash ? q->hash : elf_name_hash(q->name),
                                   NULL, q->want, &q->found))
            elf_follow_copy(module, q);
    }
    for (size_t i = 0; i < n; i += BATCH_MAX)
        elf_find_in_files(module, queries + i, n - i < BATCH_MAX ? n - i : BATCH_MAX, last);
    for (size_t i = 0; i < n; i++)
        found += queries[i].found.matches > 0;
    return found;
}

bool elf_find_symbol(const struct elf_module *module, const char *name, const char *file,
                     unsigned want, struct elf_symbol *out)
{
    struct elf_query q = {.name = name, .file = file, .want = want};

    if (!elf_find_symbols(module, &q, 1))
        return false;
    if (out)
        *out = q.found;
    return true;
}

bool elf_has_symbol(const struct elf_module *module, const char *name)
{
    return elf_find_symbol(module, name, NULL, ELF_ANY, NULL);
}

/* For messages: every table there is, one after the other. */

typedef void elf_table_visit(const struct elf_module *m, const struct elf_table *table,
                             enum elf_source source, void *arg);

static void elf_each_table(const struct elf_module *m, elf_table_visit *visit, void *arg)
{
    struct elf_file file, debug;
    struct elf_table dynsym = elf_module_table(m);

    elf_file_open_module(m, &file);
    if (file.symtab.count)
        visit(m, &file.symtab, ELF_FROM_SYMTAB, arg);
    else {
        visit(m, &dynsym, ELF_FROM_DYNSYM, arg);
        if (elf_file_open_debug(m, &file, NULL, &debug)) {
            visit(m, &debug.symtab, ELF_FROM_DEBUG, arg);
            elf_file_close(&debug);
        }
    }
    elf_file_close(&file);
}

/* Without its version, which some linkers write behind the name of each symbol that has one, all of them behind those of .symver. */
static void elf_copy_name(char *buf, size_t n, const char *name)
{
    const char *version = strchr(name, '@');
    size_t len = version ? (size_t)(version - name) : strlen(name);

    if (!n)
        return;
    len = len < n ? len : n - 1;
    memcpy(buf, name, len);
    buf[len] = '\0';
}

struct elf_near {
    const char *name;
    size_t len;
    unsigned want, best;
    char *buf;
    size_t n;
};

static void elf_visit_near(const struct elf_module *m, const struct elf_table *table,
                           enum elf_source source, void *arg)
{
    struct elf_near *near = arg;
    struct elf_cursor cursor = {.table = table, .want = near->want};
    const char *name;

    while (near->best && elf_cursor_next(&cursor, &name)) {
        char cut[ELF_FULL];
        unsigned distance;
        size_t len;

        if (strchr(name, '@')) {
            elf_copy_name(cut, sizeof cut, name);
            name = cut;
        }
        len = strlen(name);
        if (len > near->len && name[near->len] == '.' && memcmp(name, near->name, near->len) == 0)
            distance = 0; /* the compiler's clone: nothing is nearer */
        else if (len > near->len + near->best || near->len > len + near->best)
            continue;
        else
            distance = config_name_distance(name, near->name);
        if (distance >= near->best)
            continue;
        near->best = distance;
        elf_copy_name(near->buf, near->n, name);
    }
}

bool elf_nearest(const struct elf_module *module, const char *name, unsigned want, char *buf,
                 size_t n)
{
    struct elf_near near = {.name = name, .len = strlen(name), .want = want, .buf = buf, .n = n};
    unsigned limit;

    limit = near.best = (unsigned)near.len / 3 + 1;
    elf_each_table(module, elf_visit_near, &near);
    return near.best < limit;
}

struct elf_nearby {
    uintptr_t address;
    unsigned want;
    struct elf_symbol *out;
    char *buf;
    size_t n;
};

static void elf_visit_nearby(const struct elf_module *m, const struct elf_table *table,
                             enum elf_source source, void *arg)
{
    struct elf_nearby *at = arg;
    struct elf_cursor cursor = {.table = table, .want = at->want};
    const elf_file_sym *sym;
    const char *name;

    while ((sym = elf_cursor_next(&cursor, &name))) {
        struct elf_symbol s;

        /* Assembly gives no sizes: such a symbol holds its first byte only. */
        if (at->address - m->base - sym->st_value >= (sym->st_size ? sym->st_size : 1) ||
            !elf_symbol_fill(m, sym->st_info, sym->st_shndx, sym->st_value, sym->st_size, source,
                             &s) ||
            at->address < s.value)
            continue;
        if (at->out->matches && (at->out->value > s.value ||
                                 (at->out->value == s.value && (!at->out->is_local || s.is_local))))
            continue;
        *at->out = s;
        elf_copy_name(at->buf, at->n, name);
    }
}

bool elf_symbol_at(const void *address, unsigned want, struct elf_symbol *out, char *buf, size_t n)
{
    struct elf_nearby at = {(uintptr_t)address, want & ~(unsigned)ELF_TLS, out, buf, n};
    struct elf_module module;

    memset(out, 0, sizeof *out);
    if (!elf_module_at(address, &module))
        return false;
    elf_each_table(&module, elf_visit_nearby, &at);
    return out->matches;
}

bool elf_function_at(const void *address, uintptr_t *start, uintptr_t *end, char *buf, size_t n)
{
    struct elf_symbol symbol;

    if (!elf_symbol_at(address, ELF_FUNC, &symbol, buf, n))
        return false;
    *start = symbol.value;
    *end = symbol.value + symbol.size;
    return true;
}
