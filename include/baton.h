/*
 * baton.h: context variables for C and C++, and handing over by hand.
 *
 * A variable has a value in each context. A task that is handed to another thread, by whatever means
 * libbaton.so knows, runs in a copy of the context of the moment it was handed over: it sees the
 * values of its submitter, and what it sets is its own. This is Python's contextvars (PEP 567) in C.
 *
 *     static baton_var *request;                            (once:)
 *     request = baton_var_new("request", NULL, request_free);
 *
 *     baton_token before;
 *     baton_set(request, request_new(17), &before);
 *     uv_queue_work(loop, work, run, done);                 run: baton_get(request) is request 17
 *     baton_reset(request, &before);
 *
 * Nothing is linked: a program that includes this runs unchanged without libbaton.so. Variables then
 * are plain thread-locals, contexts have nothing in them, and running in one just calls. With it
 * (LD_PRELOAD, or `baton run`) nothing needs to be configured.
 *
 * C89 with GNU attributes, and C++. Every function may be called in any thread; none in a signal
 * handler. What is asked of a NULL context, handoff or token does nothing.
 */
#ifndef BATON_H
#define BATON_H

#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct baton_var baton_var;         /* a variable; lives as long as the process */
typedef struct baton_context baton_context; /* a set of variables' values of your own */
typedef struct baton_handoff
    baton_handoff; /* what a thread carried at one moment: slots and variables */

/* What a set has replaced. Yours to give a place (static, stack, heap); its members are not yours. One
 * that is not given to baton_reset must be given to baton_token_drop. Do not copy one. */
typedef struct baton_token {
    baton_var *var;
    void *old;
    unsigned long context;
    int state;
} baton_token;

/* An attach. A local variable of the function that attaches and detaches. */
typedef struct baton_scope {
    unsigned long opaque[6];
} baton_scope;

enum baton_error {
    BATON_OK,
    BATON_ERROR_MEMORY,        /* out of memory; nothing has changed */
    BATON_ERROR_TOKEN_USED,    /* a token resets once */
    BATON_ERROR_OTHER_VAR,     /* the token is of another variable */
    BATON_ERROR_OTHER_CONTEXT, /* the token was made in another context */
    BATON_ERROR_ENTERED        /* the context is entered already, here or in another thread */
};

/* What libbaton.so gives; not for direct use. Members are only ever added at the end. */
struct baton_api {
    unsigned long size;
    baton_var *(*var_new)(const char *, void *, void (*)(void *));
    const char *(*var_name)(const baton_var *);
    void *(*get)(const baton_var *);
    int (*find)(const baton_var *, void **);
    int (*set)(baton_var *, void *, baton_token *);
    int (*reset)(baton_var *, baton_token *);
    void (*token_drop)(baton_token *);
    int (*token_old)(const baton_token *, void **);
    baton_context *(*context_new)(void);
    baton_context *(*context_copy)(void);
    baton_context *(*context_copy_of)(baton_context *);
    void (*context_free)(baton_context *);
    int (*context_run)(baton_context *, void (*)(void *), void *);
    int (*context_find)(baton_context *, const baton_var *, void **);
    unsigned long (*context_count)(baton_context *);
    int (*context_each)(baton_context *, int (*)(baton_var *, void *, void *), void *);
    baton_handoff *(*capture)(void);
    void (*attach)(baton_handoff *, baton_scope *);
    void (*detach)(baton_scope *);
    void (*run)(baton_handoff *, void (*)(void *), void *);
    void (*release)(baton_handoff *);
    void (*suppress)(int);
};
extern const struct baton_api *baton_api(void) __attribute__((weak));

/* ---- internal; without libbaton.so a variable is a pthread key ---- */

#define BATON_INTERNAL static __attribute__((unused))

struct baton_local_var {
    pthread_key_t key;
    const char *name;
    void *initial;
    void (*free_value)(void *);
};

struct baton_local_value {
    struct baton_local_var *var;
    void *value;
};

