/*
 * BATON_HOOKS from the text to hooked functions, and what the report says of them.
 *
 * A name that matches nothing is silent here: programs that this one starts inherit the settings. A
 * name that is found and must not be hooked is said once, with the reason. Looking is done under one
 * lock that is never waited for: who finds it taken goes on without.
 */
#include "userhooks/named.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "elf/elf.h"
#include "base/log.h"
#include "base/mem.h"
#include "interpose/bypass.h"
#include "interpose/hooks.h"
#include "interpose/loader.h"
#include "interpose/next.h"
#include "interpose/start.h"
#include "userhooks/core.h"
#include "userhooks/got.h"
#include "userhooks/object.h"
#include "userhooks/tally.h"
#include "slots/slots.h"

struct named_hook named_hooks[NAMED_MAX];
unsigned named_count;

void *(*named_real_dlsym)(void *handle, const char *name);
static bool is_ready;        /* hooks may be looked for */
static atomic_bool is_stale; /* something was loaded since */
static struct lock look_lock;

/* ---- settings ---- */

void named_read(struct config *config)
{
    struct named_spec *specs = mem_alloc(sizeof *specs * NAMED_MAX);

    if (!specs)
        return;
    named_count = spec_read_all(config, specs);
    for (unsigned i = 0; i < named_count; i++) {
        named_hooks[i].spec = specs[i];
        named_hooks[i].index = i;
    }
    named_periodic = config->periodic;
    mem_free(specs, sizeof *specs * NAMED_MAX);
}

/* ---- what is hooked how ---- */

static void refuse(struct named_hook *hook, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void refuse(struct named_hook *hook, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fmt_vbuf(hook->reason, sizeof hook->reason, format, args);
    va_end(args);
    hook->state = HOOK_REFUSED;
    log_msg(LOG_LEVEL_ERROR, "%s=\"%s\": not hooked: %s", spec_setting(&hook->spec),
            hook->spec.item, hook->reason);
}

bool named_uses_got(const struct named_hook *hook)
{
    if (hook->is_open)
        return true;
    return hook->state != HOOK_REFUSED &&
           (hook->spec.how == HOW_AUTO || hook->spec.how == HOW_GOT) &&
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

    if (hook->state == HOOK_REFUSED || !elf_module_at(target, &module) ||
        named_is_generated(&module) ||
        (hook->spec.module && !elf_module_match(&module, hook->spec.module)))
        return false;
    note_hooked(hook, HOW_GOT, &module);
    return true;
}

unsigned named_thunk(struct named_hook *hook, void *target)
{
    unsigned index = (unsigned)(hook - named_hooks);
    void *none = NULL;

    if (!hook->is_open &&
        (atomic_compare_exchange_strong(&thunks[index].original, &none, target) || none == target))
        return index;
    index = thunk_take(hook, THUNK_FUNCTION, target);
    return index ? index : THUNKS;
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
    original = atomic_load(&thunk->original);
    if (!original) {
        const char *name = thunk->hook ? thunk->hook->spec.function : object_name(index);

        original = name ? next_find_startup(name) : NULL;
        if (original && !thunk->hook)
            atomic_store(&thunk->original,
                         original); /* nothing is hooked: only the way is asked for */
        if (name && !original)
            original = next_find_for(name, caller);
    }
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
        !lock_try(&look_lock))
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
        if (named_hooks[i].spec.kind != NAMED_SET && !strcmp(named_hooks[i].spec.function, name))
            return true;
    }
    return false;
}

static void *replace_symbol(const char *name, void *address)
{
    for (unsigned i = 0; i < named_count && address; i++) {
        struct named_hook *hook = &named_hooks[i];
        unsigned index;

        if (hook->spec.kind == NAMED_SET || strcmp(hook->spec.function, name) != 0 ||
            thunk_is_ours(address) || (hook->state == HOOK_HOOKED && hook->by == HOW_PATCH) ||
            !named_accepts(hook, address))
            continue;
        index = named_thunk(hook, address);
        return index < THUNKS ? thunk_address(index, spec_wraps(&hook->spec)) : address;
    }
    return address;
}

/*
 * A program asks for a function that the user named: it gets the thunk in front of it. NULL: go on to
 * the real dlsym, which also sets the error when there is no such function.
 */
