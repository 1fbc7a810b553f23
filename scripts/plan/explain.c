/*
 * Why a name is not found, and what to do about it: it may be of another kind, or the symbols of the file
 * that would tell are not there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "elf/file.h"
#include "plan.h"
#include "slots/slots.h"

static bool is_meant(const struct module *module, const char *user)
{
    return !user || elf_module_match(&module->elf, user);
}

static bool is_anywhere(const char *name, const char *user_module, unsigned want)
{
    for (unsigned i = 0; i < modules_count; i++) {
        if (is_meant(&modules[i], user_module) &&
            elf_find_symbol(&modules[i].elf, name, NULL, want, NULL))
            return true;
    }
    return false;
}

/* As the library says it (shim/slots/hint.c), of a program that does not run. */
static bool other_kind(const char *name, const char *user_module, unsigned want, char *buf,
                       size_t n)
{
    if (want != ELF_TLS && is_anywhere(name, user_module, ELF_TLS))
        snprintf(buf, n, "it is thread-local: write tls:%s", name);
    else if (want == ELF_TLS && is_anywhere(name, user_module, ELF_OBJECT))
        snprintf(buf, n, "it is not thread-local; if it holds a pthread key, write key:%s", name);
    else if (want == ELF_FUNC && is_anywhere(name, user_module, ELF_OBJECT))
        snprintf(buf, n,
                 "it is a variable, not a function; if it holds a pthread key, write key:%s", name);
    else if (want != ELF_FUNC && is_anywhere(name, user_module, ELF_FUNC))
        snprintf(
            buf, n,
            "it is a function: write fn:get=%s,set=... or, if it returns the value before, swap:%s",
            name, name);
    else
        return false;
    return true;
}

/* Neither symbols of its own nor a debug file: names that it does not export are not to be had. */
static bool is_stripped(const struct module *module)
{
    struct elf_file file;

    if (!modules_open_symbols(module, &file))
        return true;
    elf_file_close(&file);
    return false;
}

/* Where packages have files: dpkg reads the lists of all of them for each question. */
static bool is_place_of_packages(const char *path)
{
    static const char *const places[] = {"/usr/", "/lib", "/bin/", "/sbin/", "/opt/"};
    bool is_there = false;

    for (unsigned i = 0; i < sizeof places / sizeof *places; i++)
        is_there |= !strncmp(path, places[i], strlen(places[i]));
    return is_there && strncmp(path, "/usr/local/", 11) && !strchr(path, '\'');
}

bool explain_names_packages;

/* The Debian package of a file, known until this program ends; NULL: none, or this is no Debian. */
static const char *package_of(const char *path)
{
    static char asked[4096], package[256];
    char command[9000], line[512];
    const char *short_path = strncmp(path, "/usr/", 5) ? path
                                                       : path + 4; /* as before /usr was merged */
    FILE *in;

    if (!explain_names_packages || !is_place_of_packages(path) || strlen(path) >= sizeof asked)
        return NULL;
    if (strcmp(path, asked)) {
        strcpy(asked, path);
        package[0] = '\0';
        snprintf(command, sizeof command, "dpkg-query -S '%s' '%s' 2>/dev/null", path, short_path);
        in = popen(command, "re");
        if (in && fgets(line, sizeof line, in) && strchr(line, ':') &&
            strcspn(line, ":,") < sizeof package) {
            line[strcspn(line, ":,")] = '\0';
            strcpy(package, line);
        }
        if (in)
            pclose(in);
    }
    return package[0] ? package : NULL;
}

