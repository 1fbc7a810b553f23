/*
 * What kind of file a program is, as far as it decides whether the library can be loaded with it. Read from
 * its headers alone: nothing of it is run.
 */
#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cli.h"
#include "dynamic.h"
#include "machine.h"

enum { HEAD = 4096, HEADERS_MAX = 64, SCRIPTS_MAX = 4, SCRIPT_MAX = 64 * 1024 };

static void look_at_elf(int fd, const unsigned char *head, struct program *out)
{
    Elf64_Ehdr header;
    Elf64_Phdr segment;
    bool is_dynamic = false;

    memcpy(&header, head, sizeof header);
    if (header.e_ident[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32)) {
        out->kind = PROGRAM_CLASS;
        return;
    }
    if (header.e_machine != OBJECT_MACHINE) {
        out->kind = PROGRAM_MACHINE;
        return;
    }
    for (unsigned i = 0; i < header.e_phnum && i < HEADERS_MAX; i++) {
        if (pread(fd, &segment, sizeof segment, (off_t)(header.e_phoff + i * sizeof segment)) !=
            sizeof segment)
            break;
        if (segment.p_type == PT_INTERP && segment.p_filesz < sizeof out->loader &&
            pread(fd, out->loader, segment.p_filesz, (off_t)segment.p_offset) ==
                (ssize_t)segment.p_filesz)
            is_dynamic = true;
    }
    out->kind = !is_dynamic                        ? PROGRAM_STATIC
                : strstr(out->loader, "/ld-musl-") ? PROGRAM_MUSL
                                                   : PROGRAM_FINE;
}

/* The loader leaves out what the user preloads when the kernel says that the program has more rights than
 * its user: by its bits or by its capabilities. */
static bool is_privileged(int fd)
{
    struct stat status;

    if (fstat(fd, &status) != 0)
        return false;
    return (status.st_mode & S_ISUID && status.st_uid != getuid()) ||
           (status.st_mode & S_ISGID && status.st_mode & S_IXGRP && status.st_gid != getgid()) ||
           (getuid() != 0 && fgetxattr(fd, "security.capability", NULL, 0) > 0);
}

/* "#!INTERPRETER [ARGUMENT]": its first word; "/usr/bin/env NAME" is NAME. NULL: it is no script. */
static char *interpreter_of(const char *head)
{
    char line[256], *word, *argument, *state;

    if (head[0] != '#' || head[1] != '!')
        return NULL;
    snprintf(line, sizeof line, "%.*s", (int)strcspn(head + 2, "\n"), head + 2);
    word = strtok_r(line, " \t\r", &state);
    if (!word)
        return NULL;
    argument = strtok_r(NULL, " \t\r", &state);
    if (argument && !strcmp(argument, "-S"))
        argument = strtok_r(NULL, " \t\r", &state);
    if (argument &&
        !strcmp(word + (strrchr(word, '/') ? strrchr(word, '/') - word + 1 : 0), "env")) {
        char *found = program_look(argument);

        return found ? found : allocated(strdup(word));
    }
    return allocated(strdup(word));
}

void program_inspect(const char *path, struct program *out)
{
    memset(out, 0, sizeof *out);
    out->path = out->file = path;
    out->kind = PROGRAM_UNKNOWN;
    for (unsigned depth = 0; depth < SCRIPTS_MAX; depth++) {
        char head[HEAD + 1] = "", *interpreter;
        int fd = open(out->file, O_RDONLY | O_CLOEXEC);
        ssize_t len = fd < 0 ? 0 : pread(fd, head, HEAD, 0);

        if (fd < 0)
            return; /* it may still be run: no rights to read it */
        if (len > (ssize_t)sizeof(Elf64_Ehdr) && !memcmp(head, ELFMAG, SELFMAG)) {
            out->is_privileged = is_privileged(fd);
            look_at_elf(fd, (unsigned char *)head, out);
            close(fd);
            return;
        }
        close(fd);
        interpreter = interpreter_of(head);
        if (!interpreter)
            return;
        out->file = interpreter;
        out->is_script = true;
    }
}

/* ---- the C library that the program will have ---- */

/* The loader's real folder is where its C library lies: in Debian, Fedora, Alpine's gcompat and nix alike. */
static char *libc_beside(const char *loader)
{
    char *real = realpath(loader, NULL), *path;

    if (!real)
        return NULL;
    path = joined("%.*slibc.so.6", (int)(strrchr(real, '/') - real + 1), real);
    free(real);
    return path;
}

char *program_lacks(const struct program *program, const char *library)
{
    char *path = program->kind == PROGRAM_FINE ? libc_beside(program->loader) : NULL;
    const char *missing = NULL;
    struct dynamic ours, libc;

    if (!path)
        return NULL;
    if (dynamic_open(library, &ours)) {
        if (dynamic_open(path, &libc)) {
            missing = dynamic_lacks(&ours, "libc.so.6", &libc);
            if (missing)
                missing = joined("%s", clean(missing));
            dynamic_close(&libc);
        }
        dynamic_close(&ours);
    }
    return missing ? joined("its C library (%s) has no %s, which %s needs; it runs without",
                            clean(path), missing, clean(library))
                   : NULL;
}

bool program_has_threads(const struct program *program)
{
    char *path = program->kind == PROGRAM_FINE ? libc_beside(program->loader) : NULL;
    struct dynamic libc;
    bool has = false;

    if (path && dynamic_open(path, &libc)) {
        has = dynamic_defines(&libc, "GLIBC_2.34");
        dynamic_close(&libc);
    }
    free(path);
    return has;
}

