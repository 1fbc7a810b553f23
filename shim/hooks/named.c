/*
 * BATON_HOOKS from the text to hooked functions, and what the report says of them.
 *
 * A name that matches nothing is silent here: programs that this one starts inherit the settings. A
 * name that is found and must not be hooked is said once, with the reason. Looking is done under one
 * lock that is never waited for: who finds it taken goes on without.
 */
#include "hooks/named.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/elf.h"
#include "base/log.h"
#include "base/mem.h"
#include "handoffs/hooks.h"
#include "handoffs/loader.h"
#include "handoffs/next.h"
#include "hooks/core.h"
#include "hooks/got.h"

struct named_hook named_hooks[NAMED_MAX];
unsigned named_count;

void *(*named_real_dlsym)(void *handle, const char *name);
static bool is_ready;           /* hooks may be looked for */
static atomic_bool is_stale;    /* something was loaded since */
static struct lock look_lock;

/* ---- settings ---- */

void named_read(struct config *config)
{
    struct named_spec *specs = mem_alloc(sizeof *specs * NAMED_MAX);
    const struct config_item *items[NAMED_MAX];
    size_t count = 0, lonely;

    if (!specs)
        return;
    for (size_t i = 0; i < config->hooks.count; i++) {
        const struct config_item *item = &config->hooks.items[i];
        struct spec_error error = {NULL, NULL};
        char *text;

        if (count == NAMED_MAX) {
            config_item_error(config, item, 0, "expected at most %d items", NAMED_MAX);
            break;
        }
        text = mem_alloc(item->len + 1);
        if (!text)
            break;
        memcpy(text, item->text, item->len + 1);
        memset(&specs[count], 0, sizeof specs[count]);
        specs[count].item = item->text;
        items[count] = item;
        if (spec_parse(text, &specs[count], &error))
            count++;
        else
            config_item_error(config, item, (size_t)(error.at - text), "expected %s", error.expected);
    }
    while ((lonely = spec_pair(specs, count)) < count) {
        config_item_error(config, items[lonely], 0, "expected an item with %s%s%s to go with it",
                          spec_partner(specs[lonely].kind), *specs[lonely].pair ? ",pair=" : "", specs[lonely].pair);
        memmove(&specs[lonely], &specs[lonely + 1], (count - lonely - 1) * sizeof *specs);
        memmove(&items[lonely], &items[lonely + 1], (count - lonely - 1) * sizeof *items);
        count--;
    }
    for (size_t i = 0; i < count; i++)
        named_hooks[i].spec = specs[i];
    named_count = (unsigned)count;
    named_periodic = config->periodic;
    mem_free(specs, sizeof *specs * NAMED_MAX);
}

/* ---- what is hooked how ---- */

