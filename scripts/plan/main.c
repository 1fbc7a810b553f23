/*
 * baton-plan, which `baton run` and `baton check` call; the settings come from the environment.
 *
 *   baton-plan object PROGRAM [KEY]  prints the path of the object to preload before the library; nothing
 *                                when none is needed. Refusals go to stderr. Exit 3: `auto` chose nothing.
 *                                When nothing was said the answer is kept under the name KEY (kept.h).
 *   baton-plan check PROGRAM     says for every item what will become of it. Exit 1 when any item
 *                                will not work.
 *   baton-plan plan PROGRAM KEY FD  writes the plan alone to the file that is open as FD, and keeps it
 *                                under the name KEY: for a process that nobody has prepared (replan.c).
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
#include <unistd.h>

#include "base/log.h"
#include "kept.h"
#include "plan.h"
#include "slots/slots.h"
#include "told.h"
#include "userhooks/known.h"
#include "userhooks/preset.h"

extern char **environ;

enum { PLAN_SECONDS_MAX = 60, NOTHING_KNOWN = 3 };

static struct named_spec specs[NAMED_MAX];
static struct decision
    decisions[PLAN_ROWS]; /* the first of each item, then what else items stand for */
static unsigned items, rows;
static unsigned char buffer[1 << 22];

/* The library lies beside us. */
static unsigned object_mode(void)
{
    char path[4096];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path);
    char *slash = len > 0 && len < (ssize_t)sizeof path ? memrchr(path, '/', (size_t)len) : NULL;

    if (!slash)
        return 0600;
    *slash = '\0';
    return kept_object_mode(path);
}

static bool is_needed(void)
{
    for (unsigned i = 0; i < rows; i++) {
        if (decisions[i].row.by == HOW_SYMBOL || decisions[i].row.by == HOW_PATCH)
            return true;
    }
    return false;
}

/* Of an item's functions the first that is not hooked, though it is there; NULL: there is none like that. */
static const struct decision *find_refused(unsigned item, unsigned *found, unsigned *refused)
{
    const struct decision *first = NULL;

    *found = *refused = 0;
    for (unsigned i = 0; i < rows; i++) {
        if (decisions[i].item != item || decisions[i].is_missing)
            continue;
        ++*found;
        if (decisions[i].row.by != HOW_AUTO)
            continue;
        ++*refused;
        if (!first)
            first = &decisions[i];
    }
    return first;
}

/* As the library says it where nobody has prepared the process (use_plan of shim/userhooks/named.c). */
static void say_refused(unsigned item)
{
    unsigned found, refused;
    const struct decision *first = find_refused(item, &found, &refused);

    if (!first)
        return;
    told(stderr, "baton: %s=\"%s\": ", spec_setting(&specs[item]), specs[item].item);
    if (found > 1)
        told(stderr, "%u of %u functions not hooked: %s: ", refused, found, first->spec.function);
    else
        fputs("not hooked: ", stderr);
    told(stderr, "%s\n", first->row.reason);
}

/* Its path is in PATH. */
static int make_object(char *path, size_t n)
{
    char reason[1024];
    size_t size;

    for (unsigned i = 0; i < items; i++)
        say_refused(i);
    size = object_make(buffer, sizeof buffer, decisions, rows, items);
    if (!folder_keep_object(buffer, size, object_mode(), path, n, reason, sizeof reason)) {
        told(stderr, "baton: no place for the object that hooks functions: %s\n", reason);
        return is_needed();
    }
    puts(path);
    return 0;
}

/* For a process that asks before its own main: to FD, and to where the next one looks. */
static int make_plan(const char *key, int fd)
{
    size_t size = plan_data(buffer, sizeof buffer, decisions, rows, items), at = 0;
    char name[32];
    ssize_t got;

    if (strspn(key, "0123456789abcdef") == 16 && !key[16]) {
        snprintf(name, sizeof name, "%s.plan", key);
        folder_keep(buffer, size, name);
    }
    while (at < size && ((got = write(fd, buffer + at, size - at)) > 0 || errno == EINTR))
        at += got > 0 ? (size_t)got : 0;
    return at < size;
}

