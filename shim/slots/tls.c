/*
 * tls:NAME[@MODULE][#FILE.c] and tls:MODULE+0xOFFSET:SIZE: __thread variables, by their bytes.
 *
 * A variable of a library that came with the program lies at one offset from the thread pointer in
 * every thread: plain memory. Others are asked for by __tls_get_addr each time; their library is
 * pinned, because module ids are used again after dlclose and we would write into another's block.
 */
#include <string.h>

#include "base/arch.h"
#include "base/elf.h"
#include "base/log.h"
#include "slots/slots.h"

static bool read_size(const char *text, uint32_t *size)
{
    uint32_t value = 0;

    if (!*text)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || value > 65536)
            return false;
        value = value * 10 + (uint32_t)(*text - '0');
    }
    *size = value;
    return value > 0 && value <= 65536;
}

static bool tls_parse(struct slot *slot, char *text, struct slot_error *error)
{
    char *plus = strrchr(text, '+'), *file;
    const char *end;

    if (plus && plus != text && plus[1] == '0') {
        uintptr_t offset;

        *plus = '\0';
        slot->tls.module = text;
        if (!slot_read_offset(plus + 1, &offset, &end) || *end != ':' || !read_size(end + 1, &slot->size)) {
            *error = (struct slot_error){"MODULE+0xOFFSET:SIZE, the size from 1 to 65536", plus + 1};
            return false;
        }
        slot->tls.tls_offset = offset;
        return true;
    }
    file = strchr(text, '#');
    if (file) {
        *file = '\0';
        slot->tls.file = file + 1;
    }
    slot_cut_module(text, &slot->tls.module);
    slot->tls.name = text;
    if (!*text || (slot->tls.module && !*slot->tls.module) || (file && !slot->tls.file[0])) {
        *error = (struct slot_error){"NAME[@MODULE][#FILE.c] or MODULE+0xOFFSET:SIZE", text};
        return false;
    }
    return true;
}

/*
 * A thread_local with a constructor or destructor must not be copied as bytes: two threads would
 * destroy one object. The compiler leaves an initialiser (_ZTH) or a guard (_ZGV) for it; a static
 * one has only its file's __tls_init, which says that some variable of some file is an object: then
 * what is larger than a word is taken for one.
 */
static bool is_cxx_object(const struct elf_module *module, const char *name, const struct elf_symbol *symbol)
{
    static const char *const prefixes[] = {"_ZTH", "_ZGV"};
    char other[256];

    for (unsigned i = 0; i < 2; i++) {
        if (!strncmp(name, "_Z", 2))
            fmt_buf(other, sizeof other, "%s%s", prefixes[i], name + 2);
        else
            fmt_buf(other, sizeof other, "%s%u%s", prefixes[i], (unsigned)strlen(name), name);
        if (elf_has_symbol(module, other))
            return true;
    }
    return symbol->is_local && symbol->size > sizeof(void *) && !strncmp(name, "_Z", 2) &&
           elf_has_symbol(module, "__tls_init");
}

static bool tls_bind(struct slot *slot, const struct elf_module *module, size_t offset, size_t size, const char *name)
{
    if (offset + size > module->tls_size) {
        slot_refuse(slot, "outside of the module's thread-local storage");
        return false;
    }
    if (size > 65536 || (slot->has_room && size > slot->size)) {
        slot_refuse(slot, "too large: 65536 bytes at most, 256 for what comes with a library loaded later");
        return false;
    }
    slot->size = (uint32_t)size;
    slot->tls.module_id = module->tls_modid;
    slot->tls.tls_offset = offset;
    slot->tls.is_static = elf_tls_tp_offset(module, offset, &slot->tls.tp_offset);
    return true;
}

struct tls_search {
    struct slot *slot;
    const void *pin;
    bool is_found;
    char module_name[64];
};

static int visit_tls(const struct elf_module *module, void *arg)
{
    struct tls_search *search = arg;
    struct slot *slot = search->slot;
    struct elf_symbol symbol;
    const char *reason;

    if (!module->tls_modid || (slot->tls.module && !elf_module_match(module, slot->tls.module)))
        return 0;
    if (!slot->tls.name) {
        search->is_found = tls_bind(slot, module, slot->tls.tls_offset, slot->size, "offset");
    } else {
        if (!elf_find_symbol(module, slot->tls.name, slot->tls.file, ELF_TLS, &symbol))
            return 0;
        reason = slot_deny_reason(slot->tls.name, module->name);
        if (symbol.is_local && symbol.matches > 1) {
            slot_refuse(slot, "several static variables have this name: say which with #FILE.c");
            return 1;
        }
        if (reason && !slots_force) {
            slot_refuse(slot, reason);
            return 1;
        }
        if (!slots_force && is_cxx_object(module, slot->tls.name, &symbol)) {
            slot_refuse(slot, "a C++ object with a constructor or destructor: bytes cannot be shared (see adapters)");
            return 1;
        }
        search->is_found = tls_bind(slot, module, symbol.value, symbol.size ? symbol.size : sizeof(void *),
                                    slot->tls.name);
    }
    if (search->is_found) {
        search->pin = module->phdr;
        strncpy(search->module_name, module->name, sizeof search->module_name - 1);
    }
    return 1;
}

static void tls_resolve(struct slot *slot)
{
    struct tls_search search = {.slot = slot};

    elf_each_module(visit_tls, &search);
    if (search.is_found) {
        slot_pin(search.pin);
        slot_bound(slot, search.module_name, slot->tls.name ? slot->tls.name : "offset");
    } else if (slot->state == SLOT_WAITING) {
        slot->reason = "no loaded module has a thread-local variable of this name";
    }
}

static char *tls_at(const struct slot *slot)
{
    return slot->tls.is_static ? arch_tp() + slot->tls.tp_offset
                               : elf_tls_address(slot->tls.module_id, slot->tls.tls_offset);
}

static bool tls_read(const struct slot *slot, void *value)
{
    memcpy(value, tls_at(slot), slot->size);
    return !slots_initial || memcmp(value, (char *)slots_initial + slot->offset, slot->size) != 0;
}

static void tls_write(const struct slot *slot, void *value)
{
    memcpy(tls_at(slot), value, slot->size);
}

static bool tls_same(const struct slot *slot, const void *value)
{
    return memcmp(tls_at(slot), value, slot->size) == 0;
}

struct initial_search {
    const struct slot *slot;
    void *value;
};

/* The module's initialisation image, zeros after it. */
static int visit_initial(const struct elf_module *module, void *arg)
{
    struct initial_search *search = arg;
    const struct slot *slot = search->slot;

    if (module->tls_modid != slot->tls.module_id)
        return 0;
    memset(search->value, 0, slot->size);
    for (size_t i = 0; i < module->phnum; i++) {
        const ElfW(Phdr) *segment = &module->phdr[i];

        if (segment->p_type == PT_TLS && slot->tls.tls_offset < segment->p_filesz) {
            size_t have = segment->p_filesz - slot->tls.tls_offset;

            memcpy(search->value, (const char *)module->base + segment->p_vaddr + slot->tls.tls_offset,
                   have < slot->size ? have : slot->size);
        }
    }
    return 1;
}

static void tls_initial(const struct slot *slot, void *value)
{
    struct initial_search search = {slot, value};

    elf_each_module(visit_initial, &search);
}

const struct slot_kind slot_kind_tls = {
    .name = "tls",
    .parse = tls_parse,
    .resolve = tls_resolve,
    .read = tls_read,
    .write = tls_write,
    .same = tls_same,
    .initial = tls_initial,
};
