/*
 * The slots: parsing BATON_CARRY, finding what is named, moving the copied ones.
 *
 * Rules: parsing happens once, at start; resolving happens under a lock that no foreign code is
 * called with; reading and writing take no lock at all. A slot that is not bound is never touched.
 */
#include "slots/slots.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "base/elf.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"
#include "slots/origin.h"
#include "slots/policy.h"
#include "slots/words.h"

/* One line a kind; each in the file of its name. */
extern const struct slot_kind slot_kind_key, slot_kind_tls, slot_kind_fn, slot_kind_swap,
    slot_kind_adapter, slot_kind_locale, slot_kind_fenv, slot_kind_name, slot_kind_ioprio;

static const struct slot_kind *const kinds[] = {
    &slot_kind_key,    &slot_kind_tls,  &slot_kind_fn,   &slot_kind_swap,   &slot_kind_adapter,
    &slot_kind_locale, &slot_kind_fenv, &slot_kind_name, &slot_kind_ioprio,
};
enum { KINDS = sizeof kinds / sizeof kinds[0], LATE_TLS_ROOM = 256, RESOLVE_TRIES = 64 };

struct slot slots[SLOTS_MAX];
unsigned slots_count, slots_columns, slots_bytes, slots_saved_bytes;
bool slots_have_native, slots_have_copied, slots_always_build, slots_owns_values,
    slots_have_held_keys, slots_force;
bool slots_have_adapters;
_Atomic bool slots_stale;
bool slots_are_words, slots_watched;
void *slots_initial;
_Atomic uint32_t slots_epoch = 1;
void (*slots_changed_hook)(bool may_have_values);
int (*slots_backtrace)(void **frames, int max);

void (*slots_stale_hook)(void);

static struct lock resolve_lock;
static unsigned resolve_tries;

/* ---- parsing ---- */

void slot_cut_module(char *text, const char **module)
{
    char *at = strrchr(text, '@');

    *module = NULL;
    if (at) {
        *at = '\0';
        *module = at + 1;
    }
}

bool slot_read_offset(const char *text, uintptr_t *offset, const char **end)
{
    const char *digit = text + 2;
    uintptr_t value = 0;

    if (text[0] != '0' || (text[1] != 'x' && text[1] != 'X'))
        return false;
    for (;; digit++) {
        unsigned nibble;

        if (*digit >= '0' && *digit <= '9')
            nibble = (unsigned)(*digit - '0');
        else if ((*digit | 32) >= 'a' && (*digit | 32) <= 'f')
            nibble = (unsigned)((*digit | 32) - 'a' + 10);
        else
            break;
        if (value >> (sizeof value * 8 - 4))
            return false;
        value = value << 4 | nibble;
    }
    *offset = value;
    *end = digit;
    return digit != text + 2;
}

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

static const struct slot_kind *find_kind(const char *text, size_t len)
{
    for (unsigned i = 0; i < KINDS; i++) {
        if (strlen(kinds[i]->name) == len && !strncmp(kinds[i]->name, text, len))
            return kinds[i];
    }
    return NULL;
}

static bool option_is_kinds_own(const struct slot_kind *kind, const char *option)
{
    const char *rest;

    if (kind == &slot_kind_fn)
        return take_prefix(option, "get=", &rest) || take_prefix(option, "set=", &rest) ||
               take_prefix(option, "free=", &rest);
    if (kind == &slot_kind_key)
        return !strncmp(option, "native", 6) && (!option[6] || option[6] == ',');
    return kind == &slot_kind_locale && take_prefix(option, "dup", &rest);
}

/*
 * "kind:what,option,option". The options that are policies are taken out; what is left is the
 * kind's own to read. The text is our copy, cut into pieces in place.
 */
