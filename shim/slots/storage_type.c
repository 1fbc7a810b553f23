/*
 * How a value of a QThreadStorage is copied: QString and QByteArray by Qt's own exported operator=, which counts
 * a reference; std::string and what the user has a codec for by the codec; plain bytes as they are.
 *
 * Rules: a copy is made by operator new, because Qt ends it by the delete that the storage was made with. What the
 * names of the module say about the type is believed: another type is refused, because Qt would delete what is
 * not there. A stripped module says nothing.
 */
#include "slots/storage.h"

#include <dlfcn.h>
#include <string.h>

#include "base/infile.h"
#include "base/log.h"
#include "elf/elf.h"
#include "slots/slots.h"
#include "slots/typed.h"

#define STORAGE "_ZN14QThreadStorageI"
#define DELETES "E10deleteDataEPv"
#define CXX_STRING "NSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"

enum { NAME_SIZE = 512, BYTES_5 = 8, BYTES_6 = 24, POINTER = 8 };

/* What they are called in the names of functions. */
static const struct known {
    char word[16], type[64], assign[32];
} all[] = {
    {"qstring", "7QString", "_ZN7QStringaSERKS_"},
    {"qbytearray", "10QByteArray", "_ZN10QByteArrayaSERKS_"},
    {"string", CXX_STRING, ""},
};

/* Of one letter; the size by the letter. */
static const char plain[] = "bahcstijflmxydnoge";
static const unsigned char plain_sizes[] = {1, 1, 1, 1, 2, 2,  4,  4,  4,
                                            8, 8, 8, 8, 8, 16, 16, 16, 16};

static const struct known *known_of(const char *word)
{
    for (unsigned i = 0; word && i < sizeof all / sizeof *all; i++)
        if (!strcmp(word, all[i].word))
            return &all[i];
    return NULL;
}

bool storage_type_parse(struct storage_type *type, char *word)
{
    char *prefix = strrchr(word, ':');

    type->word = word;
    if (known_of(word))
        return true;
    if (word[0] != '/')
        return false;
    if (prefix)
        *prefix++ = '\0';
    type->file = word;
    type->prefix = prefix ? prefix : "codec";
    return true;
}

/* ---- what the names say ---- */

/* Is it the function that deletes values of TYPE, or of pointers to it: one object either way. */
static bool deletes(const char *name, const char *type)
{
    size_t len = strlen(type);

    name += strlen(STORAGE);
    name += *name == 'P';
    return !strncmp(name, type, len) && !strcmp(name + len, DELETES);
}

static const char *plain_reason(const struct storage_type *type, const char *name)
{
    const char *object = name + strlen(STORAGE), *letter;

    object += *object == 'P';
    letter = strchr(plain, *object);
    if (*object && letter && deletes(name, (char[]){*object, '\0'}) &&
        plain_sizes[letter - plain] != type->bytes)
        return "copy=N: its type has another size";
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++)
        if (deletes(name, all[i].type))
            return "an object with a destructor: bytes cannot be copied (codec=qstring, "
                   "codec=qbytearray, codec=string)";
    return NULL;
}

#define OTHER_TYPE "its values are of another type than the codec's"

static const char *reason_by_name(const struct storage_type *type, const char *name)
{
    const struct known *known = known_of(type->word);

    if (!type->word)
        return plain_reason(type, name);
    return known && !deletes(name, known->type) ? OTHER_TYPE : NULL;
}

/* Any of the module's storages may be this one. */
static const char *reason_by_module(const struct storage_type *type,
                                    const struct elf_module *module)
{
    static const char *const forms[] = {STORAGE "%s" DELETES, STORAGE "P%s" DELETES};
    const struct known *known = known_of(type->word);
    char full[ELF_FULL] = "", name[NAME_SIZE];
    struct elf_query query = {.name = STORAGE "*" DELETES, .want = ELF_FUNC, .full = full};

    if (!elf_find_symbols(module, &query, 1) || !query.found.matches)
        return NULL;
    if (query.found.matches == 1)
        return reason_by_name(type, full);
    for (unsigned i = 0; known && i < sizeof forms / sizeof *forms; i++) {
        fmt_buf(name, sizeof name, forms[i], known->type);
        if (elf_find_symbol(module, name, NULL, ELF_FUNC, NULL))
            return NULL;
    }
    return known ? OTHER_TYPE : NULL;
}

const char *storage_type_doubt(const struct storage_type *type, const struct elf_module *module)
{
    char full[ELF_FULL] = "";
    struct elf_query query = {.name = STORAGE "*" DELETES, .want = ELF_FUNC, .full = full};

    if (type->file || (elf_find_symbols(module, &query, 1) && query.found.matches == 1))
        return NULL;
    return query.found.matches
               ? "which of the module's types of QThreadStorage it is shows when the "
                 "program runs: another one than the item's is refused then"
               : "nothing in the module says its type: the item's is believed";
}

const char *storage_type_reason(const struct storage_type *type, const struct elf_module *module,
                                const char *end_name)
{
    if (!elf_module_mentions(module, "_ZN18QThreadStorageDataC"))
        return "its module makes no QThreadStorage";
    if (end_name && !strncmp(end_name, STORAGE, strlen(STORAGE)))
        return reason_by_name(type, end_name);
    return end_name && !*end_name ? NULL : reason_by_module(type, module);
}

