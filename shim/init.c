/*
 * Start and end: with fork.c the only file that knows every room.
 *
 * What was asked for is begun in our constructor, or at the first hooked call if that is earlier: other
 * libraries' constructors run before ours. There, too, the system is asked for all that is wanted later,
 * because the program may go into a sandbox before it hands anything over. With nothing to do
 * (early_is_idle) nothing is begun at all. Before libc has set environ (preinit) baton_start answers "too
 * early" and latches nothing. It may be reached again while it runs (it calls the loader): those calls
 * pass through.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/arch.h"
#include "base/config.h"
#include "elf/elf.h"
#include "base/live.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/outfile.h"
#include "base/sandbox.h"
#include "base/sys.h"
#include "context/context.h"
#include "context/dangling.h"
#include "context/gone.h"
#include "context/pool/record.h"
#include "context/strict.h"
#include "context/thread.h"
#include "families/posix/leave.h"
#include "families/posix/notification.h"
#include "families/registration.h"
#include "fork.h"
#include "interpose/bypass.h"
#include "interpose/deferred.h"
#include "interpose/early.h"
#include "interpose/hooks.h"
#include "interpose/next.h"
#include "interpose/start.h"
#include "interpose/inherit.h"
#include "interpose/loader.h"
#include "userhooks/known.h"
#include "userhooks/named.h"
#include "userhooks/preset.h"
#include "observe/crash.h"
#include "observe/publish.h"
#include "observe/report.h"
#include "observe/stack.h"
#include "observe/stacks.h"
#include "observe/watch.h"
#include "observe/wishes.h"
#include "slots/origin.h"
#include "slots/policy.h"
#include "slots/slots.h"

enum { EXIT_STRICT = 64, EXIT_REQUIRE = 65, WAIT_TRIES = 1024 };

/* What crtbegin would define: we link without start files, which bring code that we do not need. */
extern void *__dso_handle __attribute__((visibility("hidden")));
void *__dso_handle = &__dso_handle;

static struct config config;
static _Atomic int is_active; /* something is carried */
static int active_pid; /* who set that at the start; its children tell nothing when they _exit */
static void leave(void);
static bool is_started, is_over;
static bool is_read;        /* the settings; the thread that has the claim may read and write it */
static bool is_plain;       /* there are none */
static bool is_watched;     /* somebody wants to see the handoffs */
static bool is_constructed; /* the C library is: it was before us */
static _Atomic(const void *) start_claim; /* thread pointer of the thread that reads or starts */
static atomic_int start_process;          /* of the thread that had it last, or has it */
static atomic_int activator;              /* process that activates */

static bool is_strict(void)
{
    return config.strict && config.carry.count;
}

/* A start or an activation that a child would find half done. */
static bool is_starting(void)
{
    const void *claim = atomic_load(&start_claim);

    return (claim && claim != arch_tp()) || (atomic_load(&activator) && !is_active);
}

/*
 * Before glibc 2.34 keys are libpthread's, which a program without threads has not: there is none to be had, until a
 * library brings it.
 */
static int late_key_create(pthread_key_t *key, void (*destructor)(void *))
{
    __typeof__(&late_key_create) create =
        (__typeof__(&late_key_create))next_find_for("pthread_key_create", NULL);

    return create ? create(key, destructor) : EAGAIN;
}

static void *late_key_read(pthread_key_t key)
{
    __typeof__(&late_key_read) read =
        (__typeof__(&late_key_read))next_find_for("pthread_getspecific", NULL);

    return read ? read(key) : NULL;
}

static int late_key_write(pthread_key_t key, const void *value)
{
    __typeof__(&late_key_write) write =
        (__typeof__(&late_key_write))next_find_for("pthread_setspecific", NULL);

    return write ? write(key, value) : EINVAL;
}

/* Slots that are bound at once keep what they need to know of each thread in a key. */
static void know_keys(void)
{
    if (slots_calls.key_read)
        return;
    slots_calls.key_read = (void *(*)(pthread_key_t))next_find_startup("pthread_getspecific");
    slots_calls.key_write =
        (int (*)(pthread_key_t, const void *))next_find_startup("pthread_setspecific");
    slots_calls.key_create =
        (int (*)(pthread_key_t *, void (*)(void *)))next_find_startup("pthread_key_create");
    if (!slots_calls.key_create) {
        slots_calls.key_read = late_key_read;
        slots_calls.key_write = late_key_write;
        slots_calls.key_create = late_key_create;
    }
}

/* Everything that only a program that carries something needs. */
static void start_carrying(void)
{
    fork_watch(is_starting);
    report_errors = config.errors;
    if (config.report)
        report_begin(config.report);
    know_keys();
    inherit_init(config.inherit, &config.pools, &config.preset_pools, &config.own);
    thread_init(slots_calls.key_create, slots_calls.key_write, thread_leave_at_exit);
    gone_begin();
    context_init((uint32_t)((config.max_age_ns + 999999) / 1000000), config.max_hops);
    thread_prepare();
    record_prepare();
}

