/* Walking the loader's list so that no forked child waits for ever.
 *
 * dl_iterate_phdr takes a lock of the loader's that fork does not look after: in the child of a program
 * whose other threads were inside, it is held for good, by nobody (glibc 2.36). So
 * - what came with the program, which stays, is noted once and walked without the loader (list.c);
 * - before the loader is asked, its lock is looked at. Held by a thread that this process does not
 *   have, it keeps the list as it is, because whoever changes the list takes it too: that list is walked;
 * - fork waits for threads of ours that are inside, as far as it may (elf_fork_wait, elf_fork_close):
 *   the program's own calls of the loader in the child shall not find the lock held because of us.
 * Rule: all waiting ends. A callback of the program's own dl_iterate_phdr, which has the loader's lock,
 * may be what everybody waits for.
 */
#include "elf/elf.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "elf/file.h"
#include "base/arch.h"
#include "base/auxv.h"
#include "base/lock.h"
#include "base/sandbox.h"
#include "base/sys.h"

enum { WAIT_TRIES = 256 };

/* ---- the loader's lock ---- */

#ifdef __GLIBC__
/*
 * A recursive mutex somewhere in _rtld_global: a thread inside dl_iterate_phdr finds itself as the
 * owner of those that it has, and this one is had once less outside. It is read only, never written.
 */
static pthread_mutex_t *_Atomic loader_lock; /* NULL: not known */
static int loader_lock_process;              /* where it was found */
static atomic_bool is_left;                  /* held by nobody who is there */

