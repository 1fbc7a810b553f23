/*
 * locale[,dup]: the thread's locale of uselocale.
 *
 * A thread that has none of its own uses the program's (LC_GLOBAL_LOCALE): that is an empty slot, and
 * what stands for it, so that uselocale itself gives and takes what is carried. The
 * submitter may free its locale while a task has it; with dup every context and every task has a copy.
 */
#include <locale.h>
#include <string.h>

#include "elf/elf.h"
#include "slots/kind.h"
#include "slots/slots.h"

/* The C library's own, whoever else has one: it is what a thread's locale is for the C library that is carried. */
static locale_t (*use)(locale_t locale);
static void *(*copy)(void *locale);
static void (*let_go)(void *locale);

static void *copy_locale(void *locale)
{
    return copy(locale);
}

static void free_locale(void *locale)
{
    let_go(locale);
}

static bool locale_parse(struct slot *slot, char *text, struct slot_error *error)
{
    slot->size = sizeof(locale_t);
    if (!strcmp(text, ",dup")) {
        slot->policy = POLICY_CLONE;
        slot->policy_function[0] = (void *)copy_locale;
        slot->policy_function[1] = (void *)free_locale;
    } else if (*text) {
        *error = (struct slot_error){"locale or locale,dup", text};
        return false;
    }
    return true;
}

static void locale_resolve(struct slot *slot)
{
    use = (locale_t(*)(locale_t))elf_libc("uselocale");
    if (slot->policy != POLICY_SHARE) {
        copy = (void *(*)(void *))elf_libc("duplocale");
        let_go = (void (*)(void *))elf_libc("freelocale");
    }
    if (use && (slot->policy == POLICY_SHARE || (copy && let_go)))
        slot_bound(slot, "the C library", "uselocale");
    else
        slot_refuse(slot, "the C library has no locales of threads");
}

static bool locale_read(const struct slot *slot, void *value)
{
    locale_t now = use((locale_t)0);
    bool is_own = now != LC_GLOBAL_LOCALE;

    if (!is_own && slot->policy != POLICY_SHARE)
        now = (locale_t)0; /* nothing to copy */
    memcpy(value, &now, sizeof now);
    return is_own;
}

static void locale_write(const struct slot *slot, void *value)
{
    locale_t wanted;

    memcpy(&wanted, value, sizeof wanted);
    use(wanted ? wanted : LC_GLOBAL_LOCALE);
}

static bool locale_same(const struct slot *slot, const void *value)
{
    locale_t wanted, now = use((locale_t)0);

    memcpy(&wanted, value, sizeof wanted);
    return now == (wanted ? wanted : LC_GLOBAL_LOCALE);
}

static void locale_initial(const struct slot *slot, void *value)
{
    if (slot->policy == POLICY_SHARE)
        memcpy(value, &(locale_t){LC_GLOBAL_LOCALE}, sizeof(locale_t));
}

static uint64_t locale_get(const struct slot *slot)
{
    locale_t now = use((locale_t)0);

    return slot->policy != POLICY_SHARE && now == LC_GLOBAL_LOCALE ? 0 : (uintptr_t)now;
}

/* Not with dup. */
static void locale_put(const struct slot *slot, uint64_t wanted)
{
    use((locale_t)(uintptr_t)wanted);
}

/* The C library's own: given NULL it asks. */
static uint64_t (*locale_direct(const struct slot *slot))(const struct slot *)
{
    return (uint64_t(*)(const struct slot *))(void (*)(void))use;
}

static const struct slot_form locale_form = {
    .name = "locale",
    .shape = SHAPE_ALONE,
    .options = O_DUP,
    .own = O_DUP,
    .item = "locale or locale,dup",
    .extra = "dup",
};

const struct slot_kind slot_kind_locale = {
    .form = &locale_form,
    .is_everywhere = true,
    .parse = locale_parse,
    .resolve = locale_resolve,
    .read = locale_read,
    .write = locale_write,
    .same = locale_same,
    .get = locale_get,
    .put = locale_put,
    .direct = locale_direct,
    .initial = locale_initial,
};
