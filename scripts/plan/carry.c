/*
 * Items of BATON_CARRY, looked for in the program's files: where the variable or function is, or what
 * names are near. What only shows when the program runs is said to.
 */
#include <stdio.h>
#include <string.h>

#include "plan.h"
#include "base/log.h"
#include "slots/kind.h"
#include "slots/slots.h"
#include "slots/storage.h"
#include "slots/typed.h"
#include "told.h"

static bool is_meant(const struct module *module, const char *user)
{
    return !user || elf_module_match(&module->elf, user);
}

static bool say_missing(const char *name, const char *user_module, unsigned want)
{
    char why[600];
    bool is_known = explain_missing(name, user_module, want, why, sizeof why);

    told(stdout, "    %s: not found%s%s\n", name,
         is_known ? ": " : "; a library that is opened later may have it", is_known ? why : "");
    return false;
}

/* What the library will refuse when it loads the user's codec. NULL: nothing. Nothing of it is run. */
static const char *codec_reason(const struct slot *slot, size_t size)
{
    static const char *const parts[] = {"construct", "clone", "assign", "destroy"};
    bool is_storage = slot->kind == &slot_kind_storage;
    const char *prefix, *reason = NULL;
    const char *file = is_storage ? storage_codec(slot, &prefix) : typed_codec(slot, &prefix);
    unsigned count = modules_count;
    const struct elf_module *codec;
    struct elf_symbol symbol;
    char name[512];

    if (!file)
        return NULL;
    if (!modules_add(file) || modules_count == count)
        return "its codec cannot be loaded";
    codec = &modules[modules_count - 1].elf;
    for (unsigned i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (is_storage && i % 2 == 0)
            continue; /* a copy is made and ended, nothing else */
        fmt_buf(name, sizeof name, "%s_%s", prefix, parts[i]);
        if (!elf_dynsym_find(codec, name, NULL, ELF_ANY, &symbol))
            reason = TYPED_LACKS_FUNCTIONS;
    }
    fmt_buf(name, sizeof name, "%s_size", prefix);
    if (!reason && !is_storage && size && elf_dynsym_find(codec, name, NULL, ELF_OBJECT, &symbol) &&
        *(const unsigned long *)symbol.value != size)
        reason = TYPED_OTHER_SIZE;
    modules_count--; /* it is not the program's */
    return reason;
}

/* One name of SLOT; NULL: of its policy, whose functions may be anybody's. */
static bool check_name(const struct slot *slot, const char *name, const char *user_module,
                       const char *file, unsigned want)
{
    struct elf_symbol symbol, first;
    const struct module *where = NULL;
    const char *reason;
    char why[512];

    for (unsigned i = 0; i < modules_count; i++) {
        if (!is_meant(&modules[i], user_module) ||
            !elf_find_symbol(&modules[i].elf, name, file, want, &symbol))
            continue;
        if (!where || (first.is_local && !symbol.is_local)) {
            where = &modules[i];
            first = symbol;
        }
    }
    if (!where)
        return say_missing(name, user_module, want);
    /* Whose functions are called does not matter, only whose variable it is, and that nobody else is hit. */
    reason = want != ELF_FUNC       ? slot_deny_reason(name, where->elf.name)
             : slot && !slots_force ? slot_deny_function(name, where->elf.name)
                                    : NULL;
    if (reason) {
        told(stdout, "    %s: refused: %s\n", name, reason);
        return false;
    }
    if (first.is_local && first.matches > 1 && !strchr(name, '*')) {
        told(stdout, "    %s: refused: %u static ones of that name in %s\n", name, first.matches,
             where->elf.name);
        return false;
    }
    reason = slot && slot->kind->reason ? slot->kind->reason(slot, &where->elf, &first) : NULL;
    if (slot && !reason && strstr(slot->item, ",codec="))
        reason = codec_reason(slot, first.size);
    if (reason) {
        told(stdout, "    %s: refused: %s: in %s\n", name, reason, where->elf.name);
        return false;
    }
    if (slot && want == ELF_FUNC && !slots_force &&
        !fits_check(slot, name, where, first.value, why, sizeof why)) {
        told(stdout, "    %s: refused: %s\n", name, why);
        return false;
    }
    told(stdout, "    %s: found in %s, %s\n", name, where->elf.name,
         first.source == ELF_FROM_DYNSYM   ? "exported"
         : first.source == ELF_FROM_SYMTAB ? "in its symbol table"
                                           : "in its debug file");
    if (slot && slot->kind == &slot_kind_storage && (reason = storage_doubt(slot, &where->elf)))
        told(stdout, "        %s\n", reason);
    return true;
}

/* tls:MODULE+0xOFFSET:SIZE: in the program's modules, not in ours. */
static bool check_offset(const struct slot *slot)
{
    for (unsigned i = 0; i < modules_count; i++) {
        const struct elf_module *elf = &modules[i].elf;

        if (!is_meant(&modules[i], slot->tls.module) || !elf->tls_size)
            continue;
        if (slot->tls.tls_offset + slot->size <= elf->tls_size) {
            told(stdout, "    found in %s, at an offset\n", elf->name);
            return true;
        }
        told(stdout, "    refused: outside of the %zu bytes of thread-local storage of %s\n",
             elf->tls_size, elf->name);
        return false;
    }
    puts("    not found: no module of this name has thread-local storage");
    return false;
}

/* key:by=main: of the keys that are made below it only the program's own are meant (key_by.c). */
static bool check_maker(const struct slot *slot)
{
    if (strncmp(slot->item, "key:by=", 7) != 0 || strcmp(slot->key.name, "main") != 0)
        return true;
    for (unsigned i = 0; i < modules_count; i++) {
        if (modules[i].elf.is_main && (modules_imports(&modules[i], "pthread_key_create") ||
                                       modules_imports(&modules[i], "tss_create")))
            return true;
    }
    puts("    refused: the program makes no key by itself: by= names the function that does");
    return false;
}

static bool check_slot(const struct slot *slot)
{
    struct slot_meant meant[SLOT_MEANT_MAX];
    unsigned count = slot->kind->names ? slot->kind->names(slot, meant) : 0;
    bool is_fine = true;

    told(stdout, "%s\n", slot->item);
    if (!strncmp(slot->item, "tls:", 4) && slot->tls.module && !slot->tls.name)
        return check_offset(slot);
    if (slot->state == SLOT_REFUSED) {
        told(stdout, "    refused: %s\n", slot->reason);
        return false;
    }
    for (unsigned i = 0; i < count; i++)
        is_fine &= check_name(slot, meant[i].name, meant[i].module, meant[i].file, meant[i].want);
    is_fine = is_fine && check_maker(slot);
    if (slot->kind->is_adapter) {
        char text[300];

        is_fine = explain_adapter(strchr(slot->item, ':') + 1, text, sizeof text);
        told(stdout, "    %s\n", text);
    } else if (!count)
        puts(slot->kind->is_everywhere
                 ? "    kept by the C library or the system: found in every program"
                 : "    known when the program runs");
    for (unsigned i = 0; i < 2; i++) {
        if (slot->policy_name[i])
            is_fine &= check_name(NULL, slot->policy_name[i], NULL, NULL, ELF_FUNC);
    }
    return is_fine;
}

bool carry_check(void)
{
    bool is_fine = true;

    slots_begin();
    for (unsigned i = 0; i < slots_count; i++) {
        if (!slots[i].is_dormant)
            is_fine &= check_slot(&slots[i]);
    }
    return is_fine;
}
