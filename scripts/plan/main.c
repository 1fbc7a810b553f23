/*
 * baton-plan, which `baton run` and `baton check` call; the settings come from the environment.
 *
 *   baton-plan object PROGRAM    prints the path of the object to preload before the library; nothing
 *                                when none is needed. Refusals go to stderr.
 *   baton-plan check PROGRAM     says for every item what will become of it. Exit 1 when any item
 *                                will not work.
 *   baton-plan presets           lists the presets that there are.
 *
 * Runs before the program, as an ordinary process: the disassembler is in here and never in the
 * program.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/log.h"
#include "plan.h"
#include "slots/slots.h"
#include "userhooks/preset.h"

extern char **environ;

static struct named_spec specs[NAMED_MAX];
static struct decision decisions[NAMED_MAX];

static bool is_ours(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
           !(st.st_mode & 022);
}

/* Code is loaded from there: Debian mounts /run, and others /tmp, so that none can be. */
static bool forbids_code(const char *path)
{
    struct statvfs status;

    return statvfs(path, &status) == 0 && status.f_flag & ST_NOEXEC;
}

static bool make_folder(const char *path)
{
    if (mkdir(path, 0755) != 0 && errno != EEXIST)
        return false;
    return is_ours(path) && !forbids_code(path);
}

/*
 * A folder that only we can write to: what lies in it is loaded into programs. Others can read it,
 * because a program may become another user and start more programs.
 */
static bool object_folder(char *path, size_t n)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR"), *home = getenv("HOME");

    umask(022);
    if (geteuid() == 0) {
        snprintf(path, n, "/run/baton");
        if (make_folder(path))
            return true;
    } else if (runtime && *runtime == '/' && !strpbrk(runtime, ": ") && is_ours(runtime)) {
        snprintf(path, n, "%s/baton", runtime);
        if (make_folder(path))
            return true;
    }
    snprintf(path, n, "/tmp/baton-%d", (int)geteuid());
    if (make_folder(path))
        return true;
    if (home && *home == '/' && !strpbrk(home, ": ") && is_ours(home) && !forbids_code(home)) {
        snprintf(path, n, "%s/.baton", home);
        if (make_folder(path))
            return true;
    }
    snprintf(path, n, "/tmp/baton-%d", (int)geteuid());
    return false;
}

static const char *folder_problem(const char *path)
{
    return is_ours(path) && forbids_code(path) ? "is mounted noexec: no code can be loaded from it"
                                               : "not a folder that only this user can write to";
}

/*
 * A program that becomes another user starts others with the preloads of before. The loader leaves out
 * what that user cannot open; the object without the library would end them, so it is open to nobody
 * to whom the library, which lies beside us, is not.
 */
static unsigned object_mode(void)
{
    char path[4096];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path - 32);
    struct stat status;

    while (len > 0 && path[len - 1] != '/')
        len--;
    if (len <= 0)
        return 0600;
    memcpy(path + len, "libbaton.so", sizeof "libbaton.so");
    if (stat(path, &status) != 0 || !(status.st_mode & S_IROTH))
        return 0600;
    for (; len > 0; len--) {
        if (path[len - 1] != '/')
            continue;
        path[len] = '\0';
        if (stat(path, &status) != 0 || !(status.st_mode & S_IXOTH))
            return 0600;
    }
    return 0644;
}

static int make_object(unsigned count)
{
    char path[4200];

    for (unsigned i = 0; i < count; i++) {
        if (decisions[i].hook.by == HOW_AUTO && !decisions[i].is_missing)
            fprintf(stderr, "baton: %s=\"%s\": not hooked: %s\n", spec_setting(&specs[i]),
                    specs[i].item, decisions[i].hook.reason);
    }
    if (!object_folder(path, sizeof path - 32)) {
        fprintf(stderr,
                "baton: %s: %s; hooks by name and patches are left out (XDG_RUNTIME_DIR names another)\n", path,
                folder_problem(path));
        return 0;
    }
    if (!object_write(path, sizeof path, object_mode(), specs, decisions, count)) {
        fprintf(stderr,
                "baton: %s: cannot be written: %s; hooks by name and patches are left out\n", path,
                strerror(errno));
        return 0;
    }
    puts(path);
    return 0;
}

