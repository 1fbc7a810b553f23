/*
 * What include/baton.h reaches: one exported function that answers a table.
 *
 * The first call switches carrying on in a program that has configured nothing, because from now on
 * there are variables to carry; until then such a program pays nothing. Rules: as in hook bodies;
 * free functions of values are foreign code and run with no lock held.
 */
#include "baton.h"

#include <errno.h>
#include <string.h>

#include "context/dangling.h"
#include "context/internal.h"
#include "context/pool/record.h"
#include "context/strict.h"
#include "context/thread.h"
#include "context/variables.h"
#include "families/handoff.h"
#include "interpose/start.h"

enum { TOKEN_GOOD = 1, TOKEN_USED = 2 };

static const struct var *as_var(const baton_var *var)
{
    return (const struct var *)(const void *)var;
}

/* The calling thread's block, with what longjmp has left behind put back. */
static struct thread *self(void)
{
    struct thread *thread = thread_enter();

    if (!thread)
        return NULL;
    if (thread->runs)
        vars_drop_stale(thread, arch_sp());
    if (thread_is_attached(thread))
        scope_drop_stale(thread, arch_sp());
    return thread;
}

/* ---- variables ---- */

static baton_var *var_new(const char *name, void *initial, void (*free_value)(void *))
{
    return (baton_var *)(void *)vars_new_var(name, initial, free_value);
}

static const char *var_name(const baton_var *var)
{
    return as_var(var)->name;
}

static struct vars_entry *present(const baton_var *var)
{
    const struct thread *thread = thread_self;

    if (unlikely(thread->runs || thread_is_attached(thread)))
        thread = self();
    return thread ? vars_find(vars_now(thread), as_var(var)) : NULL;
}

static int find(const baton_var *var, void **value)
{
    const struct vars_entry *entry = present(var);

    if (entry && value)
        *value = entry->value;
    return entry != NULL;
}

static void *get(const baton_var *var)
{
    const struct vars_entry *entry = present(var);

    return entry ? entry->value : as_var(var)->initial;
}

static int set(baton_var *var, void *value, baton_token *token)
{
    struct thread *thread = self();
    uint64_t where = thread ? vars_where(thread) : 0;
    struct vars_entry *entry, *old;
    struct vars_map *map;

    if (!where || !(entry = vars_entry_new(as_var(var), value)))
        return BATON_ERROR_MEMORY;
    if (!vars_with(vars_now(thread), entry, &map)) {
        /* The value stays the caller's. */
        static const struct var nobody;

        entry->var = &nobody;
        vars_entry_unref(entry);
        return BATON_ERROR_MEMORY;
    }
    vars_entry_unref(entry);
    old = vars_entry_ref(vars_find(vars_now(thread), as_var(var)));
    if (token)
        *token = (baton_token){var, old, where, TOKEN_GOOD};
    vars_set_now(thread, map);
    if (!token)
        vars_entry_unref(old);
    return BATON_OK;
}

static void token_drop(baton_token *token)
{
    struct vars_entry *old = token->state == TOKEN_GOOD ? token->old : NULL;

    token->state = TOKEN_USED;
    token->old = NULL;
    vars_entry_unref(old);
}

static int reset(baton_var *var, baton_token *token)
{
    struct thread *thread = self();
    struct vars_entry *old = token->old;
    struct vars_map *map;
    bool is_made;

    if (token->state != TOKEN_GOOD)
        return BATON_ERROR_TOKEN_USED;
    if (token->var != var)
        return BATON_ERROR_OTHER_VAR;
    if (!thread)
        return BATON_ERROR_MEMORY;
    if (token->context != vars_where(thread))
        return BATON_ERROR_OTHER_CONTEXT;
    is_made = old ? vars_with(vars_now(thread), old, &map)
                  : vars_without(vars_now(thread), as_var(var), &map);
    if (!is_made)
        return BATON_ERROR_MEMORY;
    vars_set_now(thread, map);
    token_drop(token);
    return BATON_OK;
}

static int token_old(const baton_token *token, void **value)
{
    const struct vars_entry *old = token->state == TOKEN_GOOD ? token->old : NULL;

    if (old && value)
        *value = old->value;
    return old != NULL;
}

/* ---- contexts ---- */

static struct vars_context *as_vars(baton_context *context)
{
    return (struct vars_context *)(void *)context;
}

static baton_context *as_context(struct vars_context *context)
{
    return (baton_context *)(void *)context;
}

static baton_context *context_make(void)
{
    return as_context(vars_context_new(NULL));
}

static baton_context *context_copy(void)
{
    struct thread *thread = self();

    return as_context(vars_context_new(thread ? vars_ref(vars_now(thread)) : NULL));
}

static baton_context *context_copy_of(baton_context *context)
{
    return as_context(vars_context_new(vars_context_map(as_vars(context))));
}

static void context_drop(baton_context *context)
{
    vars_context_unref(as_vars(context));
}

