/*
 * SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT: the thread's stack, then "submitted by" for each handoff back
 * to main, and which keys its work had none of though the thread has; then what would have happened without us.
 *
 * Rules: everything may be broken by now. The handler runs on a stack of its own, allocates nothing,
 * takes no lock, writes by write(2) only, and is done after a number of frames and of seconds. If it
 * faults itself, it goes on with the next part. The program's handler, or the default action, is put
 * back and the fault happens again (an asynchronous signal is sent again): so the program's handler sees
 * what it always saw, and the status and the core are the same. Said once a process.
 */
#include "observe/crash.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <ucontext.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/outfile.h"
#include "base/sandbox.h"
#include "base/sys.h"
#include "base/text.h"
#include "context/internal.h"
#include "elf/elf.h"
#include "interpose/hooks.h"
#include "observe/stacks.h"
#include "observe/store_parts.h"
#include "observe/unwinder.h"
#include "observe/watch.h"
#include "userhooks/named.h"

enum { STACK_SIZE = 128 * 1024, FRAMES = 64, CHAIN = 32, SECONDS = 2, MODULES = 32 };

static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
static const char names[][8] = {"SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGABRT"};
enum { SIGNALS = sizeof signals / sizeof signals[0] };

static struct sys_action before[SIGNALS];
static const char *target;
static bool is_on;
static _Atomic int reporter; /* thread that has crashed first */
static int out_fd = 2;
static time_t give_up;
static void *resume[5]; /* __builtin_setjmp: where to go on when the report itself faults */
static bool can_resume;

/* Those that frames were in: their files are said at the end, for who reads the report elsewhere. */
static struct elf_module modules[MODULES];
static unsigned modules_count;

static int number_of(int signal)
{
    for (int i = 0; i < SIGNALS; i++) {
        if (signals[i] == signal)
            return i;
    }
    return 0;
}

static time_t now_seconds(void)
{
    struct timespec now = clock_read(CLOCK_MONOTONIC);

    return now.tv_sec;
}

