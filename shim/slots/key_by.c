/*
 * key:by=FUNCTION[#N][@MODULE]: a key that goes by the function that makes it, because no variable has it for good.
 *
 * A function may make several: #N says which, counted from the first that is there while the others are.
 *
 * Rules: as key.c; the stack is read with no lock held.
 */
#include "slots/key_by.h"
#include "slots/keys.h"
#include "slots/kind.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "elf/elf.h"

enum { FRAMES = 32 };

/* ---- the item ---- */

bool key_by_check(const char *at, size_t len, struct slot_error *error)
{
    static const char form[] = "a function that makes the key, as in by=make_key";
    static const char number[] = "which of its keys, from 1 to 1024, as in by=make_key#2";
    const char *end = at + len, *hash = memchr(at, '#', len), *module = memchr(at, '@', len);
    unsigned value = 0;

    if (!hash)
        return form_check_symbol(at, len, form, error);
    if (module && module < hash)
        return form_bad(error, hash, "#N before @MODULE, as in by=make_key#2@main");
    if (!form_check_symbol(at, (size_t)(hash - at), form, error))
        return false;
    for (const char *digit = hash + 1; digit < (module ? module : end); digit++) {
        if (!form_is_digit(*digit) || value > KEYS_MAX)
            return form_bad(error, hash + 1, number);
        value = value * 10 + (unsigned)(*digit - '0');
    }
    if (!value || value > KEYS_MAX)
        return form_bad(error, hash + 1, number);
    return !module ||
           form_check_name(module + 1, (size_t)(end - module - 1),
                           "main or the beginning of a library's file name after @, as in @libcurl",
                           error);
}

void key_by_cut_number(struct slot *slot, char *text)
{
    char *hash = strchr(text, '#');

    if (!hash)
        return;
    *hash = '\0';
    while (form_is_digit(*++hash))
        slot->key.which = (uint16_t)(slot->key.which * 10 + (*hash - '0'));
}

/* ---- who makes it ---- */

static bool is_in_creator(const struct slot *slot, const void *address)
{
    return (uintptr_t)address > slot->key.creator_lo && (uintptr_t)address <= slot->key.creator_hi;
}

/* All that a library does is called by main in the end: what it makes is its own, whatever is read of the stack. */
static bool may_be_librarys(const struct slot *slot, const void *caller)
{
    struct elf_module module;

    return slot->key.name && !strcmp(slot->key.name, "main") && elf_module_at(caller, &module) &&
           !module.is_main;
}

/* Mostly the caller itself; else whoever called it, if stacks can be read (observe/stack.c). */
static bool is_creator_on_stack(const struct slot *slot, const void *caller)
{
    static __thread bool is_reading; /* libunwind's first use makes a key of its own */
    void *frames[FRAMES];
    int count;

    if (is_in_creator(slot, caller))
        return true;
    if (!slots_calls.backtrace || is_reading || may_be_librarys(slot, caller))
        return false;
    is_reading = true;
    count = slots_calls.backtrace(frames, FRAMES);
    is_reading = false;
    for (int i = 0; i < count; i++) {
        if (is_in_creator(slot, frames[i]))
            return true;
    }
    return false;
}

enum { NOTE_SIZE = 256 };

/* A function that makes several keys: which one was meant only the user can say. */
static void say_several(struct slot *slot)
{
    char *text = slot->is_note_said ? (char *)(uintptr_t)slot->note : mem_alloc(NOTE_SIZE);

    if (!text)
        return;
    fmt_buf(
        text, NOTE_SIZE,
        "its function made %u keys, of which the first is carried: by=%.100s#1 to #%u say which",
        slot->key.most, slot->key.name, slot->key.most);
    slot->note = text;
    slot->is_note_said = true;
}

bool key_by_is_maker(const struct slot *slot, const void *caller)
{
    return slot->key.creator_lo && is_creator_on_stack(slot, caller);
}

bool key_by_count(struct slot *slot)
{
    slot->key.made++;
    slot->key.live++;
    if (slot->key.most < slot->key.made)
        slot->key.most = slot->key.made;
    if (!slot->key.which && slot->key.made > 1)
        say_several(slot);
    slot->reason = key_by_reason(slot);
    return slot->state == SLOT_WAITING && (!slot->key.which || slot->key.which == slot->key.made);
}

const char *key_by_reason(const struct slot *slot)
{
    return slot->key.made ? "its function has made fewer keys than #N says"
                          : "its function has made no key yet";
}

void key_by_forget(unsigned maker)
{
    for (unsigned i = 0; maker && i < slots_count; i++) {
        struct slot *slot = &slots[i];

        if (slot->kind->is_key && slot->key.by_creator &&
            slot->key.creator_lo == slots[maker - 1].key.creator_lo && slot->key.live &&
            !--slot->key.live)
            slot->key.made = 0;
    }
}