BATON_INTERNAL const struct baton_api *baton_internal_api(void)
{
#if defined(__PIC__) || defined(__PIE__)
    return baton_api ? baton_api() : (const struct baton_api *)0;
#else
    /* In a program with fixed addresses the linker settles a weak name: ask the loader. */
    static const struct baton_api *api;
    static int is_known;

    if (!is_known) {
        const struct baton_api *(*function)(void) = 0;

        *(void **)(void *)&function = dlsym((void *)0, "baton_api"); /* RTLD_DEFAULT */
        api = function ? function() : (const struct baton_api *)0;
        is_known = 1;
    }
    return api;
#endif
}

BATON_INTERNAL struct baton_local_var *baton_internal_var(const baton_var *var)
{
    return (struct baton_local_var *)(size_t)var;
}

BATON_INTERNAL struct baton_local_value *baton_internal_now(const baton_var *var)
{
    return (struct baton_local_value *)pthread_getspecific(baton_internal_var(var)->key);
}

/* The end of every value, and the destructor of the keys. */
BATON_INTERNAL void baton_internal_end(void *cell)
{
    struct baton_local_value *value = (struct baton_local_value *)cell;

    if (!value)
        return;
    if (value->var->free_value)
        value->var->free_value(value->value);
    free(value);
}

BATON_INTERNAL baton_var *baton_internal_new(const char *name, void *initial,
                                             void (*free_value)(void *))
{
    struct baton_local_var *var = (struct baton_local_var *)malloc(sizeof *var);

    if (!var || pthread_key_create(&var->key, baton_internal_end) != 0) {
        free(var);
        return (baton_var *)0;
    }
    var->name = name;
    var->initial = initial;
    var->free_value = free_value;
    return (baton_var *)(size_t)var;
}

BATON_INTERNAL int baton_internal_set(baton_var *var, void *value, baton_token *token)
{
    struct baton_local_value *cell = (struct baton_local_value *)malloc(sizeof *cell);
    void *old = baton_internal_now(var);

    if (!cell)
        return BATON_ERROR_MEMORY;
    cell->var = baton_internal_var(var);
    cell->value = value;
    if (pthread_setspecific(cell->var->key, cell) != 0) {
        free(cell);
        return BATON_ERROR_MEMORY;
    }
    if (token) {
        token->var = var;
        token->old = old;
        token->state = 1;
    } else {
        baton_internal_end(old);
    }
    return BATON_OK;
}

BATON_INTERNAL int baton_internal_reset(baton_var *var, baton_token *token)
{
    void *now;

    if (token->state != 1)
        return BATON_ERROR_TOKEN_USED;
    if (token->var != var)
        return BATON_ERROR_OTHER_VAR;
    now = baton_internal_now(var);
    if (pthread_setspecific(baton_internal_var(var)->key, token->old) != 0)
        return BATON_ERROR_MEMORY;
    token->state = 2;
    baton_internal_end(now);
    return BATON_OK;
}

/* ---- variables ---- */

/*
 * A new variable. `name` is for people, and must stay. `initial` is what baton_get answers where the
 * variable is not set; it is never freed. free_value (NULL: none) ends a value when no context and no
 * token has it any more, in whichever thread lets go of it last.
 * NULL: out of memory, or, without libbaton.so, out of thread keys.
 */
BATON_INTERNAL baton_var *baton_var_new(const char *name, void *initial, void (*free_value)(void *))
{
    const struct baton_api *api = baton_internal_api();

    return api ? api->var_new(name, initial, free_value)
               : baton_internal_new(name, initial, free_value);
}

/* The name that the variable was made with. */
BATON_INTERNAL const char *baton_var_name(const baton_var *var)
{
    const struct baton_api *api = baton_internal_api();

    return api ? api->var_name(var) : baton_internal_var(var)->name;
}

/* The value in the present context, or what the variable was made with where it is not set. It stays
 * good while the context, or a token, has it. */