/* ---- copies ---- */

static const char *bind_codec(struct storage_type *type, const char *path, const char *prefix)
{
    const char *why = infile_distrust(path); /* it may have changed since the setting was read */
    char name[NAME_SIZE];
    void *library;

    if (why)
        return why;
    library = elf_open(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        log_msg(LOG_LEVEL_INFO, "%s: %s", path, elf_open_error());
        return "its codec cannot be loaded (BATON_LOG=info says more)";
    }
    fmt_buf(name, sizeof name, "%s_clone", prefix);
    type->clone = (void *(*)(const void *))elf_open_symbol(library, name);
    fmt_buf(name, sizeof name, "%s_destroy", prefix);
    type->destroy = (void (*)(void *))elf_open_symbol(library, name);
    return type->clone && type->destroy ? NULL : TYPED_LACKS_FUNCTIONS;
}

/* Of libstdc++, which Debian's Qt is built with; of libc++'s there is no telling here. */
static const char *bind_string(struct storage_type *type, const struct elf_module *module)
{
    char path[SLOT_FOLDER_SIZE];
    size_t at = slot_own_folder(path);

    if (!at)
        return "where baton lies is not known";
    if (!elf_module_needs(module, "libstdc++.so") || elf_module_needs(module, "libc++.so"))
        return "its module is not linked to libstdc++ alone: name a codec of your own, "
               "codec=/FILE.so";
    fmt_buf(path + at, sizeof path - at, "codecs/libstdc++.so");
    return bind_codec(type, path, "string");
}

/* Qt 5: one pointer, which is never NULL; Qt 6: three words, zero when there is nothing. */
static const char *bind_qt(struct storage_type *type, const struct known *known, const void *qt)
{
    struct elf_module module;

    if (!elf_module_at(qt, &module) ||
        !(type->assign = (void *(*)(void *, const void *))elf_dynsym(&module, known->assign)))
        return "this copy of Qt does not export what copies it";
    type->null = NULL;
    type->bytes = BYTES_6;
    if (elf_module_match(&module, "libQt5Core")) {
        type->null = elf_dynsym(&module, "_ZN10QArrayData11shared_nullE");
        type->bytes = BYTES_5;
        return type->null ? NULL : "this copy of Qt does not export what copies it";
    }
    return elf_module_match(&module, "libQt6Core") ? NULL : "known of Qt 5 and 6 only";
}

/* As MODULE would reach it: what was opened for its opener only, a C++ library too, is not seen by others. */
static void *symbol_for(const struct elf_module *module, const char *name)
{
    void *found = elf_open_symbol(RTLD_DEFAULT, name), *library;

    if (found || module->is_main)
        return found;
    library = elf_open(module->path, RTLD_LAZY | RTLD_NOLOAD); /* for good: it will be pinned */
    return library ? elf_open_symbol(library, name) : NULL;
}

const char *storage_type_bind(struct storage_type *type, const struct elf_module *module,
                              const void *qt)
{
    const struct known *known = known_of(type->word);

    if (type->file)
        return bind_codec(type, type->file, type->prefix);
    if (known && !known->assign[0])
        return bind_string(type, module);
    type->allocate = (void *(*)(size_t, const void *))symbol_for(module, "_ZnwmRKSt9nothrow_t");
    type->nothrow = symbol_for(module, "_ZSt7nothrow");
    type->release = (void (*)(void *))symbol_for(module, "_ZdlPv");
    if (!type->allocate || !type->nothrow || !type->release)
        return "the program's operator new and delete are not found";
    return known ? bind_qt(type, known, qt) : NULL;
}

static bool is_null(const struct storage_type *type, const void *object)
{
    const void *word;

    memcpy(&word, object, sizeof word);
    if (type->null)
        return word == type->null;
    for (size_t i = 0; i < type->bytes; i++)
        if (((const char *)object)[i])
            return false;
    return true;
}

bool storage_type_clone(const struct storage_type *type, const void *object, void **copy)
{
    *copy = NULL;
    if (type->clone) {
        *copy = type->clone(object);
        if (*copy != (void *)-1) /* BATON_CODEC_FAILED */
            return true;
        *copy = NULL;
        return false;
    }
    if (type->assign && is_null(type, object))
        return true;
    *copy = type->allocate(type->bytes, type->nothrow);
    if (!*copy)
        return false;
    if (!type->assign) {
        memcpy(*copy, object, type->bytes);
        return true;
    }
    memset(*copy, 0, type->bytes);
    memcpy(*copy, &type->null, sizeof type->null);
    type->assign(*copy, object);
    return true;
}

void storage_type_destroy(const struct storage_type *type, void *copy)
{
    uint64_t null[BYTES_6 / sizeof(uint64_t)] = {(uintptr_t)type->null};

    if (!copy)
        return;
    if (type->destroy) {
        type->destroy(copy);
        return;
    }
    if (type->assign) /* lets go of what it had */
        type->assign(copy, null);
    type->release(copy);
}
