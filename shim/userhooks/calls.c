/*
 * What the thunks ask for when they are called: the real function, the answer of dlsym, that we start. All
 * of it is slow, and comes before anything else of ours may have run.
 */
#include <dlfcn.h>

#include "interpose/next.h"
#include "interpose/start.h"
#include "userhooks/core.h"
#include "userhooks/got.h"
#include "userhooks/object.h"
#include "userhooks/rows.h"

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
        const char *name = thunk->hook ? thunk->name : object_name(index);

        original = name ? next_find_startup(name) : NULL;
        if (original && !thunk->hook)
            atomic_store(&thunk->original,
                         original); /* nothing is hooked: only the way is asked for */
        if (name && !original)
            original = next_find_for(name, caller);
    }
    return original ? original : (void *)no_function;
}

static void *replace_symbol(const char *name, void *address)
{
    for (unsigned row = named_row(name); row < THUNKS && address; row = named_next_row(row)) {
        unsigned index;

        if (thunk_is_ours(address) || thunks[row].by == HOW_PATCH || !named_accepts(row, address))
            continue;
        index = named_thunk(row, address);
        return index < THUNKS ? thunk_address(index, spec_wraps(&thunks[row].hook->spec)) : address;
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
    if (!name || handle == RTLD_NEXT || named_row(name) == THUNKS)
        return NULL;
    address = handle == RTLD_DEFAULT ? next_find_for(name, caller) : named_real_dlsym(handle, name);
    return address ? replace_symbol(name, address) : NULL;
}

/* DT_INIT of the generated object, which is initialised before every other library (initfirst). */
__attribute__((used, visibility("hidden"))) void named_start_early(int argc, char **argv,
                                                                   char **environment);
void named_start_early(int argc, char **argv, char **environment)
{
    if (baton_start)
        baton_start(environment);
}