static void refuse(struct named_hook *hook, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void refuse(struct named_hook *hook, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fmt_vbuf(hook->reason, sizeof hook->reason, format, args);
    va_end(args);
    hook->state = HOOK_REFUSED;
    log_msg(LOG_LEVEL_ERROR, "BATON_HOOKS=\"%s\": not hooked: %s", hook->spec.item, hook->reason);
}

bool named_is_generated(const struct elf_module *module)
{
    return module->soname && !strcmp(module->soname, NAMED_OBJECT);
}

bool named_uses_got(const struct named_hook *hook)
{
    return hook->state != HOOK_REFUSED && (hook->spec.how == HOW_AUTO || hook->spec.how == HOW_GOT) &&
           (hook->state == HOOK_UNMATCHED || hook->by == HOW_GOT);
}

static void note_hooked(struct named_hook *hook, enum named_how by, const struct elf_module *module)
{
    if (hook->state == HOOK_HOOKED)
        return;
    fmt_buf(hook->where, sizeof hook->where, "%s in %s", hook->spec.function, module->name);
    hook->by = by;
    hook->state = HOOK_HOOKED;
}

bool named_accepts(struct named_hook *hook, const void *target)
{
    struct elf_module module;

    if (hook->state == HOOK_REFUSED || !elf_module_at(target, &module) || named_is_generated(&module) ||
        (hook->spec.module && !elf_module_match(&module, hook->spec.module)))
        return false;
    note_hooked(hook, HOW_GOT, &module);
    return true;
}

unsigned named_thunk(struct named_hook *hook, void *target)
{
    unsigned index = (unsigned)(hook - named_hooks);
    void *none = NULL;

    if (atomic_compare_exchange_strong(&thunks[index].original, &none, target) || none == target)
        return index;
    index = thunk_take(hook, THUNK_FUNCTION, target);
    return index ? index : (unsigned)(hook - named_hooks);
}

static void *no_function(void)
{
    return NULL;
}

void *named_original(unsigned index, const void *caller)
{
    struct thunk *thunk = &thunks[index];
    void *original = NULL;

    if (baton_start)
        baton_start(NULL);
    named_look_again();
    if (!thunk->hook)
        return (void *)no_function;
    original = atomic_load(&thunk->original);
    if (!original)
        original = next_find_for(thunk->hook->spec.function, caller);
    return original ? original : (void *)no_function;
}

/* ---- looking ---- */

static void look(void)
{
    got_patch_modules();
}

void named_look_again(void)
{
    if (!is_ready || !atomic_load_explicit(&is_stale, memory_order_relaxed) ||
        atomic_exchange_explicit(&look_lock.held, 1, memory_order_acquire))
        return;
    atomic_store(&is_stale, false);
    look();
    lock_drop(&look_lock);
}

static void note_opened(void)
{
    atomic_store(&is_stale, true);
}

static bool is_named(const char *name)
{
    for (unsigned i = 0; i < named_count; i++) {
        if (!strcmp(named_hooks[i].spec.function, name))
            return true;
    }
    return false;
}

static void *replace_symbol(const char *name, void *address)
{
    for (unsigned i = 0; i < named_count && address; i++) {
        struct named_hook *hook = &named_hooks[i];

        if (strcmp(hook->spec.function, name) != 0 || thunk_is_ours(address) || !named_uses_got(hook) ||
            !named_accepts(hook, address))
            continue;
        return thunk_address(named_thunk(hook, address), spec_wraps(&hook->spec));
    }
    return address;
}

/*
 * A program asks for a function that the user named: it gets the thunk in front of it. NULL: go on to
 * the real dlsym, which also sets the error when there is no such function.
 */
__attribute__((used, visibility("hidden"))) void *named_note_dlsym(void *handle, const char *name, const void *caller);
void *named_note_dlsym(void *handle, const char *name, const void *caller)
{
    void *address;

    named_look_again();
    if (!name || handle == RTLD_NEXT || !is_named(name))
        return NULL;
    address = handle == RTLD_DEFAULT ? next_find_for(name, caller) : named_real_dlsym(handle, name);
    return address ? replace_symbol(name, address) : NULL;
}

static bool is_own_hook(const char *name)
{
    for (unsigned id = 0; id < HOOK_COUNT; id++) {
        if (!strcmp(hooks_name((enum hook_id)id), name))
            return true;
    }
    return false;
}

/* DT_INIT of the generated object, which is initialised before every other library (initfirst). */
__attribute__((used, visibility("hidden"))) void named_start_early(int argc, char **argv, char **environment);
void named_start_early(int argc, char **argv, char **environment)
{
    if (baton_start)
        baton_start(environment);
}

void named_init(void)
{
    if (!named_count)
        return;
    for (unsigned i = 0; i < named_count; i++) {
        struct named_hook *hook = &named_hooks[i];

        if (is_own_hook(hook->spec.function)) {
            refuse(hook, "baton hooks this function itself");
            continue;
        }
        if (hook->spec.kind == NAMED_STDFUNCTION && strstr(hook->spec.function, "NSt3__1")) {
            refuse(hook, "this is libc++'s std::function; only libstdc++'s is known");
            continue;
        }
        thunks[i].hook = hook;
        if (hook->spec.kind == NAMED_CALL)
            hook->callback = thunk_take(hook, hook->spec.is_repeating ? THUNK_REPEAT : THUNK_CALL, NULL);
        else if (hook->spec.kind == NAMED_STDFUNCTION)
            hook->callback = thunk_take(hook, THUNK_STDFUNCTION, NULL);
    }
    loader_opened_hook = note_opened;
    named_real_dlsym = (void *(*)(void *, const char *))next_find_startup("dlsym");
    is_ready = true;
    atomic_store(&is_stale, true);
    named_look_again();
}

const char *named_reason(const struct named_hook *hook)
{
    if (hook->state == HOOK_REFUSED)
        return hook->reason;
    if (hook->state == HOOK_UNMATCHED)
        return hook->reason[0] ? hook->reason : "no pointer to such a function was found";
    if (!atomic_load(&hook->fired))
        return hook->by == HOW_GOT ? "never fired: no call went through the pointers that were hooked (calls "
                                     "inside one module, inlined calls and constructors do not)"
                                   : "never fired: not called, or its calls were inlined";
    return "";
}

void named_fork_lock(void)
{
    lock_take(&look_lock);
    table_fork_lock();
}

void named_fork_unlock(bool is_child)
{
    table_fork_unlock(is_child);
    lock_drop(&look_lock);
}
