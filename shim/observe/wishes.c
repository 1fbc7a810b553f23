/*
 * BATON_SHOW and BATON_PUBLISH name items that are carried.
 *
 * Promise: what names none, or asks of one what it cannot give, is told before the program's main, as any other wrong setting:
 * a trace without the value that was asked for is found out too late.
 */
#include "observe/wishes.h"

#include <string.h>

#include "observe/trace_format.h"
#include "slots/kind.h"
#include "userhooks/known.h"

/* An item goes by what stands before its options. */
static size_t name_length(const struct slot *slot)
{
    return strcspn(slot->item, ",");
}

/* NAME, up to its options, alone or with a wish behind it. */
static bool is_named(const char *text, const char *name, size_t *len)
{
    *len = strcspn(name, ",");
    return !strncmp(text, name, *len) && (!text[*len] || text[*len] == '=');
}

/* Behind "key:" and its like. */
static const char *short_name(const struct slot *slot)
{
    const char *colon = strchr(slot->item, ':');

    return colon ? colon + 1 : slot->item;
}

static bool has_value(const struct slot *slot)
{
    return !slot->kind->hold && slot->policy != POLICY_WEAK;
}

/* Who writes something near that meant it; NULL: nobody is. */
static const struct slot *nearest(const char *text, size_t len)
{
    unsigned best = len < 64 ? (unsigned)len / 3 + 1 : 0;
    const struct slot *found = NULL;
    char name[64], other[64];

    if (!best)
        return NULL;
    memcpy(name, text, len);
    name[len] = '\0';
    for (unsigned i = 0; i < slots_count; i++) {
        unsigned distance;

        if (name_length(&slots[i]) >= sizeof other)
            continue;
        memcpy(other, slots[i].item, name_length(&slots[i]));
        other[name_length(&slots[i])] = '\0';
        distance = config_name_distance(name, other);
        if (strchr(other, ':') && !strcmp(name, strchr(other, ':') + 1))
            distance = 0;
        if (distance < best) {
            best = distance;
            found = &slots[i];
        }
    }
    return found;
}

static void say_unknown(struct config *config, const struct config_item *item, size_t at,
                        size_t len)
{
    const struct slot *near = nearest(item->text + at, len);

    if (!near && slots_count)
        near = &slots[0];
    if (near)
        config_item_error(config, item, at, "expected an item that is carried, as in %.*s",
                          (int)name_length(near), near->item);
    else
        config_item_error(config, item, at,
                          "expected an item that is carried, and BATON_CARRY has none");
}

/* ---- BATON_SHOW ---- */

static const struct {
    char word[10];
    uint8_t kind;
} words[] = {{"=string", TRACE_STRING},
             {"=number", TRACE_NUMBER},
             {"=pointer", TRACE_POINTER},
             {"=none", 0}};

enum wish { OF_ANOTHER, OF_THIS, OF_THIS_AS_WORD, OF_THIS_AS_UNKNOWN };

static enum wish wish_of(const char *text, const struct slot *slot, unsigned *kind)
{
    size_t len;

    if (!is_named(text, slot->item, &len))
        return OF_ANOTHER;
    if (!text[len])
        return OF_THIS;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (!strcmp(text + len, words[i].word)) {
            *kind = words[i].kind;
            return OF_THIS_AS_WORD;
        }
    }
    return OF_THIS_AS_UNKNOWN;
}

bool wishes_show(const struct config *config, const struct slot *slot, unsigned *kind)
{
    for (size_t i = 0; i < config->trace_values.count; i++) {
        enum wish wish = wish_of(config->trace_values.items[i].text, slot, kind);

        if (wish == OF_THIS || wish == OF_THIS_AS_WORD)
            return true;
    }
    return false;
}

static bool is_shown_before(const struct config *config, size_t number, const struct slot *slot)
{
    unsigned kind;

    for (size_t i = 0; i < number; i++)
        if (wish_of(config->trace_values.items[i].text, slot, &kind) != OF_ANOTHER)
            return true;
    return false;
}

