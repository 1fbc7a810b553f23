/*
 * dlopen, dlmopen, dlclose: libraries come and go, so waiting slots are looked for again and what
 * was found by caller is forgotten. dlsym, dlvsym: names that we hook are found here, too.
 *
 * The calls are noted on the way in and then jumped to (loader_ARCH.S): the C library takes the
 * search path from its return address. So the names of the new library are looked for a little
 * later, by the first capture or attach that sees GUARD_STALE. A note says where to jump: to the
 * real function, or to one of ours that calls it where the caller makes no difference.
 */
#include "interpose/loader.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdatomic.h>

#include "context/context.h"
#include "elf/elf.h"
#include "interpose/bypass.h"
#include "interpose/deepbind.h"
#include "interpose/early.h"
#include "interpose/hooks.h"
#include "interpose/names.h"
#include "interpose/next.h"
#include "slots/keys.h"
#include "slots/slots.h"

#define NOTE __attribute__((visibility("hidden"), used))
NOTE void *loader_note_dlopen(const char *file, int mode, long unused, const void *caller);
NOTE void *loader_note_dlmopen(long list, const char *file, int mode, const void *caller);
NOTE void *loader_note_dlsym(void *handle, const char *name, long unused, const void *caller);
NOTE void *loader_note_dlvsym(void *handle, const char *name, const char *version,
                              const void *caller);

void (*loader_opened_hook)(void);

static void (*came_hook)(void);

void loader_watch(void (*came)(void))
{
    came_hook = came;
    hooks_look_ups = true;
}

static void look_what_came(void)
{
    if (unlikely(came_hook != NULL))
        came_hook();
}

static void note_opening(const char *file, int mode)
{
    if (!file)
        return;
    names_show();
    if (mode & RTLD_GLOBAL)
        early_is_mixed = true;
    if (!(mode & RTLD_NOLOAD))
        guard_note_cancel();
    slots_hints_stale = true;
    slots_look_again();
    if (loader_opened_hook)
        loader_opened_hook();
}

/* Modules that were opened with RTLD_DEEPBIND for a caller who makes a difference, so that we have seen
 * only the call: they are led back when something is looked up in them. */
static _Atomic unsigned opened_unseen;

static void lead_unseen_back(void *handle)
{
    unsigned count = atomic_load_explicit(&opened_unseen, memory_order_relaxed);

    if (likely(!count) || handle == RTLD_DEFAULT || handle == RTLD_NEXT || !bypass_opened(handle))
        return;
    while (count && !atomic_compare_exchange_weak(&opened_unseen, &count, count - 1))
        ;
}

/* What the module has been bound to past us is led back before the program gets to use it. */
static void *open_deepbind(const char *file, int mode)
{
    struct deepbind_keys keys;
    void *handle;

    if (family_is_on(FAMILY_KEYS))
        deepbind_show_keys(&keys);
    handle = REAL(dlopen)(file, mode);
    if (family_is_on(FAMILY_KEYS))
        deepbind_take_back_keys(&keys);
    if (handle)
        bypass_opened(handle);
    return handle;
}

static void *open_and_look(const char *file, int mode)
{
    void *handle = REAL(dlopen)(file, mode);

    look_what_came();
    return handle;
}

/* What is opened for us. */
static void *open_for_us(elf_open_call *open, const char *file, int mode)
{
    void *handle;

    look_what_came();
    note_opening(file, mode);
    handle = open(file, mode);
    look_what_came();
    return handle;
}

void loader_begin(void)
{
    elf_opener = open_for_us;
}

void *loader_note_dlopen(const char *file, int mode, long unused, const void *caller)
{
    int saved_errno = errno;
    bool is_deepbind = file && (mode & RTLD_DEEPBIND) && family_is_on(FAMILY_LOOKUP);

    if (is_deepbind && !bypass_may_open_for(file, caller)) {
        is_deepbind = false;
        atomic_fetch_add(&opened_unseen, 1);
    }
    look_what_came();
    note_opening(file, mode);
    errno = saved_errno;
    if (unlikely(came_hook != NULL) && !is_deepbind && file && bypass_may_open_for(file, caller))
        return (void *)open_and_look;
    return is_deepbind ? (void *)open_deepbind : (void *)REAL_FOR(dlopen, caller);
}

void *loader_note_dlmopen(long list, const char *file, int mode, const void *caller)
{
    note_opening(file, mode);
    return (void *)REAL_FOR(dlmopen, caller);
}

static void *look_up(void *handle, const char *name)
{
    return bypass_answer(handle, name, REAL(dlsym)(handle, name));
}

static void *look_up_version(void *handle, const char *name, const char *version)
{
    return bypass_answer(handle, name, REAL(dlvsym)(handle, name, version));
}

/* Of a name that is not everybody's: what a search everywhere would find without us decides. */
static void *look_up_everywhere(void *handle, const char *name)
{
    enum hook_id id = bypass_row(name);
    void *answer = names_look_without_us(id, REAL(dlsym), RTLD_DEFAULT);

    if (!answer)
        return NULL;
    /* While a library is waited for (BATON_CARRY=auto) nothing is on that may be soon. */
    return hooks_are_on() ? bypass_answer(handle, name, answer) : bypass_ours_or(name, answer);
}

/* It is jumped to: its caller is the program. */
static void *look_up_own(void *handle, const char *name)
{
    (void)handle;
    return bypass_answer_own(name, __builtin_return_address(0));
}

/* NULL: one library is asked. */
static void *look_up_somebodys(void *handle, const char *name, const void *caller)
{
    if (handle == _r_debug.r_map)
        return (void *)look_up_everywhere;
    if (handle != RTLD_DEFAULT && handle != RTLD_NEXT)
        return NULL;
    switch (bypass_look_own(handle, name, caller)) {
    case BYPASS_EVERYWHERE:
        return (void *)look_up_everywhere;
    case BYPASS_OWN:
        return (void *)look_up_own;
    default:
        return (void *)REAL_FOR(dlsym, caller);
    }
}

void *loader_note_dlsym(void *handle, const char *name, long unused, const void *caller)
{
    enum hook_id id = name ? bypass_row(name) : HOOK_COUNT;
    enum names_place place = id == HOOK_COUNT ? NAME_IS_THERE : names_look(id);
    void *look = NULL;

    look_what_came();
    if (place == NAME_IS_SOMEBODYS)
        look = look_up_somebodys(handle, name, caller);
    if (look)
        return look;
    if (!hooks_are_on())
        return (void *)REAL_FOR(dlsym, caller);
    lead_unseen_back(handle);
    if (place == NAME_IS_ABSENT)
        return (void *)REAL_FOR(dlsym, caller);
    return bypass_concerns(handle, name, caller) ? (void *)look_up
                                                 : (void *)REAL_FOR(dlsym, caller);
}

void *loader_note_dlvsym(void *handle, const char *name, const char *version, const void *caller)
{
    enum hook_id id = name ? bypass_row(name) : HOOK_COUNT;

    look_what_came();
    if (!hooks_are_on())
        return (void *)REAL_FOR(dlvsym, caller);
    lead_unseen_back(handle);
    if (id != HOOK_COUNT && names_look(id) == NAME_IS_ABSENT)
        return (void *)REAL_FOR(dlvsym, caller);
    return bypass_concerns(handle, name, caller) ? (void *)look_up_version
                                                 : (void *)REAL_FOR(dlvsym, caller);
}

int hook_dlclose(void *handle)
{
    int result = REAL(dlclose)(handle);

    next_forget();
    keys_library_unloaded();
    return result;
}
