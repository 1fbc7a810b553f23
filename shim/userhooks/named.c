/*
 * BATON_HOOKS from the text to hooked functions.
 *
 * A name that matches nothing is silent here: programs that this one starts inherit the settings. A
 * name that is found and must not be hooked is said once, with the reason.
 */
#include "userhooks/named.h"

#include <stdarg.h>
#include <string.h>

#include "elf/elf.h"
#include "base/log.h"
#include "base/mem.h"
#include "interpose/bypass.h"
#include "interpose/hooks.h"
#include "interpose/next.h"
#include "userhooks/core.h"
#include "userhooks/got.h"
#include "userhooks/look.h"
#include "userhooks/object.h"
#include "userhooks/rows.h"
#include "userhooks/tally.h"
#include "userhooks/virtual.h"
#include "slots/slots.h"

static char **named_environment;

static unsigned
    rows_begin; /* before it: rows of an object for another program, or for other settings */

/* ---- settings ---- */

void named_read(struct config *config, char **environment)
{
    struct named_spec *specs = mem_alloc(sizeof *specs * NAMED_MAX);

    if (!specs)
        return;
    named_environment = environment;
    named_count = spec_read_all(config, specs);
    named_hooks = named_count ? mem_alloc(sizeof *named_hooks * named_count) : NULL;
    if (!named_hooks)
        named_count = 0;
    for (unsigned i = 0; i < named_count; i++) {
        named_hooks[i].spec = specs[i];
        atomic_init(&named_hooks[i].callback_at, specs[i].cbarg);
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

static bool is_own_hook(const char *name)
{
    for (unsigned id = 0; id < HOOK_COUNT; id++) {
        if (!strcmp(hooks_name((enum hook_id)id), name))
            return true;
    }
    return false;
}

/* ---- what has been planned ---- */

static void use_symbol(unsigned row)
{
    struct thunk *thunk = &thunks[row];
    struct named_hook *hook = thunk->hook;
    void *original = next_find_startup(thunk->name);
    struct elf_module module;

    if (!original || !elf_module_at(original, &module)) {
        /* A library that comes later has it: the caller decides which. */
        if (hook->state != HOOK_HOOKED)
            fmt_buf(hook->where, sizeof hook->where, "%s", thunk->name);
        hook->by = HOW_SYMBOL;
        hook->state = HOOK_HOOKED;
        thunk->by = HOW_SYMBOL;
        thunk->is_open = true;
        return;
    }
    if (hook->spec.module && !elf_module_match(&module, hook->spec.module)) {
        thunk->is_refused = true;
        atomic_store(&thunk->original, original);
        thunk->hook = NULL; /* another one's function: calls pass through */
        fmt_buf(hook->reason, sizeof hook->reason,
                "the function of that name that is called is the one in %s", module.name);
        return;
    }
    atomic_store(&thunk->original, original);
    named_note_hooked(row, HOW_SYMBOL, &module);
    hook->places++;
}

static void refuse_row(unsigned row, const char *reason)
{
    struct named_hook *hook = thunks[row].hook;

    thunks[row].is_refused = true;
    if (!hook->refused++) {
        hook->first_refused = thunks[row].name;
        fmt_buf(hook->reason, sizeof hook->reason, "%.*s", PLAN_REASON - 1, reason);
    }
}

/* All of an item's functions have been looked at: how many are not hooked, and why the first is not. */
static void settle_refusals(struct named_hook *hook)
{
    unsigned found = hook->functions - hook->missing;
    char why[sizeof hook->reason];

    if (!hook->refused)
        return;
    if (hook->refused == found)
        hook->state = HOOK_REFUSED;
    if (found > 1) {
        memcpy(why, hook->reason, sizeof why);
        fmt_buf(hook->reason, sizeof hook->reason, "%u of %u functions not hooked: %s: %s",
                hook->refused, found, hook->first_refused, why);
    }
    if (hook->refused > hook->told)
        log_msg(LOG_LEVEL_ERROR, "%s=\"%s\": %s%s", spec_setting(&hook->spec), hook->spec.item,
                found > 1 ? "" : "not hooked: ", hook->reason);
}

/* A patched function's callers may know which registers it leaves alone: a hook that changes
 * arguments has to put them back afterwards (GCC: -fipa-ra). */
static void use_patch(const struct plan *plan, unsigned planned, unsigned row)
{
    struct named_hook *hook = thunks[row].hook;
    const struct plan_patch *patch = plan_patch_of(plan, planned);
    bool is_wrapping = spec_wraps(&hook->spec) || hook->spec.kind == NAMED_CALL;
    struct elf_module module;
    char reason[sizeof hook->reason];
    void *original;

    if (!patch)
        return;
    original = patch_apply(patch, thunk_address(row, is_wrapping), &module, reason, sizeof reason);
    if (original) {
        atomic_store(&thunks[row].original, original);
        named_note_hooked(row, HOW_PATCH, &module);
        hook->places++;
        if (hook->spec.kind == NAMED_SET) {
            hook->spec.slot->fn.entry = module.base + patch->address;
            hook->spec.slot->fn.real_setter = original;
        }
    } else if (reason[0]) {
        refuse_row(row, reason);
    }
}

/* IS_OBJECT: the names are there as the generated object's; else only pointers are left to lead to them. */
static void use_plan(const struct plan *plan, bool is_object)
{
    for (unsigned i = 0; i < plan->rows; i++) {
        const struct plan_row *planned = plan_row(plan, i);
        unsigned row = rows_begin + i;
        struct named_hook *hook = thunks[row].hook;

        if (!hook)
            continue;
        switch (planned->by) {
        case HOW_SYMBOL:
            if (is_object)
                use_symbol(row);
            thunks[row].is_wanted |= !is_object;
            if (planned->reason[0] && !hook->reason[0])
                fmt_buf(hook->reason, sizeof hook->reason, "never fired: %.*s",
                        (int)sizeof planned->reason - 1, planned->reason);
            break;
        case HOW_PATCH:
            use_patch(plan, i, row);
            break;
        case HOW_AUTO:
            if (!planned->is_missing) {
                refuse_row(row, planned->reason);
                hook->told += is_object; /* by baton run */
            } else {
                hook->missing++;
                fmt_buf(hook->reason, sizeof hook->reason, "%.*s", (int)sizeof planned->reason - 1,
                        planned->reason);
            }
            break;
        default:
            break;
        }
    }
    patch_end();
    for (unsigned i = 0; i < named_count; i++)
        settle_refusals(&named_hooks[i]);
}

static const char *refusal(const struct named_spec *spec)
{
    if (is_own_hook(spec->function))
        return "baton hooks this function itself";
    return NULL;
}

static bool has_setters_only(void)
{
    return named_hooks[0].spec.kind == NAMED_SET; /* they come last */
}

static bool is_own_program(const struct plan *plan)
{
    struct elf_module program;

    return elf_module_find("main", &program) && plan->program == plan_identity(&program);
}

/* The rows: those of the plan, else one an item. What an object for another program has named stays. */
static bool add_rows(const struct plan *plan, bool is_object)
{
    const struct plan *other = is_object ? NULL : object_plan();
    unsigned rows = plan ? plan->rows : named_count;

    rows_begin = other ? other->rows : 0;
    if (!named_rows_begin())
        return false;
    thunks_rows_end = rows_begin + rows;
    atomic_store(&thunks_used, thunks_rows_end);
    for (unsigned i = 0; i < rows; i++) {
        unsigned item = plan ? plan_row(plan, i)->item : i;
        const char *name = plan ? plan_name(plan, i) : named_hooks[i].spec.function;

        if (item < named_count && name && named_hooks[item].state != HOOK_REFUSED)
            named_add_row(rows_begin + i, &named_hooks[item], name);
    }
    return true;
}

static void take_callback(struct named_hook *hook)
{
    if (hook->spec.kind == NAMED_CALL)
        hook->callback =
            thunk_take(hook, hook->spec.is_repeating ? THUNK_REPEAT : THUNK_CALL, NULL);
    else if (hook->spec.kind == NAMED_STDFUNCTION)
        hook->callback = thunk_take(hook, THUNK_STDFUNCTION, NULL);
    else if (hook->spec.kind == NAMED_VIRTUAL)
        named_virtual_begin(hook);
}

void named_init(void)
{
    const struct plan *plan = object_plan();
    uint64_t settings = 0;
    char reason[160] = "";
    bool is_object = true;

    if (!named_count)
        return;
    for (unsigned i = 0; i < named_count; i++)
        settings = plan_hash(settings, named_hooks[i].spec.item);
    /* One for other settings or for another program (one that has started this one): a new one is made. */
    if (!plan || plan->items != named_count || plan->settings != settings ||
        !is_own_program(plan)) {
        is_object = false;
        plan = replan(settings, named_environment, reason, sizeof reason);
        if (plan && (plan->items != named_count || plan->settings != settings))
            plan = NULL;
    }
    for (unsigned i = 0; i < named_count; i++) {
        const char *why = refusal(&named_hooks[i].spec);

        if (why && is_object) { /* said by baton run already */
            fmt_buf(named_hooks[i].reason, sizeof named_hooks[i].reason, "%s", why);
            named_hooks[i].state = HOOK_REFUSED;
        } else if (why) {
            refuse(&named_hooks[i], "%s", why);
        }
    }
    thunk_bank = named_bank;
    thunk_dlsym = (void *)named_dlsym;
    if (!add_rows(plan, is_object))
        return;
    for (unsigned i = 0; i < named_count; i++) {
        if (named_hooks[i].state != HOOK_REFUSED)
            take_callback(&named_hooks[i]);
    }
    named_real_dlsym = (void *(*)(void *, const char *))bypass_exported("dlsym");
    if (plan)
        use_plan(plan, is_object);
    else if (!has_setters_only())
        log_msg(LOG_LEVEL_ERROR,
                "BATON_HOOKS: %s: functions inside of a module, and calls of constructors, are not "
                "seen",
                reason);
    look_begin();
}

void named_fork_lock(void)
{
    tally_fork();
    look_fork_lock();
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
    look_fork_unlock();
}