static void check_shown(struct config *config, size_t number)
{
    const struct config_item *item = &config->trace_values.items[number];
    unsigned kind = TRACE_POINTER;

    if (!strcmp(item->text, "all")) {
        config_item_error(config, item, 0, "expected all alone: BATON_SHOW=all");
        return;
    }
    for (unsigned i = 0; i < slots_count; i++) {
        enum wish wish = wish_of(item->text, &slots[i], &kind);

        if (wish == OF_ANOTHER)
            continue;
        if (is_shown_before(config, number, &slots[i]))
            config_item_error(config, item, 0, "this item is named before, expected once");
        else if (wish == OF_THIS_AS_UNKNOWN)
            config_item_error(config, item, name_length(&slots[i]),
                              "expected =string, =number, =pointer or =none, or nothing");
        else if (!has_value(&slots[i]) && kind)
            config_item_error(config, item, 0,
                              "expected an item that has a value of its own to be shown");
        return;
    }
    if (!known_is_waiting) /* else what `auto` carries later may be meant */
        say_unknown(config, item, 0, strcspn(item->text, "="));
}

/* ---- BATON_PUBLISH ---- */

static size_t prefix_length(const char *text)
{
    return strncmp(text, "otel:", 5) ? 0 : 5;
}

/* "otel:" once or in front of each; then an item, or the name in it; "=KEY" names it otherwise. *len: of what names it. */
static const struct slot *published_slot(const char *text, size_t *len)
{
    for (unsigned i = 0; i < slots_count; i++)
        if (is_named(text, slots[i].item, len) || is_named(text, short_name(&slots[i]), len))
            return &slots[i];
    return NULL;
}

const struct slot *wishes_publish(const char *text, const char **key, size_t *key_len)
{
    const char *name = text + prefix_length(text), *wanted;
    size_t len;
    const struct slot *slot = published_slot(name, &len);

    if (!slot || !has_value(slot))
        return NULL;
    wanted = name[len] ? name + len + 1 : NULL;
    if (wanted && (!*wanted || strchr(wanted, '=')))
        return NULL;
    *key = wanted ? wanted : short_name(slot);
    *key_len = strcspn(*key, ",");
    return slot;
}

/* One name cannot be two items'. */
static bool is_key_given(const struct config *config, size_t number, const char *key, size_t len)
{
    const char *other;
    size_t other_len;

    for (size_t i = 0; i < number; i++)
        if (wishes_publish(config->publish.items[i].text, &other, &other_len) && len == other_len &&
            !memcmp(key, other, len))
            return true;
    return false;
}

static void check_published(struct config *config, size_t number)
{
    const struct config_item *item = &config->publish.items[number];
    size_t at = prefix_length(item->text), len, key_len;
    const struct slot *slot = published_slot(item->text + at, &len);
    const char *key;

    if (!slot)
        say_unknown(config, item, at, strcspn(item->text + at, "="));
    else if (!has_value(slot))
        config_item_error(config, item, at, "expected an item that has a value of its own");
    else if (!wishes_publish(item->text, &key, &key_len))
        config_item_error(config, item, at + len,
                          "expected one name after =, as in otel:%.*s=request_id", (int)len,
                          item->text + at);
    else if (is_key_given(config, number, key, key_len))
        config_item_error(config, item, at, "given before, expected each name once");
}

void wishes_check(struct config *config)
{
    if (config->trace_values.count == 1 && !strcmp(config->trace_values.items[0].text, "all"))
        config->trace_values.count = 0;
    if (config->trace) { /* else it has been told that this is missing */
        for (size_t i = 0; i < config->trace_values.count; i++)
            check_shown(config, i);
    }
    for (size_t i = 0; i < config->publish.count; i++) {
        if (i == WISHES_PUBLISHED) {
            config_item_error(config, &config->publish.items[i], 0, "expected at most %d items",
                              WISHES_PUBLISHED);
            break;
        }
        check_published(config, i);
    }
}
