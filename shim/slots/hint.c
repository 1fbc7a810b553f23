/*
 * Items that matched nothing: said, and what may have been meant: the same name as another kind of thing, or
 * the nearest name. Slow: for messages and the report. Files are read for it, so it is gathered at the start and after
 * libraries were opened, and kept for the exit.
 */
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "elf/elf.h"
#include "slots/kind.h"
#include "slots/slots.h"

static bool is_there(const struct slot_meant *meant, unsigned want)
{
    struct elf_search search = {.module = meant->module,
                                .query = {.name = meant->name, .want = want}};

    return elf_search_modules(&search, 1, NULL) && search.query.found.matches;
}

/* The right name, but of another kind. */
static bool other_kind(const struct slot *slot, const struct slot_meant *meant, char *buf, size_t n)
{
    const char *name = meant->name;

    if (meant->want != ELF_TLS && is_there(meant, ELF_TLS))
        fmt_buf(buf, n, "it is thread-local: write tls:%s", name);
    else if (meant->want == ELF_TLS && is_there(meant, ELF_OBJECT))
        fmt_buf(buf, n, "it is not thread-local; if it holds a pthread key, write key:%s", name);
    else if (meant->want == ELF_FUNC && is_there(meant, ELF_OBJECT))
        fmt_buf(buf, n, "it is a variable, not a function; if it holds a pthread key, write key:%s",
                name);
    else if (meant->want != ELF_FUNC && is_there(meant, ELF_FUNC))
        fmt_buf(
            buf, n,
            "it is a function: write fn:get=%s,set=... or, if it returns the value before, swap:%s",
            name, name);
    else
        return false;
    return true;
}

static bool look(const struct slot *slot, char *buf, size_t n)
{
    struct slot_meant meant[SLOT_MEANT_MAX];
    unsigned count = slot->kind->names ? slot->kind->names(slot, meant) : 0;
    char near[256];

    for (unsigned i = 0; i < count; i++) {
        if (is_there(&meant[i], meant[i].want))
            continue;
        if (strpbrk(meant[i].name, " \t:"))
            fmt_buf(buf, n,
                    "a name is the linker's, without a space or ':' (nm shows it; C++ names are "
                    "mangled)");
        else if (other_kind(slot, &meant[i], buf, n))
            return true;
        else if (slot_name_near(meant[i].id, near, sizeof near))
            fmt_buf(buf, n, "the nearest is %s", near);
        else
            continue;
        return true;
    }
    return false;
}

enum { GATHERED_MOST = 8 }; /* times: a program may open hundreds of plugins */

bool slots_hints_wanted, slots_hints_stale;

static bool is_found(const struct slot *slot)
{
    struct slot_meant meant[SLOT_MEANT_MAX];
    unsigned count = slot->kind->names ? slot->kind->names(slot, meant) : 0;
    struct elf_search search;

    for (unsigned i = 0; i < count; i++) {
        if (!slot_name_find(meant[i].id, &search))
            return false;
    }
    return true;
}

void slots_gather_hints(void)
{
    static unsigned times;
    char hint[384];
    bool has_looked = false;

    slots_hints_wanted = true;
    slots_hints_stale = false;
    for (unsigned i = 0; i < slots_count && times < GATHERED_MOST; i++) {
        struct slot *slot = &slots[i];

        if (slot->state != SLOT_WAITING || slot->is_dormant || slot->hint || is_found(slot))
            continue;
        has_looked = true;
        if (look(slot, hint, sizeof hint) && (slot->hint = mem_alloc(strlen(hint) + 1)))
            strcpy(slot->hint, hint);
    }
    times += has_looked;
}

bool slot_hint(const struct slot *slot, char *buf, size_t n)
{
    if (!slots_hints_wanted)
        return look(slot, buf, n);
    if (slot->hint && !is_found(slot))
        fmt_buf(buf, n, "%s", slot->hint);
    return slot->hint && !is_found(slot);
}

const char *slot_reason(const struct slot *slot)
{
    const char *why = slot->state == SLOT_WAITING && slot->kind->why_waiting
                          ? slot->kind->why_waiting(slot)
                          : NULL;

    return why ? why : slot->reason;
}

static void slot_say_unmatched(const struct slot *slot, enum log_level level)
{
    char hint[384];
    bool has_hint = slot_hint(slot, hint, sizeof hint);

    log_msg(level, "BATON_CARRY=\"%s\": matched nothing: %s%s%s", slot->item,
            slot_reason(slot) ? slot_reason(slot) : "not found", has_hint ? "; " : "",
            has_hint ? hint : "");
}

void slots_say_unmatched(bool is_required)
{
    enum log_level level = is_required ? LOG_LEVEL_ERROR : LOG_LEVEL_WARN;

    if (log_level < (int)level)
        return;
    for (unsigned i = 0; i < slots_count; i++) {
        if (slots[i].state == SLOT_WAITING && !slots[i].is_dormant && !slot_is_done(&slots[i]))
            slot_say_unmatched(&slots[i], level);
        else if (slots[i].state == SLOT_BOUND && slots[i].is_note_said)
            log_msg(LOG_LEVEL_WARN, "BATON_CARRY=\"%s\": %s", slots[i].item, slots[i].note);
    }
}

static bool slot_will_come(const struct slot *slot)
{
    return slot->kind->will_come && slot->kind->will_come(slot);
}

unsigned slots_say_missing(void)
{
    unsigned missing = 0;

    for (unsigned i = 0; i < slots_count; i++) {
        const struct slot *slot = &slots[i];

        if (slot->is_dormant)
            continue;
        if (slot->state == SLOT_WAITING && !slot_will_come(slot)) {
            slot_say_unmatched(slot, LOG_LEVEL_ERROR);
            missing++;
        }
        missing += slot->state == SLOT_REFUSED; /* which has been said */
    }
    return missing;
}
