/*
 * qt:NAME[@MODULE] and qt:MODULE+0xOFFSET, with copy=N or codec=...: QThreadStorage of Qt 5 and 6.
 *
 * Qt keeps the values of a thread in a list of its own, under no pthread key, and deletes each when the thread
 * ends, and when another one is set. So a value is never shared: a context has a copy, and each task gets one, in
 * the list in place of what the thread has, which Qt deletes as it would delete the thread's own. What a
 * task leaves there is ended by Qt's own set, which knows how.
 *
 * Here are the item and the storages that Qt has made; the threads' values are storage_value.c's.
 */
#include "slots/storage_parts.h"
#include "slots/kind.h"

#include <string.h>

#include "base/infile.h"
#include "base/mem.h"
#include "elf/elf.h"

enum { STORAGES = 256, STORAGE_SIZE = 4, END_NAME = 512 };

bool storages_wanted;
static struct storage storages[STORAGES];
static unsigned storages_count;
static _Atomic bool is_full; /* one was made for which there was no room */

/* ---- what Qt makes ---- */

/* Some item waits for a storage at that place, or for a variable that may be there. */
static bool is_awaited(const void *place)
{
    bool is_awaited = false;

    for (unsigned i = 0; i < storage_items_count; i++) {
        const void *at = atomic_load_explicit(&storage_items[i]->place, memory_order_relaxed);

        is_awaited |= !storage_items[i]->storage && (!at || at == place);
    }
    return is_awaited;
}

bool storage_made(void *place, void (*end)(void *), storage_get *get, storage_set *set)
{
    struct storage *free_one = NULL;

    lock_take(&storages_lock);
    for (unsigned i = 0; i < storages_count && (!free_one || free_one->place != place); i++) {
        struct storage *storage = &storages[i];

        if (storage->place == place || (!atomic_load(&storage->at) && !storage->is_bound))
            free_one = storage;
    }
    if (!free_one && storages_count < STORAGES)
        free_one = &storages[storages_count++];
    if (!free_one)
        atomic_store_explicit(&is_full, true, memory_order_relaxed);
    if (free_one) {
        free_one->place = place;
        free_one->end = end;
        free_one->get = get;
        free_one->set = set;
        atomic_store(&free_one->at, place);
    }
    lock_drop(&storages_lock);
    slots_look_again();
    return slots_calls.key_create && is_awaited(place); /* else whoever starts looks */
}

void storage_gone(const void *place)
{
    lock_take(&storages_lock);
    for (unsigned i = 0; i < storages_count; i++)
        if (storages[i].place == place)
            atomic_store(&storages[i].at, NULL);
    lock_drop(&storages_lock);
}

static struct storage *find_storage(const void *place)
{
    struct storage *found = NULL;

    lock_take(&storages_lock);
    for (unsigned i = 0; i < storages_count && !found; i++) {
        if (storages[i].place == place && atomic_load(&storages[i].at)) {
            found = &storages[i];
            found->is_bound = true;
        }
    }
    lock_drop(&storages_lock);
    return found;
}

/* ---- the item ---- */

static const struct slot_form storage_form = {
    .name = "qt",
    .shape = SHAPE_WHAT,
    .options = O_COPY | O_CODEC,
    .own = O_COPY | O_CODEC,
    .item = "the name of a QThreadStorage, qt:NAME[@MODULE]; or qt:MODULE+0xOFFSET",
    .extra =
        "codec=qstring|qbytearray|string|/FILE.so[:PREFIX] or copy=N (Qt deletes values: each task "
        "needs a copy)",
};

static bool storage_check(const char *at, size_t len, struct slot_error *error)
{
    const char *offset = form_find_offset(at, len);

    return offset ? form_check_offset(at, offset, at + len, false, error)
                  : form_check_symbol(at, len, storage_form.item, error);
}

static bool parse_type(struct storage_type *type, char *option, struct slot_error *error)
{
    const char *why = storage_form.extra;

    *error = (struct slot_error){why, option ? option : ""};
    if (!option)
        return false;
    if (!strncmp(option, "copy=", 5)) {
        for (const char *digit = option + 5; *digit; digit++)
            type->bytes = type->bytes * 10 + (size_t)(*digit - '0'); /* the grammar has looked */
        return true;
    }
    error->at = option + strlen("codec=");
    if (!storage_type_parse(type, option + strlen("codec=")))
        return false;
    why = type->file ? infile_distrust(type->file) : NULL;
    error->expected = why;
    return !why;
}

static bool parse_place(struct slot *slot, char *text, struct slot_error *error)
{
    char *plus = strrchr(text, '+');
    const char *end;

    if (plus && plus[1] == '0') {
        *plus = '\0';
        slot->tls.module = text;
        *error = (struct slot_error){"MODULE+0xOFFSET", plus + 1};
        return form_read_offset(plus + 1, &slot->tls.tls_offset, &end) && !*end;
    }
    form_cut_module(text, &slot->tls.module);
    slot->tls.name = text;
    *error = (struct slot_error){"fewer names", text};
    return slot_name_add(&slot->tls.id, text, slot->tls.module, NULL, ELF_OBJECT);
}

