/*
 * A plan for a program that `baton run` has not prepared: one that a prepared program starts (a wrapper, a
 * shell, a supervisor), or any when the library is preloaded without the launcher.
 *
 * baton-plan makes it, as a process of its own, before the program's main; it leaves the plan in a folder
 * that only this user can write to, under a name made of the settings and of every module's build-id, and
 * also sends it through a file without a name, so that a read-only system does too. What is found is
 * believed no more than the generated object's plan is: each patch is compared with the code.
 *
 * Nothing of libc's is used to start the process: no handler of pthread_atfork runs, and the program gets
 * no SIGCHLD.
 */
#include <string.h>
#include <sys/wait.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/sys.h"
#include "userhooks/got.h"
#include "userhooks/object.h"

enum { FOLDERS = 4, PATH_SIZE = 4096, PLAN_SIZE_MAX = 1 << 22 };

/* ---- which plan ---- */

static int add_module(const struct elf_module *module, void *arg)
{
    uint64_t *key = arg, fingerprint;
    size_t len = 0;
    const uint8_t *id;

    if (named_is_generated(module) || !elf_module_is_startup(module))
        return 0;
    id = elf_module_build_id(module, &len);
    if (!id) {
        fingerprint = elf_module_fingerprint(module);
        id = (const uint8_t *)&fingerprint;
        len = sizeof fingerprint;
    }
    *key = plan_hash_bytes(*key, id, len);
    return 0;
}

/* PLANNER: another one plans otherwise. */
static uint64_t make_key(uint64_t settings, const char *planner)
{
    uint64_t key = plan_hash(settings, BATON_VERSION);
    struct stat status;

    if (SYS_CALL(newfstatat, AT_FDCWD, planner, &status, 0) == 0) {
        key = plan_hash_bytes(key, (const uint8_t *)&status.st_mtim, sizeof status.st_mtim);
        key = plan_hash_bytes(key, (const uint8_t *)&status.st_size, sizeof status.st_size);
    }
    elf_each_module(add_module, &key);
    return key;
}

static const char *variable(char **environment, const char *name)
{
    size_t len = strlen(name);

    for (; environment && *environment; environment++) {
        if (!strncmp(*environment, name, len) && (*environment)[len] == '=')
            return *environment + len + 1;
    }
    return "";
}

/* The places where baton-plan leaves plans (scripts/plan/folder.c), in its order. */
static bool folder(unsigned number, char **environment, char *path)
{
    const char *runtime = variable(environment, "XDG_RUNTIME_DIR");
    unsigned user = (unsigned)SYS_CALL(geteuid, 0);

    switch (number) {
    case 0:
        fmt_buf(path, PATH_SIZE, "%s/baton", user ? runtime : "/run");
        return !user || *runtime == '/';
    case 1:
        fmt_buf(path, PATH_SIZE, "/tmp/baton-%u", user);
        return true;
    case 2:
        fmt_buf(path, PATH_SIZE, "/var/tmp/baton-%u", user);
        return true;
    default:
        fmt_buf(path, PATH_SIZE, "%s/.baton", variable(environment, "HOME"));
        return *path == '/' && path[1] != '.';
    }
}

/* ---- reading one ---- */

static const struct plan *map_plan(int fd)
{
    long size = sys_file_size(fd);
    const struct plan *plan = size > 0 && size <= PLAN_SIZE_MAX ? sys_map((size_t)size, fd) : NULL;

    if (plan && !plan_is_sound(plan, (size_t)size)) {
        sys_unmap((void *)(uintptr_t)plan, (size_t)size);
        plan = NULL;
    }
    return plan;
}

/* What others could have written is not read. */
static const struct plan *open_plan(const char *path)
{
    int fd = sys_open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    const struct plan *plan = NULL;
    struct stat status;

    if (fd < 0)
        return NULL;
    if (sys_status(fd, &status) == 0 && status.st_uid == (uid_t)SYS_CALL(geteuid, 0) &&
        !(status.st_mode & 022))
        plan = map_plan(fd);
    if (plan)
        (void)SYS_CALL(utimensat, fd, NULL, NULL, 0); /* used today: it is not removed */
    sys_close(fd);
    return plan;
}

