/*
 * The hook table at work: which function is behind a name, and where its jump leads.
 *
 * Rules: hooks_first may run before any constructor, in any thread, inside the loader's own work; it
 * uses neither dlsym (which allocates, locks and changes dlerror) nor the program's allocator. A
 * function that cannot be found is looked for again at the next call.
 */
#include "interpose/hooks.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include "base/arch.h"
#include "elf/elf.h"
#include "context/context.h"
#include "interpose/deferred.h"
#include "interpose/next.h"
#include "interpose/start.h"
#include "slots/slots.h"

#define FAMILY(id, name) name,
static const char family_names[FAMILY_COUNT][16] = {
#include "interpose/families.def"
};
#undef FAMILY
#define FAMILY(id, name) \
    _Static_assert(sizeof(name) <= sizeof family_names[0], "the name is too long");
#include "interpose/families.def"
#undef FAMILY

/* One after the other, because those of C++ are long; by offset, so that the loader has nothing to do. */
#define HOOK(family, ret, name, params) char of_##name[sizeof #name];
static const struct hook_names {
#include "interpose/hooks.def"
} hook_names = {
#undef HOOK
#define HOOK(family, ret, name, params) #name,
#include "interpose/hooks.def"
};
#undef HOOK
_Static_assert(sizeof hook_names <= UINT16_MAX, "struct hook_info has room for less");

#define HOOK(family, ret, name, params) {FAMILY_##family, offsetof(struct hook_names, of_##name)},
const struct hook_info hook_infos[HOOK_COUNT] = {
#include "interpose/hooks.def"
};
#undef HOOK

void *hook_real[HOOK_COUNT];
ARCH_WRITTEN_EARLY bool hooks_are_idle;

extern const int32_t hook_bodies[HOOK_COUNT] __attribute__((visibility("hidden")));
extern const int32_t hook_seen_bodies[HOOK_COUNT] __attribute__((visibility("hidden")));

__thread struct hook_call hook_call;
bool hooks_are_seen, hooks_look_ups;

static bool family_off[FAMILY_COUNT];
static bool is_carrying; /* the table is on */
static bool is_ready;    /* the settings have been read */

_Static_assert((int)FAMILY_COUNT <= (int)FAMILIES_MAX, "make room in struct thread");

const char *hooks_name(enum hook_id id)
{
    return (const char *)&hook_names + hook_infos[id].name;
}

enum family hooks_family(enum hook_id id)
{
    return hook_infos[id].family;
}

const char *family_name(enum family family)
{
    return family_names[family];
}

bool family_is_on(enum family family)
{
    /* The loader's hooks keep next.c's memory right even when nothing is carried, and a report may be asked for then. */
    return family == FAMILY_LOADER ||
           (family == FAMILY_SANDBOX && !hooks_are_idle && !family_off[family]) ||
           ((is_carrying || (hooks_look_ups && family == FAMILY_LOOKUP)) && !family_off[family]);
}

static void *hook_body(enum hook_id id)
{
    unsigned family = hook_infos[id].family;

    /* Those hand nothing over, and are called for ever. */
    if (hooks_are_seen && family != FAMILY_KEYS && family != FAMILY_LOADER &&
        family != FAMILY_LOOKUP && family != FAMILY_SANDBOX)
        return (char *)(uintptr_t)hook_seen_bodies + hook_seen_bodies[id];
    return (char *)(uintptr_t)hook_bodies + hook_bodies[id];
}

/* A hooked function that no loaded library has: what the program would have called is not there. */
static long missing_function(void)
{
    return 0;
}

void *hooks_real_for(enum hook_id id, const void *caller)
{
    void *real = next_find_for(hooks_name(id), caller);

    if (real)
        return real;
    return id == HOOK_dlopen  ? (void *)elf_open_bare
           : id == HOOK_dlsym ? (void *)elf_open_bare_symbol
                              : (void *)missing_function;
}

