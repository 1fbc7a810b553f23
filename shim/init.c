/*
 * Start and end: the only file that knows every room.
 *
 * The settings are read in our constructor, or at the first hooked call if that is earlier: other
 * libraries' constructors run before ours. Their mistakes are said there. All
 * else, above all finding what is named, waits for the first hooked call, so that a program that
 * never hands anything over pays for none of it; unless something was asked for that must be there
 * before (is_wanted_now). Before libc has set environ (preinit) baton_start answers "too early" and
 * latches nothing. It may be reached again while it runs (it calls the loader): those calls pass
 * through.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/arch.h"
#include "base/config.h"
#include "base/elf.h"
#include "base/lock.h"
#include "base/log.h"
#include "context/context.h"
#include "context/dangling.h"
#include "context/thread.h"
#include "context/values.h"
#include "handoffs/bypass.h"
#include "handoffs/fork.h"
#include "handoffs/hooks.h"
#include "handoffs/next.h"
#include "handoffs/inherit.h"
#include "hooks/named.h"
#include "observe/report.h"
#include "observe/stack.h"
#include "slots/origin.h"
#include "slots/slots.h"

enum { EXIT_STRICT = 64, WAIT_TRIES = 4096 };

extern char **environ;

/* What crtbegin would define: we link without start files, which bring code that we do not need. */
extern void *__dso_handle __attribute__((visibility("hidden")));
void *__dso_handle = &__dso_handle;

static struct config config;
static _Atomic int is_active; /* something is carried */
static bool is_started, is_over;
static bool is_read;  /* the settings; who has the claim may read and write it */
static bool is_plain; /* there are none */
static _Atomic(const void *) start_claim; /* thread pointer of who reads or starts */

static void before_fork(void)
{
    int *self = &errno;

    elf_fork_wait();
    named_fork_lock();
    handoffs_fork_lock();
    context_fork_lock();
    atomic_store(&lock_forking, self);
    elf_fork_close();
}

static void after_fork_parent(void)
{
    elf_fork_open(false);
    atomic_store(&lock_forking, NULL);
    context_fork_unlock(false);
    handoffs_fork_unlock();
    named_fork_unlock(false);
}

static void after_fork_child(void)
{
    elf_fork_open(true);
    atomic_store(&lock_forking, NULL);
    next_forked();
    context_fork_unlock(true);
    handoffs_fork_unlock();
    named_fork_unlock(true);
}

