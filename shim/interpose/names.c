/*
 * Names of ours that the loader is not to find, because their library is not loaded: a caller that looks one up gets
 * the loader's own answer, and its own error (dlerror).
 *
 * A reference that is bound asks early.c. dlsym could do so too, but would answer nothing without saying
 * why. So a name that is looked up in vain is taken out of the table that the loader reads (early.c), until
 * something is opened that may bring it.
 */
#include "interpose/names.h"

#include <stdatomic.h>
#include <string.h>

#include "interpose/early.h"
#include "interpose/next.h"

static atomic_bool are_hidden;

static elf_sym *find_symbol(const char *name)
{
    for (size_t i = early_names.first; early_names.is_writable && i < early_names.end; i++) {
        if (!strcmp(early_names.strings + early_names.symbols[i].st_name, name))
            return &early_names.symbols[i];
    }
    return NULL;
}

/* The loader passes by what has no value. */
static ElfW(Addr) take_value(elf_sym *symbol)
{
    return __atomic_exchange_n(&symbol->st_value, 0, __ATOMIC_SEQ_CST);
}

static void give_value(elf_sym *symbol, ElfW(Addr) value)
{
    if (value) /* else another thread has it, and gives it back */
        __atomic_store_n(&symbol->st_value, value, __ATOMIC_SEQ_CST);
}

enum names_place names_look(enum hook_id id)
{
    ElfW(Addr) value;
    elf_sym *symbol;

    if (early_is_startup(
            id)) /* with a version that only old programs ask for: not for somebody who looks it up */
        return next_find_startup(hooks_name(id)) ? NAME_IS_THERE : NAME_IS_SOMEBODYS;
    symbol = find_symbol(hooks_name(id));
    if (!symbol || (symbol->st_info & 15) != STT_GNU_IFUNC)
        return NAME_IS_THERE;
    if (early_is_there(id))
        return NAME_IS_SOMEBODYS;
    value = take_value(symbol);
    if (value)
        symbol->st_size = value; /* which nobody reads there */
    atomic_store(&are_hidden, true);
    return NAME_IS_ABSENT;
}

void names_show(void)
{
    if (!atomic_load(&are_hidden) || !atomic_exchange(&are_hidden, false))
        return;
    for (size_t i = early_names.first; i < early_names.end; i++) {
        elf_sym *symbol = &early_names.symbols[i];

        if ((symbol->st_info & 15) == STT_GNU_IFUNC && !symbol->st_value) {
            give_value(symbol, symbol->st_size);
            symbol->st_size = 0;
        }
    }
}

void *names_look_without_us(enum hook_id id, void *(*look_up)(void *handle, const char *name),
                            void *handle)
{
    elf_sym *symbol = find_symbol(hooks_name(id));
    ElfW(Addr) value = symbol ? take_value(symbol) : 0;
    void *answer = look_up(handle, hooks_name(id));

    if (symbol)
        give_value(symbol, value);
    return answer;
}