static bool parse_item(struct slot *slot, char *text, struct slot_error *error)
{
    size_t kind_len = strcspn(text, ":,");
    char *body = text + kind_len, *own_end, *option;

    slot->kind = find_kind(text, kind_len);
    if (!slot->kind) {
        error->expected = "key:, tls:, fn:, swap:, locale, fenv, name, ioprio or adapter:";
        error->at = text;
        return false;
    }
    if (*body == ':')
        body++;
    own_end = body;
    for (option = body + strcspn(body, ","); *option; option += strcspn(option, ",")) {
        size_t len;

        option++;
        len = strcspn(option, ",");
        if (option_is_kinds_own(slot->kind, option)) {
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
    if (!policy_check(slot, error, body))
        return false;
    *own_end = '\0';
    return slot->kind->parse(slot, body, error);
}

static void assign_room(struct slot *slot)
{
    if (slot->column != SLOT_NO_COLUMN)
        return;
    if (!slot->size)
        slot->size = LATE_TLS_ROOM; /* not found yet: room for what may come with a library */
    slot->offset = slots_bytes;
    slots_bytes += (slot->size + 7) & ~7u;
    slots_have_copied = true;
}

/* Room for a text that will be cut up: mostly where the settings are. */
static char *text_room(struct config *config, size_t size)
{
    char *room = config->spare;

    if (size > config->spare_len)
        return mem_alloc(size);
    config->spare += size;
    config->spare_len -= size;
    return room;
}

unsigned slots_parse(struct config *config)
{
    unsigned errors = 0;

    slots_force = config->force;
    for (size_t i = 0; i < config->carry.count; i++) {
        const struct config_item *item = &config->carry.items[i];
        struct slot *slot = &slots[slots_count];
        struct slot_error error = {NULL, NULL};
        char *text;

        if (slots_count == SLOTS_MAX) {
            config_item_error(config, item, 0, "expected at most %u items", (unsigned)SLOTS_MAX);
            errors++;
            break;
        }
        text = text_room(config, item->len + 1);
        if (!text)
            break;
        memcpy(text, item->text, item->len + 1);
        memset(slot, 0, sizeof *slot);
        slot->item = item->text;
        slot->column = SLOT_NO_COLUMN;
        if (!parse_item(slot, text, &error)) {
            config_item_error(config, item, (size_t)(error.at - text), "expected %s",
                              error.expected);
            errors++;
            continue;
        }
        slots_count++;
        slot->is_held = slot->kind->hold ||
                        (slot->policy != POLICY_SHARE && slot->policy != POLICY_MOVE);
        slots_have_held |= slot->is_held;
        slots_have_held_keys |= slot->is_held && slot->column != SLOT_NO_COLUMN;
        slot->is_made |= slot->policy == POLICY_MOVE;
        origins_on |= slot->policy == POLICY_WEAK;
        slots_watch_setters |= slot_watches_setter(slot);
        if (slot->is_made || slot->is_held)
            slots_always_build = slots_owns_values = true;
        slots_have_adapters |= slot->kind == &slot_kind_adapter;
    }
    return errors;
}

void slots_begin(void)
{
    resolve_tries = RESOLVE_TRIES;
    slots_resolve();
    words_init(); /* first: they have the front of a block of values */
    for (unsigned i = 0; i < slots_count; i++) {
        if (!slots[i].has_room)
            assign_room(&slots[i]);
        slots[i].has_room = true;
    }
    slots_are_words = words_are_any;
    for (unsigned i = 0; i < slots_count; i++)
        slots_are_words &= slots[i].is_planned || slots[i].column != SLOT_NO_COLUMN ||
                           slots[i].state == SLOT_REFUSED;
    slots_saved_bytes = slots_have_held ? 2 * slots_bytes : slots_bytes;
}

unsigned slots_init(struct config *config)
{
    unsigned errors = slots_parse(config);

    slots_begin();
    return errors;
}

/* ---- finding ---- */

void slot_bound(struct slot *slot, const char *module, const char *symbol)
{
    int saved_errno = errno;

    fmt_buf(slot->where, sizeof slot->where, "%s in %s", symbol, module);
    log_msg(LOG_LEVEL_DEBUG, "%s: found %s", slot->item, slot->where);
    /* In this order: who sees the new epoch sees the slot bound. */
    slot->since = atomic_load(&slots_epoch) + 1;
    __atomic_store_n(&slot->state, SLOT_BOUND, __ATOMIC_RELEASE);
    atomic_fetch_add(&slots_epoch, 1);
    errno = saved_errno;
}

void slot_refuse(struct slot *slot, const char *reason)
{
    slot->reason = reason;
    slot->state = SLOT_REFUSED;
    log_msg(LOG_LEVEL_ERROR, "BATON_CARRY=\"%s\": not carried: %s", slot->item, reason);
}

void slot_failed(const struct slot *slot)
{
    atomic_fetch_add_explicit(&slots[slot - slots].failures, 1, memory_order_relaxed);
}

/*
 * dlopen allocates from the program: this is the one place where we cannot do without it, at most
 * once a slot, and only for libraries that were themselves loaded by dlopen.
 */
void slot_pin(const void *address)
{
    struct elf_module module;

    if (!elf_module_at(address, &module) || elf_module_is_startup(&module))
        return;
    dlopen(module.path, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
}

/*
 * The library is still being opened, or the key not stored yet: so the next captures look, some
 * times, until everything is found.
 */
void slots_look_again(void)
{
    for (unsigned i = 0; i < slots_count; i++) {
        if (slots[i].state == SLOT_WAITING) {
            resolve_tries = RESOLVE_TRIES;
            slots_stale = true;
            if (slots_stale_hook)
                slots_stale_hook();
            return;
        }
    }
}

/* A slot that was bound late: its initial value, and the contexts there are, must know. */
static void late_slot(struct slot *slot)
{
    if (slot->column == SLOT_NO_COLUMN && slots_initial && slot->kind->initial)
        slot->kind->initial(slot, (char *)slots_initial + slot->offset);
    if (slots_changed_hook)
        slots_changed_hook(true);
}

void slots_resolve(void)
{
    int saved_errno = errno;
    bool is_waiting = false;

    /* Another thread, or this one in a constructor that a resolve has run: it will be done. */
    if (!lock_try(&resolve_lock))
        return;
    for (unsigned i = 0; i < slots_count; i++) {
        struct slot *slot = &slots[i];

        if (slot->state != SLOT_WAITING)
            continue;
        is_waiting = true;
        if (!policy_resolve(slot))
            continue;
        slot->kind->resolve(slot);
        if (slot->state == SLOT_BOUND && slot->has_room && slot->column == SLOT_NO_COLUMN)
            late_slot(slot);
    }
    slots_stale = is_waiting && resolve_tries && --resolve_tries;
    lock_drop(&resolve_lock);
    errno = saved_errno;
}

static bool slot_near(const struct slot *slot, char *buf, size_t n)
{
    if (!strcmp(slot->kind->name, "key"))
        return slot->key.name && slot_name_near(slot->key.id, buf, n);
    if (slot->kind == &slot_kind_tls)
        return slot->tls.name && slot_name_near(slot->tls.id, buf, n);
    for (unsigned i = 0; i < 3; i++) {
        if ((slot->kind == &slot_kind_fn || slot->kind == &slot_kind_swap) && slot->fn.name[i] &&
            slot_name_near(slot->fn.id[i], buf, n))
            return true;
    }
    return false;
}

void slots_say_unmatched(void)
{
    char near[256];

    if (log_level < LOG_LEVEL_WARN)
        return;
    for (unsigned i = 0; i < slots_count; i++) {
        const struct slot *slot = &slots[i];
        bool has_near = slot->state == SLOT_WAITING && slot_near(slot, near, sizeof near);

        if (slot->state == SLOT_WAITING)
            log_msg(LOG_LEVEL_WARN, "BATON_CARRY=\"%s\": matched nothing: %s%s%s", slot->item,
                    slot->reason ? slot->reason : "not found", has_near ? "; the nearest is " : "",
                    has_near ? near : "");
    }
}

/* ---- moving copied slots ---- */

/* Moved one by one here; what words.c has planned it moves itself. */
static bool is_moved(const struct slot *slot)
{
    return slot->column == SLOT_NO_COLUMN && slot->state == SLOT_BOUND && !slot->is_planned;
}

void slots_set_initial(void)
{
    for (unsigned i = 0; i < slots_count; i++) {
        if ((is_moved(&slots[i]) || slots[i].is_planned) && slots[i].kind->initial)
            slots[i].kind->initial(&slots[i], (char *)slots_initial + slots[i].offset);
    }
}

static bool is_moved_since(const struct slot *slot, uint32_t epoch)
{
    return is_moved(slot) && slot->since <= epoch;
}

void slots_save(void *saved, uint32_t now)
{
    words_save(saved);
    for (unsigned i = 0; i < slots_count; i++) {
        if (is_moved_since(&slots[i], now) && slots[i].kind->read)
            slots[i].kind->read(&slots[i], (char *)saved + slots[i].offset);
    }
}

bool slots_read(void *values)
{
    bool is_any_set = words_read(values, slots_initial);

    for (unsigned i = 0; i < slots_count; i++) {
        if (is_moved(&slots[i]) && slots[i].kind->read)
            is_any_set |= slots[i].kind->read(&slots[i], (char *)values + slots[i].offset);
    }
    return is_any_set;
}

/* The word of a held slot in a block of values. */
static void **word_at(const struct slot *slot, const void *values)
{
    return (void **)(uintptr_t)((const char *)values + slot->offset);
}

static bool hold(const struct slot *slot, void **word, const void *owner, void *const *lent,
                 void *const *from)
{
    void *value = NULL;

    if (slot->kind->hold)
        return slot->kind->hold(slot, word);
    slot->kind->read(slot, &value);
    if (slot->policy == POLICY_WEAK)
        origin_seen(owner, slot, value);
    if (!value)
        return false;
    if (slot->policy == POLICY_WEAK && lent && *lent == value && *from)
        *word = origin_ref(*from); /* a task hands on what it was lent */
    else
        *word = policy_hold(slot, value, owner, slot->kind->place ? slot->kind->place(slot) : NULL);
    return *word != NULL;
}

bool slots_capture(void *values, const void *owner, const void *lent, const void *from)
{
    bool is_any_set = false;

    if (!slots_have_held)
        return slots_read(values);
    is_any_set = words_read(values, slots_initial);
    for (unsigned i = 0; i < slots_count; i++) {
        const struct slot *slot = &slots[i];

        if (!is_moved(slot))
            continue;
        if (slot->is_held)
            is_any_set |= hold(slot, word_at(slot, values), owner,
                               lent ? word_at(slot, lent) : NULL,
                               from ? word_at(slot, from) : NULL);
        else
            is_any_set |= slot->kind->read(slot, (char *)values + slot->offset);
    }
    return is_any_set;
}

bool slots_same(const void *values)
{
    char now[LATE_TLS_ROOM];

    if (!words_same(values))
        return false;
    if (slots_are_words)
        return true;
    for (unsigned i = 0; i < slots_count; i++) {
        const struct slot *slot = &slots[i];

        if (!is_moved(slot))
            continue;
        if (slot->is_held)
            return false; /* what a context keeps is a copy of its own */
        if (slot->kind->same) {
            if (!slot->kind->same(slot, (const char *)values + slot->offset))
                return false;
            continue;
        }
        if (slot->size > sizeof now)
            return false;
        memset(now, 0, slot->size);
        slot->kind->read(slot, now);
        if (memcmp(now, (const char *)values + slot->offset, slot->size) != 0)
            return false;
    }
    return true;
}

/* Values of an earlier binding are not looked at: the task gets nothing. */
/* What a kind's own lend answered false to: there is nothing to take back. */
static char nothing_lent;

static void lend(const struct slot *slot, void *held, void **lent)
{
    void *value;

    if (slot->kind->lend) {
        if (!slot->kind->lend(slot, held, lent))
            *lent = &nothing_lent;
        return;
    }
    *lent = policy_lend(slot, held);
    value = *lent;
    slot->kind->write(slot, &value);
}

static void take_back(const struct slot *slot, void **saved, void *lent, bool is_thread)
{
    void *now = NULL;

    if (slot->kind->take_back) {
        if (lent != &nothing_lent)
            slot->kind->take_back(slot, lent, is_thread);
        return;
    }
    slot->kind->read(slot, &now);
    if (is_thread && now != lent)
        return; /* the thread's own by now (rule 13) */
    slot->kind->write(slot, saved);
    if (now == lent)
        policy_take_back(slot, lent); /* not when the task took it over (rule 19) */
}

static bool slot_exchanges(const struct slot *slot)
{
    return slot->kind->exchange && slot->kind->can_exchange(slot);
}

/* A kind that cannot tell one coroutine's state from another's leaves it to the thread. */
static bool is_lent_to(const struct slot *slot, bool is_coroutine)
{
    return !is_coroutine || !slot->kind->lend || slot_exchanges(slot);
}

void slots_write(void *values, uint32_t epoch, void *saved, uint32_t now, bool is_coroutine)
{
    words_write(values);
    if (slots_are_words)
        return;
    for (unsigned i = 0; i < slots_count; i++) {
        const struct slot *slot = &slots[i];

        if (!is_moved_since(slot, now))
            continue;
        if (slot->is_held && !is_lent_to(slot, is_coroutine))
            *word_at(slot, (char *)saved + slots_bytes) = &nothing_lent;
        else if (slot->is_held)
            lend(slot, epoch >= slot->since ? *word_at(slot, values) : NULL,
                 word_at(slot, (char *)saved + slots_bytes));
        else
            slot->kind->write(slot,
                              (epoch >= slot->since ? (char *)values : (char *)slots_initial) +
                                  slot->offset);
    }
}

void slots_restore(void *saved, const void *borrowed, uint32_t epoch)
{
    for (unsigned i = slots_are_words ? 0 : slots_count; i-- > 0;) {
        const struct slot *slot = &slots[i];
        char now[LATE_TLS_ROOM];

        if (!is_moved_since(slot, epoch))
            continue;
        if (slot->is_held) {
            take_back(slot, word_at(slot, saved), *word_at(slot, (char *)saved + slots_bytes),
                      borrowed != NULL);
            continue;
        }
        if (borrowed && slot->size <= sizeof now && !slot->is_made) {
            memset(now, 0, slot->size);
            slot->kind->read(slot, now);
            if (memcmp(now, (const char *)borrowed + slot->offset, slot->size) != 0)
                continue; /* the thread's own by now (rule 13) */
        }
        slot->kind->write(slot, (char *)saved + slot->offset);
        if (slot->is_made)
            slot->kind->release(slot, (char *)saved + slot->offset);
    }
    if (borrowed)
        words_restore_borrowed(saved, borrowed);
    else
        words_restore(saved);
}

/* Kinds of their own mind: what is lent of them is not asked for, and the word is free for what they
 * exchange. */
void slots_suspend(void *values, uint32_t now)
{
    slots_save(values, now);
    for (unsigned i = 0; i < slots_count; i++) {
        const struct slot *slot = &slots[i];

        if (!is_moved_since(slot, now) || !slot->kind->lend)
            continue;
        *word_at(slot, (char *)values + slots_bytes) = &nothing_lent;
        *word_at(slot, values) = NULL;
        if (slot_exchanges(slot))
            slot->kind->exchange(slot, word_at(slot, values));
    }
}

void slots_resume(void *values, uint32_t epoch)
{
    slots_restore(values, NULL, epoch);
    for (unsigned i = 0; i < slots_count; i++) {
        if (is_moved_since(&slots[i], epoch) && slot_exchanges(&slots[i]))
            slots[i].kind->exchange(&slots[i], word_at(&slots[i], values));
    }
}

bool slot_is_watched(const struct slot *slot)
{
    return slots_watched && slot->column == SLOT_NO_COLUMN && slot->state == SLOT_BOUND &&
           slot->policy == POLICY_SHARE && !slot->is_made && slot->size == sizeof(void *) &&
           (slot->kind == &slot_kind_tls || slot->kind == &slot_kind_fn ||
            slot->kind == &slot_kind_swap);
}

void *slot_word(const struct slot *slot, const void *values)
{
    return *word_at(slot, values);
}

void slots_set_aside(const void *owner, const void *saved, uint32_t now)
{
    for (unsigned i = 0; i < slots_count; i++) {
        const struct slot *slot = &slots[i];

        if (is_moved_since(slot, now) && (slot->policy == POLICY_WEAK || slot_is_watched(slot)))
            origin_seen(owner, slot, slot_word(slot, saved));
    }
    origin_aside(owner);
}

void slots_release(void *values)
{
    for (unsigned i = 0; i < slots_count; i++) {
        const struct slot *slot = &slots[i];

        if (!is_moved(slot))
            continue;
        if (slot->is_made) {
            slot->kind->release(slot, (char *)values + slot->offset);
        } else if (slot->is_held) {
            void **word = word_at(slot, values);

            if (slot->kind->let_go && *word)
                slot->kind->let_go(slot, *word);
            else
                policy_let_go(slot, *word);
            *word = NULL;
        }
    }
}

void slots_fork_lock(void)
{
    lock_take_for_fork(&resolve_lock);
    slot_names_fork_lock();
    origin_fork_lock();
}

void slots_fork_unlock(void)
{
    origin_fork_unlock();
    slot_names_fork_unlock();
    lock_drop_after_fork(&resolve_lock);
}
