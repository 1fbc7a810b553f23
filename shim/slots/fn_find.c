/*
 * The functions that an item of fn: or swap: names, found in the loaded modules; what is seen of one when it is called.
 *
 * Promise: all of them are there and may be called around tasks, or it is said which is not, and why.
 */
#include <string.h>

#include "elf/elf.h"
#include "slots/fn.h"
#include "slots/kind.h"

#define FUNCTIONS (O_GET | O_SET | O_FILL | O_PUT | O_AT | O_SIZE)

const struct slot_form fn_form = {
    .name = "fn",
    .shape = SHAPE_OPTIONS,
    .options = O_POLICIES | O_ENDERS | O_MOVE | FUNCTIONS,
    .own = FUNCTIONS | O_FREE,
    .item = FN_ITEM,
    .extra = FN_EXTRA,
};

unsigned fn_names(const struct slot *slot, struct slot_meant *meant)
{
    unsigned count = 0;

    for (unsigned i = FN_GET; i <= FN_FREE; i++) {
        if (slot->fn.name[i])
            meant[count++] = (struct slot_meant){.name = slot->fn.name[i],
                                                 .module = slot->fn.module[i],
                                                 .id = slot->fn.id[i],
                                                 .want = ELF_FUNC};
    }
    return count;
}

bool fn_find(struct slot *slot, const char **module)
{
    static const char *const reasons[3] = {
        "no loaded module has the function of get=", "no loaded module has the function of set=",
        "no loaded module has the function of free="};
    struct elf_search found = {.where = {.name = "?"}};

    for (unsigned i = FN_FREE + 1; i-- > FN_GET;) {
        const char *reason;

        if (!slot->fn.name[i])
            continue;
        if (!slot_name_find(slot->fn.id[i], &found)) {
            slot->reason = slot->fn.is_place ? "no loaded module has the function of at="
                           : i == FN_GET && slot->fn.is_filled
                               ? "no loaded module has the function of fill="
                           : i == FN_SET && slot->fn.takes_address
                               ? "no loaded module has the function of put="
                               : reasons[i];
            return false;
        }
        if (found.query.found.is_local && found.query.found.matches > 1) {
            slot_refuse(slot, "several static functions have this name");
            return false;
        }
        reason = slots_force         ? NULL
                 : slot->fn.is_place ? slot_deny_place(slot->fn.name[i], found.where.name)
                                     : slot_deny_function(slot->fn.name[i], found.where.name);
        if (reason) {
            slot_refuse(slot, reason);
            return false;
        }
        slot->fn.function[i] = elf_symbol_address(&found.query.found);
    }
    *module = found.where.name;
    return true;
}

bool fn_answers(const struct slot *slot, uintptr_t *answer)
{
    enum { ROOM = 512, MARK = 0xa5 };
    unsigned char room[ROOM] __attribute__((aligned(16)));
    unsigned i = 0;

    memset(room, MARK, sizeof room);
    *answer = ((uintptr_t(*)(void *))slot->fn.function[FN_GET])(room);
    while (i < ROOM && room[i] == MARK)
        i++;
    return i == ROOM;
}
