/*
 * What stands behind fn: and swap:, read.
 *
 * Promise: the functions and the size of a form stand together, or it is said what is missing and what does not
 * belong there. Which form it is decides its first function: get=, fill= or at=. grammar.c has seen to it that
 * each option is one, stands once, and has a value that makes sense by itself.
 */
#include <string.h>

#include "elf/elf.h"
#include "slots/fn.h"
#include "slots/kind.h"

/* An option of the item: where it begins, where its value does. */
struct seen {
    const char *option, *value;
};

enum word { GET, FILL, AT, SET, PUT, FREE, SIZE, MOVE, WEAK, SHARE, WORDS };

static const char words[WORDS][8] = {
    "get=", "fill=", "at=", "set=", "put=", "free=", "size=", "move", "weak", "share"};

/* The function that an option names: where the slot keeps it. */
static const enum fn_place places[] = {FN_GET, FN_GET, FN_GET, FN_SET, FN_SET, FN_FREE};

static enum word word_at(const char *at)
{
    enum word word = 0;

    while (word < WORDS && strncmp(at, words[word], strlen(words[word])) != 0)
        word++;
    return word;
}

static uint32_t read_size(const char *at)
{
    uint32_t size = 0;

    for (; form_is_digit(*at); at++)
        size = size * 10 + (uint32_t)(*at - '0');
    return size;
}

/* ---- check ---- */

static bool is_one_of(uint32_t size)
{
    return size == 1 || size == 2 || size == 4 || size == sizeof(uintptr_t);
}

static bool check_get(const struct seen *seen, const char *end, struct slot_error *error)
{
    if (seen[PUT].option)
        return form_bad(error, seen[PUT].option, "set=FUNCTION: put= belongs to fill=");
    if (seen[SIZE].option)
        return form_bad(
            error, seen[SIZE].option,
            "no size with get=, which returns the value; fill= writes it to an address");
    return seen[SET].option || form_bad(error, end, FN_ITEM);
}

static bool check_fill(const struct seen *seen, const char *end, struct slot_error *error)
{
    static const char whole[] =
        "fill=FUNCTION,size=N,set=FUNCTION, or put=FUNCTION, which takes the value's address";
    uint32_t size;

    if (seen[SET].option && seen[PUT].option)
        return form_bad(error,
                        seen[SET].option > seen[PUT].option ? seen[SET].option : seen[PUT].option,
                        "either set=, which takes the value, or put=, which takes its address");
    if (!seen[SIZE].option || !(seen[SET].option || seen[PUT].option))
        return form_bad(error, end, whole);
    size = read_size(seen[SIZE].value);
    if (seen[SET].option && !is_one_of(size))
        return form_bad(error, seen[SIZE].value,
                        "1, 2, 4 or 8 with set=, which takes the value; put= takes its address");
    return size <= FN_FILL_MOST ||
           form_bad(error, seen[SIZE].value, "a number of bytes from 1 to 256 with fill=");
}

static bool check_at(const struct seen *seen, const char *end, struct slot_error *error)
{
    static const enum word others[] = {SET, PUT, FREE};

    for (unsigned i = 0; i < sizeof others / sizeof *others; i++) {
        if (seen[others[i]].option)
            return form_bad(error, seen[others[i]].option,
                            "at=FUNCTION,size=N alone: what is at the address is read and written");
    }
    if (!seen[SIZE].option)
        return form_bad(error, end, "at=FUNCTION,size=N: how many bytes are at the address");
    if (seen[MOVE].option)
        return form_bad(error, seen[MOVE].option,
                        "another policy: move is for setters that take over what they get");
    return !seen[WEAK].option ||
           form_bad(error, seen[WEAK].option,
                    "another policy: changes of what is at an address are not seen");
}

/* The latest of the three that say how the value is got. */
static const char *second_form(const struct seen *seen)
{
    const char *first = NULL, *last = NULL;

    for (enum word word = GET; word <= AT; word++) {
        const char *at = seen[word].option;

        if (at && (!first || at < first))
            first = at;
        if (at && (!last || at > last))
            last = at;
    }
    return first != last ? last : NULL;
}

