/*
 * One item of BATON_HOOKS: where its function is, and by which means it can be reached. Whatever is
 * not certain is refused with the reason, and with the names that would be.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "plan.h"

static void refuse(struct decision *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void refuse(struct decision *out, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(out->row.reason, sizeof out->row.reason, format, args);
    va_end(args);
    out->row.by = HOW_AUTO;
}

static void say_missing(const struct named_spec *spec, struct decision *out)
{
    char clones[160], why[400];

    out->is_missing = true;
    for (unsigned i = 0; i < modules_count; i++) {
        if (spec->module && !elf_module_match(&modules[i].elf, spec->module))
            continue;
        if (modules_clones(&modules[i], spec->function, 0, clones, sizeof clones)) {
            out->is_missing = false;
            refuse(out,
                   "the compiler has made clones of it, which may have other arguments: %s in %s; "
                   "name one to hook it",
                   clones, modules[i].elf.name);
            return;
        }
    }
    if (explain_missing(spec->function, spec->module, ELF_FUNC, why, sizeof why)) {
        refuse(out, "no function of that name; %s", why);
        return;
    }
    refuse(out, "no function of that name%s",
           spec->module ? " in such a module" : "; a library that is opened later may have it");
}

/* A function that a library exports: the loader decides who is called. */
static bool is_reached_by_name(const struct module *module, const char *name)
{
    return !module->elf.is_main && modules_exports(module, name);
}

static void plan_code(const struct named_spec *spec, const struct module *module,
                      const struct elf_symbol *symbol, struct decision *out)
{
    char clones[160], twin[128];

    if (module->is_later) {
        refuse(out,
               "it is inside of %s, which the program opens while it runs: only what it calls by "
               "name is seen",
               module->elf.name);
        return;
    }
    if (spec->is_outside) {
        refuse(out, "the option outside leaves its code alone, and %s is not called by name",
               spec->function);
        return;
    }
    if (elf_module_is_go(&module->elf)) {
        refuse(out, "%s is a Go program: its functions run on stacks of their own",
               module->elf.name);
        return;
    }
    if (symbol->is_local && symbol->matches > 1) {
        refuse(out, "%u static functions of that name in %s: say which by #FILE.c", symbol->matches,
               module->elf.name);
        return;
    }
    if (symbol->is_local && spec_relies_on_arguments(spec) && !spec->is_unsafe &&
        !modules_was_global(module, spec->function, symbol->value) &&
        !modules_is_in_table(module, symbol->value)) {
        refuse(out,
               "it is static in %s, so the compiler may have changed its arguments; the option "
               "unsafe hooks it all the same",
               module->elf.name);
        return;
    }
    if (modules_clones(module, spec->function, symbol->value, clones, sizeof clones)) {
        if (!spec->is_unsafe) {
            refuse(out,
                   "%s stands beside it in %s: calls of that would be missed; the option unsafe "
                   "hooks it all the same",
                   clones, module->elf.name);
            return;
        }
        snprintf(out->note, sizeof out->note, "calls of %s are not seen", clones);
    }
    if (symbol->is_ifunc) {
        refuse(out, "it is an indirect function: the loader chooses its code");
        return;
    }
    if (patch_plan(module, symbol->value, symbol->size, &out->patch, out->row.reason,
                   sizeof out->row.reason))
        out->row.by = HOW_PATCH;
    if (!out->note[0] && modules_twin(module, spec->function, symbol->value, twin, sizeof twin))
        snprintf(out->note, sizeof out->note, "calls of %s are hooked too: it is the same code",
                 twin);
}

#define HOOK(family, type, name, params) #name,
static const char *const own_hooks[] = {
#include "interpose/hooks.def"
};
#undef HOOK

/* Two in front of one function would both hand its work over. */
static bool is_own_hook(const char *name)
{
    for (size_t i = 0; i < sizeof own_hooks / sizeof *own_hooks; i++) {
        if (!strcmp(own_hooks[i], name))
            return true;
    }
    return false;
}