/* What another library of ours obeys, if it is there: a user must not wait for what will not come. */
static void say_what_is_missing(char **environment)
{
    if (!config.discover)
        return;
    for (; environment && *environment; environment++) {
        if (!strncmp(*environment, "LD_PRELOAD=", 11) &&
            strstr(*environment, "libbaton-discover.so"))
            return;
    }
    log_msg(LOG_LEVEL_ERROR,
            "BATON_DISCOVER: nothing is noted down without libbaton-discover.so: write baton "
            "discover -- PROGRAM");
}

/*
 * BATON_CARRY=auto, nothing known was there at the start, and a library was opened since. Where that brings
 * something, carrying begins; a child that was forked meanwhile goes without.
 */
static void look_for_known(void)
{
    static atomic_flag is_looking = ATOMIC_FLAG_INIT;
    int saved_errno = errno;

    if (!known_is_waiting || !is_started || is_over || is_active ||
        atomic_flag_test_and_set(&is_looking))
        return;
    if (known_late(&config)) {
        slots_parse(&config);
        slots_begin();
        if (slots_count)
            baton_activate();
    }
    atomic_flag_clear(&is_looking);
    errno = saved_errno;
}

/* A crash that cannot be told is found out too late; of the others their end says it, unless the program wants to know. */
static void look_at_targets(void)
{
    if (config.report)
        outfile_note(config.report);
    if (config.crash)
        outfile_note(config.crash);
    if (config.report && config.strict)
        config.errors += !outfile_can_be_written("BATON_REPORT", config.report, false);
    if (config.trace && config.strict)
        config.errors += !outfile_can_be_written("BATON_TRACE", config.trace, true);
    if (config.crash && config.stacks)
        config.errors += !outfile_can_be_written("BATON_CRASH", config.crash, false);
}

/* The settings, and what they say by themselves. The claim is ours. */
static void read_settings(char **environment)
{
    is_read = true;
    if (!is_plain)
        log_begin(environment);
    config_read(is_plain ? NULL : environment, &config);
    log_level = (int)config.log;
    say_what_is_missing(is_plain ? NULL : environment);
    if (config.help)
        config_help();
    known_read(&config, environment);
    presets_read(&config, environment);
    slots_parse(&config);
    wishes_check(&config);
    if (config.hooks.count || slots_watch_setters)
        named_read(&config, environment);
    registration_is_off = !config.periodic;
    report_has_latency = config.latency;
    report_has_reads = config.reads;
    is_watched = watch_is_wanted(&config);
    hooks_are_seen = is_watched || is_strict();
    if (known_is_waiting)
        loader_watch(look_for_known);
    loader_begin();
    hooks_init(&config, slots_count > 0 || is_watched, slots_key_count > 0 || slots_have_native);
    look_at_targets();
    log_count();
    if (config.errors && config.strict)
        sys_exit(EXIT_STRICT);
}

static bool needs_stacks(void)
{
    return slots_need_stacks() || is_strict();
}

/* Before main: what was named has to be there. What a library that comes later would bring is not. */
static void require_all(void)
{
    if (config.strict == STRICT_REQUIRE && slots_say_missing() + named_say_missing())
        sys_exit(EXIT_REQUIRE);
}

/*
 * What has to open a library. The object that baton run writes begins us before the C library's own
 * constructor has run: opening one then would run that without an environment, and the program would have
 * none. So that waits for our constructor.
 */
static void start_libraries(void)
{
    slots_may_not_open = !is_constructed && !elf_environment();
    if (slots_may_not_open)
        return;
    if (is_watched)
        stacks_start(config.stacks);
    if (config.stacks)
        crash_start(config.crash);
    if (config.publish.count)
        publish_begin(&config);
    if (needs_stacks())
        stack_start();
}

static void start_buffers(void)
{
    elf_begin();
    if (slots_count || is_watched)
        fork_watch(is_starting);
    start_libraries();
    if (is_strict() && dangling_start()) {
        dangling_on = slots_watched = origins_on = origins_tell = true;
        strict_begin(config.leak_age_ns);
    }
    slots_keys_native = family_is_on(FAMILY_KEYS) && bypass_makes_keys_native();
    if (slots_count)
        know_keys();
    slots_begin();
    if (slots_count || is_watched) {
        start_carrying();
        if (is_watched)
            watch_start(&config);
        if (slots_count && !family_is_on(FAMILY_KEYS))
            bypass_keys();
        is_active = 1;
        active_pid = sandbox_getpid();
        if (config.warn || config.strict == STRICT_REQUIRE || is_strict() ||
            log_level >= LOG_LEVEL_WARN)
            leave_hook = leave;
    }
    if (family_is_on(FAMILY_NAMED))
        named_init();
    if (slots_watch_setters) {
        slots_setters_known = true;
        slots_resolve();
    }
    if (config.report)
        report_prepare();
    if (config.report || config.warn || config.strict == STRICT_REQUIRE ||
        log_level >= LOG_LEVEL_WARN)
        slots_gather_hints();
    __atomic_store_n(&is_started, true, __ATOMIC_RELEASE);
}

