// libxml2: whom the thread tells of errors (xmlSetGenericErrorFunc, xmlSetStructuredErrorFunc).
// The last error is a result, not a setting: it stays the thread's.
#include "adapters/library.h"

struct settings {
    void *generic, *generic_context, *structured, *structured_context;
};

#include "adapters/settings.h"

/* Each answers where the calling thread has it. */
static void **(*at[4])(void);
static struct settings settings_fresh;

/* From 2.14 on it has no name: it is what is set where nobody is told. */
static void *default_of(void *library)
{
    void (*set)(void *, void *) =
        (void (*)(void *, void *))dlsym(library, "xmlSetGenericErrorFunc");
    void *generic = *at[0](), *context = *at[1](), *found = NULL;

    if (set) {
        set(NULL, NULL);
        found = *at[0]();
        *at[0]() = generic;
        *at[1]() = context;
    }
    return found;
}

static const char *start(void)
{
    static const char *const names[] = {"__xmlGenericError", "__xmlGenericErrorContext",
                                        "__xmlStructuredError", "__xmlStructuredErrorContext"};
    void *library = library_of("libxml2.so.2");

    for (unsigned i = 0; i < 4; i++) {
        if (!(*(void **)&at[i] = dlsym(library, names[i])))
            return "libxml2 is not loaded, or was built without threads";
    }
    settings_fresh.generic = dlsym(library, "xmlGenericErrorDefaultFunc");
    if (!settings_fresh.generic)
        settings_fresh.generic = default_of(library);
    return settings_fresh.generic ? NULL : "libxml2 has no default for errors";
}

static void settings_read(struct settings *now)
{
    now->generic = *at[0]();
    now->generic_context = *at[1]();
    now->structured = *at[2]();
    now->structured_context = *at[3]();
}

static void settings_write(const struct settings *settings)
{
    *at[0]() = settings->generic;
    *at[1]() = settings->generic_context;
    *at[2]() = settings->structured;
    *at[3]() = settings->structured_context;
}

SETTINGS_ADAPTER("libxml2", start);
