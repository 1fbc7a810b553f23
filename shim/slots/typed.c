/*
 * tls:NAME,codec=FILE.so[:PREFIX]: thread_local objects of C++, by functions that know their type
 * (include/baton_codec.h). A context keeps a copy that the codec made; an attach gives it to the thread's own
 * object and keeps a copy of what that was.
 *
 * Before an object is touched its thread must have made it, or its destructor would not be registered: by the
 * initialiser of the variable (_ZTH) or of its file (__tls_init), which does nothing the second time,
 * or, for a variable of a function, by the codec where the guard (_ZGV) says that it was not. A thread that
 * has not run that function has nothing to capture.
 */
#include "baton_codec.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

#include "base/arch.h"
#include "base/infile.h"
#include "base/log.h"
#include "base/mem.h"
#include "elf/elf.h"
#include "slots/slots.h"
#include "slots/typed.h"

enum { NAME_SIZE = 512 };

struct typed {
    char *file; /* of the codec, then its prefix */
    const char *prefix;
    baton_codec_construct *construct;
    baton_codec_clone *clone;
    baton_codec_assign *assign;
    baton_codec_destroy *destroy;
    void (*initialise)(void); /* _ZTH or __tls_init; NULL: there is a guard */
    size_t guard_offset;
    char text[];
};

struct typed *typed_new(const char *file, const char *prefix)
{
    struct typed *typed = mem_alloc(sizeof *typed + strlen(file) + strlen(prefix) + 2);

    if (typed) {
        typed->file = strcpy(typed->text, file);
        typed->prefix = strcpy(typed->text + strlen(file) + 1, prefix);
    }
    return typed;
}

static void *codec_function(void *library, const struct typed *typed, const char *what)
{
    char name[NAME_SIZE];

    fmt_buf(name, sizeof name, "%s_%s", typed->prefix, what);
    return dlsym(library, name);
}

static const char *load(struct typed *typed, const char *item)
{
    const char *why =
        infile_distrust(typed->file); /* it may have changed since the setting was read */
    void *library = why ? NULL : dlopen(typed->file, RTLD_NOW | RTLD_LOCAL);

    if (why)
        return why;
    if (!library) {
        log_msg(LOG_LEVEL_INFO, "%s: %s", item, elf_open_error());
        return "its codec cannot be loaded (BATON_LOG=info says more)";
    }
    typed->construct = (baton_codec_construct *)codec_function(library, typed, "construct");
    typed->clone = (baton_codec_clone *)codec_function(library, typed, "clone");
    typed->assign = (baton_codec_assign *)codec_function(library, typed, "assign");
    typed->destroy = (baton_codec_destroy *)codec_function(library, typed, "destroy");
    return typed->construct && typed->clone && typed->assign && typed->destroy
               ? NULL
               : "its codec lacks PREFIX_construct, _clone, _assign or _destroy";
}

/* What makes the object in a thread: a guard, or a function. False: nobody knows. */
static bool find_maker(const struct slot *slot, const struct elf_module *module,
                       struct elf_symbol *guard, struct elf_symbol *initialiser)
{
    const char *name = slot->tls.name;
    bool is_mangled = !strncmp(name, "_Z", 2);
    char text[NAME_SIZE];

    initialiser->matches = 0;
    if (is_mangled)
        fmt_buf(text, sizeof text, "_ZGV%s", name + 2);
    else
        fmt_buf(text, sizeof text, "_ZGV%u%s", (unsigned)strlen(name), name);
    if (elf_find_symbol(module, text, slot->tls.file, ELF_TLS, guard) && guard->matches == 1)
        return true;
    memcpy(text, "_ZTH", 4);
    return (elf_find_symbol(module, text, NULL, ELF_FUNC, initialiser) ||
            elf_find_symbol(module, "__tls_init", slot->tls.file, ELF_FUNC, initialiser)) &&
           initialiser->matches == 1;
}

const char *typed_reason(const struct slot *slot, const struct elf_module *module)
{
    struct elf_symbol guard, initialiser;

    return find_maker(slot, module, &guard, &initialiser)
               ? NULL
               : "no initialiser and no guard: a plain variable needs no codec; where several "
                 "files "
                 "have one, say which with #FILE.cc";
}

const char *typed_bind(struct slot *slot, const struct elf_module *module,
                       const struct elf_symbol *symbol)
{
    struct elf_symbol guard, initialiser;
    struct typed *typed = slot->tls.typed;
    const char *reason;

    if (!find_maker(slot, module, &guard, &initialiser))
        return typed_reason(slot, module);
    reason = load(typed, slot->item);
    if (reason)
        return reason;
    if (initialiser.matches)
        typed->initialise = (void (*)(void))elf_symbol_address(&initialiser);
    else
        typed->guard_offset = guard.value;
    slot->tls.module_id = module->tls_modid;
    slot->tls.tls_offset = symbol->value;
    slot->is_fixed = elf_tls_tp_offset(module, symbol->value, &slot->tp_offset);
    return NULL;
}

static char *place_of(const struct slot *slot, size_t offset)
{
    return slot->is_fixed
               ? arch_tp() + slot->tp_offset + ((intptr_t)offset - (intptr_t)slot->tls.tls_offset)
               : elf_tls_address(slot->tls.module_id, offset);
}

/* The calling thread's object. NULL: it has none, and none is wanted. */
static void *object_of(const struct slot *slot, bool is_wanted)
{
    const struct typed *typed = slot->tls.typed;
    void *at = place_of(slot, slot->tls.tls_offset);
    char *guard;

    if (typed->initialise) {
        typed->initialise();
        return at;
    }
    guard = place_of(slot, typed->guard_offset);
    if (*guard)
        return at;
    if (!is_wanted)
        return NULL;
    typed->construct(at);
    *guard = 1;
    return at;
}

static void *copy_of(const struct slot *slot)
{
    const void *at = object_of(slot, false);

    return at ? slot->tls.typed->clone(at) : NULL;
}

static void give(const struct slot *slot, const void *captured)
{
    void *at = object_of(slot, captured != NULL);

    if (at)
        slot->tls.typed->assign(at, captured);
}

bool typed_hold(const struct slot *slot, void **owned)
{
    int saved_errno = errno;

    *owned = copy_of(slot);
    errno = saved_errno;
    return *owned != NULL;
}

bool typed_lend(const struct slot *slot, void *owned, void **borrowed)
{
    int saved_errno = errno;

    *borrowed = copy_of(slot);
    give(slot, owned);
    errno = saved_errno;
    return true;
}

/* At a thread's end its object is ended by its own destructor, with whatever is in it. */
void typed_reclaim(const struct slot *slot, void *borrowed, bool is_thread)
{
    int saved_errno = errno;

    if (!is_thread)
        give(slot, borrowed);
    if (borrowed)
        slot->tls.typed->destroy(borrowed);
    errno = saved_errno;
}

void typed_let_go(const struct slot *slot, void *owned)
{
    int saved_errno = errno;

    slot->tls.typed->destroy(owned);
    errno = saved_errno;
}

bool typed_can_exchange(const struct slot *slot)
{
    return true;
}

void typed_exchange(const struct slot *slot, void **state)
{
    int saved_errno = errno;
    void *mine = copy_of(slot);

    give(slot, *state);
    if (*state)
        slot->tls.typed->destroy(*state);
    *state = mine;
    errno = saved_errno;
}
