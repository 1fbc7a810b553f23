/*
 * State that must never be shared (rule 20): identity, allocators, unwinders, caches that their
 * library owns. BATON_FORCE=1 overrides. One row a name or a module.
 */
#include <stddef.h>
#include <string.h>

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
