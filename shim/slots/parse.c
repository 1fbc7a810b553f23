/*
 * BATON_CARRY, item by item: "kind:what,option,option". What an item means is the kind's to read, but
 * for the options that are policies.
 *
 * Rules: once, at start, before there is a second thread. A wrong item is reported with its position
 * and left out; the others hold. Texts are cut into pieces in a copy of ours.
 */
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "slots/grammar.h"
#include "slots/known.h"
#include "slots/origin.h"
#include "slots/policy.h"
#include "slots/kind.h"
#include "slots/slots.h"

static bool read_count(const char *text, size_t *count)
{
    size_t value = 0;

    if (!*text)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || value > 1 << 20)
            return false;
        value = value * 10 + (size_t)(*text - '0');
    }
    *count = value;
    return value > 0;
}

static bool take_prefix(const char *text, const char *prefix, const char **rest)
{
    size_t len = strlen(prefix);

    if (strncmp(text, prefix, len) != 0)
        return false;
    *rest = text + len;
    return true;
}

/* One option after a comma. False: it is not a policy. *error when it is a wrong one. */
static bool parse_policy(struct slot *slot, const char *option, struct slot_error *error)
{
    const char *rest;

    if (!strcmp(option, "share")) {
        slot->policy = POLICY_SHARE;
    } else if (!strcmp(option, "string")) {
        slot->policy = POLICY_STRING;
    } else if (!strcmp(option, "weak")) {
        slot->policy = POLICY_WEAK;
    } else if (!strcmp(option, "move")) {
        slot->policy = POLICY_MOVE;
    } else if (take_prefix(option, "copy=", &rest)) {
        slot->policy = POLICY_COPY;
        if (!read_count(rest, &slot->copy_size)) {
            error->expected = "a number of bytes from 1 to 1048576";
            error->at = rest;
        }
    } else if (take_prefix(option, "clone=", &rest) || take_prefix(option, "ref=", &rest)) {
        slot->policy = option[0] == 'c' ? POLICY_CLONE : POLICY_REF;
        slot->policy_name[0] = rest;
    } else if (take_prefix(option, "free=", &rest) || take_prefix(option, "unref=", &rest)) {
        slot->policy_name[1] = rest;
    } else {
        return false;
    }
    if (!error->expected && slot->policy_name[0] && !*slot->policy_name[0]) {
        error->expected = "the name of a function";
        error->at = slot->policy_name[0];
    }
    return true;
}

/*
 * "kind:what,option,option". The options that are policies are taken out; what is left is the
 * kind's own to read. The text is our copy, cut into pieces in place.
 */
static bool parse_item(struct slot *slot, char *text, struct slot_error *error)
{
    size_t kind_len = strcspn(text, ":,");
    char *body = text + kind_len, *own_end, *option;

    if (!grammar_check(text, slot_adapter_exists, error))
        return false;
    slot->kind = slot_kind_find(text, kind_len);
    if (*body == ':')
        body++;
    own_end = body;
    for (option = body + strcspn(body, ","); *option; option += strcspn(option, ",")) {
        size_t len;

        option++;
        len = strcspn(option, ",");
        if (grammar_option(option) & slot->kind->form->own) {
            own_end = option + len;
            option = own_end;
            continue;
        }
        break;
    }
    own_end = option > body && option[-1] == ',' ? option - 1 : option;
    while (*option) {
        char *next = option + strcspn(option, ",");
        bool is_last = !*next;

        *next = '\0';
        if (!parse_policy(slot, option, error)) {
            error->expected = "share, copy=N, string, clone=F,free=F, ref=F,unref=F, move or weak";
            error->at = option;
        }
        if (error->expected)
            return false;
        option = is_last ? next : next + 1;
    }
    if (!policy_note_names(slot, error, body))
        return false;
    *own_end = '\0';
    return slot->kind->parse(slot, body, error);
}

/* Room for a text that will be cut up: mostly where the settings are. */
static char *text_buffer(struct config *config, size_t size)
{
    char *buffer = config->spare;

    if (size > config->spare_len)
        return mem_alloc(size);
    config->spare += size;
    config->spare_len -= size;
    return buffer;
}

/* The same item in the environment and in the file is no mistake: each may stand alone. */
static bool is_given_already(struct config *config, const struct config_item *item,
                             const struct config_item *const *sources)
{
    for (size_t i = 0; i < slots_count; i++) {
        const struct config_item *before = sources[i];
        enum grammar_same same = grammar_same_subject(before->text, item->text);
        bool is_same = !strcmp(before->text, item->text);

        if (same == SAME_NOT)
            continue;
        if (item->known || before->known) /* what the user has named itself is the user's */
            return true;
        if (!is_same || (before->file != NULL) == (item->file != NULL))
            config_item_error(config, item, 0,
                              is_same ? "given before, expected once"
                              : same == SAME_WRITER
                                  ? "expected once: an item before sets the same state"
                                  : "given before with other options, expected once");
        return true;
    }
    return false;
}

bool slots_need_stacks(void)
{
    for (unsigned i = 0; i < slots_count; i++) {
        if (slots[i].kind->needs_stacks && slots[i].kind->needs_stacks(&slots[i]))
            return true;
    }
    return false;
}

/* An adapter that was not built here, of those that `auto` knows. */
static bool is_left_out(const struct config_item *item)
{
    const char *name;

    return item->known && take_prefix(item->text, "adapter:", &name) && !strchr(name, '/') &&
           !slot_adapter_exists(name);
}

void slot_wake(struct slot *slot)
{
    slot->is_dormant = false;
    if (slot->known)
        slot->known->is_chosen = true;
    if (slot->is_cloned || slot->is_owned)
        slots_owns_values = true;
    if (slot->is_cloned || (slot->is_owned && !policy_is_shareable(slot)))
        slots_always_build = true;
}

unsigned slots_parse(struct config *config)
{
    const struct config_item *sources[SLOTS_MAX]; /* what each slot was read from */
    unsigned errors = 0;

    slots_force = config->force;
    for (size_t i = 0; i < config->carry.count; i++) {
        const struct config_item *item = &config->carry.items[i];
        struct slot *slot = &slots[slots_count];
        struct slot_error error = {.expected = NULL};
        char *text;

        if (slots_count == SLOTS_MAX) {
            config_item_error(config, item, 0, "expected at most %u items", (unsigned)SLOTS_MAX);
            errors++;
            break;
        }
        if (is_given_already(config, item, sources) || is_left_out(item))
            continue;
        text = text_buffer(config, item->len + 1);
        if (!text)
            break;
        memcpy(text, item->text, item->len + 1);
        memset(slot, 0, sizeof *slot);
        slot->item = item->text;
        slot->key_index = SLOT_NO_KEY;
        if (!parse_item(slot, text, &error)) {
            config_item_error(config, item, (size_t)(error.at - text), "expected %s",
                              error.expected);
            errors++;
            continue;
        }
        sources[slots_count++] = item;
        slot->is_owned = slot->kind->hold ||
                         (slot->policy != POLICY_SHARE && slot->policy != POLICY_MOVE);
        slots_have_owned |= slot->is_owned;
        slots_have_owned_keys |= slot->is_owned && slot->key_index != SLOT_NO_KEY;
        slot->is_cloned |= slot->policy == POLICY_MOVE;
        origins_on |= slot->policy == POLICY_WEAK;
        slots_watch_setters |= slot_watches_setter(slot);
        slot->known = item->known;
        slot->is_dormant = item->known && !item->known->is_here;
        if (!slot->is_dormant)
            slot_wake(slot);
    }
    return errors;
}