/*
 * Sanitizers take over dl_iterate_phdr and look up the functions behind their own by dlsym, in the
 * middle of the first call that they see. So what is behind dlsym is found without.
 */
static void *find_startup(enum hook_id id)
{
    return hook_infos[id].family == FAMILY_LOOKUP ? elf_linked_after(hook_enter, hooks_name(id))
                                                  : next_find_startup(hooks_name(id));
}

void *hooks_real_startup(enum hook_id id)
{
    void *real = __atomic_load_n(&hook_real[id], __ATOMIC_ACQUIRE);

    return real ? real : find_startup(id);
}

static _Atomic bool is_awake[HOOK_COUNT];

static bool is_asleep(enum hook_id id)
{
    return id == HOOK_uv_async_send && !atomic_load(&is_awake[id]);
}

void hooks_wake(enum hook_id id)
{
    if (atomic_exchange(&is_awake[id], true))
        return;
    if (__atomic_load_n(&hook_real[id], __ATOMIC_ACQUIRE) && family_is_on(hook_infos[id].family))
        __atomic_store_n(&hook_enter[id], hook_body(id), __ATOMIC_RELEASE);
}

/*
 * Decides where the jump of `id` leads, if that can be decided for good: a function that came with
 * the program. One that came by dlopen may be unloaded or get a second copy, so its jump leads to
 * the body, which finds the caller's copy at every call (next.c caches it).
 */
static void *hook_decide(enum hook_id id)
{
    void *real = find_startup(id);
    unsigned family = hook_infos[id].family;
    void *enter;

    if (!real && (family == FAMILY_KEYS || family == FAMILY_PTHREAD))
        real =
            next_find_for(hooks_name(id), NULL); /* libpthread's, which stays, before glibc 2.34 */
    if (!real)
        return hooks_real_for(id, NULL) == (void *)missing_function ? NULL : hook_body(id);
    __atomic_store_n(&hook_real[id], real, __ATOMIC_SEQ_CST);
    do { /* again if it was woken meanwhile */
        enter = family_is_on(hook_infos[id].family) && !is_asleep(id) ? hook_body(id) : real;
        __atomic_store_n(&hook_enter[id], enter, __ATOMIC_SEQ_CST);
    } while (enter == real && family_is_on(hook_infos[id].family) && !is_asleep(id));
    return enter;
}

/* Where the C library's function is cannot change any more, and the bodies of keys rely on it. */
static void *early_key_body(enum hook_id id)
{
    void *real = next_find_startup(hooks_name(id));

    if (!real)
        return NULL;
    __atomic_store_n(&hook_real[id], real, __ATOMIC_RELEASE);
    return hook_body(id);
}

/*
 * Called by a jump whose end is not decided yet: answers where it leads. With nothing to do it reads what the
 * loader has in memory and asks nobody: the program may be in a sandbox, or have no memory. Before there is an environment
 * (preinit) nothing is latched: the call passes through and the next one asks again. Only keys are
 * noted even then, because a key is made once and may be carried later.
 */
__attribute__((used, visibility("hidden"))) void *hooks_first(int id, const void *caller);
void *hooks_first(int id, const void *caller)
{
    int saved_errno = errno;
    void *enter = NULL;

    deferred_apply();
    if (hooks_are_idle || (is_ready && hook_infos[id].family == FAMILY_LOOKUP))
        enter = hook_decide((enum hook_id)id);
    else if (hook_infos[id].family == FAMILY_LOOKUP)
        enter = find_startup((enum hook_id)id);
    else if (baton_start && baton_start(NULL))
        enter = hook_decide((enum hook_id)id);
    else if (hook_infos[id].family == FAMILY_KEYS)
        enter = early_key_body((enum hook_id)id);
    if (!enter)
        enter = hooks_real_for((enum hook_id)id, caller);
    errno = saved_errno;
    return enter;
}

