/*
 * dlopen, dlmopen, dlclose: libraries come and go, so waiting slots are looked for again and what
 * was found by caller is forgotten.
 *
 * The opening calls are noted on the way in and then jumped to (hooks_ARCH.S): the C library takes
 * the search path from its return address. So the names of the new library are looked for a little
 * later, by the first capture or attach that sees GUARD_LOADED.
 */
#include "handoffs/loader.h"

#include <stdatomic.h>

#include "context/context.h"
#include "handoffs/hooks.h"
#include "handoffs/next.h"
#include "slots/slots.h"

__attribute__((visibility("hidden"))) void loader_note_dlopen(const char *file, int mode);
__attribute__((visibility("hidden"))) void loader_note_dlmopen(long list, const char *file,
                                                               int mode);

void (*loader_opened_hook)(void);

void loader_note_dlopen(const char *file, int mode)
{
    if (!file)
        return;
    slots_look_again();
    if (loader_opened_hook)
        loader_opened_hook();
}

void loader_note_dlmopen(long list, const char *file, int mode)
{
    loader_note_dlopen(file, mode);
}

int hook_dlclose(void *handle)
{
    int result = REAL(dlclose)(handle);

    next_forget();
    keys_library_unloaded();
    return result;
}
