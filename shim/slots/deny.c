/*
 * State that must never be shared (rule 20): identity, allocators, unwinders, caches that their
 * library owns. BATON_FORCE=1 overrides. One row a name or a module.
 */
#include <stddef.h>
#include <string.h>

#include "slots/kind.h"
#include "slots/slots.h"

/* Texts, not pointers: the loader would have to write those at every start of every program. */
struct denied {
    char name[72];   /* a symbol; "": all of the module */
    char module[20]; /* start of a file name; "": any */
    char reason[96];
};

static const struct denied denied[] = {
    {"", "ld-linux", "the loader's own state"},
    {"", "libc.so",
     "the C library's own state (errno, allocator cache, locale: use locale or fenv)"},
    {"", "libpthread.so", "the C library's own state"},
    {"", "libgcc_s.so", "the exception unwinder's own state"},
    {"", "libunwind", "the unwinder's own state"},
    {"", "libjemalloc", "an allocator's thread cache"},
    {"", "libtcmalloc", "an allocator's thread cache"},
    {"", "libmimalloc", "an allocator's thread cache"},
    {"", "libasan", "a sanitizer's own state"},
    {"", "libtsan", "a sanitizer's own state"},
    {"", "liblsan", "a sanitizer's own state"},
    {"", "libubsan", "a sanitizer's own state"},
    {"", "libgomp", "the OpenMP team that the thread belongs to"},
    {"", "libomp", "the OpenMP team that the thread belongs to"},
    {"", "libboost_thread",
     "Boost's one key for all of its thread-specific pointers and the thread's identity"},
    {"", "libbaton", "our own state"},
    {"g_thread_specific_private", "", "GLib's thread identity (g_thread_self)"},
    {"g_private_thread_specific", "", "GLib's thread identity (g_thread_self)"},
    {"tcache", "", "an allocator's thread cache"},
    {"tsd_tls", "", "an allocator's thread cache"},
    {"je_tsd_tls", "", "an allocator's thread cache"},
    {"tsd_tsd", "", "an allocator's thread cache"},
    {"emutls_key", "", "the compiler's emulated TLS of every variable"},
    {"public_drbg_key", "", "a random generator: two threads would give the same bytes"},
    {"private_drbg_key", "", "a random generator: two threads would give the same bytes"},
    {"_ZN4absl13base_internal12_GLOBAL__N_119thread_identity_pthread_keyE", "", "thread identity"},
    {"__tls_guard", "", "says whether the thread's C++ objects are constructed"},
};

const char *slot_deny_reason(const char *name, const char *module_name)
{
    for (size_t i = 0; i < sizeof denied / sizeof denied[0]; i++) {
        const struct denied *row = &denied[i];

        if (*row->name && (!name || strcmp(row->name, name) != 0))
            continue;
        if (*row->module &&
            (!module_name || strncmp(row->module, module_name, strlen(row->module)) != 0))
            continue;
        return row->reason;
    }
    return NULL;
}

/* Functions of the C library that act on the whole process: called around a task of one thread, they change
 * what every other one is. The C library sees to that itself (set*id go to all threads). */
static const struct {
    char name[24], reason[116];
} process_wide[] = {
#define ALL "acts on the whole process, not on a thread; "
#define USER ALL "for access to files take swap:setfsuid"
#define GROUP ALL "for access to files take swap:setfsgid"
#define FOLDER ALL "give the task paths from the root, or openat's descriptor"
#define VARIABLES ALL "the environment is everybody's"
#define HEAP ALL "the heap is everybody's"
    {"setuid", USER},
    {"seteuid", USER},
    {"setreuid", USER},
    {"setresuid", USER},
    {"setgid", GROUP},
    {"setegid", GROUP},
    {"setregid", GROUP},
    {"setresgid", GROUP},
    {"setgroups", ALL "a function of your own may do the system call for one"},
    {"setlocale", ALL "take locale (uselocale)"},
    {"chdir", FOLDER},
    {"fchdir", FOLDER},
    {"chroot", FOLDER},
    {"umask", ALL "set the mode of the file (fchmod), or unshare(CLONE_FS) in every worker"},
    {"nice", ALL "take ioprio, or setpriority in a function of your own"},
    {"setlogmask", ALL "a thread has none of its own"},
    {"srand", ALL "take rand_r with a seed of the task's"},
    {"srandom", ALL "take random_r with a state of the task's"},
    {"setstate", ALL "take random_r with a state of the task's"},
    {"srand48", ALL "take srand48_r with a state of the task's"},
    {"seed48", ALL "take seed48_r with a state of the task's"},
    {"lcong48", ALL "take lcong48_r with a state of the task's"},
    {"alarm", ALL "take a timer (timer_create) of the task's"},
    {"ualarm", ALL "take a timer (timer_create) of the task's"},
    {"textdomain", ALL "take dgettext with the task's domain"},
    {"re_set_syntax", ALL "take regcomp with the task's flags, or a lock"},
    {"pthread_setconcurrency", ALL "and the C library does nothing with it"},
    {"sethostid", ALL "nor on one process"},
    {"brk", HEAP},
    {"sbrk", HEAP},
    {"putenv", VARIABLES},
    {"setenv", VARIABLES},
    {"unsetenv", VARIABLES},
#undef ALL
#undef USER
#undef GROUP
#undef FOLDER
#undef VARIABLES
#undef HEAP
};

/* Before glibc 2.34 libpthread is a part of the C library, which has some of its functions a second time. */
static bool is_of_libc(const char *module_name)
{
    return module_name &&
           (!strncmp(module_name, "libc.so", 7) || !strncmp(module_name, "libpthread.so", 13));
}

const char *slot_deny_function(const char *name, const char *module_name)
{
    if (!is_of_libc(module_name))
        return NULL;
    for (size_t i = 0; i < sizeof process_wide / sizeof process_wide[0]; i++) {
        if (!strcmp(process_wide[i].name, name))
            return process_wide[i].reason;
    }
    return NULL;
}

/* Functions that answer where a thread has its state, of libraries whose other state may be carried. */
static const struct {
    char name[24], module[16], reason[100];
} places[] = {
    {"__errno_location", "libc.so", "errno is of the call before, and baton keeps it as it is"},
    {"__ctype_b_loc", "libc.so", "it follows the thread's locale: take locale"},
    {"__ctype_tolower_loc", "libc.so", "it follows the thread's locale: take locale"},
    {"__ctype_toupper_loc", "libc.so", "it follows the thread's locale: take locale"},
    {"__res_state", "libc.so", "the resolver's own state, with its sockets"},
    {"__cxa_get_globals", "", "the exceptions that the thread is handling"},
    {"__cxa_get_globals_fast", "", "the exceptions that the thread is handling"},
};

const char *slot_deny_place(const char *name, const char *module_name)
{
    if (is_of_libc(module_name))
        module_name = "libc.so";
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (!strcmp(places[i].name, name) && module_name &&
            !strncmp(module_name, places[i].module, strlen(places[i].module)))
            return places[i].reason;
    }
    /* The rest of the C library's own state is reached by its name only, not by a function. */
    if (module_name && !strncmp(module_name, "libc.so", 7))
        return NULL;
    return slot_deny_reason(name, module_name);
}
