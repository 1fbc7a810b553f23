/*
 * Keeping an answer for the next `baton run` of the same program with the same settings (kept.h): with every file
 * that it was drawn from, and every place where a file may come that would make it another.
 *
 * Rule: nothing is kept of which something was said, or a file changed since we began: that may have been read
 * before. A stamp too many costs the next run a call; one too few makes it wrong.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "elf/file.h"
#include "kept.h"
#include "plan.h"
#include "userhooks/data.h"
#include "userhooks/preset.h"

extern char **environ;

enum { TEXT_MAX = 1 << 18 };

static char text[TEXT_MAX];
static size_t text_len;
static struct timespec began;
static bool is_sound;

void answer_begin(void)
{
    clock_gettime(CLOCK_REALTIME_COARSE, &began);
}

static void add(const char *line)
{
    size_t len = strlen(line);

    if (strchr(line, '\n') || len + 2 > TEXT_MAX - text_len) {
        is_sound = false;
        return;
    }
    memcpy(text + text_len, line, len);
    text[text_len + len] = '\n';
    text_len += len + 1;
}

static void __attribute__((format(printf, 1, 2))) see(const char *format, ...)
{
    char path[KEPT_PATH], line[KEPT_LINE];
    struct timespec changed;
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(path, sizeof path, format, args);
    va_end(args);
    if (len < 0 || len >= (int)sizeof path) {
        is_sound = false;
        return;
    }
    kept_stamp(path, line, sizeof line, &changed);
    if (changed.tv_sec > began.tv_sec ||
        (changed.tv_sec == began.tv_sec && changed.tv_nsec >= began.tv_nsec))
        is_sound = false;
    add(line);
}

/* ---- where the loader looks ---- */

/* In FOLDERS, a list that the loader takes apart, there may be another file of each module's name. */
static void see_folders(const char *folders, const char *separators, const struct elf_module *of)
{
    while (*folders) {
        int len = (int)strcspn(folders, separators);
        const char *origin = !strncmp(folders, "$ORIGIN", 7)     ? folders + 7
                             : !strncmp(folders, "${ORIGIN}", 9) ? folders + 9
                                                                 : NULL;
        char folder[KEPT_PATH];

        if (origin && of)
            snprintf(folder, sizeof folder, "%.*s%.*s", (int)(of->name - of->path), of->path,
                     len - (int)(origin - folders), origin);
        else
            snprintf(folder, sizeof folder, "%.*s", len, folders);
        see("%s/glibc-hwcaps", folder);
        for (unsigned i = 0; i < modules_count; i++)
            see("%s/%s", folder,
                modules[i].elf.soname ? modules[i].elf.soname : modules[i].elf.name);
        folders += len + (folders[len] != '\0');
    }
}

static void see_run_paths(const struct elf_module *module)
{
    for (const elf_dyn *entry = module->dynamic; elf_dynamic_is(module, entry); entry++) {
        if ((entry->d_tag == DT_RPATH || entry->d_tag == DT_RUNPATH) &&
            entry->d_un.d_val < module->dynstr_len)
            see_folders(module->dynstr + entry->d_un.d_val, ":", module);
    }
}

/* ---- symbols that stand in a file of their own ---- */

static void see_debug_files(const struct elf_module *module)
{
    size_t id_len = 0;
    const uint8_t *id = elf_module_build_id(module, &id_len);
    char hex[2 * 64 + 1] = "";
    struct elf_file file;

    elf_file_open_module(module, &file);
    if (!file.has_symtab) {
        for (size_t i = 0; id && i < id_len && i < 64; i++)
            snprintf(hex + 2 * i, 3, "%02x", id[i]);
        if (id_len > 1)
            see("%s/.build-id/%.2s/%s.debug", elf_debug_root, hex, hex + 2);
        if (file.debug_link) {
            int folder = (int)(module->name - module->path);

            see("%.*s%s", folder, module->path, file.debug_link);
            see("%.*s.debug/%s", folder, module->path, file.debug_link);
            see("%s/%.*s%s", elf_debug_root, folder, module->path, file.debug_link);
        }
    }
    elf_file_close(&file);
}

/* ---- what is data of ours ---- */

static void see_preset(const char *name, const char *file, const char *about)
{
    see("%s", file);
}

static void see_data(const struct config *config)
{
    static const char *const ours[] = {"", "libbaton.so", "baton-plan"};
    char path[DATA_PATH];

    for (unsigned i = 0; i < DATA_FOLDERS; i++) {
        if (data_folder(i, "known.conf", environ, path))
            see("%s", path);
        if (data_folder(i, "presets", environ, path))
            see("%s", path);
        for (unsigned j = 1; i == DATA_INSTALLED && j < sizeof ours / sizeof *ours; j++) {
            if (data_folder(i, ours[j], environ, path))
                see("%s", path);
        }
    }
    presets_each(environ, "about", see_preset);
    if (config->config && *config->config)
        see("%s", config->config);
}

/* Has anything been said? Then it is to be said again. */
static bool is_silent(void)
{
    struct stat status;

    return fstat(STDERR_FILENO, &status) == 0 && S_ISREG(status.st_mode) && status.st_size == 0;
}

void answer_keep(const char *key, const char *program, const struct config *config, int status,
                 const char *object)
{
    const char *libraries = getenv("LD_LIBRARY_PATH");
    char line[KEPT_LINE], name[KEPT_KEY + sizeof ".known"];

    if (strspn(key, "0123456789abcdef") != KEPT_KEY || key[KEPT_KEY] || config->errors ||
        !is_silent())
        return;
    is_sound = true;
    snprintf(line, sizeof line, "answer %d %s", status, object);
    add(line);
    see("%s", program);
    see("/etc/ld.so.cache");
    if (libraries)
        see_folders(libraries, ":;", NULL);
    for (unsigned i = 0; i < modules_count; i++) {
        see("%s", modules[i].path);
        see_run_paths(&modules[i].elf);
        see_debug_files(&modules[i].elf);
    }
    see_data(config);
    add("end");
    snprintf(name, sizeof name, "%s.known", key);
    if (is_sound)
        folder_keep(text, text_len, name);
}
