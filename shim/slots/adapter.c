/*
 * adapter:NAME and adapter:/path/to/file.so: contexts that only code of their own can carry
 * (include/baton_adapter.h). A held slot whose word is the adapter's object.
 *
 * NAME is a file of the folder adapters/ beside this library. It is loaded when the setting is read;
 * if it cannot be (the library that it adapts is not there yet), again after each dlopen.
 */
#include "baton_adapter.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "elf/elf.h"
#include "base/infile.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sys.h"
#include "base/text.h"
#include "slots/kind.h"
#include "slots/slots.h"
#include "slots/wanted.h"

enum {
    PATH_SIZE = SLOT_FOLDER_SIZE,
    VERSION_FIRST = 1,
    VERSION_WITH_END = 2,
    VERSION_WITH_NAMES = 3
};

/* other.pointer: the adapter's table, and the path. */
static const struct baton_adapter *table_of(const struct slot *slot)
{
    return slot->other.pointer[0];
}

bool slot_adapter_exists(const char *name)
{
    int saved_errno = errno;
    char path[PATH_SIZE];
    size_t at = *name && strlen(name) < 64 && !strpbrk(name, "/:=") ? slot_own_folder(path) : 0;
    bool is_there = false;

    if (at) {
        fmt_buf(path + at, sizeof path - at, "adapters/%s.so", name);
        is_there = SYS_CALL(faccessat, AT_FDCWD, path, R_OK) == 0;
    }
    errno = saved_errno;
    return is_there;
}

/* What getdents64 answers; the C library has no name for it. */
struct entry {
    uint64_t inode;
    int64_t next;
    uint16_t length;
    uint8_t kind;
    char name[];
};

/* WHY, or with it the name of an adapter of ours that TEXT may have meant. PATH begins with our folder. */
static const char *adapter_near(const char *path, size_t folder_len, const char *text,
                                const char *why)
{
    static char hint[256];
    _Alignas(8) char entries[2048];
    char folder[PATH_SIZE], nearest[64] = "", name[64];
    size_t most = strlen(text) / 3 + 2; /* in a short name a few letters are all of it */
    unsigned best = most < 4 ? (unsigned)most : 4;
    int fd;
    long got;

    if (!*text || strchr(text, '/') || strlen(text) >= sizeof name ||
        folder_len + 16 > sizeof folder)
        return why;
    fmt_buf(folder, sizeof folder, "%.*sadapters", (int)folder_len, path);
    fd = sys_open(folder, O_RDONLY | O_DIRECTORY, 0);
    while (fd >= 0 && (got = SYS_CALL(getdents64, fd, entries, sizeof entries)) > 0) {
        for (long at = 0; at < got; at += ((struct entry *)(void *)(entries + at))->length) {
            const struct entry *entry = (const struct entry *)(const void *)(entries + at);
            size_t len = strlen(entry->name);

            if (len < 4 || len > sizeof name || strcmp(entry->name + len - 3, ".so") != 0)
                continue;
            memcpy(name, entry->name, len - 3);
            name[len - 3] = '\0';
            if (!*nearest && !strncmp(name, text, strlen(text)) && name[strlen(text)] == '-')
                strcpy(nearest, name); /* openssl of openssl-libctx */
            if (config_name_distance(text, name) < best) {
                best = config_name_distance(text, name);
                strcpy(nearest, name);
            }
        }
    }
    if (fd >= 0)
        sys_close(fd);
    if (!*nearest && slots_calls.knows && slots_calls.knows(text)) {
        fmt_buf(hint, sizeof hint, "auto, which knows what %s keeps? Or %s", text, why);
        return hint;
    }
    if (!*nearest)
        return why;
    fmt_buf(hint, sizeof hint, "adapter:%s? Or %s", nearest, why);
    return hint;
}

static bool adapter_parse(struct slot *slot, char *text, struct slot_error *error)
{
    char *path = mem_alloc(PATH_SIZE);
    int saved_errno = errno;
    const char *why;
    size_t at = 0;

    slot->size = sizeof(void *);
    if (!path)
        return false;
    if (!strchr(text, '/')) {
        at = slot_own_folder(path);
        if (at)
            fmt_buf(path + at, PATH_SIZE - at, "adapters/%s.so", text);
    } else if (text[0] != '/' && SYS_CALL(getcwd, path, PATH_SIZE / 2) >= 0) {
        at = strlen(path);
        fmt_buf(path + at, PATH_SIZE - at, "/%s", text);
    } else {
        at = 1;
        fmt_buf(path, PATH_SIZE, "%s", text);
    }
    why = at && *text ? infile_distrust(path) : "";
    if (why) {
        if (!strchr(text, '/') || !*text)
            why = "the name of an adapter (a file in lib/baton/adapters, without .so) or the path "
                  "of a "
                  "shared object";
        *error = (struct slot_error){adapter_near(path, at, text, why), text};
        errno = saved_errno;
        mem_free(path, PATH_SIZE);
        return false;
    }
    errno = saved_errno;
    slot->other.pointer[1] = path;
    return true;
}

