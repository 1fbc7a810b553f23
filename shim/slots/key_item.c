/*
 * The text of key:NAME[@MODULE], key:by=FUNCTION[#N][@MODULE], key:MODULE+0xOFFSET and key:n=N: whether it makes
 * sense, and what it says.
 *
 * Rules: read once, at start, single-threaded; the text is cut into pieces, which the slot keeps.
 */
#include "slots/key_item.h"
#include "slots/keys.h"
#include "slots/kind.h"

#include <string.h>

#include "elf/elf.h"
#include "slots/key_by.h"
#include "slots/policy.h"

const struct slot_form key_form = {
    .name = "key",
    .shape = SHAPE_WHAT,
    .options = O_POLICIES | O_ENDERS | O_NATIVE,
    .own = O_NATIVE,
    .item = "the name of the variable that holds the key, key:NAME[@MODULE]; or key:by=FUNCTION, "
            "key:n=N",
    .extra = "native, " POLICY_WORDS,
};

bool key_item_check(const char *at, size_t len, struct slot_error *error)
{
    const char *offset = form_find_offset(at, len);

    if (len >= 2 && !memcmp(at, "n=", 2)) {
        for (size_t i = 2; i < len; i++)
            if (!form_is_digit(at[i]))
                return form_bad(error, at + 2,
                                "a number from 1 to 1024, the order of creation, as in n=3");
        return true; /* whether it is too large: the kind reads it */
    }
    if (len >= 3 && !memcmp(at, "by=", 3))
        return key_by_check(at + 3, len - 3, error);
    if (offset)
        return form_check_offset(at, offset, at + len, false, error);
    return form_check_symbol(at, len, key_form.item, error);
}

bool key_item_parse(struct slot *slot, char *text, bool is_native, struct slot_error *error)
{
    char *plus = strrchr(text, '+');
    const char *end;

    if (is_native && slot->policy == POLICY_WEAK) {
        *error = (struct slot_error){"another policy: weak is not for native", text};
        return false;
    }
    if (!is_native)
        slot->key_index = (uint16_t)slots_key_count;
    if (!strncmp(text, "n=", 2)) {
        unsigned order = 0;

        for (end = text + 2; *end >= '0' && *end <= '9' && order < KEYS_MAX; end++)
            order = order * 10 + (unsigned)(*end - '0');
        slot->key.order = order;
        if (*end || !order || order > KEYS_MAX) {
            *error =
                (struct slot_error){"a number from 1 to 1024: the order of creation", text + 2};
            return false;
        }
    } else if (plus && plus[1] == '0') {
        *plus = '\0';
        slot->key.module = text;
        if (!*text || !form_read_offset(plus + 1, &slot->key.module_offset, &end) || *end) {
            *error = (struct slot_error){"MODULE+0xOFFSET", plus + 1};
            return false;
        }
    } else {
        if (!strncmp(text, "by=", 3)) {
            slot->key.by_creator = true;
            text += 3;
        }
        form_cut_module(text, &slot->key.module);
        if (slot->key.by_creator)
            key_by_cut_number(slot, text);
        slot->key.name = text;
        if (!*text || (slot->key.module && !*slot->key.module)) {
            *error = (struct slot_error){
                "the name of the variable that holds the key, NAME[@MODULE]; by=FUNCTION, "
                "n=N or MODULE+0xOFFSET",
                text};
            return false;
        }
        if (!slot_name_add(&slot->key.id, text, slot->key.module, NULL,
                           slot->key.by_creator ? ELF_FUNC : ELF_OBJECT)) {
            *error = (struct slot_error){"fewer names", text};
            return false;
        }
    }
    slots_key_count += !is_native;
    return true;
}