bool hooks_are_on(void)
{
    return is_carrying;
}

/* Jumps that were decided while nothing was carried lead to the bodies from now on. */
void hooks_switch_on(void)
{
    is_carrying = true;
    for (unsigned id = 0; id < HOOK_COUNT; id++) {
        if (__atomic_load_n(&hook_real[id], __ATOMIC_ACQUIRE))
            hook_decide((enum hook_id)id);
    }
}

static bool family_is_named(enum family family, const struct config_item *item)
{
    const char *name = family_names[family];

    /* "glib" names every glib.* family. */
    return !strcmp(item->text, name) ||
           (!strncmp(item->text, name, item->len) && name[item->len] == '.');
}

/* glib, glib. and glib.*, where there are glib.pool and others. */
static bool is_all_of(const char *name, const char *family, size_t stem)
{
    return !strncmp(name, family, stem) &&
           (!name[stem] || !strcmp(name + stem, ".") || !strcmp(name + stem, ".*"));
}

static void family_unknown(struct config *config, const struct config_item *item)
{
    unsigned best = item->len < 16 ? item->len / 3 + 1 : 0;
    const char *nearest = NULL;
    char name[16] = "";

    for (size_t i = 0; item->text[i] && i < sizeof name - 1; i++)
        name[i] = (char)(item->text[i] >= 'A' && item->text[i] <= 'Z' ? item->text[i] | 32
                                                                      : item->text[i]);
    for (unsigned family = 0; family < FAMILY_COUNT; family++) {
        size_t stem = strcspn(family_names[family], ".");
        unsigned distance = config_name_distance(name, family_names[family]);

        if (is_all_of(name, family_names[family], stem) ||
            (!strncmp(name, "lib", 3) && is_all_of(name + 3, family_names[family], stem))) {
            config_item_error(config, item, 0, "no such family of handoffs, expected %.*s?",
                              (int)stem, family_names[family]);
            return;
        }
        if (distance < best) {
            best = distance;
            nearest = family_names[family];
        }
    }
    if (nearest)
        config_item_error(config, item, 0, "no such family of handoffs, expected %s?", nearest);
    else
        config_item_error(
            config, item, 0,
            "expected a family of handoffs (man 7 baton lists them), as in uv.work; or all");
}

/* The item is one that a family has, for the first time, and can be obeyed. */
static void family_disable(struct config *config, size_t number)
{
    const struct config_item *item = &config->disable.items[number];
    bool is_known = false;

    for (size_t i = 0; i < number; i++) {
        if (!strcmp(config->disable.items[i].text, item->text)) {
            config_item_error(config, item, 0, "given before, expected once");
            return;
        }
    }
    if (!strcmp(item->text, "all")) { /* alone it would have been obeyed before anything was read */
        config_item_error(config, item, 0,
                          "expected all alone, and in the environment: BATON_DISABLE=all");
        return;
    }
    if (family_is_named(FAMILY_LOADER, item)) {
        config_item_error(config, item, 0,
                          "expected a family of handoffs: the loader is always watched");
        return;
    }
    for (unsigned family = 0; family < FAMILY_COUNT; family++) {
        if (!family_is_named((enum family)family, item))
            continue;
        is_known = true;
        if (family == FAMILY_KEYS && slots_key_count)
            config_item_error(config, item, 0,
                              "expected no key: in BATON_CARRY with it: they need the "
                              "functions of keys");
        family_off[family] = true;
    }
    if (!is_known)
        family_unknown(config, item);
}

void hooks_init(const struct config *config, bool carries_anything, bool carries_keys)
{
    is_carrying = carries_anything;
    family_off[FAMILY_KEYS] = !carries_keys;
    family_off[FAMILY_NAMED] = !config->hooks.count && !slots_watch_setters;
    for (size_t i = 0; i < config->disable.count; i++)
        family_disable((struct config *)(uintptr_t)config, i);
    is_ready = true;
}