static void say_stripped(const struct module *module, unsigned want, char *buf, size_t n)
{
    const char *package = package_of(module->path);
    char id_text[80] = "";
    const uint8_t *id;
    size_t id_len;

    id = elf_module_build_id(&module->elf, &id_len);
    for (size_t i = 0; id && i < id_len && i < 32; i++)
        sprintf(id_text + 2 * i, "%02x", id[i]);
    snprintf(buf, n, "the symbols of %s are stripped: install %s%s%s%s%s", module->elf.name,
             package ? package : "its debug symbols", package ? "-dbgsym" : "",
             id_text[0] ? " (build-id " : "", id_text, id_text[0] ? ")" : "");
    if (want == ELF_TLS)
        snprintf(buf + strlen(buf), n - strlen(buf), ", or write tls:%s+0xOFFSET:SIZE",
                 module->elf.is_main ? "main" : module->elf.name);
    else if (want == ELF_OBJECT)
        snprintf(buf + strlen(buf), n - strlen(buf), ", or write %s+0xOFFSET in place of the name",
                 module->elf.is_main ? "main" : module->elf.name);
}

static bool has_module(const char *user_module)
{
    for (unsigned i = 0; i < modules_count; i++) {
        if (is_meant(&modules[i], user_module))
            return true;
    }
    return false;
}

bool explain_missing(const char *name, const char *user_module, unsigned want, char *buf, size_t n)
{
    char near[256];

    if (!has_module(user_module)) {
        snprintf(buf, n, "the program has no module %s at its start (ldd lists them)", user_module);
        return true;
    }
    if (strpbrk(name, " \t:"))
        snprintf(
            buf, n,
            "a name is the linker's, without a space or ':' (nm shows it; C++ names are mangled)");
    else if (other_kind(name, user_module, want, buf, n))
        return true;
    else if (near_names(name, user_module, want, near, sizeof near))
        snprintf(buf, n, "near: %s", near);
    else
        buf[0] = '\0';
    for (unsigned i = 0; i < modules_count && !buf[0]; i++) {
        /* Of all modules the program itself; its libraries' packages are many. */
        if (is_meant(&modules[i], user_module) && (user_module || modules[i].elf.is_main) &&
            is_stripped(&modules[i]))
            say_stripped(&modules[i], want, buf, n);
    }
    return buf[0] != '\0';
}

struct adapted {
    const char *adapter, *library, *symbol;
    unsigned want;
};

/* What an adapter waits for: a library, or who has the symbol. */
static const struct adapted adapted[] = {
    {"log4cxx", "liblog4cxx", NULL, 0},
    {"log4cplus", "liblog4cplus", NULL, 0},
    {"boost-log", "libboost_log", NULL, 0},
    {"mpfr", "libmpfr", "__gmpfr_default_fp_bit_precision", ELF_TLS},
    {"openssl-libctx", "libcrypto", "OSSL_LIB_CTX_set0_default", ELF_FUNC},
    {"libxml2", "libxml2", NULL, 0},
    {"hdf5", "libhdf5", NULL, 0},
    {"cups", "libcups", NULL, 0},
    {"gss-krb5", "libgssapi_krb5", NULL, 0},
    {"custom-labels", NULL, "custom_labels_current_set", ELF_TLS},
    {"otel-thread-ctx", NULL, "otel_thread_ctx_v1", ELF_TLS},
};

bool explain_adapter(const char *name, char *buf, size_t n)
{
    for (unsigned i = 0; i < sizeof adapted / sizeof *adapted; i++) {
        const struct adapted *known = &adapted[i];

        if (strcmp(known->adapter, name) != 0)
            continue;
        for (unsigned j = 0; known->library && j < modules_count; j++) {
            if (!strncmp(modules[j].elf.name, known->library, strlen(known->library))) {
                snprintf(buf, n, "found %s, which it adapts", modules[j].elf.name);
                return true;
            }
        }
        if (known->symbol && is_anywhere(known->symbol, NULL, known->want)) {
            snprintf(buf, n, "found %s, which it adapts", known->symbol);
            return true;
        }
        snprintf(buf, n, "the program does not use %s; a library that is opened later may",
                 known->library ? known->library : known->symbol);
        return false;
    }
    snprintf(buf, n, "known when the program runs");
    return true;
}
