// One item of BATON_HOOKS.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "userhooks/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    struct named_spec spec = {.item = text};
    struct spec_error error = {NULL, NULL};

    memcpy(text, data, size);
    text[size] = '\0';
    size = strlen(text);
    if (!spec_parse(text, &spec, &error) && (!error.expected || error.at < text || error.at > text + size))
        abort();
    free(text);
    return 0;
}
