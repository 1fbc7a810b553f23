/*
 * baton-discover: small things, and what is known of libraries and hooked functions without looking.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "discover.h"

/* Room for one more: doubles at powers of two. */
void *grown(void *list, unsigned count, size_t size)
{
    if (count & (count - 1) || count == 1)
        return list;
    return allocated(realloc(list, (count ? count * 2 : 2) * size));
}

void print_json(const char *text)
{
    size_t size = strlen(text) * 6 + 3;
    char *buffer = allocated(malloc(size));

    text_json(buffer, size, text, strlen(text));
    fputs(buffer, stdout);
    free(buffer);
}

static const struct {
    const char *name, *family;
} hooked[] = {
#define HOOK(family, type, name, ...) {#name, #family},
#include "interpose/hooks.def"
#undef HOOK
};

/* What moves no work by itself. */
static bool is_handoff(const char *family)
{
    return strcmp(family, "KEYS") != 0 && strcmp(family, "LOADER") != 0 &&
           strcmp(family, "LOOKUP") != 0;
}

const char *family_of_function(const char *name)
{
    static const struct {
        const char *id, *shown;
    } families[] = {
#define FAMILY(id, name) {#id, name},
#include "interpose/families.def"
#undef FAMILY
    };

    for (unsigned i = 0; i < sizeof hooked / sizeof *hooked; i++) {
        if (strcmp(hooked[i].name, name) != 0 || !is_handoff(hooked[i].family))
            continue;
        for (unsigned j = 0; j < sizeof families / sizeof *families; j++) {
            if (!strcmp(families[j].id, hooked[i].family))
                return families[j].shown;
        }
    }
    return NULL;
}

/* Libraries whose context has an adapter or a preset of its own. */
const char *known_context(const char *library)
{
    static const struct {
        const char *prefix, *item;
    } known[] = {
        {"liblog4cxx", "adapter:log4cxx"},
        {"liblog4cplus", "adapter:log4cplus"},
        {"libboost_log", "adapter:boost-log"},
        {"libmpfr", "adapter:mpfr"},
        {"libcrypto", "adapter:openssl-libctx"},
        {"libcustomlabels", "adapter:custom-labels"},
        {"libaprutil-1", "preset:apr_queue"},
        {"libgdal", "preset:gdal"},
        {"libopenblas", "preset:openblas"},
        {"libgrpc", "preset:grpc"},
        {"libLLVM", "preset:llvm"},
        {"libPoco", "preset:poco"},
        {"libQt5Core", "preset:qt"},
        {"libQt6Core", "preset:qt"},
    };

    for (unsigned i = 0; i < sizeof known / sizeof *known; i++) {
        if (!strncmp(library, known[i].prefix, strlen(known[i].prefix)))
            return known[i].item;
    }
    return NULL;
}