static bool storage_parse(struct slot *slot, char *text, struct slot_error *error)
{
    char *option = strchr(text, ',');
    struct storage_item *item = mem_alloc(sizeof *item);

    if (!item) {
        *error = (struct slot_error){"memory", text};
        return false;
    }
    memset(item, 0, sizeof *item);
    if (option)
        *option++ = '\0';
    if (!parse_type(&item->type, option, error)) {
        if (!option)
            error->at = text + strlen(text);
        return false;
    }
    slot->tls.storage = item;
    slot->size = sizeof(void *);
    if (!parse_place(slot, text, error))
        return false;
    if (storage_items_count == STORAGE_ITEMS) {
        *error = (struct slot_error){"at most 32 items of this kind", text};
        return false;
    }
    item->number = storage_items_count;
    storage_items[storage_items_count++] = item;
    storages_wanted = true;
    *error = (struct slot_error){.expected = NULL};
    return true;
}

static unsigned storage_names(const struct slot *slot, struct slot_meant *meant)
{
    if (!slot->tls.name)
        return 0;
    *meant = (struct slot_meant){slot->tls.name, slot->tls.module, NULL, slot->tls.id, ELF_OBJECT};
    return 1;
}

static const char *storage_reason(const struct slot *slot, const struct elf_module *module,
                                  const struct elf_symbol *symbol)
{
    if (symbol->is_local && symbol->matches > 1)
        return "several static variables have this name: qt:MODULE+0xOFFSET says which";
    if (symbol->size && symbol->size != STORAGE_SIZE)
        return "no QThreadStorage: a variable of another size";
    return storage_type_reason(&storage_item_of(slot)->type, module, NULL);
}

static bool storage_will_come(const struct slot *slot)
{
    return storage_item_of(slot)->place != NULL;
}

const char *storage_codec(const struct slot *slot, const char **prefix)
{
    *prefix = storage_item_of(slot)->type.prefix;
    return storage_item_of(slot)->type.file;
}

const char *storage_doubt(const struct slot *slot, const struct elf_module *module)
{
    return storage_type_doubt(&storage_item_of(slot)->type, module);
}

/* Where the variable is; the module is in *module. NULL: not there, or refused. */
static void *find_place(struct slot *slot, struct elf_module *module)
{
    struct elf_search found;
    const char *reason;

    if (!slot->tls.name) {
        slot->reason = "no loaded module has this name";
        if (!elf_module_find(slot->tls.module, module))
            return NULL;
        if (module->base + slot->tls.tls_offset < module->hi)
            return (void *)(module->base + slot->tls.tls_offset);
        slot_refuse(slot, "outside of the module");
        return NULL;
    }
    slot->reason = "no loaded module has a variable of this name";
    if (!slot_name_find(slot->tls.id, &found))
        return NULL;
    reason = storage_reason(slot, &found.where, &found.query.found);
    if (reason)
        slot_refuse(slot, reason);
    *module = found.where;
    return reason ? NULL : (void *)found.query.found.value;
}

static void storage_resolve(struct slot *slot)
{
    struct storage_item *item = storage_item_of(slot);
    struct elf_module module;
    struct elf_symbol symbol;
    char end_name[END_NAME] = "";
    void *place = find_place(slot, &module);
    struct storage *storage;
    const char *reason;

    storage_has_key(); /* early: the program's own may be many */
    if (!place)
        return;
    atomic_store_explicit(&item->place, place, memory_order_relaxed);
    slot->reason = atomic_load_explicit(&is_full, memory_order_relaxed)
                       ? "more than 256 QThreadStorages were made, and that one was not noted"
                       : "no QThreadStorage was made there yet";
    storage = find_storage(place);
    if (!storage || slots_may_not_open)
        return;
    elf_symbol_at((const void *)storage->end, ELF_FUNC, &symbol, end_name, sizeof end_name);
    reason = storage_type_reason(&item->type, &module, end_name);
    if (!reason)
        reason = storage_type_bind(&item->type, &module, (const void *)storage->get);
    if (!reason && !storage_has_key())
        reason = "all of the first 32 keys are taken";
    if (reason) {
        slot_refuse(slot, reason);
        return;
    }
    item->storage = storage;
    slot_pin(module.phdr);
    slot_pin((const void *)storage->get);
    slot_bound(slot, module.name, slot->tls.name ? slot->tls.name : "offset");
}

const struct slot_kind slot_kind_storage = {
    .form = &storage_form,
    .check = storage_check,
    .parse = storage_parse,
    .names = storage_names,
    .reason = storage_reason,
    .will_come = storage_will_come,
    .resolve = storage_resolve,
    .hold = storage_hold,
    .lend = storage_lend,
    .reclaim = storage_reclaim,
    .let_go = storage_let_go,
    .can_exchange = storage_can_exchange,
    .exchange = storage_exchange,
};
