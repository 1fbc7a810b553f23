/*
 * Which of our codecs (shim/codecs/) a variable needs: libstdc++'s and libc++'s types of one name have
 * different bytes, and nothing in a variable's name says whose it is.
 *
 * The module that has the variable is linked to one of the two, and the size must be that type's; anything
 * else is refused, because a wrong guess destroys what is not there. libstdc++ has two types of string:
 * the older one, of one pointer, is told by what the module asks of the library.
 */
#include <string.h>

#include "base/log.h"
#include "elf/elf.h"
#include "slots/typed.h"

enum library { LIBSTDCXX, LIBCXX, LIBRARIES };

static const struct {
    const char *soname, *file;
} libraries[LIBRARIES] = {{"libstdc++.so", "codecs/libstdc++.so"},
                          {"libc++.so", "codecs/libc++.so"}};

struct typed_known {
    const char *word, *prefix;
    unsigned size[LIBRARIES]; /* of the ABI where pointers have 8 bytes */
    bool has_strings;
};

static const struct typed_known all[] = {
    {"string", "string", {32, 24}, true},
    {"shared_ptr", "shared_ptr", {16, 16}, false},
    {"map-string-string", "map_string_string", {48, 24}, true},
};

const struct typed_known *typed_known_find(const char *word)
{
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++)
        if (!strcmp(word, all[i].word))
            return &all[i];
    return NULL;
}

const char *typed_known_prefix(const struct typed_known *known)
{
    return known->prefix;
}

const char *typed_known_file(const struct typed_known *known, const struct elf_module *module,
                             const struct slot *slot, const struct elf_symbol *symbol, char *path,
                             size_t n)
{
    bool is_linked[LIBRARIES], fits[LIBRARIES];
    enum library library;

    for (library = 0; library < LIBRARIES; library++) {
        is_linked[library] = elf_module_needs(module, libraries[library].soname);
        fits[library] = is_linked[library] && symbol->size == known->size[library];
    }
    if (!is_linked[LIBSTDCXX] && !is_linked[LIBCXX])
        return "its module is linked to neither libstdc++ nor libc++ as a shared library: name a "
               "codec of your own, codec=/FILE.so";
    if (!fits[LIBSTDCXX] && !fits[LIBCXX])
        return "of another size than that type of its C++ library: it needs a codec of its own, "
               "codec=/FILE.so";
    if (fits[LIBSTDCXX] && fits[LIBCXX])
        return "its module is linked to libstdc++ and libc++, so whose type this is cannot be "
               "known: name a codec of your own, codec=/FILE.so";
    library = fits[LIBCXX] ? LIBCXX : LIBSTDCXX;
    if (library == LIBSTDCXX && known->has_strings && !strstr(slot->tls.name, "B5cxx11") &&
        elf_module_mentions(module, "_ZNSs") + elf_module_mentions(module, "_ZNKSs") > 0)
        return "its module uses the older std::string of libstdc++ (_GLIBCXX_USE_CXX11_ABI=0): it "
               "needs a codec of its own, codec=/FILE.so";
    fmt_buf(path, n, "%s", libraries[library].file);
    return NULL;
}
