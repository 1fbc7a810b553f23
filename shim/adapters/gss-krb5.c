// GSSAPI of MIT Kerberos: the thread's credential cache (gss_krb5_ccache_name).
// Its getter reads configuration files where none was set, so the name is read where libgssapi_krb5 keeps it: in the
// third of libkrb5support's values of a thread, which is tried once, on what the library itself has put there.
#include "adapters/library.h"

struct settings {
    char cache[1024];
};

#include "adapters/settings.h"

enum { CACHE_NAME = 2 }; /* K5_KEY_GSS_KRB5_CCACHE_NAME of krb5 1.6 to 1.21 */

static unsigned (*set_cache)(unsigned *minor, const char *name, const char **before);
static void *(*get_value)(int key);
static struct settings settings_fresh;

/* Puts a name there, looks for it, and leaves the thread's own as it was: also for the library to begin with. */
static int is_where_we_look(void)
{
    static const char probe[] = "MEMORY:baton";
    const char *before = NULL, *usual = NULL, *now;
    unsigned minor;
    char *kept;
    int is_there;

    if (set_cache(&minor, probe, &before))
        return 0;
    kept = strdup(before ? before : "");
    now = get_value(CACHE_NAME);
    is_there = now && !strcmp(now, probe);
    set_cache(&minor, NULL, NULL);
    set_cache(&minor, NULL, &usual);
    if (kept && before && (!usual || strcmp(kept, usual) != 0))
        set_cache(&minor, kept, NULL);
    free(kept);
    return is_there;
}

static const char *start(void)
{
    *(void **)&set_cache = dlsym(library_of("libgssapi_krb5.so.2"), "gss_krb5_ccache_name");
    *(void **)&get_value = dlsym(library_of("libkrb5support.so.0"), "krb5int_getspecific");
    if (!set_cache || !get_value)
        return "libgssapi_krb5 of MIT Kerberos is not loaded";
    return is_where_we_look() ? NULL : "this libgssapi_krb5 keeps its names elsewhere";
}

static void settings_read(struct settings *now)
{
    const char *name = get_value(CACHE_NAME);

    strncpy(now->cache, name ? name : "", sizeof now->cache - 1);
}

static void settings_write(const struct settings *settings)
{
    unsigned minor;

    set_cache(&minor, settings->cache[0] ? settings->cache : NULL, NULL);
}

SETTINGS_ADAPTER("gss-krb5", start);