/* Everything that only a program that carries something needs. */
static void start_carrying(void)
{
    key_read_native = (void *(*)(pthread_key_t))next_find_startup("pthread_getspecific");
    key_write_native =
        (int (*)(pthread_key_t, const void *))next_find_startup("pthread_setspecific");
    key_forget_hook = values_forget;
    inherit_init(config.inherit);
    thread_init((int (*)(unsigned *, void (*)(void *)))next_find_startup("pthread_key_create"),
                key_write_native);
    context_init((uint32_t)((config.max_age_ns + 999999) / 1000000), config.max_hops);
    pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

/* Settings that are known but that nothing obeys yet: a user must not wait for what will not come. */
static void say_what_is_missing(void)
{
    static const char *const format = "%s: not in this version; it has no effect";

    if (config.discover)
        log_msg(LOG_LEVEL_ERROR, format, "BATON_DISCOVER");
    if (config.trace)
        log_msg(LOG_LEVEL_ERROR, format, "BATON_TRACE");
    if (config.stacks)
        log_msg(LOG_LEVEL_ERROR, format, "BATON_STACKS");
}

/* The settings, and what they say by themselves. The claim is ours. */
static void read_settings(char **environment)
{
    is_read = true;
    config_read(is_plain ? NULL : environment, &config);
    log_level = (int)config.log;
    say_what_is_missing();
    if (config.help)
        config_help();
    slots_parse(&config);
    if (config.hooks.count || slots_watch_setters)
        named_read(&config);
    hooks_init(&config, slots_count > 0, slots_columns > 0 || slots_have_native);
    if (config.errors && config.strict)
        _exit(EXIT_STRICT);
}

static bool needs_stacks(void)
{
    for (size_t i = 0; i < config.carry.count; i++) {
        if (!strncmp(config.carry.items[i].text, "key:by=", 7))
            return true;
    }
    return config.strict && config.carry.count;
}

/* What must be there before main: hooks of the user's, and what loads a library. */
static bool is_wanted_now(void)
{
    return config.hooks.count || slots_watch_setters || needs_stacks() || slots_have_adapters;
}

static void start_rooms(void)
{
    if (needs_stacks())
        stack_start();
    if (config.strict && config.carry.count)
        dangling_on = slots_watched = origins_on = true;
    slots_begin();
    if (slots_count) {
        start_carrying();
        if (!family_is_on(FAMILY_KEYS))
            bypass_keys();
        is_active = 1;
    }
    if (family_is_on(FAMILY_NAMED))
        named_init();
    if (slots_watch_setters) {
        slots_setters_known = true;
        slots_resolve();
    }
    __atomic_store_n(&is_started, true, __ATOMIC_RELEASE);
}

static bool claim_start(void)
{
    const void *none = NULL;

    return atomic_compare_exchange_strong(&start_claim, &none, arch_tp());
}

/* False: it is being done further up in this thread; or in another, which may wait for the loader,
 * which we may be in, so nobody waits for ever. */
static bool claim_patiently(void)
{
    for (unsigned i = 0; i < WAIT_TRIES; i++) {
        if (claim_start())
            return true;
        if (atomic_load(&start_claim) == arch_tp())
            return false;
        sched_yield();
    }
    return false;
}

bool baton_start(char **environment)
{
    int saved_errno = errno;

    if (__atomic_load_n(&is_started, __ATOMIC_ACQUIRE))
        return true;
    if (!environment)
        environment = environ;
    if (!environment || is_over)
        return false;
    if (!claim_patiently())
        return false;
    if (!is_started) { /* by who had the claim before us */
        if (!is_read)
            read_settings(environment);
        start_rooms();
    }
    atomic_store(&start_claim, NULL);
    errno = saved_errno;
    return true;
}

/* The first use of include/baton.h in a program that carries nothing else. */
void baton_activate(void)
{
    static atomic_flag claimed = ATOMIC_FLAG_INIT;
    int saved_errno = errno;

    if (is_active)
        return;
    if (baton_start(NULL) && !is_active && !atomic_flag_test_and_set(&claimed)) {
        start_carrying();
        hooks_switch_on();
        is_active = 1;
    }
    while (!is_active && __atomic_load_n(&is_started, __ATOMIC_ACQUIRE))
        sched_yield();
    errno = saved_errno;
}

__attribute__((constructor)) static void construct(int argc, char **argv, char **environment)
{
    int saved_errno = errno;

    if (is_started || !claim_start())
        return;
    is_plain = !config_is_any(environment);
    if (!is_plain && !is_read) {
        read_settings(environment);
        if (is_wanted_now())
            start_rooms();
    }
    atomic_store(&start_claim, NULL);
    errno = saved_errno;
}

/*
 * Exit has begun: from here on handoffs pass through. What is in flight stays where it is, because
 * the program's other threads may still run it.
 */
__attribute__((destructor)) static void destruct(void)
{
    if (!is_started) {
        is_over = true; /* too late for a start */
        if (!is_read || (!config.report && log_level < LOG_LEVEL_WARN))
            return;
        slots_begin(); /* so that it can be told what would have been found */
    }
    if (is_active && thread_self != &thread_unknown) {
        named_let_go();
        context_drop_snapshot(thread_self);
        context_settle_debt(thread_self);
    }
    if (is_active)
        guard_raise(GUARD_TEARDOWN);
    slots_say_unmatched();
    if (config.report)
        report_write(config.report);
}
