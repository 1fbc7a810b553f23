/*
 * State that must never be shared (rule 20): identity, allocators, unwinders, caches that their
 * library owns. BATON_FORCE=1 overrides. One row a name or a module.
 */
#include <stddef.h>
#include <string.h>

#include "slots/slots.h"

struct denied {
    const char *name;   /* a symbol; NULL: all of the module */
    const char *module; /* start of a file name; NULL: any */
    const char *reason;
};

static const struct denied denied[] = {
    {NULL, "ld-linux", "the loader's own state"},
    {NULL, "libc.so",
     "the C library's own state (errno, allocator cache, locale: use locale or fenv)"},
    {NULL, "libpthread.so", "the C library's own state"},
    {NULL, "libgcc_s.so", "the exception unwinder's own state"},
    {NULL, "libunwind", "the unwinder's own state"},
    {NULL, "libjemalloc", "an allocator's thread cache"},
    {NULL, "libtcmalloc", "an allocator's thread cache"},
    {NULL, "libmimalloc", "an allocator's thread cache"},
    {NULL, "libasan", "a sanitizer's own state"},
    {NULL, "libtsan", "a sanitizer's own state"},
    {NULL, "liblsan", "a sanitizer's own state"},
    {NULL, "libubsan", "a sanitizer's own state"},
    {NULL, "libgomp", "the OpenMP team that the thread belongs to"},
    {NULL, "libomp", "the OpenMP team that the thread belongs to"},
    {NULL, "libboost_thread",
     "Boost's one key for all of its thread-specific pointers and the thread's identity"},
    {NULL, "libbaton", "our own state"},
    {"g_thread_specific_private", NULL, "GLib's thread identity (g_thread_self)"},
    {"g_private_thread_specific", NULL, "GLib's thread identity (g_thread_self)"},
    {"tcache", NULL, "an allocator's thread cache"},
    {"tsd_tls", NULL, "an allocator's thread cache"},
    {"je_tsd_tls", NULL, "an allocator's thread cache"},
    {"tsd_tsd", NULL, "an allocator's thread cache"},
    {"emutls_key", NULL, "the compiler's emulated TLS of every variable"},
    {"public_drbg_key", NULL, "a random generator: two threads would give the same bytes"},
    {"private_drbg_key", NULL, "a random generator: two threads would give the same bytes"},
    {"_ZN4absl13base_internal12_GLOBAL__N_119thread_identity_pthread_keyE", NULL,
     "thread identity"},
    {"__tls_guard", NULL, "says whether the thread's C++ objects are constructed"},
};

const char *slot_deny_reason(const char *name, const char *module_name)
{
    for (size_t i = 0; i < sizeof denied / sizeof denied[0]; i++) {
        const struct denied *row = &denied[i];

        if (row->name && (!name || strcmp(row->name, name) != 0))
            continue;
        if (row->module &&
            (!module_name || strncmp(row->module, module_name, strlen(row->module)) != 0))
            continue;
        return row->reason;
    }
    return NULL;
}
