/*
 * The whole setting: each item read, presets spelled out, pairs matched. A mistake is told with its
 * place and leaves out that item only. What is kept of a text stays for the life of the process.
 */
#include <string.h>

#include "base/config.h"
#include "base/log.h"
#include "base/mem.h"
#include "userhooks/spec.h"
#include "slots/slots.h"

static const char prefix[] = "preset:";

struct preset {
    const char *name, *function, *options;
};

static const struct preset presets[] = {
#define PRESET(name, function, options) {name, function, options},
#include "userhooks/presets.def"
#undef PRESET
};
enum { PRESETS = sizeof presets / sizeof presets[0] };

/* The items read so far; `from` is what each came from in the setting. */
struct items {
    struct named_spec *specs;
    const struct config_item *from[NAMED_MAX];
    size_t count;
};

/* TEXT is the item as it is to be read, FROM as the user wrote it. False: there is no room for more. */
static bool read_item(struct config *config, struct items *items, const char *text,
                      const struct config_item *from)
{
    struct named_spec *spec = &items->specs[items->count];
    struct spec_error error = {NULL, NULL};
    size_t size = strlen(text) + 1;
    char *copy;

    if (items->count == NAMED_MAX) {
        config_item_error(config, from, 0, "expected at most %d items", NAMED_MAX);
        return false;
    }
    copy = mem_alloc(size);
    if (!copy)
        return false;
    memcpy(copy, text, size);
    memset(spec, 0, sizeof *spec);
    spec->item = text;
    items->from[items->count] = from;
    if (spec_parse(copy, spec, &error))
        items->count++;
    else
        config_item_error(config, from, (size_t)(error.at - copy), "expected %s", error.expected);
    return true;
}

static void list_presets(char *into, size_t n)
{
    size_t len = 0;

    for (size_t i = 0; i < PRESETS && len < n; i++)
        if (!i || strcmp(presets[i].name, presets[i - 1].name) != 0)
            len += (size_t)fmt_buf(into + len, n - len, "%s%s", i ? ", " : "", presets[i].name);
}

static bool read_preset(struct config *config, struct items *items, const struct config_item *from)
{
    const char *name = from->text + sizeof prefix - 1;
    bool is_known = false;

    for (size_t i = 0; i < items->count; i++)
        if (!strcmp(items->from[i]->text, from->text))
            return true; /* the environment and the file may both name it */
    for (size_t i = 0; i < PRESETS; i++) {
        size_t size;
        char *text;

        if (strcmp(presets[i].name, name) != 0)
            continue;
        is_known = true;
        size = strlen(presets[i].function) + strlen(presets[i].options) + strlen(name) + 64;
        text = mem_alloc(size);
        if (!text)
            return false;
        fmt_buf(text, size, "%s(%s,pair=%s,outside)", presets[i].function, presets[i].options,
                from->text);
        if (!read_item(config, items, text, from))
            return false;
    }
    if (!is_known) {
        char names[256] = "";

        list_presets(names, sizeof names);
        config_item_error(config, from, sizeof prefix - 1, "expected a preset: %s", names);
    }
    return true;
}

/* Only a patch sees every call: those inside its module, and before the pointers are filled. */
static void add_setters(struct items *items)
{
    for (unsigned i = 0; i < slots_count && items->count < NAMED_MAX; i++) {
        struct named_spec *spec = &items->specs[items->count];
        unsigned setter = slot_setter(&slots[i]);

        if (!slot_watches_setter(&slots[i]))
            continue;
        *spec = (struct named_spec){.item = slots[i].item,
                                    .function = slots[i].fn.name[setter],
                                    .module = slots[i].fn.module[setter],
                                    .kind = NAMED_SET,
                                    .how = HOW_PATCH,
                                    .pair = "",
                                    .slot = &slots[i]};
        items->count++;
    }
}

unsigned spec_read_all(struct config *config, struct named_spec *specs)
{
    struct items items = {.specs = specs};
    size_t lonely;

    for (size_t i = 0; i < config->hooks.count; i++) {
        const struct config_item *item = &config->hooks.items[i];
        bool is_preset = !strncmp(item->text, prefix, sizeof prefix - 1);

        if (!(is_preset ? read_preset(config, &items, item)
                        : read_item(config, &items, item->text, item)))
            break;
    }
    while ((lonely = spec_pair(specs, items.count)) < items.count) {
        size_t after = --items.count - lonely;

        config_item_error(config, items.from[lonely], 0,
                          "expected an item with %s%s%s to go with it",
                          spec_partner(specs[lonely].kind), *specs[lonely].pair ? ",pair=" : "",
                          specs[lonely].pair);
        memmove(&specs[lonely], &specs[lonely + 1], after * sizeof *specs);
        memmove(&items.from[lonely], &items.from[lonely + 1], after * sizeof *items.from);
    }
    add_setters(&items);
    return (unsigned)items.count;
}