/* The linker may have folded two functions of the same code into one (--icf). */
static bool are_one(const struct decision *a, const struct decision *b, bool has_same_name)
{
    if (a->row.by != b->row.by || a->row.by == HOW_AUTO || a->row.by == HOW_GOT)
        return false;
    if (a->row.by == HOW_SYMBOL)
        return has_same_name;
    return a->patch.address == b->patch.address &&
           !memcmp(a->patch.build_id, b->patch.build_id, sizeof a->patch.build_id);
}

/* Of one item's functions the second is nothing that would have to be told. */
static void refuse(struct decision *decision, const struct decision *other, bool has_same_name)
{
    decision->row.by = HOW_AUTO;
    if (decision->item == other->item)
        decision->is_missing = true;
    else if (has_same_name)
        snprintf(decision->row.reason, sizeof decision->row.reason,
                 "another item names this function already");
    else
        snprintf(decision->row.reason, sizeof decision->row.reason,
                 "it is the same code as %.100s, which another item names already",
                 other->spec.function);
}

/* One function can lead to one thunk only. */
static void refuse_twice(void)
{
    for (unsigned i = 0; i < rows; i++) {
        for (unsigned j = 0; j < i; j++) {
            bool has_same_name = !strcmp(decisions[i].spec.function, decisions[j].spec.function);

            if (are_one(&decisions[i], &decisions[j], has_same_name))
                refuse(&decisions[i], &decisions[j], has_same_name);
        }
    }
}

/* ---- the functions that an item stands for ---- */

static void decide_nothing(unsigned item, const char *reason)
{
    struct decision *out = &decisions[item];

    memset(out, 0, sizeof *out);
    out->spec = specs[item];
    out->is_missing = !*reason;
    snprintf(out->row.reason, sizeof out->row.reason, "%s",
             *reason ? reason : "no function of such a name");
}

static void decide_item(unsigned item)
{
    static struct candidate candidates[PLAN_ROWS];
    struct named_spec spec = specs[item];
    char reason[PLAN_REASON];
    unsigned count;

    if (!spec.is_glob && !spec.is_demangled) {
        decide(&spec, NULL, &decisions[item]);
    } else {
        count = match_functions(&spec, candidates, PLAN_ROWS - rows + 1, reason, sizeof reason);
        if (!count)
            decide_nothing(item, reason);
        for (unsigned i = 0; i < count; i++) {
            struct decision *out = &decisions[i ? rows++ : item];

            spec.function = candidates[i].name;
            decide(&spec, candidates[i].module, out);
            out->item = item;
        }
    }
    decisions[item].item = item;
}

/* ---- check ---- */

static const char *const ways[] = {"", "by name, in the object that baton run writes",
                                   "by the loader's pointers (GOT)", "by a patch of its entry"};

/* All that a pattern stands for, as one. */
static bool check_group(unsigned item)
{
    unsigned found, refused;
    const struct decision *first = find_refused(item, &found, &refused);

    told(stdout, "%s\n    stands for %u function%s, %u hooked\n", specs[item].item, found,
         found == 1 ? "" : "s", found - refused);
    if (first)
        told(stdout, "    %s\n    not hooked: %s\n", first->spec.function, first->row.reason);
    return found && !first;
}

/* No program has all that a preset names: one of its functions is enough, as it is when the program runs. */
static bool is_preset_there(const char *preset)
{
    for (unsigned i = 0; i < rows; i++) {
        const char *of = specs[decisions[i].item].preset;

        if (of && !strcmp(of, preset) && decisions[i].row.by != HOW_AUTO)
            return true;
    }
    return false;
}

