/*
 * tls:NAME,codec=...: thread_local objects of C++, by functions that know their type (include/baton_codec.h): a
 * file of the user's, or for types of the standard library one of ours, built with that library (typed_known.c).
 * A context keeps a copy that the codec made; an attach exchanges it for what the thread's own object has.
 *
 * Before an object is touched its thread must have made it, or its destructor would not be registered: by the
 * initialiser of the variable (_ZTH) or of its file (__tls_init), which does nothing the second time,
 * or, for a variable of a function, by the codec where the guard (_ZGV) says that it was not. A thread that
 * has not run that function has nothing to capture.
 *
 * And once the destructor has run, the object is nobody's: at our first touch in a thread a destructor of ours
 * is registered, which runs before the object's, and says so in a key of ours (two bits an object: so no
 * memory is needed, and none of the threads that carry none).
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
#include "slots/kind.h"
#include "slots/slots.h"
#include "slots/typed.h"

enum {
    NAME_SIZE = 512,
    TYPED_MAX = 31, /* two bits each in a word */
    KEYS_CHEAP = 32 /* values of later keys are allocated */
};

struct typed {
    char *file; /* of the codec, then its prefix */
    const char *prefix;
    const struct typed_known
        *known; /* one of ours: `file` is the folder of this library; or NULL */
    baton_codec_construct *construct;
    baton_codec_clone *clone;
    baton_codec_assign *assign;
    baton_codec_destroy *destroy;
    baton_codec_exchange *exchange; /* may be NULL */
    void (*initialise)(void);       /* _ZTH or __tls_init; NULL: there is a guard */
    size_t guard_offset;
    unsigned touched, ended; /* places of its bits */
    char text[];
};

/* Objects of this thread that were touched, and those that are gone, as a number in a key's value. */
static const struct slots_calls *calls;
static pthread_key_t bits_key;
static unsigned bits_used;
static int (*at_thread_end)(void (*run)(void *), void *arg, void *module);

struct typed *typed_new(const char *file, const char *prefix, const struct typed_known *known)
{
    struct typed *typed = mem_alloc(sizeof *typed + strlen(file) + strlen(prefix) + 2);

    if (typed) {
        typed->file = strcpy(typed->text, file);
        typed->prefix = strcpy(typed->text + strlen(file) + 1, prefix);
        typed->known = known;
    }
    return typed;
}

static void *codec_function(void *library, const struct typed *typed, const char *what)
{
    char name[NAME_SIZE];

    fmt_buf(name, sizeof name, "%s_%s", typed->prefix, what);
    return elf_open_symbol(library, name);
}

static const char *open_codec(const struct slot *slot, const struct elf_module *module,
                              const struct elf_symbol *symbol, void **library)
{
    const struct typed *typed = slot->tls.typed;
    char path[SLOT_FOLDER_SIZE];
    const char *why;

    if (typed->known) {
        why = typed_known_file(typed->known, module, slot, symbol, path + strlen(typed->file),
                               sizeof path - strlen(typed->file));
        memcpy(path, typed->file, strlen(typed->file));
        if (why)
            return why;
    } else {
        fmt_buf(path, sizeof path, "%s", typed->file);
    }
    why = infile_distrust(path); /* it may have changed since the setting was read */
    if (why)
        return why;
    *library = elf_open(path, RTLD_NOW | RTLD_LOCAL);
    if (*library)
        return NULL;
    log_msg(LOG_LEVEL_INFO, "%s: %s", slot->item, elf_open_error());
    return "its codec cannot be loaded (BATON_LOG=info says more)";
}