BATON_INTERNAL void *baton_get(const baton_var *var)
{
    const struct baton_api *api = baton_internal_api();
    struct baton_local_value *now;

    if (api)
        return api->get(var);
    now = baton_internal_now(var);
    return now ? now->value : baton_internal_var(var)->initial;
}

/* 1 and the value in *value when the variable is set in the present context, else 0 and *value as it
 * was. A variable that was set to NULL is set. `value` may be NULL. */
BATON_INTERNAL int baton_find(const baton_var *var, void **value)
{
    const struct baton_api *api = baton_internal_api();
    struct baton_local_value *now;

    if (api)
        return api->find(var, value);
    now = baton_internal_now(var);
    if (now && value)
        *value = now->value;
    return now ? 1 : 0;
}

/*
 * Sets the variable in the present context; the value is the variable's from now on (free_value).
 * What was there is in *token; token NULL: it is let go.
 * BATON_ERROR_MEMORY: nothing has changed, the value is still yours.
 */
BATON_INTERNAL int baton_set(baton_var *var, void *value, baton_token *token)
{
    const struct baton_api *api = baton_internal_api();

    return api ? api->set(var, value, token) : baton_internal_set(var, value, token);
}

/*
 * Puts back what the set that filled *token had replaced: an older value, or not set. Once, in the
 * context of that set, with its variable: else an error, and nothing changes.
 */
BATON_INTERNAL int baton_reset(baton_var *var, baton_token *token)
{
    const struct baton_api *api = baton_internal_api();

    if (!token)
        return BATON_OK;
    return api ? api->reset(var, token) : baton_internal_reset(var, token);
}

/* Lets go of a token that will not be reset. A used one may be dropped, too. */
BATON_INTERNAL void baton_token_drop(baton_token *token)
{
    const struct baton_api *api = baton_internal_api();

    if (!token)
        return;
    if (api) {
        api->token_drop(token);
    } else {
        if (token->state == 1)
            baton_internal_end(token->old);
        token->state = 2;
    }
}

/* 1 and the value that the set had replaced; 0 when the variable had not been set, or after a reset. */
BATON_INTERNAL int baton_token_old(const baton_token *token, void **value)
{
    const struct baton_api *api = baton_internal_api();

    if (!token)
        return 0;
    if (api)
        return api->token_old(token, value);
    if (token->state != 1 || !token->old)
        return 0;
    if (value)
        *value = ((struct baton_local_value *)token->old)->value;
    return 1;
}

/* What went wrong, for people. */
BATON_INTERNAL const char *baton_error_text(int error)
{
    switch (error) {
    case BATON_OK:
        return "no error";
    case BATON_ERROR_MEMORY:
        return "out of memory";
    case BATON_ERROR_TOKEN_USED:
        return "the token has been used already";
    case BATON_ERROR_OTHER_VAR:
        return "the token is of another variable";
    case BATON_ERROR_OTHER_CONTEXT:
        return "the token was made in another context";
    case BATON_ERROR_ENTERED:
        return "the context is entered already";
    default:
        return "unknown error";
    }
}

/* ---- contexts of your own ---- */

/* An empty context. NULL: out of memory, or no libbaton.so. */
BATON_INTERNAL baton_context *baton_context_new(void)
{
    const struct baton_api *api = baton_internal_api();

    return api ? api->context_new() : (baton_context *)0;
}

/* A copy of the present context; costs the same for any number of variables. NULL as above. */
BATON_INTERNAL baton_context *baton_context_copy(void)
{
    const struct baton_api *api = baton_internal_api();

    return api ? api->context_copy() : (baton_context *)0;
}

/* A copy of a context. NULL as above. */
BATON_INTERNAL baton_context *baton_context_copy_of(baton_context *context)
{
    const struct baton_api *api = baton_internal_api();

    return api && context ? api->context_copy_of(context) : (baton_context *)0;
}

/* Lets a context go. One that is being run in lives until it is left. */
BATON_INTERNAL void baton_context_free(baton_context *context)
{
    const struct baton_api *api = baton_internal_api();

    if (api && context)
        api->context_free(context);
}