/* The linker may have folded two functions of the same code into one (--icf). */
static bool are_one(const struct decision *a, const struct decision *b, bool has_same_name)
{
    if (a->hook.by != b->hook.by || a->hook.by == HOW_AUTO || a->hook.by == HOW_GOT)
        return false;
    if (a->hook.by == HOW_SYMBOL)
        return has_same_name;
    return a->patch.address == b->patch.address &&
           !memcmp(a->patch.build_id, b->patch.build_id, sizeof a->patch.build_id);
}

/* One function can lead to one thunk only. */
static void refuse_twice(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        for (unsigned j = 0; j < i; j++) {
            bool has_same_name = !strcmp(specs[i].function, specs[j].function);

            if (!are_one(&decisions[i], &decisions[j], has_same_name))
                continue;
            decisions[i].hook.by = HOW_AUTO;
            if (has_same_name)
                snprintf(decisions[i].hook.reason, sizeof decisions[i].hook.reason,
                         "another item names this function already");
            else
                snprintf(decisions[i].hook.reason, sizeof decisions[i].hook.reason,
                         "it is the same code as %.100s, which another item names already",
                         specs[j].function);
        }
    }
}

static bool check_hooks(unsigned count)
{
    static const char *const ways[] = {"", "by name, in the object that baton run writes",
                                       "by the loader's pointers (GOT)", "by a patch of its entry"};
    bool is_fine = true;
    char folder[4200];
    bool has_no_folder = count && !object_folder(folder, sizeof folder - 32);

    for (unsigned i = 0; i < count; i++) {
        const struct decision *decision = &decisions[i];
        bool is_setter = specs[i].kind == NAMED_SET;

        if (decision->hook.by == HOW_AUTO) {
            printf("%s\n    %s%snot hooked: %s\n", specs[i].item, is_setter ? specs[i].function : "",
                   is_setter ? ", to be watched for weak, is " : "", decision->hook.reason);
            is_fine = false;
        } else if (has_no_folder && (decision->hook.by == HOW_SYMBOL || decision->hook.by == HOW_PATCH)) {
            printf("%s\n    not hooked: %s: %s\n", specs[i].item, folder, folder_problem(folder));
            is_fine = false;
        } else if (is_setter) {
            printf("%s\n    %s in %s is watched for weak %s\n"
                   "    note: calls that the compiler has inlined are not seen\n",
                   specs[i].item, specs[i].function, decision->hook.module,
                   ways[decision->hook.by]);
        } else {
            printf("%s\n    found in %s, hooked %s\n", specs[i].item, decision->hook.module,
                   ways[decision->hook.by]);
        }
        if (decision->note[0])
            printf("    note: %s\n", decision->note);
    }
    return is_fine;
}

static void show_preset(const char *name, const char *file, const char *about)
{
    printf("%-16s %s\n%-16s %s\n", name, about, "", file);
}

int main(int argc, char **argv)
{
    struct config config;
    unsigned count;
    bool is_fine;
    bool checks = argc == 3 && !strcmp(argv[1], "check");

    if (argc == 2 && !strcmp(argv[1], "presets")) {
        presets_each(environ, "about", show_preset);
        return 0;
    }
    if (argc != 3 || (!checks && strcmp(argv[1], "object") != 0)) {
        fprintf(stderr, "usage: baton-plan object|check PROGRAM, baton-plan presets\n");
        return 2;
    }
    if (!checks)
        log_level = -1; /* the library says it again */
    config_read(environ, &config);
    presets_read(&config, environ);
    slots_parse(&config); /* tells wrong items */
    count = spec_read_all(&config, specs);
    if (!count && !checks)
        return 0;
    if (!modules_load(argv[2]))
        return checks ? 1 : 0;
    for (unsigned i = 0; i < count; i++) {
        if (specs[i].module && strchr(specs[i].module, '/'))
            modules_add(specs[i].module);
    }
    for (unsigned i = 0; i < count; i++)
        decide(&specs[i], i, &decisions[i]);
    refuse_twice(count);
    if (!checks)
        return make_object(count);
    is_fine = carry_check();
    is_fine &= check_hooks(count);
    return !is_fine || config.errors;
}
