// CUPS: the thread's user (cupsSetUser).
#include "adapters/library.h"

struct settings {
    char user[256];
};

#include "adapters/settings.h"

static const char *(*get_user)(void);
static void (*set_user)(const char *user);
static struct settings settings_fresh;

static void settings_read(struct settings *now)
{
    const char *user = get_user();

    strncpy(now->user, user ? user : "", sizeof now->user - 1);
}

static void settings_write(const struct settings *settings)
{
    set_user(settings_are(settings, &settings_fresh) ? NULL : settings->user);
}

static const char *start(void)
{
    void *library = library_of("libcups.so.2");

    *(void **)&get_user = dlsym(library, "cupsUser");
    *(void **)&set_user = dlsym(library, "cupsSetUser");
    if (!get_user || !set_user)
        return "libcups is not loaded";
    if (!settings_fresh.user[0]) { /* of a thread that has set none; whatever this one has stays */
        struct settings mine = settings_now();

        set_user(NULL);
        settings_read(&settings_fresh);
        set_user(settings_are(&mine, &settings_fresh) ? NULL : mine.user);
    }
    return NULL;
}

SETTINGS_ADAPTER("cups", start);