static int context_run(baton_context *context, void (*function)(void *), void *arg)
{
    self();
    switch (vars_run(as_vars(context), function, arg)) {
    case VARS_RUN_OK:
        return BATON_OK;
    case VARS_RUN_ENTERED:
        if (dangling_on)
            strict_entered_twice(__builtin_return_address(0));
        return BATON_ERROR_ENTERED;
    default:
        return BATON_ERROR_MEMORY;
    }
}

static int context_find(baton_context *context, const baton_var *var, void **value)
{
    struct vars_map *map = vars_context_map(as_vars(context));
    const struct vars_entry *entry = vars_find(map, as_var(var));
    int is_found = entry != NULL;

    if (entry && value)
        *value = entry->value;
    vars_unref(map);
    return is_found;
}

static unsigned long context_count(baton_context *context)
{
    struct vars_map *map = vars_context_map(as_vars(context));
    unsigned long count = vars_count(map);

    vars_unref(map);
    return count;
}

struct visit {
    int (*function)(baton_var *, void *, void *);
    void *arg;
};

static int visit_entry(const struct vars_entry *entry, void *arg)
{
    const struct visit *visit = arg;

    return visit->function((baton_var *)(uintptr_t)entry->var, entry->value, visit->arg);
}

static int context_each(baton_context *context, int (*function)(baton_var *, void *, void *),
                        void *arg)
{
    struct vars_map *map = vars_context_map(as_vars(context));
    struct visit visit = {function, arg};
    int answer = vars_each(map, visit_entry, &visit);

    vars_unref(map);
    return answer;
}

/* ---- by hand ---- */

static baton_handoff *capture(void)
{
    int saved_errno = errno;
    struct record *record = family_is_on(FAMILY_API) ? record_capture(FAMILY_API, NULL, NULL)
                                                     : NULL;

    errno = saved_errno;
    return (baton_handoff *)(void *)record;
}

static struct context *context_of(baton_handoff *handoff)
{
    return ((struct record *)(void *)handoff)->context;
}

/* Where the scope says it is on the stack: marks are multiples of 16. */
static uintptr_t frame_of(const baton_scope *scope)
{
    return ((uintptr_t)&scope->opaque[2] + FRAME_FLAGS) & ~(uintptr_t)FRAME_FLAGS;
}

/* The innermost attach has the lowest mark. Two scopes of one function may lie in any order. */
static void attach(baton_handoff *handoff, baton_scope *scope)
{
    struct thread *thread = self();
    uintptr_t frame_mark = frame_of(scope), innermost;

    if (thread && thread_is_attached(thread)) {
        innermost = thread->frame_mark & ~(uintptr_t)FRAME_FLAGS;
        if (innermost <= frame_mark)
            frame_mark = innermost - (FRAME_FLAGS + 1);
    }
    if (!scope_enter_slow(context_of(handoff), frame_mark))
        return;
    if (slot_counts_on)
        slot_counts_ran(thread_self, context_of(handoff));
    scope->opaque[0] = scope_top_entry(thread_self);
    scope->opaque[1] = frame_mark;
}

static void detach(baton_scope *scope)
{
    if (!scope_leave_entry(thread_self, (uint32_t)scope->opaque[0], scope->opaque[1]) &&
        dangling_on)
        strict_left_late(__builtin_return_address(0));
}

static GUARDED void run(baton_handoff *handoff, void (*function)(void *), void *arg)
{
    GUARDED_FRAME();
    struct context *context = context_of(handoff);

    /* Counted before, as attach() does: the function may let go of the handoff. */
    if (slot_counts_on && thread_enter())
        slot_counts_ran(thread_self, context);
    SCOPE_RUN(context, 0, function(arg));
}

static void release(baton_handoff *handoff)
{
    struct record record = record_take((struct record *)(void *)handoff);

    context_release(record.context);
}

static void suppress(int change)
{
    struct thread *thread = self();

    if (!thread || (change < 0 && !thread->suppress))
        return;
    thread->suppress += (uint32_t)change;
    /* The snapshot of the fast path knows nothing of it. */
    context_drop_snapshot(thread);
}

__attribute__((visibility("default"))) const struct baton_api *baton_api(void)
{
    static const struct baton_api api = {
        .size = sizeof api,
        .var_new = var_new,
        .var_name = var_name,
        .get = get,
        .find = find,
        .set = set,
        .reset = reset,
        .token_drop = token_drop,
        .token_old = token_old,
        .context_new = context_make,
        .context_copy = context_copy,
        .context_copy_of = context_copy_of,
        .context_free = context_drop,
        .context_run = context_run,
        .context_find = context_find,
        .context_count = context_count,
        .context_each = context_each,
        .capture = capture,
        .attach = attach,
        .detach = detach,
        .run = run,
        .release = release,
        .suppress = suppress,
    };

    if (baton_activate)
        baton_activate();
    return &api;
}