static void put(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void put(const char *format, ...)
{
    char line[512];
    va_list args;
    int len;

    va_start(args, format);
    len = fmt_vbuf(line, sizeof line, format, args);
    va_end(args);
    if ((size_t)len >= sizeof line)
        len = sizeof line - 1;
    if (log_write(out_fd, line, (size_t)len) && out_fd != 2) { /* the disk, or a file, is full */
        out_fd = 2;
        (void)log_write(out_fd, line, (size_t)len);
    }
}

static void note_module(const struct elf_module *module)
{
    for (unsigned i = 0; i < modules_count; i++) {
        if (modules[i].base == module->base && modules[i].phdr == module->phdr)
            return;
    }
    if (modules_count < MODULES)
        modules[modules_count++] = *module;
}

static void put_modules(void)
{
    char path[300], id[2 * 32 + 1];

    if (modules_count)
        put("  modules\n");
    for (unsigned i = 0; i < modules_count; i++) {
        size_t len = 0;
        const uint8_t *bytes = elf_module_build_id(&modules[i], &len);

        if (modules[i].is_main)
            store_name_program(path, sizeof path);
        else
            fmt_buf(path, sizeof path, "%s", modules[i].path);
        text_clean(path, strlen(path));
        len = bytes && len <= 32 ? len : 0;
        for (size_t byte = 0; byte < len; byte++)
            fmt_buf(id + 2 * byte, 3, "%02x", bytes[byte]);
        id[2 * len] = '\0';
        put("    %s build-id %s\n", path, len ? id : "none");
    }
}

/* is_call: a return address, which may be the first behind the function that called. */
static void put_frame(unsigned number, const void *address, bool is_call)
{
    const char *at = (const char *)address - is_call;
    uintptr_t start = 0, end = 0;
    struct elf_module module;
    char name[200];

    if (!elf_module_at(at, &module)) {
        put("    #%u %p\n", number, address);
        return;
    }
    note_module(&module);
    if (now_seconds() < give_up && elf_function_at(at, &start, &end, name, sizeof name))
        put("    #%u %s+0x%lx (%s+0x%lx)\n", number, name,
            (unsigned long)((uintptr_t)address - start), module.name,
            (unsigned long)((uintptr_t)address - module.base));
    else
        put("    #%u %s+0x%lx\n", number, module.name,
            (unsigned long)((uintptr_t)address - module.base));
}

static void put_stack(void *context)
{
    static const void *frames[FRAMES];
    unsigned count = unwinder_is_there() ? unwinder_walk_signal(context, frames, FRAMES) : 0;

    if (!count) {
        frames[0] = (const void *)arch_context_pc(context);
        count = 1;
    }
    for (unsigned i = 0; i < count; i++)
        put_frame(i, frames[i], i > 0);
}

static void put_node(uint32_t node)
{
    const uint64_t *words = store_stack_words() + store_nodes()[node].stack;
    unsigned count = store_nodes()[node].stack ? (unsigned)words[0] : 0;

    for (unsigned i = 0; i < count && i < FRAMES; i++)
        put_frame(i, (const void *)(uintptr_t)words[1 + i], true);
    if (!count)
        put("    (the place is not known)\n");
}

/* What it was handed over by. */
static const char *name_of(const struct handoff *handoff)
{
    unsigned hook = handoff->hook;

    if (!hook)
        return family_name((enum family)handoff->family);
    if (hook <= HOOK_COUNT)
        return hooks_name((enum hook_id)(hook - 1));
    return hook - HOOK_COUNT <= named_count ? named_hooks[hook - HOOK_COUNT - 1].spec.item : "";
}

static void put_chain(void)
{
    const struct watcher *watcher = watcher_self;
    const struct live_thread *live = watcher ? watcher->live : NULL;
    uint32_t depth = live ? live->depth : 0, node;
    const struct live_run *run;

    if (!depth || !store_trace) {
        put("  in no handed over work\n");
        return;
    }
    run = &live->runs[depth <= LIVE_NEST ? depth - 1 : LIVE_NEST - 1];
    node = run->node;
    if (run->handoff && run->handoff->id == run->id)
        put("  submitted by thread %u, %s:\n", (unsigned)run->handoff->tid, name_of(run->handoff));
    else
        put("  submitted by\n");
    for (unsigned steps = 0; node && steps < CHAIN; steps++) {
        if (steps)
            put("  submitted by\n");
        put_node(node);
        node = store_nodes()[node].parent;
    }
}

/* Of a key that the work has none of: what the thread has of its own, or the work around it has. */
static const void *covered(const struct thread *thread, unsigned key_index)
{
    for (uint32_t i = 0; i < thread->depth; i++) {
        const struct context *outer = thread->entries[i].attached;

        if (outer && outer->key[key_index])
            return outer->key[key_index];
    }
    return slots_calls.key_read(key_bindings[key_index].key);
}

/* A program that takes for granted what belongs to its thread, as its logger, crashes where that is carried. */
static void put_covered(void)
{
    const struct thread *thread = thread_self;

    if (!thread_is_attached(thread))
        return;
    for (unsigned i = 0; i < slots_key_count; i++) {
        if (key_bindings[i].is_bound && !thread->attached->key[i] && covered(thread, i))
            put("  %s is empty in this work, as it was where that was handed over; "
                "the thread has a value of its own: if it belongs to the thread, do not carry it\n",
                key_bindings[i].slot->item);
    }
}

static void put_part(void (*part)(void *), void *context)
{
    if (__builtin_setjmp(resume) == 0) {
        can_resume = true;
        part(context);
    } else {
        put("    (and no further: what it is about is broken)\n");
    }
    can_resume = false;
}

static void part_stack(void *context)
{
    put_stack(context);
}

static void part_chain(void *context)
{
    (void)context;
    put_chain();
}

static void part_covered(void *context)
{
    (void)context;
    put_covered();
}

static void part_modules(void *context)
{
    (void)context;
    put_modules();
}

static void report(int number, const siginfo_t *info, void *context)
{
    char name[16] = "";

    give_up = now_seconds() + SECONDS;
    if (target && *target) {
        out_fd = outfile_open(target, 0);
        if (out_fd < 0)
            out_fd = 2;
    }
    (void)SYS_CALL(prctl, PR_GET_NAME, name, 0L, 0L, 0L);
    if (info->si_code > 0 && signals[number] != SIGABRT)
        put("baton: %s at %p in thread %d \"%s\"\n", names[number], info->si_addr,
            (int)SYS_CALL(gettid, 0), name);
    else
        put("baton: %s in thread %d \"%s\"\n", names[number], (int)SYS_CALL(gettid, 0), name);
    put_part(part_stack, context);
    put_part(part_chain, context);
    put_part(part_covered, context);
    put_part(part_modules, context);
}

/* The fault happens again under what was there before; what was sent is sent again. */
static void give_back(int number, siginfo_t *info)
{
    long process = SYS_CALL(getpid, 0), thread = SYS_CALL(gettid, 0);

    for (int i = 0; i < SIGNALS; i++)
        (void)sys_sigaction(signals[i], &before[i], NULL);
    if (info->si_code <= 0 &&
        SYS_CALL(rt_tgsigqueueinfo, process, thread, signals[number], info) < 0)
        (void)SYS_CALL(tgkill, process, thread, signals[number]);
}

/*
 * In a sandbox that forbids what is asked here nothing is said. The program's handler is called; where it has none the
 * signal is held, and a fault that comes again while its signal is held ends the process as one that nobody handles.
 */
static void leave(int number, siginfo_t *info, void *context)
{
    unsigned long *held = (unsigned long *)(void *)&((ucontext_t *)context)->uc_sigmask;

    if (before[number].handler)
        before[number].handler(signals[number], info, context);
    else
        *held |= 1ul << (signals[number] - 1);
}

static void handle(int signal, siginfo_t *info, void *context)
{
    int saved_errno = errno, self, none = 0, number = number_of(signal);

    if (!sandbox_allows(SANDBOX_CRASH)) {
        leave(number, info, context);
        return;
    }
    self = (int)SYS_CALL(gettid, 0);
    if (atomic_load(&reporter) == self) {
        if (can_resume) {
            can_resume = false;
            __builtin_longjmp(resume, 1);
        }
    } else if (atomic_compare_exchange_strong(&reporter, &none, self)) {
        report(number, info, context);
    } else { /* another thread is at it, and then the process ends: if not, this one goes its way */
        struct timespec wait = {SECONDS + 1, 0};

        (void)SYS_CALL(nanosleep, &wait, NULL);
    }
    give_back(number, info);
    errno = saved_errno;
}

static void arm(void)
{
    static const struct sys_action ours = {
        handle, SA_SIGINFO | SA_ONSTACK | SA_NODEFER | ARCH_ACTION_FLAGS, ARCH_ACTION_RESTORER, 0};
    struct sys_action present;

    for (int i = 0; i < SIGNALS; i++) {
        if (sys_sigaction(signals[i], NULL, &present) != 0 || present.handler == handle ||
            (void *)present.handler == (void *)SIG_IGN)
            continue;
        before[i] = present;
        (void)sys_sigaction(signals[i], &ours, NULL);
    }
}

void crash_thread(struct watcher *watcher)
{
    stack_t present;
    long stack;

    if (!is_on || atomic_load(&reporter) || !sandbox_allows(SANDBOX_CRASH))
        return;
    if (SYS_CALL(sigaltstack, NULL, &present) == 0 && present.ss_flags & SS_DISABLE) {
        if (!watcher->handler_stack) {
            stack = SYS_CALL(mmap, NULL, (long)STACK_SIZE, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0L);
            watcher->handler_stack = stack < 0 && stack > -4096 ? NULL : (void *)stack;
        }
        if (watcher->handler_stack) {
            present = (stack_t){.ss_sp = watcher->handler_stack, .ss_size = STACK_SIZE};
            (void)SYS_CALL(sigaltstack, &present, NULL);
        }
    }
    arm();
}

void crash_start(const char *file)
{
    static char main_stack[STACK_SIZE] __attribute__((aligned(16)));
    stack_t present;

    target = file;
    is_on = true;
    if (SYS_CALL(sigaltstack, NULL, &present) == 0 && present.ss_flags & SS_DISABLE) {
        present = (stack_t){.ss_sp = main_stack, .ss_size = sizeof main_stack};
        (void)SYS_CALL(sigaltstack, &present, NULL);
    }
    log_remember(2);
    if (file)
        outfile_note(file);
    arm();
}
