/*
 * pthread and C11 keys: who made each and in which variable it stands, and what each thread does with it between
 * two events: whether it got or set it first, from where, and what it holds. Qt's QThreadStorage likewise, which has
 * no key: it goes by a number of its own, and what it holds is told by its first bytes.
 */
#include <link.h>
#include <string.h>

#include "base/sys.h"
#include "discover/own.h"
#include "discover/record.h"

/* The key of each number that is in use: an index of page->key, from 1. */
static uint32_t index_of[DISCOVER_NUMBERS];
static uint32_t is_searched[DISCOVER_KEYS];

void key_made(unsigned number, const void *variable, const void *destructor, const void *from)
{
    struct recorder *recorder = recorder_own();
    uint32_t index;

    if (!recorder || recorder->is_busy || number >= DISCOVER_NUMBERS)
        return;
    recorder->is_busy = true;
    index = __atomic_fetch_add(&page->keys, 1, __ATOMIC_RELAXED);
    if (index < DISCOVER_KEYS) {
        page->key[index].number = number;
        page->key[index].variable = (uintptr_t)variable;
        page->key[index].destructor = (uintptr_t)destructor;
        page->key[index].stack = record_stack(from);
        page->key[index].is_storage = number >= DISCOVER_KEYS;
        __atomic_store_n(&index_of[number], index + 1, __ATOMIC_RELEASE);
    }
    recorder->is_busy = false;
}

void key_gone(unsigned number)
{
    uint32_t index = page && number < DISCOVER_NUMBERS
                         ? __atomic_exchange_n(&index_of[number], 0, __ATOMIC_ACQ_REL)
                         : 0;

    if (index)
        page->key[index - 1].deleted_after = __atomic_load_n(&page->keys, __ATOMIC_RELAXED);
}

/* What this thread did with a key, on the list of those that were touched; NULL: not noted. */
static struct key_uses *touch(unsigned number)
{
    struct recorder *recorder = own;
    struct key_uses *uses;

    if (!recorder || recorder->is_busy || number >= DISCOVER_NUMBERS || !index_of[number])
        return NULL;
    uses = &recorder->keys[number];
    if (!uses->flags) {
        if (recorder->touched_count == TOUCHED_MAX)
            return NULL;
        recorder->touched[recorder->touched_count++] = (uint16_t)number;
    }
    return uses;
}

void key_got(unsigned number, void *value, const void *from)
{
    struct key_uses *uses = touch(number);

    if (!uses)
        return;
    if (!uses->flags) {
        uses->flags = KEY_GOT_FIRST;
        uses->first_value = value;
    }
    if (!(uses->flags & KEY_GOT)) {
        uses->flags |= KEY_GOT;
        uses->got_from = from;
    }
}

struct search {
    uintptr_t wanted, found;
    unsigned count; /* of such words; the first is told */
};

/* Whoever makes keys on the heap (GPrivate did) points to them from a variable. */
static int search_module(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct search *search = arg;

    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + p->p_vaddr;

        if (p->p_type != PT_LOAD || !(p->p_flags & PF_W))
            continue;
        for (uintptr_t at = (start + 7) & ~(uintptr_t)7; at + 8 <= start + p->p_memsz; at += 8) {
            if (*(const volatile uintptr_t *)at == search->wanted && !search->count++)
                search->found = at;
        }
    }
    return 0;
}

static const struct discover_module *module_of(uintptr_t address)
{
    for (uint32_t i = 0; i < page->modules; i++) {
        if (address >= page->module[i].lo && address < page->module[i].hi)
            return &page->module[i];
    }
    return NULL;
}

static bool is_made_by_glib(const struct discover_key *key)
{
    const struct discover_module *maker = module_of(page->stack[key->stack].frames[0]);

    return maker && strstr(maker->path, "/libglib-2.0.so");
}

static void search_holder(uint32_t index)
{
    struct discover_key *key = &page->key[index];
    struct search search = {.wanted = key->variable};

    if (module_of(search.wanted))
        return;
    OWN(dl_iterate_phdr)(search_module, &search);
    /* GPrivate of later versions of GLib holds the key itself, below ones. */
    if (!search.count && is_made_by_glib(key)) {
        search.wanted = (uintptr_t)UINT32_MAX << 32 | key->number;
        OWN(dl_iterate_phdr)(search_module, &search);
        if (search.count > 1)
            search.found = 0;
    }
    key->holder = search.found;
}

void key_set(unsigned number, const void *value, const void *from)
{
    struct key_uses *uses;

    if (!recorder_own())
        return;
    uses = touch(number);
    if (!uses)
        return;
    if (!(uses->flags & KEY_SET)) {
        uses->flags |= KEY_SET;
        uses->set_from = from;
    }
}

extern void *discover_read(unsigned number);
extern void *discover_read_storage(void *storage);

static void *read_now(unsigned number, uint32_t index)
{
    return number < DISCOVER_KEYS
               ? discover_read(number)
               : discover_read_storage((void *)(uintptr_t)page->key[index].variable);
}

void keys_note(struct recorder *recorder)
{
    for (uint32_t i = 0; i < recorder->touched_count; i++) {
        unsigned number = recorder->touched[i];
        struct key_uses *uses = &recorder->keys[number];
        uint32_t index = index_of[number];
        struct discover_event *event;

        if (index) {
            if (number < DISCOVER_KEYS &&
                !__atomic_exchange_n(&is_searched[index - 1], 1, __ATOMIC_RELAXED))
                search_holder(index - 1);
            if (uses->flags & KEY_GOT_FIRST && (event = record_place(recorder))) {
                event->which = index - 1;
                event->value = (uintptr_t)uses->first_value;
                record_commit(event, DISCOVER_KEY_FIRST);
            }
            if ((event = record_place(recorder))) {
                event->flags = uses->flags;
                event->which = index - 1;
                event->object = (uint64_t)record_site(uses->got_from) << 32 |
                                record_site(uses->set_from);
                event->value = (uintptr_t)read_now(number, index - 1);
                record_commit(event, DISCOVER_KEY);
            }
        }
        memset(uses, 0, sizeof *uses);
    }
    recorder->touched_count = 0;
}
