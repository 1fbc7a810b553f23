/*
 * The whole setting: each item read, presets among them (spec_preset.c), pairs matched. A mistake is told with its
 * place and leaves out that item only. What is kept of a text stays for the life of the process.
 */
#include <string.h>

#include "base/config.h"
#include "base/log.h"
#include "base/mem.h"
#include "userhooks/spec.h"
#include "slots/kind.h"
#include "slots/slots.h"

/* The items read so far; `from` is what each came from in the setting. */
struct items {
    struct named_spec *specs;
    const struct config_item *from[NAMED_MAX];
    size_t count;
};

static bool is_same_text(const char *one, const char *other)
{
    return !strcmp(one ? one : "", other ? other : "");
}

/* Of two hooks on one function the second would never be asked. A preset may have been named twice. */
static bool is_given_already(struct config *config, const struct items *items,
                             const struct config_item *item)
{
    const struct named_spec *spec = &items->specs[items->count];

    for (size_t i = 0; i < items->count; i++) {
        const struct named_spec *before = &items->specs[i];

        if (!is_same_text(before->function, spec->function) ||
            !is_same_text(before->module, spec->module) || !is_same_text(before->file, spec->file))
            continue;
        if (!spec->preset && !before->preset &&
            (strcmp(item->text, items->from[i]->text) != 0 || !item->file == !items->from[i]->file))
            config_item_error(config, item, 0,
                              "this function is hooked by an item before, expected once");
        return !spec->preset || !before->preset || !strcmp(spec->preset, before->preset);
    }
    return false;
}

/* False: there is no room for more. */
static bool read_item(struct config *config, struct items *items, const struct config_item *from)
{
    const char *text = from->text;
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
    spec->preset = from->preset;
    items->from[items->count] = from;
    if (spec_parse(copy, spec, &error))
        items->count += !is_given_already(config, items, from);
    else
        config_item_error(config, from, (size_t)(error.at - copy), "expected %s", error.expected);
    return true;
}

/* Only a patch sees every call: those inside its module, and before the pointers are filled. */
static void add_setters(struct items *items)
{
    for (unsigned i = 0; i < slots_count && items->count < NAMED_MAX; i++) {
        struct named_spec *spec = &items->specs[items->count];
        unsigned setter = slots[i].fn.setter;

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
        if (!read_item(config, &items, &config->hooks.items[i]))
            break;
    }
    while ((lonely = spec_pair(specs, items.count)) < items.count) {
        size_t after = --items.count - lonely;

        config_item_error(
            config, items.from[lonely], 0, "expected an item with %s%s%s to go with it",
            spec_partner(&specs[lonely]), *specs[lonely].pair ? ",pair=" : "", specs[lonely].pair);
        memmove(&specs[lonely], &specs[lonely + 1], after * sizeof *specs);
        memmove(&items.from[lonely], &items.from[lonely + 1], after * sizeof *items.from);
    }
    add_setters(&items);
    return (unsigned)items.count;
}