/*
 * Calls function(arg) in the context: it sees the context's values, and what it sets is in the
 * context afterwards and nowhere else. Exceptions and longjmp out of it are allowed.
 * BATON_ERROR_ENTERED, BATON_ERROR_MEMORY: it was not called. NULL context: it is just called.
 */
BATON_INTERNAL int baton_context_run(baton_context *context, void (*function)(void *), void *arg)
{
    const struct baton_api *api = baton_internal_api();

    if (api && context)
        return api->context_run(context, function, arg);
    function(arg);
    return BATON_OK;
}

/* As baton_find, in a context that need not be the present one. The value is good while it has it. */
BATON_INTERNAL int baton_context_find(baton_context *context, const baton_var *var, void **value)
{
    const struct baton_api *api = baton_internal_api();

    return api && context ? api->context_find(context, var, value) : 0;
}

/* The number of variables that are set in it. */
BATON_INTERNAL unsigned long baton_context_count(baton_context *context)
{
    const struct baton_api *api = baton_internal_api();

    return api && context ? api->context_count(context) : 0;
}

/* Calls visit(var, value, arg) for every variable that is set in it, in no order, until it answers
 * other than 0, which is the answer. It sees the context as it was at the call. */
BATON_INTERNAL int baton_context_each(baton_context *context,
                                      int (*visit)(baton_var *, void *, void *), void *arg)
{
    const struct baton_api *api = baton_internal_api();

    return api && context ? api->context_each(context, visit, arg) : 0;
}

/* ---- handing over by hand: for queues and pools that libbaton.so cannot see ---- */

/* What the calling thread carries now: its variables and every slot of BATON_CARRY. NULL: nothing can
 * be carried; that is no error, the functions below take it. */
BATON_INTERNAL baton_handoff *baton_capture(void)
{
    const struct baton_api *api = baton_internal_api();

    return api ? api->capture() : (baton_handoff *)0;
}

/* Makes it the calling thread's until baton_detach, which the same function calls. */
BATON_INTERNAL void baton_attach(baton_handoff *handoff, baton_scope *scope)
{
    const struct baton_api *api = baton_internal_api();

    scope->opaque[0] = 0;
    if (api && handoff)
        api->attach(handoff, scope);
}

/* Puts back what was there before the attach, whatever was set since. Attaches that were made since
 * and are not detached end with it. The handoff must live until here. */
BATON_INTERNAL void baton_detach(baton_scope *scope)
{
    const struct baton_api *api = baton_internal_api();

    if (api && scope->opaque[0])
        api->detach(scope);
    scope->opaque[0] = 0;
}

/* Calls function(arg) with the handoff attached; puts back also when it is left by an exception,
 * pthread_exit, cancellation or longjmp. */
BATON_INTERNAL void baton_run(baton_handoff *handoff, void (*function)(void *), void *arg)
{
    const struct baton_api *api = baton_internal_api();

    if (api && handoff)
        api->run(handoff, function, arg);
    else
        function(arg);
}

/* Lets a handoff go: once for each baton_capture, after the last detach. */
BATON_INTERNAL void baton_release(baton_handoff *handoff)
{
    const struct baton_api *api = baton_internal_api();

    if (api && handoff)
        api->release(handoff);
}

/* From here on the calling thread's handoffs carry nothing, until baton_resume. Nests. */
BATON_INTERNAL void baton_suppress(void)
{
    const struct baton_api *api = baton_internal_api();

    if (api)
        api->suppress(1);
}

/* Undoes one baton_suppress. */
BATON_INTERNAL void baton_resume(void)
{
    const struct baton_api *api = baton_internal_api();

    if (api)
        api->suppress(-1);
}

/* Is libbaton.so there? */
BATON_INTERNAL int baton_is_loaded(void)
{
    return baton_internal_api() ? 1 : 0;
}

#ifdef __cplusplus
}
#endif
#endif