static void adapter_resolve(struct slot *slot)
{
    const char *path = slot->other.pointer[1], *why;
    const struct baton_adapter *table = slot->other.pointer[0];

    if (!table) {
        void *library;

        if (slots_may_not_open)
            return;
        why = infile_distrust(path); /* it may have changed since the setting was read */
        if (why) {
            slot_refuse(slot, why);
            return;
        }
        library = elf_open(path, RTLD_NOW | RTLD_LOCAL);
        if (!library) {
            log_msg(LOG_LEVEL_INFO, "%s: %s", slot->item, elf_open_error());
            slot->reason =
                "cannot be loaded, perhaps because its library is not (BATON_LOG=info says more)";
            return;
        }
        table = elf_open_symbol(library, "baton_adapter");
        if (!table) {
            slot_refuse(slot, "not an adapter: it exports no baton_adapter");
            return;
        }
        if (table->version < VERSION_FIRST || table->version > BATON_ADAPTER_VERSION ||
            !table->capture || !table->attach || !table->detach || !table->release) {
            slot_refuse(
                slot,
                "an adapter of another version, or without capture, attach, detach or release");
            return;
        }
    }
    slot->other.pointer[0] = (void *)(uintptr_t)table;
    why = table->version >= VERSION_WITH_NAMES && table->wanted_count ? wanted_find(table) : NULL;
    if (!why && table->start)
        why = table->start();
    if (why) {
        slot->reason = why;
        return;
    }
    slot_bound(slot, path, table->name ? table->name : "adapter");
}

static bool adapter_hold(const struct slot *slot, void **owned)
{
    int saved_errno = errno;

    *owned = NULL;
    switch (table_of(slot)->capture(owned)) {
    case BATON_ADAPTER_OK:
        break;
    case BATON_ADAPTER_NONE:
        *owned = NULL;
        break;
    default:
        *owned = NULL;
        slot_failed(slot);
    }
    errno = saved_errno;
    return *owned != NULL;
}

static bool adapter_lend(const struct slot *slot, void *owned, void **borrowed)
{
    int saved_errno = errno;
    bool is_attached;

    *borrowed = NULL;
    is_attached = table_of(slot)->attach(owned, borrowed) == BATON_ADAPTER_OK;
    if (!is_attached)
        slot_failed(slot);
    errno = saved_errno;
    return is_attached;
}

static void adapter_take_back(const struct slot *slot, void *borrowed, bool is_thread)
{
    const struct baton_adapter *table = table_of(slot);
    int saved_errno = errno;

    if (is_thread && table->version >= VERSION_WITH_END && table->detach_at_end)
        table->detach_at_end(borrowed);
    else
        table->detach(borrowed);
    errno = saved_errno;
}

static void adapter_let_go(const struct slot *slot, void *owned)
{
    int saved_errno = errno;

    table_of(slot)->release(owned);
    errno = saved_errno;
}

static bool adapter_can_exchange(const struct slot *slot)
{
    return table_of(slot)->version >= VERSION_WITH_END && table_of(slot)->exchange;
}

static void adapter_exchange(const struct slot *slot, void **state)
{
    int saved_errno = errno;

    table_of(slot)->exchange(state);
    errno = saved_errno;
}

static const struct slot_form adapter_form = {
    .name = "adapter",
    .shape = SHAPE_WHAT,
    .item = "adapter:NAME (a file in lib/baton/adapters, without .so) or adapter:/path/to/file.so",
    .extra = "no option: adapters have none",
};

static bool adapter_check(const char *at, size_t len, struct slot_error *error)
{
    for (size_t i = 0, n; i < len; i += n) {
        n = text_shown(at + i, len - i);
        if (!n)
            return form_bad(error, at + i, "a path in UTF-8, no control character");
    }
    return len ? true : form_bad(error, at, adapter_form.item);
}

const struct slot_kind slot_kind_adapter = {
    .form = &adapter_form,
    .check = adapter_check,
    .is_adapter = true,
    .parse = adapter_parse,
    .resolve = adapter_resolve,
    .hold = adapter_hold,
    .lend = adapter_lend,
    .reclaim = adapter_take_back,
    .let_go = adapter_let_go,
    .can_exchange = adapter_can_exchange,
    .exchange = adapter_exchange,
};