static void list_module(char *list, size_t size, const char *name)
{
    size_t length = strlen(list);

    snprintf(list + length, size - length, "%s%s", length ? ", " : "", name);
}

void decide(const struct named_spec *spec, const struct module *only, struct decision *out)
{
    struct elf_symbol symbol, first;
    const struct module *where = NULL;
    char local_in[PLAN_REASON / 2] = "";
    unsigned modules_with_local = 0;
    bool is_imported = false;

    memset(out, 0, sizeof *out);
    out->spec = *spec;
    if (is_own_hook(spec->function)) {
        refuse(out, "baton hooks this function itself");
        return;
    }
    for (unsigned i = 0; i < modules_count; i++) {
        is_imported |= modules_imports(&modules[i], spec->function);
        if ((only && &modules[i] != only) ||
            (spec->module && !elf_module_match(&modules[i].elf, spec->module)) ||
            (!elf_find_symbol(&modules[i].elf, spec->function, spec->file, ELF_FUNC, &symbol) &&
             !offset_find(&modules[i], spec->function, &symbol)))
            continue;
        modules_with_local += symbol.is_local;
        if (symbol.is_local)
            list_module(local_in, sizeof local_in, modules[i].elf.name);
        if (!where || (first.is_local && !symbol.is_local)) {
            where = &modules[i];
            first = symbol;
        }
    }
    if (!where && spec->how == HOW_SYMBOL) {
        out->row.by = HOW_SYMBOL;
        snprintf(out->row.module, sizeof out->row.module, "a library that is opened later");
        snprintf(out->note, sizeof out->note,
                 "the name is there from the start: a program that asks whether it is will see it");
        return;
    }
    if (!where) {
        if (is_imported && !spec->module && (spec->how == HOW_AUTO || spec->how == HOW_SYMBOL)) {
            refuse(out, "it is asked for but defined by no library of the program");
            return;
        }
        say_missing(spec, out);
        return;
    }
    snprintf(out->row.module, sizeof out->row.module, "%s", where->elf.name);
    out->where = where;
    out->address = first.value;
    if (first.is_local && modules_with_local > 1) {
        refuse(out, "static functions of that name in %u modules: say which by @MODULE: %s",
               modules_with_local, local_in);
        return;
    }
    if (spec_replaces_callback(spec) && !spec->is_unsafe && modules_checks_calls(where)) {
        refuse(out,
               "%s checks what it calls (cfi-icall), which a callback that is replaced fails; the "
               "option unsafe hooks it all the same",
               where->elf.name);
        return;
    }
    switch (spec->how) {
    case HOW_GOT:
        out->row.by = HOW_GOT;
        if (!is_imported)
            refuse(out,
                   "no module calls it through a pointer of the loader: how=patch would reach it");
        return;
    case HOW_SYMBOL:
        out->row.by = HOW_SYMBOL;
        if (!is_reached_by_name(where, spec->function))
            refuse(out, "%s in %s is not called by name: how=patch would reach it", spec->function,
                   where->elf.name);
        return;
    case HOW_PATCH:
        plan_code(spec, where, &first, out);
        return;
    case HOW_AUTO:
        if (is_reached_by_name(where, spec->function)) {
            if (!where->is_later && !spec->is_outside &&
                (modules_calls_directly(where, first.value) ||
                 modules_is_in_table(where, first.value))) {
                plan_code(spec, where, &first, out);
                if (out->row.by == HOW_PATCH)
                    return;
                snprintf(out->note, sizeof out->note, "calls inside %s are not seen: %.150s",
                         where->elf.name, out->row.reason);
                snprintf(out->row.reason, sizeof out->row.reason, "%.190s", out->note);
            }
            out->row.by = HOW_SYMBOL;
            if (!is_imported && !spec->is_outside && !out->note[0])
                snprintf(
                    out->note, sizeof out->note,
                    "no module of the program calls it by name; calls inside %s need how=patch",
                    where->elf.name);
        } else {
            plan_code(spec, where, &first, out);
        }
    }
}
