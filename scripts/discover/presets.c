/*
 * The functions that presets name, so that a pool that one of them covers is not described but named.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "discover.h"
#include "userhooks/data.h"
#include "userhooks/preset.h"

extern char **environ;

struct named {
    char *pattern;
    const char *preset; /* as an item */
};

static struct named *named;
static unsigned named_count;
static bool is_read;

static void read_preset(const char *name, const char *file, const char *about)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct place line = {.line = 0};
    const char *preset = joined("preset:%s", name);
    size_t size;
    char *text = fd < 0 ? NULL : data_read(fd, &size);

    while (text && data_line(&text, &line)) {
        const char *options = memmem(line.text, line.len, "(kind=", 6);

        if (!options)
            continue;
        named = grown(named, named_count, sizeof *named);
        named[named_count++] =
            (struct named){allocated(strndup(line.text, (size_t)(options - line.text))), preset};
    }
    if (fd >= 0)
        close(fd);
}

const char *preset_of_function(const char *name)
{
    if (!is_read)
        presets_each(environ, "about", read_preset);
    is_read = true;
    for (unsigned i = 0; i < named_count; i++) {
        if (text_glob(named[i].pattern, name))
            return named[i].preset;
    }
    return NULL;
}