static int lock_word(const int *word)
{
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

/* Hundreds of words are looked at, at every start: has any mutex of the next sixteen that owner? */
enum { AT_ONCE = 16 };
static inline bool is_any_of(const char *at, int owner)
{
#define OWNER(i) \
    (((const pthread_mutex_t *)(const void *)(at + (i) * sizeof(void *)))->__data.__owner == owner)
    return OWNER(0) || OWNER(1) || OWNER(2) || OWNER(3) || OWNER(4) || OWNER(5) || OWNER(6) ||
           OWNER(7) || OWNER(8) || OWNER(9) || OWNER(10) || OWNER(11) || OWNER(12) || OWNER(13) ||
           OWNER(14) || OWNER(15);
#undef OWNER
}

/* Inside dl_iterate_phdr. */
void elf_lock_note(struct elf_lock_search *search, const struct elf_module *loader)
{
    struct elf_symbol global;
    size_t end;
    int self;

    if (!elf_dynsym_find(loader, "_rtld_global", NULL, ELF_OBJECT, &global) ||
        global.size < sizeof(pthread_mutex_t))
        return;
    end = global.size - sizeof(pthread_mutex_t) + 1;
    self = search->thread = sandbox_gettid();
    for (size_t at = 0; at < end; at += sizeof(void *)) {
        pthread_mutex_t *mutex = (pthread_mutex_t *)(global.value + at);

        if (at + AT_ONCE * sizeof(void *) <= end && !is_any_of((const char *)mutex, self)) {
            at += (AT_ONCE - 1) * sizeof(void *);
            continue;
        }
        if (mutex->__data.__owner != self)
            continue;
        if (search->count < ELF_LOCK_CANDIDATES &&
            (mutex->__data.__lock == 1 || mutex->__data.__lock == 2) && mutex->__data.__count &&
            mutex->__data.__kind == PTHREAD_MUTEX_RECURSIVE_NP) {
            search->depth[search->count] = mutex->__data.__count;
            search->mutex[search->count++] = mutex;
        }
    }
}

/* Outside. */
void elf_lock_choose(const struct elf_lock_search *search)
{
    pthread_mutex_t *found = NULL;

    for (unsigned i = 0; i < search->count; i++) {
        const pthread_mutex_t *mutex = search->mutex[i];
        bool is_still_ours = mutex->__data.__owner == search->thread;

        if (is_still_ours && mutex->__data.__count >= search->depth[i])
            continue;
        if (found)
            return; /* more than one */
        found = search->mutex[i];
    }
    loader_lock_process = sandbox_getpid();
    atomic_store_explicit(&loader_lock, found, memory_order_release);
}

/* The loader's lock was held when this process was forked, by a thread that it does not have. */
static bool is_lock_left(void)
{
    const pthread_mutex_t *mutex = atomic_load_explicit(&loader_lock, memory_order_acquire);
    int owner = 0, process;

    if (atomic_load_explicit(&is_left, memory_order_relaxed))
        return true;
    if (!mutex || !lock_word(&mutex->__data.__lock) ||
        (process = sys_getpid()) == loader_lock_process)
        return false;
    /* A thread that takes it is its owner a moment later; one that gives it back no longer is, a moment before. */
    for (unsigned i = 0; !owner && i < WAIT_TRIES; i++) {
        owner = lock_word(&mutex->__data.__owner);
        if (!owner && !lock_word(&mutex->__data.__lock))
            return false;
        if (!owner)
            lock_nap();
    }
    if (owner && (SYS_CALL(tgkill, process, owner, 0) != -ESRCH ||
                  lock_word(&mutex->__data.__owner) != owner))
        return false; /* it is there, or was and is done */
    atomic_store_explicit(&is_left, true, memory_order_relaxed);
    return true;
}
#else
void elf_lock_note(struct elf_lock_search *search, const struct elf_module *loader)
{
}

void elf_lock_choose(const struct elf_lock_search *search)
{
}

static bool is_lock_left(void)
{
    return false;
}
#endif

/* ---- fork ---- */

static atomic_uint walkers;            /* threads of ours that are inside, or about to be */
static _Atomic(const int *) is_closed; /* &errno of the thread that forks; others wait a little */

static void walk_enter(void)
{
    const int *forking;

    atomic_fetch_add(&walkers, 1);
    for (unsigned i = 0; (forking = atomic_load(&is_closed)) && forking != &errno && i < WAIT_TRIES;
         i++) {
        atomic_fetch_sub(&walkers, 1);
        lock_nap();
        atomic_fetch_add(&walkers, 1);
    }
}

/* In a child that was forked in here, by a signal handler, nobody is counted. */
static void walk_leave(void)
{
    unsigned count = atomic_load(&walkers);

    while (count && !atomic_compare_exchange_weak(&walkers, &count, count - 1))
        ;
}

static bool is_walking(void)
{
    return atomic_load(&walkers) > 0;
}

void elf_fork_wait(void)
{
    lock_wait_before_fork(is_walking);
}

void elf_fork_close(void)
{
    atomic_store(&is_closed, &errno);
    for (unsigned i = 0; is_walking() && i < WAIT_TRIES; i++)
        lock_nap();
}

void elf_fork_open(bool is_child)
{
    if (is_child)
        atomic_store(&walkers, 0);
    atomic_store(&is_closed, lock_forks_inside ? &errno : NULL);
}

/* ---- walking ---- */

ARCH_WRITTEN_EARLY elf_loader_walker *elf_loader_walk;

unsigned long long elf_last_loaded, elf_last_unloaded;
/* Those of a small program lie in one page. */
_Alignas(2048) struct elf_module elf_startup_list[STARTUP_KNOWN];
size_t elf_startup_known;

bool elf_startup_info(size_t i, struct dl_phdr_info *out)
{
    const struct elf_module *module = &elf_startup_list[i];

    if (i >= STARTUP_KNOWN || i >= __atomic_load_n(&elf_startup_known, __ATOMIC_ACQUIRE))
        return false;
    *out = (struct dl_phdr_info){.dlpi_addr = module->base,
                                 .dlpi_name = module->is_main ? "" : module->path,
                                 .dlpi_phdr = module->phdr,
                                 .dlpi_phnum = (elf_half)module->phnum,
                                 .dlpi_tls_modid = module->tls_modid};
    return true;
}

static bool is_mapped(const void *address)
{
    uintptr_t in_page = (uintptr_t)address & (auxv_get(AT_PAGESZ) - 1);
    unsigned char resident;

    return SYS_CALL(mincore, (uintptr_t)address - in_page, 1L, &resident) == 0;
}

/* As dl_iterate_phdr, but that nobody is kept from anything. */
static int walk_what_is_left(int (*callback)(struct dl_phdr_info *info, size_t size, void *arg),
                             void *arg)
{
    size_t i = 0;
    int answer = 0;

    for (const struct link_map *map = _r_debug.r_map; map && !answer; map = map->l_next, i++) {
        struct dl_phdr_info info = {0};

        if (!elf_startup_info(i, &info)) {
            const elf_ehdr *header;

            /* One that was being unloaded may be in the list but gone. */
            if (!is_mapped(map->l_ld) || !(header = elf_object_header(map)) || !is_mapped(header) ||
                memcmp(header->e_ident, ELFMAG, SELFMAG) != 0)
                continue;
            info.dlpi_addr = map->l_addr;
            info.dlpi_name = map->l_name;
            info.dlpi_phdr = (const elf_phdr *)((uintptr_t)header + header->e_phoff);
            info.dlpi_phnum = header->e_phnum;
        }
        info.dlpi_adds = elf_last_loaded + 1;
        info.dlpi_subs = elf_last_unloaded;
        answer = callback(&info, sizeof info, arg);
    }
    return answer;
}

bool elf_walk_begin(void)
{
    if (is_lock_left())
        return false;
    walk_enter();
    return true;
}

void elf_walk_end(void)
{
    walk_leave();
}

int elf_iterate(int (*callback)(struct dl_phdr_info *info, size_t size, void *arg), void *arg)
{
    int answer;

    if (!elf_walk_begin())
        return walk_what_is_left(callback, arg);
    if (elf_loader_walk)
        answer = elf_loader_walk(callback, arg);
    else /* called and not pointed to: the loader looks for it when it is called, not at each start */
        answer = dl_iterate_phdr(callback, arg);
    elf_walk_end();
    return answer;
}