__attribute__((used, visibility("hidden"))) void *named_note_dlsym(void *handle, const char *name,
                                                                   const void *caller);
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
__attribute__((used, visibility("hidden"))) void named_start_early(int argc, char **argv,
                                                                   char **environment);
void named_start_early(int argc, char **argv, char **environment)
{
    if (baton_start)
        baton_start(environment);
}

/* ---- what baton run has prepared ---- */

static void use_symbol(unsigned index)
{
    struct named_hook *hook = &named_hooks[index];
    void *original = next_find_startup(hook->spec.function);
    struct elf_module module;

    if (!original || !elf_module_at(original, &module)) {
        /* A library that comes later has it: the caller decides which. */
        fmt_buf(hook->where, sizeof hook->where, "%s", hook->spec.function);
        hook->by = HOW_SYMBOL;
        hook->state = HOOK_HOOKED;
        hook->is_open = true;
        return;
    }
    if (hook->spec.module && !elf_module_match(&module, hook->spec.module)) {
        thunks[index].hook = NULL; /* another one's function: calls pass through */
        fmt_buf(hook->reason, sizeof hook->reason,
                "the function of that name that is called is the one in %s", module.name);
        return;
    }
    atomic_store(&thunks[index].original, original);
    note_hooked(hook, HOW_SYMBOL, &module);
    hook->places = 1;
}

/* A patched function's callers may know which registers it leaves alone: a hook that changes
 * arguments has to put them back afterwards (GCC: -fipa-ra). */
static void use_patch(const struct plan *plan, unsigned index)
{
    struct named_hook *hook = &named_hooks[index];
    const struct plan_patch *patch = object_patch(plan, index);
    bool is_wrapping = spec_wraps(&hook->spec) || hook->spec.kind == NAMED_CALL;
    struct elf_module module;
    char reason[sizeof hook->reason];
    void *original;

    if (!patch)
        return;
    original =
        patch_apply(patch, thunk_address(index, is_wrapping), &module, reason, sizeof reason);
    if (original) {
        atomic_store(&thunks[index].original, original);
        note_hooked(hook, HOW_PATCH, &module);
        hook->places = 1;
        if (hook->spec.kind == NAMED_SET) {
            hook->spec.slot->fn.entry = module.base + patch->address;
            hook->spec.slot->fn.real_setter = original;
        }
    } else if (reason[0]) {
        refuse(hook, "%s", reason);
    }
}

static void use_plan(const struct plan *plan)
{
    for (unsigned i = 0; i < named_count; i++) {
        const struct plan_hook *planned = object_hook(plan, i);
        struct named_hook *hook = &named_hooks[i];

        if (hook->state == HOOK_REFUSED)
            continue;
        switch (planned->by) {
        case HOW_SYMBOL:
            use_symbol(i);
            break;
        case HOW_PATCH:
            use_patch(plan, i);
            break;
        case HOW_AUTO: /* said by baton run already */
            fmt_buf(hook->reason, sizeof hook->reason, "%.*s", (int)sizeof planned->reason - 1,
                    planned->reason);
            if (!planned->is_missing)
                hook->state = HOOK_REFUSED;
            break;
        default:
            break;
        }
    }
}

static const char *refusal(const struct named_spec *spec)
{
    if (is_own_hook(spec->function))
        return "baton hooks this function itself";
    if (spec->kind == NAMED_STDFUNCTION && strstr(spec->function, "NSt3__1"))
        return "this is libc++'s std::function; only libstdc++'s is known";
    return NULL;
}

static bool has_setters_only(void)
{
    return named_hooks[0].spec.kind == NAMED_SET; /* they come last */
}