/* What reads is what writes. */
static bool is_same_function(const struct seen *seen)
{
    enum word reader = seen[GET].option ? GET : FILL;
    size_t len;

    if (!seen[reader].option || !seen[SET].option)
        return false;
    len = strcspn(seen[reader].value, ",");
    return strcspn(seen[SET].value, ",") == len &&
           !memcmp(seen[reader].value, seen[SET].value, len);
}

bool fn_check(const char *at, size_t len, struct slot_error *error)
{
    const char *end = at + len, *policy = NULL;
    struct seen seen[WORDS] = {{NULL, NULL}};

    for (const char *option = at; option < end; option += strcspn(option, ",") + 1) {
        enum word word = word_at(option);

        if (word < WORDS && !(word == FREE && policy)) /* free= of clone= is the policy's */
            seen[word] = (struct seen){option, option + strlen(words[word])};
        if (word >= MOVE && word != SHARE)
            policy = option;
    }
    if (second_form(seen))
        return form_bad(error, second_form(seen), "one of get=, fill= and at= only");
    if (!(seen[GET].option    ? check_get(seen, end, error)
          : seen[FILL].option ? check_fill(seen, end, error)
          : seen[AT].option   ? check_at(seen, end, error)
                              : form_bad(error, end, FN_ITEM)))
        return false;
    if (is_same_function(seen))
        return form_bad(error, seen[SET].value,
                        "another function than the one before; one that does both is swap:F");
    if (seen[SIZE].option && read_size(seen[SIZE].value) != sizeof(void *) &&
        (policy || seen[FREE].option))
        return form_bad(error, policy ? policy : seen[FREE].option,
                        "size=8 for this, as of a pointer");
    return true;
}

/* ---- parse ---- */

static bool add_names(struct slot *slot, char *text, struct slot_error *error)
{
    for (unsigned i = FN_GET; i <= FN_FREE; i++) {
        if (slot->fn.name[i] &&
            !slot_name_add(&slot->fn.id[i], slot->fn.name[i], slot->fn.module[i], NULL, ELF_FUNC)) {
            *error = (struct slot_error){"fewer names", text};
            return false;
        }
    }
    return true;
}

bool fn_parse(struct slot *slot, char *text, struct slot_error *error)
{
    char *part = text;

    slot->size = sizeof(uintptr_t);
    slot->fn.setter = FN_SET;
    while (*part) {
        char *next = part + strcspn(part, ","), *value;
        enum word word = word_at(part);
        bool is_last = !*next;

        *next = '\0';
        if (word >= MOVE || !part[strlen(words[word])])
            return form_bad(error, part, FN_ITEM);
        value = part + strlen(words[word]);
        if (word == SIZE) {
            slot->size = read_size(value);
        } else {
            form_cut_module(value, &slot->fn.module[places[word]]);
            slot->fn.name[places[word]] = value;
        }
        slot->fn.is_filled |= word == FILL;
        slot->fn.takes_address |= word == PUT;
        if (word == AT) {
            slot->kind = &slot_kind_place;
            slot->fn.is_place = true;
        }
        part = is_last ? next : next + 1;
    }
    if (slot->fn.name[FN_FREE] && slot->policy != POLICY_SHARE && slot->policy != POLICY_MOVE)
        return form_bad(error, slot->fn.name[FN_FREE],
                        "either free=FUNCTION (the getter makes copies) or a policy");
    slot->is_cloned = slot->fn.name[FN_FREE] != NULL;
    return add_names(slot, text, error);
}

bool swap_parse(struct slot *slot, char *text, struct slot_error *error)
{
    slot->size = sizeof(uintptr_t);
    slot->fn.setter = FN_GET;
    if (!*text)
        return form_bad(error, text,
                        "the name of a function that sets a value and returns the old one");
    form_cut_module(text, &slot->fn.module[FN_GET]);
    slot->fn.name[FN_GET] = text;
    return add_names(slot, text, error);
}