static const char *load(struct slot *slot, const struct elf_module *module,
                        const struct elf_symbol *symbol)
{
    struct typed *typed = slot->tls.typed;
    baton_codec_size *size;
    void *library;
    const char *why = open_codec(slot, module, symbol, &library);

    if (why)
        return why;
    typed->construct = (baton_codec_construct *)codec_function(library, typed, "construct");
    typed->clone = (baton_codec_clone *)codec_function(library, typed, "clone");
    typed->assign = (baton_codec_assign *)codec_function(library, typed, "assign");
    typed->destroy = (baton_codec_destroy *)codec_function(library, typed, "destroy");
    typed->exchange = (baton_codec_exchange *)codec_function(library, typed, "exchange");
    size = codec_function(library, typed, "size");
    if (!typed->construct || !typed->clone || !typed->assign || !typed->destroy)
        return TYPED_LACKS_FUNCTIONS;
    return size && symbol->size && *size != symbol->size ? TYPED_OTHER_SIZE : NULL;
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

const char *typed_reason(const struct slot *slot, const struct elf_module *module,
                         const struct elf_symbol *symbol)
{
    const struct typed *typed = slot->tls.typed;
    struct elf_symbol guard, initialiser;
    char file[64];

    if (!find_maker(slot, module, &guard, &initialiser))
        return TYPED_NO_MAKER;
    return typed->known ? typed_known_file(typed->known, module, slot, symbol, file, sizeof file)
                        : NULL;
}

const char *typed_codec(const struct slot *slot, const char **prefix)
{
    *prefix = slot->tls.typed->prefix;
    return slot->tls.typed->known ? NULL : slot->tls.typed->file;
}

/* The C library takes a key's value away before it runs the destructors of later keys, which may hand over. */
static void keep_bits(void *bits)
{
    calls->key_write(bits_key, bits);
}

/* Where the ends of threads' objects are noted. Binding is done by one thread at a time. */
static const char *take_bits(struct typed *typed)
{
    unsigned key;

    if (!bits_used) {
        at_thread_end = elf_libc("__cxa_thread_atexit_impl");
        if (!at_thread_end || !calls->key_create || calls->key_create(&key, keep_bits) != 0)
            return "this C library does not say when a thread's objects end";
        bits_key = key;
        if (key >= KEYS_CHEAP)
            return "all of the first 32 keys are taken";
    }
    if (bits_used == 2 * TYPED_MAX)
        return "31 objects by codecs are the most";
    typed->touched = bits_used++;
    typed->ended = bits_used++;
    return NULL;
}

const char *typed_bind(struct slot *slot, const struct elf_module *module,
                       const struct elf_symbol *symbol, const struct slots_calls *upwards)
{
    struct elf_symbol guard, initialiser;
    struct typed *typed = slot->tls.typed;
    const char *reason = typed_reason(slot, module, symbol);

    calls = upwards;
    if (!reason)
        reason = load(slot, module, symbol);
    if (!reason)
        reason = take_bits(typed);
    if (reason)
        return reason;
    find_maker(slot, module, &guard, &initialiser);
    if (initialiser.matches)
        typed->initialise = (void (*)(void))elf_symbol_address(&initialiser);
    else
        typed->guard_offset = guard.value;
    slot->tls.module_id = module->tls_modid;
    slot->tls.entry = ELF_TLS_ENTRY * module->tls_modid;
    slot->tls.tls_offset = symbol->value;
    slot->is_fixed = elf_tls_tp_offset(module, symbol->value, &slot->tp_offset);
    return NULL;
}

/* ---- the thread's object ---- */

static bool has_bit(unsigned bit)
{
    return (uintptr_t)calls->key_read(bits_key) >> bit & 1;
}

static void set_bit(unsigned bit)
{
    uintptr_t bits = (uintptr_t)calls->key_read(bits_key) | (uintptr_t)1 << bit;

    calls->key_write(bits_key, (void *)bits);
}

/* Destructors run last to first: this one of ours before the object's. */
static void object_ends(void *typed)
{
    set_bit(((struct typed *)typed)->ended);
}

static void *touch(struct typed *typed, void *at)
{
    if (!has_bit(typed->touched)) {
        set_bit(typed->touched);
        at_thread_end(object_ends, typed, NULL);
    }
    return at;
}

static char *place_of(const struct slot *slot, size_t offset)
{
    return slot->is_fixed
               ? arch_tp() + slot->tp_offset + ((intptr_t)offset - (intptr_t)slot->tls.tls_offset)
               : elf_tls_address(slot->tls.module_id, offset);
}

/* The calling thread's object. NULL: it has none (any more), or none is wanted. */
static void *object_of(const struct slot *slot, bool is_wanted)
{
    struct typed *typed = slot->tls.typed;
    void *at = place_of(slot, slot->tls.tls_offset);
    char *guard;

    if (has_bit(typed->ended))
        return NULL;
    if (typed->initialise) {
        typed->initialise();
        return touch(typed, at);
    }
    guard = place_of(slot, typed->guard_offset);
    if (*guard)
        return touch(typed, at);
    if (!is_wanted)
        return NULL;
    typed->construct(at);
    *guard = 1;
    return touch(typed, at);
}

/* False: there is something, and no memory for a copy. */
static bool copy_of(const struct slot *slot, const void *at, void **copy)
{
    *copy = at ? slot->tls.typed->clone(at) : NULL;
    if (*copy != BATON_CODEC_FAILED)
        return true;
    *copy = NULL;
    slot_failed(slot);
    return false;
}

static void end_copy(const struct slot *slot, void *copy)
{
    if (copy)
        slot->tls.typed->destroy(copy);
}

/* The thread's object gets what *copy has, and *copy what it had. False: no memory, nothing has changed. */
static bool exchange(const struct slot *slot, void **copy)
{
    const struct typed *typed = slot->tls.typed;
    void *at = object_of(slot, *copy != NULL), *before;

    if (!at) {
        end_copy(slot, *copy);
        *copy = NULL;
        return true;
    }
    if (typed->exchange) {
        if (typed->exchange(at, copy))
            return true;
        slot_failed(slot);
        return false;
    }
    if (!copy_of(slot, at, &before))
        return false;
    typed->assign(at, *copy);
    end_copy(slot, *copy);
    *copy = before;
    return true;
}

bool typed_hold(const struct slot *slot, void **owned)
{
    int saved_errno = errno;

    copy_of(slot, object_of(slot, false), owned);
    errno = saved_errno;
    return *owned != NULL;
}

bool typed_lend(const struct slot *slot, void *owned, void **borrowed)
{
    int saved_errno = errno;
    bool is_lent = copy_of(slot, owned, borrowed);

    if (is_lent && !exchange(slot, borrowed)) {
        end_copy(slot, *borrowed);
        is_lent = false;
    }
    errno = saved_errno;
    return is_lent;
}

/* At a thread's end its object is ended by its own destructor, with whatever is in it. Without anything to put
 * back no memory may be asked for: it could be refused. */
void typed_reclaim(const struct slot *slot, void *borrowed, bool is_thread)
{
    int saved_errno = errno;

    if (!is_thread) {
        void *at = borrowed ? NULL : object_of(slot, false);

        if (at)
            slot->tls.typed->assign(at, NULL);
        else if (borrowed)
            exchange(slot, &borrowed);
    }
    end_copy(slot, borrowed);
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

    exchange(slot, state);
    errno = saved_errno;
}