void named_init(void)
{
    const struct plan *plan = object_plan();
    uint64_t settings = 0;

    if (!named_count)
        return;
    for (unsigned i = 0; i < named_count; i++)
        settings = plan_hash(settings, named_hooks[i].spec.item);
    /* An object for other settings: its thunks stand for other functions than these items. */
    if (plan && (plan->hooks != named_count || plan->settings != settings)) {
        for (unsigned i = 0; i < named_count; i++)
            fmt_buf(named_hooks[i].reason, sizeof named_hooks[i].reason,
                    "BATON_HOOKS has changed since baton run prepared it");
        return;
    }
    for (unsigned i = 0; i < named_count; i++) {
        struct named_hook *hook = &named_hooks[i];
        const char *reason = refusal(&hook->spec);

        if (reason) {
            refuse(hook, "%s", reason);
            continue;
        }
        thunks[i].hook = hook;
        if (hook->spec.kind == NAMED_CALL)
            hook->callback =
                thunk_take(hook, hook->spec.is_repeating ? THUNK_REPEAT : THUNK_CALL, NULL);
        else if (hook->spec.kind == NAMED_STDFUNCTION)
            hook->callback = thunk_take(hook, THUNK_STDFUNCTION, NULL);
    }
    named_real_dlsym = (void *(*)(void *, const char *))bypass_exported("dlsym");
    if (plan)
        use_plan(plan);
    else if (!has_setters_only())
        log_msg(
            LOG_LEVEL_WARN,
            "BATON_HOOKS without baton run: calls inside one module, and those of constructors, "
            "are not seen");
    loader_opened_hook = note_opened;
    is_ready = true;
    atomic_store(&is_stale, true);
    named_look_again();
}

static const char run_again[] =
    "a callback ran more than once for one call of it: the option repeat is for such";

void named_ran_again(struct named_hook *hook)
{
    if (!atomic_exchange(&hook->has_run_again, true))
        log_msg(LOG_LEVEL_ERROR, "BATON_HOOKS=\"%s\": %s", hook->spec.item, run_again);
}

const char *named_reason(const struct named_hook *hook)
{
    struct named_tally sum;

    if (hook->state == HOOK_REFUSED)
        return hook->reason;
    if (hook->state == HOOK_UNMATCHED)
        return hook->reason[0] ? hook->reason
               : object_plan()
                   ? "no pointer to such a function was found"
                   : "no pointer to such a function was found; functions inside of a module need "
                     "baton run";
    if (atomic_load(&hook->has_no_place))
        return "more copies of it, or of functions in its field, than there is room for: some are "
               "not "
               "hooked";
    if (atomic_load(&hook->has_run_again))
        return run_again;
    tally_sum(hook, &sum);
    if (!sum.fired)
        return hook->by == HOW_GOT
                   ? "never fired: no call went through the pointers that were hooked (calls "
                     "inside one module, inlined calls and constructors do not)"
                   : "never fired: it was not called, or its calls were inlined";
    return "";
}

/* A preset has functions that not every program uses: one of them is enough. */
static bool is_there(const struct named_hook *hook)
{
    if (hook->state == HOOK_HOOKED)
        return true;
    for (unsigned i = 0; i < named_count && !strncmp(hook->spec.pair, "preset:", 7); i++) {
        if (named_hooks[i].state == HOOK_HOOKED &&
            !strcmp(named_hooks[i].spec.pair, hook->spec.pair))
            return true;
    }
    return false;
}

unsigned named_say_missing(void)
{
    unsigned missing = 0;

    for (unsigned i = 0; i < named_count; i++) {
        const struct named_hook *hook = &named_hooks[i];

        if (is_there(hook) || hook->spec.kind == NAMED_SET)
            continue;
        if (hook->state == HOOK_UNMATCHED)
            log_msg(LOG_LEVEL_ERROR, "%s=\"%s\": matched nothing: %s", spec_setting(&hook->spec),
                    hook->spec.item, named_reason(hook));
        missing++;
    }
    return missing;
}

void named_say_idle(void)
{
    if (log_level < LOG_LEVEL_WARN)
        return;
    for (unsigned i = 0; i < named_count; i++) {
        const struct named_hook *hook = &named_hooks[i];
        const char *reason = named_reason(hook);

        if (hook->state != HOOK_REFUSED && *reason && strncmp(hook->spec.item, "preset:", 7) != 0)
            log_msg(LOG_LEVEL_WARN, "%s=\"%s\": %s%s", spec_setting(&hook->spec), hook->spec.item,
                    hook->state == HOOK_UNMATCHED ? "matched nothing: " : "", reason);
    }
}

void named_fork_lock(void)
{
    tally_fork();
    lock_take_for_fork(&look_lock);
    thunk_fork_lock();
    table_fork_lock();
    queue_fork_lock();
}

void named_fork_unlock(bool is_child)
{
    if (is_child)
        tally_fork_child();
    queue_fork_unlock();
    table_fork_unlock(is_child);
    thunk_fork_unlock();
    lock_drop_after_fork(&look_lock);
}
