// Settings: the environment, and a file of them. The first byte says which; entries end with a NUL.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/config_free.h"
#include "base/config.h"
#include "base/log.h"
#include "memory_file.h"
#include "slots/grammar.h"
#include "slots/slots.h"

static const char path[] = "/settings";

enum { ENTRIES = 64, LONGEST = 8192 };

static bool no_adapter(const char *name)
{
    return strcmp(name, "mpfr") == 0;
}

static void read_items(const struct config *config)
{
    for (size_t i = 0; i < config->carry.count; i++) {
        const struct config_item *item = &config->carry.items[i];
        struct slot_error error = {NULL, NULL};

        if (strlen(item->text) != item->len)
            abort();
        if (!grammar_check(item->text, no_adapter, &error) &&
            (!error.expected || error.at < item->text - 1 || error.at > item->text + item->len))
            abort();
        (void)grammar_same_subject(item->text, config->carry.items[0].text);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text, *envp[ENTRIES + 1] = {NULL}, setting[128];
    struct config config;
    size_t count = 0;

    if (!size || size > LONGEST)
        return 0;
    log_level = -1; /* what is said is formatted for nobody: the formatter has its own promise */
    text = malloc(size);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    if (*data & 1) {
        memory_file_put(path, text, size - 1);
        snprintf(setting, sizeof setting, "BATON_CONFIG=%s", path);
        envp[count++] = setting;
    } else {
        memory_file_put(path, "", 0); /* it may be named here, too: not the file of the run before */
        for (size_t at = 0; at < size && count < ENTRIES; at += strlen(text + at) + 1)
            envp[count++] = text + at;
    }
    config_read_as(*data & 2, envp, &config);
    read_items(&config);
    config_free(&config);
    config_scrub(envp);
    free(text);
    return 0;
}