static bool claim_start(void)
{
    const void *none = NULL;

    if (!atomic_compare_exchange_strong(&start_claim, &none, arch_tp()))
        return false;
    elf_know_loader();
    sandbox_begin(elf_libc);
    atomic_store(&start_process, sandbox_getpid());
    return true;
}

static void unclaim_start(void)
{
    sandbox_end();
    atomic_store(&start_claim, NULL);
}

/* False: it is being done further up in this thread; or in another, which may wait for the loader,
 * which we may be in, so nobody waits for ever. Or nobody does it any more: a child that was forked
 * meanwhile goes without. */
static bool claim_patiently(void)
{
    for (unsigned i = 0; i < WAIT_TRIES; i++) {
        if (claim_start())
            return true;
        if (atomic_load(&start_claim) == arch_tp())
            return false;
        lock_nap();
    }
    if (atomic_load(&start_process) && atomic_load(&start_process) != sys_getpid())
        is_over = true;
    return false;
}

bool baton_start(char **environment)
{
    int saved_errno = errno;

    if (__atomic_load_n(&is_started, __ATOMIC_ACQUIRE))
        return true;
    deferred_apply(); /* by include/baton.h, or what baton run has made, in a program that carries nothing */
    if (is_over)
        return false;
    if (!environment)
        environment = elf_environment();
    if (!environment)
        return false;
    if (!claim_patiently())
        return false;
    if (!is_started) { /* by the thread that had the claim before us */
        if (!is_read)
            read_settings(environment);
        start_buffers();
    }
    unclaim_start();
    errno = saved_errno;
    return true;
}

/* The first use of include/baton.h in a program that carries nothing else. */
void baton_activate(void)
{
    int saved_errno = errno;

    while (!is_active && baton_start(NULL) && !is_active && !config.is_off) {
        int self = sys_getpid(), other = 0;

        /* A child that was forked before its parent's other thread was done with it does it itself. */
        if (atomic_compare_exchange_strong(&activator, &other, self) ||
            (other != self && atomic_compare_exchange_strong(&activator, &other, self))) {
            start_carrying();
            hooks_switch_on();
            is_active = 1;
        } else {
            lock_nap();
        }
    }
    errno = saved_errno;
}

__attribute__((constructor)) static void construct(int argc, char **argv, char **environment)
{
    int saved_errno;

    is_constructed = true;
    if (early_is_idle())
        return; /* the C library's errno is asked for by a function that would have to be found */
    saved_errno = errno;
    if (!is_started && claim_start()) {
        is_plain = !config_is_any(environment);
        if (!is_plain && !is_started) {
            if (!is_read)
                read_settings(environment);
            start_buffers();
        }
        unclaim_start();
    }
    if (slots_may_not_open) {
        start_libraries();
        slots_look_again();
        slots_resolve();
    }
    if (is_started)
        require_all();
    errno = saved_errno;
}

static void say_at_end(void)
{
    if (config.warn && log_level < LOG_LEVEL_WARN && context_was_used())
        log_level = LOG_LEVEL_WARN;
    slots_say_unmatched(config.strict == STRICT_REQUIRE);
    named_is_strict = is_strict();
    named_say_idle();
}

/* Ends without destructors. Nothing is opened or taken: hints are of what was gathered before. A child tells nothing, as
 * it may share our memory; nor does a signal handler that came into the middle of a thread's start. */
static void leave(void)
{
    static atomic_bool is_said;

    if (!is_active || sandbox_is_shut() || sys_getpid() != active_pid || !thread_may_each() ||
        atomic_exchange(&is_said, true))
        return;
    slots_hints_wanted = true;
    say_at_end();
    log_count();
}

/*
 * Exit has begun: from here on handoffs pass through. What is in flight stays where it is, because
 * the program's other threads may still run it.
 */
__attribute__((destructor)) static void destruct(void)
{
    if (!is_started) {
        if (is_over) /* a child without the thread that had started */
            return;
        is_over = true; /* too late for a start */
        if (!is_read || sandbox_is_shut() || (!config.report && log_level < LOG_LEVEL_WARN))
            return;
        slots_begin(); /* so that it can be told what would have been found */
    }
    policies_end();
    if (is_active && config.report) /* nobody else is told of what is held at exit */
        (void)gone_look(UINT32_MAX);
    if (is_active && thread_self != &thread_unknown) {
        named_let_go();
        notifications_stop();
        context_drop_snapshot(thread_self);
        context_flush_releases(thread_self);
    }
    if (is_active)
        guard_raise(GUARD_TEARDOWN);
    if (sandbox_is_shut()) { /* all that comes now asks the system for something */
        report_tell_last();
        live_stay();
        return;
    }
    if (is_active && dangling_on)
        strict_say_held();
    if (is_watched)
        watch_stop();
    say_at_end();
    report_errors = config.errors;
    if (config.report)
        report_write(config.report);
    log_count();
}
