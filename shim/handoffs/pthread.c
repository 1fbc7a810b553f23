/*
 * pthread_create and thrd_create: a thread that the program starts inherits its creator's context
 * (rule 12). Everything that starts threads through them is covered: std::thread, Rust, GLib, libuv.
 *
 * Order at a thread's end (glibc 2.36, start_thread): the start routine returns or unwinds, then
 * C++ thread_local destructors, then key destructors. We detach inside the start routine, so all of
 * those see the thread's own values.
 */
#include <string.h>

#include "base/elf.h"
#include "context/thread.h"
#include "handoffs/handoff.h"
#include "handoffs/pthread.h"

/* Libraries whose own threads are pool workers: they start empty, each task brings its context. */
static const char *const pool_libraries[] = {
    "libglib-2.0", "libgio-2.0", "libgthread-2.0", "libgstreamer-1.0", "libuv",     "libgomp",    "libomp",
    "libiomp5",    "libapr-1",   "libaprutil-1",   "libtbb",           "libQt5Core", "libQt6Core", "libpthreadpool",
    "libvips",     "libisc",     "libldap",        "libboost_asio",    "libnode",
};

static enum config_inherit inherit = INHERIT_APP;

void pthread_hooks_init(enum config_inherit setting)
{
    inherit = setting;
}

/*
 * By return address, remembered: a word is the address shifted left with the answer in bit 0, so it
 * is read and written whole. Libraries of the program stay; those loaded later are not remembered.
 */
enum { CALLERS = 64 };
static _Atomic uintptr_t callers[CALLERS];

bool caller_is_pool_library(const void *address)
{
    _Atomic uintptr_t *place = &callers[((uintptr_t)address >> 4) % CALLERS];
    uintptr_t word = atomic_load_explicit(place, memory_order_relaxed);
    struct elf_module module;
    bool is_pool = false;

    if (word >> 1 == (uintptr_t)address)
        return word & 1;
    if (!elf_module_at(address, &module))
        return false;
    for (unsigned i = 0; i < sizeof pool_libraries / sizeof pool_libraries[0]; i++)
        is_pool |= !module.is_main && elf_module_match(&module, pool_libraries[i]);
    if (elf_module_is_startup(&module))
        atomic_store_explicit(place, (uintptr_t)address << 1 | is_pool, memory_order_relaxed);
    return is_pool;
}

bool thread_inherits(const void *caller)
{
    if (likely(inherit == INHERIT_APP))
        return !caller_is_pool_library(caller);
    return inherit == INHERIT_ALL;
}

static GUARDED void *run_thread(void *arg)
{
    GUARDED_FRAME();
    struct record record = record_take(arg);
    void *(*start)(void *) = (void *(*)(void *))record.function;
    void *result;

    thread_enter_kind(true);
    SCOPE_RUN(record.context, MARK_OWNED | MARK_THREAD, result = start(record.data));
    thread_leave(thread_self);
    return result;
}

static GUARDED int run_c11_thread(void *arg)
{
    GUARDED_FRAME();
    struct record record = record_take(arg);
    int (*start)(void *) = (int (*)(void *))record.function;
    int result;

    thread_enter_kind(true);
    SCOPE_RUN(record.context, MARK_OWNED | MARK_THREAD, result = start(record.data));
    thread_leave(thread_self);
    return result;
}

int hook_pthread_create(unsigned long *thread, const union pthread_attr_t *attributes, void *(*start)(void *),
                        void *arg)
{
    struct record *record;
    int error;

    if (!start || !thread_inherits(__builtin_return_address(0)) ||
        !(record = record_capture(FAMILY_PTHREAD, (void *)start, arg)))
        return REAL(pthread_create)(thread, attributes, start, arg);
    error = REAL(pthread_create)(thread, attributes, run_thread, record);
    if (unlikely(error))
        record_rollback(FAMILY_PTHREAD, record);
    return error;
}

int hook_thrd_create(unsigned long *thread, int (*start)(void *), void *arg)
{
    struct record *record;
    int error;

    if (!start || !thread_inherits(__builtin_return_address(0)) ||
        !(record = record_capture(FAMILY_PTHREAD, (void *)start, arg)))
        return REAL(thrd_create)(thread, start, arg);
    error = REAL(thrd_create)(thread, run_c11_thread, record);
    if (unlikely(error))
        record_rollback(FAMILY_PTHREAD, record);
    return error;
}