static const struct plan *find_plan(uint64_t key, char **environment)
{
    char path[PATH_SIZE];

    for (unsigned i = 0; i < FOLDERS; i++) {
        const struct plan *plan;
        size_t len;

        if (!folder(i, environment, path))
            continue;
        len = strlen(path);
        fmt_buf(path + len, PATH_SIZE - len, "/%016lx.plan", (unsigned long)key);
        plan = open_plan(path);
        if (plan)
            return plan;
    }
    return NULL;
}

/* ---- making one ---- */

/* baton-plan, which lies beside us. */
static bool planner_path(char *path)
{
    struct elf_module own;
    char *slash;

    if (!elf_module_at((const void *)planner_path, &own))
        return false;
    fmt_buf(path, PATH_SIZE, "%s", own.path);
    slash = strrchr(path, '/');
    fmt_buf(slash ? slash + 1 : path, 16, "baton-plan");
    return SYS_CALL(faccessat, AT_FDCWD, path, X_OK) == 0;
}

static bool is_preload(const char *entry)
{
    return !strncmp(entry, "LD_PRELOAD=", 11) || !strncmp(entry, "LD_AUDIT=", 9);
}

/* The environment without what would be loaded into the planner. */
static char **planner_environment(char **environment, size_t *size)
{
    size_t count = 0, kept = 0;
    char **copy;

    while (environment[count])
        count++;
    *size = (count + 1) * sizeof *copy;
    copy = mem_alloc(*size);
    for (size_t i = 0; copy && i < count; i++) {
        if (!is_preload(environment[i]))
            copy[kept++] = environment[i];
    }
    return copy;
}

/* The answer is waitpid's status; -1: it could not be started. */
static int run_planner(char **arguments, char **environment, int out)
{
    int status = 0;
    long child, got;

    /* A plain copy of this process, which is small yet; exit signal 0. */
    child = SYS_CALL(clone, 0L, 0L, 0L, 0L, 0L);
    if (child < 0)
        return -1;
    if (child == 0) {
        (void)SYS_CALL(fcntl, out, F_SETFD, 0L);
        (void)SYS_CALL(execve, arguments[0], arguments, environment);
        (void)SYS_CALL(exit_group, 127);
    }
    do
        got = SYS_CALL(wait4, child, &status, 0x40000000 /* __WALL */, NULL);
    while (got == -EINTR);
    return got == child ? status : -1;
}

const struct plan *replan(uint64_t settings, char **environment, char *reason, size_t n)
{
    char planner[PATH_SIZE] = "", program[PATH_SIZE], key_text[24], fd_text[16];
    char *arguments[] = {planner, "plan", program, key_text, fd_text, NULL};
    bool has_planner = planner_path(planner);
    uint64_t key = make_key(settings, planner);
    const struct plan *plan = find_plan(key, environment);
    char **planner_variables;
    size_t size;
    long len;
    int fd, status;

    if (plan)
        return plan;
    if (!environment || !has_planner) {
        fmt_buf(reason, n, "baton-plan is not where the library is");
        return NULL;
    }
    len = sys_readlink("/proc/self/exe", program, sizeof program - 1);
    fd = (int)SYS_CALL(memfd_create, "baton-plan", 0u);
    if (len <= 0 || fd < 0) {
        fmt_buf(reason, n, "the program cannot be looked at here");
        if (fd >= 0)
            sys_close(fd);
        return NULL;
    }
    program[len] = '\0';
    fmt_buf(key_text, sizeof key_text, "%016lx", (unsigned long)key);
    fmt_buf(fd_text, sizeof fd_text, "%d", fd);
    planner_variables = planner_environment(environment, &size);
    status = planner_variables ? run_planner(arguments, planner_variables, fd) : -1;
    mem_free(planner_variables, size);
    plan = status == 0 ? map_plan(fd) : NULL;
    if (!plan)
        fmt_buf(reason, n, "baton-plan %s",
                status < 0                   ? "could not be started"
                : WIFSIGNALED(status)        ? "was ended by a signal"
                : WEXITSTATUS(status) == 127 ? "could not be started"
                                             : "found no plan");
    sys_close(fd);
    return plan;
}