static bool check_hook(unsigned i, const char *folder)
{
    const struct decision *decision = &decisions[i];
    bool is_setter = specs[i].kind == NAMED_SET, is_fine = true;
    unsigned found, refused;

    find_refused(i, &found, &refused);
    if (specs[i].is_glob &&
        (found > 1 || decision->row.by != HOW_AUTO || !decision->row.reason[0])) {
        is_fine = check_group(i);
    } else if (decision->row.by == HOW_AUTO) {
        told(stdout, "%s\n    %s%snot hooked: %s\n", specs[i].item,
             is_setter ? specs[i].function : "", is_setter ? ", to be watched for weak, is " : "",
             decision->row.reason);
        is_fine = false;
    } else if (*folder && (decision->row.by == HOW_SYMBOL || decision->row.by == HOW_PATCH)) {
        told(stdout, "%s\n    not hooked: no place for the object: %s\n", specs[i].item, folder);
        return false;
    } else if (is_setter) {
        told(stdout,
             "%s\n    %s in %s is watched for weak %s\n"
             "    note: calls that the compiler has inlined are not seen\n",
             specs[i].item, specs[i].function, decision->row.module, ways[decision->row.by]);
    } else {
        told(stdout, "%s\n    found in %s, hooked %s\n", specs[i].item, decision->row.module,
             ways[decision->row.by]);
    }
    if (decision->note[0])
        told(stdout, "    note: %s\n", decision->note);
    return is_fine || (specs[i].preset && is_preset_there(specs[i].preset));
}

static bool check_hooks(void)
{
    bool is_fine = true;
    char folder[1024] = "";

    if (!items || folder_is_there(folder, sizeof folder))
        folder[0] = '\0';
    for (unsigned i = 0; i < items; i++)
        is_fine &= check_hook(i, folder);
    return is_fine;
}

static void show_preset(const char *name, const char *file, const char *about)
{
    told(stdout, "%-16s %s\n%-16s %s\n", name, about, "", file);
}

int main(int argc, char **argv)
{
    bool checks = argc == 3 && !strcmp(argv[1], "check");
    bool plans = argc == 5 && !strcmp(argv[1], "plan");
    struct config config;
    char object[4300] = "";
    bool is_fine, is_loaded = false;
    int status;

    if (argc == 2 && !strcmp(argv[1], "presets")) {
        presets_each(environ, "about", show_preset);
        return 0;
    }
    if (!checks && !plans && ((argc != 3 && argc != 4) || strcmp(argv[1], "object") != 0)) {
        told(stderr, "usage: baton-plan object PROGRAM [KEY], check PROGRAM, baton-plan presets\n");
        return 2;
    }
    if (!checks)
        log_level = -1; /* the library says it again */
    near_is_wanted = !plans;
    explain_names_packages = checks;
    modules_watch_cut();
    answer_begin();
    if (plans)
        alarm(PLAN_SECONDS_MAX); /* a program waits for us */
    config_read(environ, &config);
    if (!auto_read(&config, argv[2], plans, &is_loaded))
        return checks || plans;
    presets_read(&config, environ);
    slots_parse(&config); /* tells wrong items */
    items = rows = spec_read_all(&config, specs);
    if (!items && !checks) {
        status = auto_is_empty(&config) ? NOTHING_KNOWN : 0;
        if (argc == 4)
            answer_keep(argv[3], argv[2], &config, status, object);
        return status;
    }
    if (!is_loaded && !modules_load(argv[2], plans))
        return checks || plans;
    for (unsigned i = 0; i < items; i++) {
        if (specs[i].module && strchr(specs[i].module, '/'))
            modules_add(specs[i].module);
    }
    for (unsigned i = 0; i < items; i++)
        decide_item(i);
    fits_hooks(decisions, rows);
    refuse_twice();
    if (plans)
        return make_plan(argv[3], atoi(argv[4]));
    if (!checks) {
        status = make_object(object, sizeof object);
        if (!status && argc == 4)
            answer_keep(argv[3], argv[2], &config, status, object);
        return status;
    }
    is_fine = !known_is_on || auto_check();
    is_fine &= carry_check();
    is_fine &= check_hooks();
    return !is_fine || config.errors;
}
