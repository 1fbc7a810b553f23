/*
 * Why a thread-local variable is not carried by its bytes: what is an object of C++ or Rust, what is the compiler's
 * own, and what cannot be told from its namesakes. Asked of what has been found, by its names alone.
 */
#include "slots/tls_reason.h"

#include <string.h>

#include "base/log.h"
#include "elf/file.h"
#include "slots/kind.h"
#include "slots/slots.h"
#include "slots/typed.h"

/*
 * A thread_local with a constructor or destructor must not be copied as bytes: two threads would
 * destroy one object. The compiler leaves an initialiser (_ZTH) or a guard (_ZGV) for it; a static
 * one has only its file's __tls_init, which says that some variable of some file is an object: then
 * what is larger than a word is taken for one.
 */
static bool is_cxx_object(const struct elf_module *module, const char *name,
                          const struct elf_symbol *symbol)
{
    bool is_mangled = !strncmp(name, "_Z", 2);
    char initialiser[256], guard[256];
    struct elf_query others[] = {{.name = initialiser, .want = ELF_ANY},
                                 {.name = guard, .want = ELF_ANY},
                                 {.name = "__tls_init", .want = ELF_ANY}};
    size_t count = symbol->is_local && symbol->size > sizeof(void *) && is_mangled ? 3 : 2;

    if (is_mangled) {
        fmt_buf(initialiser, sizeof initialiser, "_ZTH%s", name + 2);
        fmt_buf(guard, sizeof guard, "_ZGV%s", name + 2);
    } else {
        fmt_buf(initialiser, sizeof initialiser, "_ZTH%u%s", (unsigned)strlen(name), name);
        fmt_buf(guard, sizeof guard, "_ZGV%u%s", (unsigned)strlen(name), name);
    }
    return elf_find_symbols(module, others, count) > 0;
}

/*
 * What the variable begins with, of eight bytes: a number that is all ones, which is how a file descriptor that may be
 * missing is none (Option<OwnedFd>), and a state that has not begun? Where it begins with zeros nothing is known.
 */
static bool is_missing_and_state(const struct elf_module *module, const struct elf_symbol *symbol)
{
    for (size_t i = 0; i < module->phnum; i++) {
        const elf_phdr *image = &module->phdr[i];
        uint32_t halves[2];

        if (image->p_type != PT_TLS || symbol->value > image->p_filesz ||
            image->p_filesz - symbol->value < sizeof halves ||
            !elf_module_holds(module, module->base + image->p_vaddr, image->p_filesz))
            continue;
        memcpy(halves, (const char *)(module->base + image->p_vaddr) + symbol->value,
               sizeof halves);
        return halves[0] == UINT32_MAX && !halves[1];
    }
    return false;
}

/*
 * thread_local! of Rust: one name for all types, and neither initialiser nor guard. What has a Drop keeps its
 * state beside the value, so a plain word that is no key of an older standard library is harmless; what
 * is larger may be an object, and copying it would end it twice. So may be eight bytes that do not lie as a word does:
 * four and a state. Where those happen to, what they begin with may tell, or else debug information only (limits of the guide).
 */
static bool is_rust_object(const struct elf_module *module, const char *name,
                           const struct elf_symbol *symbol)
{
    const char *value = strstr(name, "__getit3VAL");
    char state[512];
    struct elf_query query = {.name = state, .want = ELF_TLS};

    if (strncmp(name, "_ZN", 3) != 0 && strncmp(name, "_R", 2) != 0)
        return false;
    if (strstr(name, "__getit5__KEY") || strstr(name, "___KEY"))
        return true;
    if (strstr(name, "__RUST_STD_INTERNAL_VAL"))
        return symbol->size > sizeof(void *) ||
               (symbol->size == sizeof(void *) &&
                (symbol->value % sizeof(void *) || is_missing_and_state(module, symbol)));
    if (!value)
        return false;
    /* It has a hash of its own. */
    fmt_buf(state, sizeof state, "%.*s__getit5STATE*", (int)(value - name), name);
    return symbol->size > sizeof(void *) || elf_find_symbols(module, &query, 1) > 0;
}

const char *tls_whole_name(const struct slot *slot, const struct elf_module *module, char *full)
{
    struct elf_query query = {
        .name = slot->tls.name, .file = slot->tls.file, .want = ELF_TLS, .full = full};

    if (!slot->tls.name || !strchr(slot->tls.name, '*'))
        return slot->tls.name;
    full[0] = '\0';
    elf_find_symbols(module, &query, 1);
    return full;
}

/*
 * The compiler's guard of a variable, which says whether the thread has constructed it: a task would find another
 * thread's object constructed that its own is not. Names what was meant, where there is room.
 */
static const char *guard_reason(const char *name)
{
    static char text[160]; /* of the first such item */
    const char *guarded = name + 4, *rest = guarded;
    size_t length = 0;

    if (strncmp(name, "_ZGV", 4) != 0)
        return NULL;
    while (*rest >= '0' && *rest <= '9')
        length = length * 10 + (size_t)(*rest++ - '0');
    if (text[0] || strlen(guarded) > sizeof text - 64)
        return "the compiler's guard of a variable, which says whether that is constructed";
    /* At global scope a variable has its plain name. */
    fmt_buf(text, sizeof text, "the compiler's guard, which says whether %s%s is constructed",
            length && strlen(rest) == length ? "" : "_Z",
            length && strlen(rest) == length ? rest : guarded);
    return text;
}

/* Names one of them, where there is room. */
static const char *many_reason(const char *name)
{
    static char text[224]; /* of the first such item */

    if (text[0] || strlen(name) > sizeof text - 64)
        return "several variables have such a name: give more of it";
    fmt_buf(text, sizeof text, "several variables have such a name: give more of it, as in %s",
            name);
    return text;
}

const char *tls_reason(const struct slot *slot, const struct elf_module *module,
                       const struct elf_symbol *symbol)
{
    char full[ELF_FULL];
    const char *name = tls_whole_name(slot, module, full);
    const char *reason = slot_deny_reason(name, module->name);

    if (name != slot->tls.name && symbol->matches > 1)
        return many_reason(name);
    if (symbol->is_local && symbol->matches > 1)
        return "several static variables have this name: say which with #FILE.c";
    if (slot->tls.typed)
        return typed_reason(slot, module, symbol);
    if (slots_force || reason)
        return slots_force ? NULL : reason;
    if ((reason = guard_reason(name)))
        return reason;
    if (is_cxx_object(module, name, symbol))
        return "a C++ object with a constructor or destructor: bytes cannot be shared "
               "(codec=string, shared_ptr, map-string-string or /FILE.so[:PREFIX])";
    if (is_rust_object(module, name, symbol))
        return "a thread_local of Rust that may have a Drop: bytes cannot be shared "
               "(BATON_FORCE=on if it has none)";
    return NULL;
}
