// HDF5, built to be used by threads: how the thread's error stack is reported (H5Eset_auto2). What is on the stack is
// a result, not a setting: it stays the thread's, and is not lost when we ask.
#include "adapters/library.h"

#include <stdint.h>

struct settings {
    void *function, *data;
};

#include "adapters/settings.h"

static struct {
    int (*is_threadsafe)(_Bool *answer);
    int (*auto_is_v2)(int64_t stack, unsigned *answer);
    int (*get_auto)(int64_t stack, void **function, void **data);
    int (*set_auto)(int64_t stack, void *function, void *data);
    int64_t (*count)(int64_t stack);
    int64_t (*take_stack)(void); /* empties it */
    int (*put_stack)(int64_t stack);
    void *print; /* H5Eprint2, to which reports go by default */
} hdf5;
static const _Bool *is_begun;
static struct settings settings_fresh;

static const char *start(void)
{
    static const char *const files[] = {"libhdf5_serial.so.103", "libhdf5.so.103",
                                        "libhdf5_serial.so.200", "libhdf5.so.200",
                                        "libhdf5.so.310"};
    static const char *const names[] = {"H5is_library_threadsafe",
                                        "H5Eauto_is_v2",
                                        "H5Eget_auto2",
                                        "H5Eset_auto2",
                                        "H5Eget_num",
                                        "H5Eget_current_stack",
                                        "H5Eset_current_stack",
                                        "H5Eprint2"};
    void **place = (void **)&hdf5, *library = RTLD_DEFAULT;
    _Bool is_threadsafe = 0;

    for (unsigned i = 0; i < sizeof files / sizeof *files && library == RTLD_DEFAULT; i++)
        library = library_of(files[i]);
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        if (!(place[i] = dlsym(library, names[i])))
            return "libhdf5 1.8.16 or later is not loaded";
    }
    is_begun = dlsym(library, "H5_libinit_g");
    if (hdf5.is_threadsafe(&is_threadsafe) < 0 || !is_threadsafe)
        return "this libhdf5 was not built to be used by threads";
    settings_fresh.function = hdf5.print;
    return NULL;
}

/* A program that has not begun with HDF5 has no settings, and asking would begin. */
static void settings_read(struct settings *now)
{
    int64_t kept = -1;
    unsigned is_v2 = 0;

    *now = settings_fresh;
    if (is_begun && !*is_begun)
        return;
    if (hdf5.count(0) > 0)
        kept = hdf5.take_stack(); /* the functions below empty it */
    if (hdf5.auto_is_v2(0, &is_v2) >= 0 && is_v2)
        hdf5.get_auto(0, &now->function, &now->data);
    if (kept >= 0)
        hdf5.put_stack(kept);
}

static void settings_write(const struct settings *settings)
{
    int64_t kept = hdf5.count(0) > 0 ? hdf5.take_stack() : -1;

    hdf5.set_auto(0, settings->function, settings->data);
    if (kept >= 0)
        hdf5.put_stack(kept);
}

SETTINGS_ADAPTER("hdf5", start);
