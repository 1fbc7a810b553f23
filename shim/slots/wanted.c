/*
 * The names that adapters want: functions, objects and thread-local variables, hidden and static ones too.
 *
 * Rules: what the adapter has itself is a copy that nobody else sees, and is not taken; what is found stays
 * loaded. Nothing of the adapter's is called.
 */
#include "slots/wanted.h"

#include "base/log.h"
#include "elf/elf.h"
#include "slots/kind.h"
#include "slots/slots.h"

enum { WANTED_MAX = 16, WHY_SIZE = 256 };

static void *thread_local_at(const struct baton_adapter_wanted *wanted)
{
    return elf_tls_address(wanted->tls_module, wanted->tls_offset);
}

static bool is_found(const struct baton_adapter_wanted *wanted)
{
    return wanted->kind == BATON_ADAPTER_THREAD_LOCAL ? wanted->at != NULL
                                                      : wanted->address != NULL;
}

static unsigned kind_of(const struct baton_adapter_wanted *wanted)
{
    return wanted->kind == BATON_ADAPTER_THREAD_LOCAL ? ELF_TLS
           : wanted->kind == BATON_ADAPTER_FUNCTION   ? ELF_FUNC
                                                      : ELF_OBJECT;
}

static void take(struct baton_adapter_wanted *wanted, const struct elf_search *search)
{
    const struct elf_symbol *found = &search->query.found;

    slot_pin((const void *)search->where.lo);
    if (wanted->kind != BATON_ADAPTER_THREAD_LOCAL) {
        wanted->address = elf_symbol_address(found);
        return;
    }
    wanted->tls_module = search->where.tls_modid;
    wanted->tls_offset = found->value;
    wanted->at = thread_local_at;
}

/* NULL: it was taken, or may be missing. */
static const char *take_if_right(struct baton_adapter_wanted *wanted,
                                 const struct elf_search *search, const struct elf_module *own)
{
    static char why[WHY_SIZE];
    const struct elf_symbol *found = &search->query.found;
    const char *what = NULL;

    if (!found->matches)
        what = "is not in the program or its libraries yet";
    else if (search->where.lo == own->lo)
        what = "is in the adapter alone, and such a copy is nobody's";
    else if (found->matches > 1)
        what = "is ambiguous: several static ones have that name";
    if (!what) {
        take(wanted, search);
        return NULL;
    }
    if (wanted->is_optional)
        return NULL;
    fmt_buf(why, sizeof why, "%s, which the adapter wants, %s", wanted->name, what);
    return why;
}

const char *wanted_find(const struct baton_adapter *table)
{
    struct elf_search searches[WANTED_MAX];
    struct baton_adapter_wanted *of[WANTED_MAX];
    struct elf_module own = {.lo = 0};
    const char *why = NULL;
    unsigned count = 0;

    if (table->wanted_count > WANTED_MAX || !table->wanted)
        return "its list of wanted names has more than 16, or is not there";
    (void)elf_module_at(table, &own);
    for (unsigned i = 0; i < table->wanted_count; i++) {
        struct baton_adapter_wanted *wanted = &table->wanted[i];

        if (!wanted->name || is_found(wanted))
            continue;
        of[count] = wanted;
        searches[count++] = (struct elf_search){
            .module = wanted->module, .query = {.name = wanted->name, .want = kind_of(wanted)}};
    }
    if (count)
        elf_search_modules(searches, count, NULL);
    for (unsigned i = 0; i < count; i++) {
        const char *missing = take_if_right(of[i], &searches[i], &own);

        if (!why)
            why = missing;
    }
    return why;
}