bool program_has_other_loader(const struct program *program)
{
    char real[PATH_MAX], system_real[PATH_MAX];

    return program->kind == PROGRAM_FINE &&
           (!realpath(program->loader, real) || !realpath(MACHINE_LOADER, system_real) ||
            strcmp(real, system_real) != 0);
}

const char *program_refusal(const struct program *program)
{
    switch (program->kind) {
    case PROGRAM_STATIC:
        return "statically linked: no library can be loaded with it, so nothing of it is carried";
    case PROGRAM_MUSL:
        return "made for musl, another C library; it runs without baton";
    case PROGRAM_CLASS:
        return sizeof(void *) == 8
                   ? "a 32-bit program: this baton is for 64-bit ones; it runs without"
                   : "a 64-bit program: this baton is for 32-bit ones; it runs without";
    case PROGRAM_MACHINE:
        return "made for another machine than this baton; it runs without";
    default:
        return program->is_privileged
                   ? "has more rights than you (setuid, setgid or capabilities): the loader "
                     "ignores LD_PRELOAD, so nothing of it is carried"
                   : NULL;
    }
}

char *program_name(const struct program *program)
{
    if (!program->is_script)
        return joined("%s", clean(program->path));
    return joined("%s (a script; what runs is %s)", clean(program->path), clean(program->file));
}

/* Programs that do something and then become, or start, the one that is named behind. */
static const char *const wrappers[] = {
    "timeout", "env",     "nice", "nohup", "setsid",    "taskset",   "stdbuf",  "ionice",  "chrt",
    "time",    "setpriv", "sh",   "bash",  "dash",      "numactl",   "prlimit", "unshare", "chpst",
    "runuser", "su-exec", "gosu", "tini",  "dumb-init", "catchsegv", NULL};

static bool is_wrapper(const char *path)
{
    const char *slash = strrchr(path, '/');

    for (unsigned i = 0; wrappers[i]; i++) {
        if (!strcmp(slash ? slash + 1 : path, wrappers[i]))
            return true;
    }
    return false;
}

/* The first word that is a program: not an option, not a setting, not a number. */
static char *first_program(char **argv)
{
    for (; *argv; argv++) {
        char *found;

        if (argv[0][0] == '-' || strchr(*argv, '='))
            continue;
        if (strpbrk(*argv, " \t")) { /* sh -c 'exec ./server --port 1' */
            char *words[64], *state, *text = allocated(strdup(*argv));
            unsigned count = 0;

            for (char *word = strtok_r(text, " \t;&|()\"'", &state); word && count < 63;
                 word = strtok_r(NULL, " \t;&|()\"'", &state)) {
                if (strcmp(word, "exec") != 0 && strcmp(word, "cd") != 0)
                    words[count++] = word;
            }
            words[count] = NULL;
            return first_program(words);
        }
        found = program_look(*argv);
        if (found)
            return found;
    }
    return NULL;
}

bool program_is_shell(const char *path)
{
    static const char *const shells[] = {"sh", "bash", "dash", "ksh", "zsh", "ash", NULL};
    const char *slash = strrchr(path, '/');

    for (unsigned i = 0; shells[i]; i++) {
        if (!strcmp(slash ? slash + 1 : path, shells[i]))
            return true;
    }
    return false;
}

/* The program that stands in LINE behind all wrappers; NULL: none is there that can be told without running it. */
static char *program_in(char *line)
{
    char *state, *behind = NULL;

    for (char *word = strtok_r(line, " \t\"'", &state); word;
         word = strtok_r(NULL, " \t\"'", &state)) {
        char *words[] = {word, NULL}, *found = first_program(words);

        if (found)
            behind = found;
        if ((found && !is_wrapper(found)) || strpbrk(word, "$`<>|;&"))
            break;
    }
    return behind && !is_wrapper(behind) ? behind : NULL;
}

/* Of a shell's script: what it becomes by the last `exec PROGRAM`. NULL: it is no such script. */
static char *becomes(const char *file)
{
    FILE *in = fopen(file, "re");
    char line[4096], *interpreter = NULL, *behind = NULL;
    size_t len = 0;

    if (in && fgets(line, sizeof line, in))
        interpreter = interpreter_of(line);
    while (interpreter && program_is_shell(interpreter) && len < SCRIPT_MAX &&
           fgets(line, sizeof line, in)) {
        char *start = line + strspn(line, " \t"), *found;

        len += strlen(line);
        line[strcspn(line, "\n")] = '\0';
        if (!strncmp(start, "exec", 4) && (start[4] == ' ' || start[4] == '\t') &&
            (found = program_in(start + 5)))
            behind = found;
    }
    if (in)
        fclose(in);
    return behind;
}

char *program_behind(const char *path, char **arguments)
{
    char *behind = is_wrapper(path) ? first_program(arguments) : becomes(path), *further;
    unsigned depth = 0;

    if (is_wrapper(path) && program_is_shell(path) && *arguments && (further = becomes(*arguments)))
        behind = further; /* sh start.sh: from this folder, whatever its mode */
    while (behind && is_wrapper(behind) && *arguments && depth++ < SCRIPTS_MAX) {
        further = first_program(++arguments);
        if (!further)
            break;
        behind = further;
    }
    for (depth = 0; behind && depth < SCRIPTS_MAX && (further = becomes(behind)); depth++)
        behind = further;
    return behind;
}
