/*
 * The file that a run under `baton discover` leaves, and what is kept for each thread of it.
 *
 * Promises: the program sees nothing of this: errno stays, no memory of its heap is used, no descriptor is kept open, and
 * when the file cannot be made nothing is done at all; that is said, unless it was the launcher's folder, which is gone. Its room is reserved before
 * it is mapped, so that a full disk is no SIGBUS. A child of fork has a file of its own.
 *
 * This library is preloaded by `baton discover` only; no other program pays for it.
 */
#include "discover/record.h"

#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/frames.h"
#include "base/sys.h"
#include "discover/hooks.h"
#include "discover/own.h"

enum { EXIT_STRICT = 64 }; /* as everywhere */

struct discover_header *page;
__thread struct recorder *own __attribute__((tls_model("initial-exec")));

static char pattern[512]; /* of the file's name; %p: the process */
static struct recorder *spare;
static atomic_flag spare_lock = ATOMIC_FLAG_INIT;
static int (*backtrace_plain)(void **frames, int max);

extern char **environ;

/* ---- the file ---- */

static void write_number(char *to, unsigned number)
{
    char digits[12];
    unsigned count = 0;

    do {
        digits[count++] = (char)('0' + number % 10);
    } while (number /= 10);
    while (count)
        *to++ = digits[--count];
    *to = '\0';
}

static bool make_name(char *name, size_t n)
{
    const char *percent = strstr(pattern, "%p");
    size_t before = percent ? (size_t)(percent - pattern) : strlen(pattern);

    if (before + 16 + (percent ? strlen(percent) : 0) > n)
        return false;
    memcpy(name, pattern, before);
    name[before] = '\0';
    if (percent) {
        write_number(name + before, (unsigned)sys_getpid());
        strcat(name, percent + 2);
    }
    return true;
}

static struct discover_header *failed(int *error, long result)
{
    *error = (int)-result;
    return NULL;
}

static struct discover_header *make_file(int *error)
{
    char name[600];
    long memory, result;
    int fd;

    if (!make_name(name, sizeof name))
        return failed(error, -ENAMETOOLONG);
    if (sizeof *page > sys_file_limit())
        return failed(error, -EFBIG);
    fd = sys_open(name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    if (fd < 0)
        return failed(error, fd);
    result = SYS_CALL(fallocate, fd, 0L, 0L, (long)sizeof *page);
    if (result < 0) {
        sys_close(fd);
        return failed(error, result);
    }
    memory = SYS_CALL(mmap, NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0L);
    sys_close(fd);
    return memory < 0 && memory > -4096 ? failed(error, memory) : (struct discover_header *)memory;
}

static void open_unwinder(void)
{
    void *library;

    /* Before glibc 2.34 the first of these calls makes a key for its errors, and looks for nothing meanwhile. */
    discover_next("dlopen", NULL);
    library = OWN(dlopen)("libunwind.so.8", RTLD_LAZY | RTLD_LOCAL);
    if (library)
        backtrace_plain = (int (*)(void **, int))OWN(dlsym)(library, "unw_backtrace");
}

/* ---- threads ---- */

/* False: somebody else is at the list; nobody waits for it. */
static bool take_spare(void)
{
    return !atomic_flag_test_and_set_explicit(&spare_lock, memory_order_acquire);
}

static void drop_spare(void)
{
    atomic_flag_clear_explicit(&spare_lock, memory_order_release);
}

static struct recorder *recorder_make(void)
{
    struct recorder *recorder = NULL;

    if (take_spare()) {
        recorder = spare;
        if (recorder)
            spare = recorder->next;
        drop_spare();
    }
    if (recorder)
        memset(recorder, 0, sizeof *recorder);
    else
        recorder = sys_map(sizeof *recorder, -1);
    return recorder;
}

struct recorder *recorder_begin(uint32_t creator, const void *start_routine)
{
    struct recorder *recorder;
    uint32_t number;

    if (!page || own)
        return own;
    number = __atomic_fetch_add(&page->threads, 1, __ATOMIC_RELAXED);
    if (number >= DISCOVER_THREADS || !(recorder = recorder_make()))
        return NULL;
    recorder->is_busy = true;
    recorder->thread = number;
    page->thread[number].tid = (uint32_t)SYS_CALL(gettid, 0L);
    page->thread[number].creator = creator == UINT32_MAX ? number : creator;
    page->thread[number].start_routine = (uintptr_t)start_routine;
    page->thread[number].stack_hi = (uintptr_t)__builtin_frame_address(0);
    words_thread(recorder);
    own = recorder;
    recorder->is_busy = false;
    return recorder;
}

struct recorder *recorder_own(void)
{
    if (own || !page)
        return own;
    return page->threads < DISCOVER_THREADS ? recorder_begin(UINT32_MAX, NULL) : NULL;
}

void recorder_end(void)
{
    struct recorder *recorder = own;

    if (!recorder)
        return;
    own = NULL;
    if (!take_spare()) {
        sys_unmap(recorder, sizeof *recorder);
        return;
    }
    recorder->next = spare;
    spare = recorder;
    drop_spare();
}

/* ---- stacks ---- */

static uint32_t keep_stack(const uint64_t *frames, uint32_t count)
{
    uint32_t hash = 2166136261u;

    for (uint32_t i = 0; i < count; i++)
        hash = (hash ^ (uint32_t)(frames[i] ^ frames[i] >> 32)) * 16777619u;
    hash |= 1;
    for (uint32_t tries = 0; tries < 64; tries++) {
        uint32_t place = 1 + (hash / 2 + tries) % (DISCOVER_STACKS - 1), free_place = 0;
        struct discover_stack *stack = &page->stack[place];

        if (stack->hash == hash && stack->count == count &&
            !memcmp(stack->frames, frames, count * sizeof *frames))
            return place;
        if (!stack->hash && __atomic_compare_exchange_n(&stack->hash, &free_place, hash, false,
                                                        __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
            memcpy(stack->frames, frames, count * sizeof *frames);
            __atomic_store_n(&stack->count, count, __ATOMIC_RELEASE);
            __atomic_fetch_add(&page->stacks, 1, __ATOMIC_RELAXED);
            return place;
        }
    }
    return 0;
}

uint32_t record_site(const void *from)
{
    uint64_t frame = (uintptr_t)from;

    return from ? keep_stack(&frame, 1) : 0;
}

uint32_t record_stack(const void *from)
{
    void *frames[DISCOVER_FRAMES + 8];
    uint64_t kept[DISCOVER_FRAMES];
    uint32_t count = 0;
    int found = backtrace_plain ? backtrace_plain(frames, DISCOVER_FRAMES + 8) : 0, first = 0;

    frames_put_right(frames, found, __builtin_return_address(0));
    while (first < found && frames[first] != from)
        first++;
    for (; first < found && count < DISCOVER_FRAMES; first++)
        kept[count++] = (uintptr_t)frames[first];
    return count ? keep_stack(kept, count) : record_site(from);
}

/* ---- events ---- */

struct discover_event *record_place(const struct recorder *recorder)
{
    uint32_t place = __atomic_load_n(&page->events, __ATOMIC_RELAXED);
    struct discover_event *event;

    if (place >= DISCOVER_EVENTS ||
        (place = __atomic_fetch_add(&page->events, 1, __ATOMIC_RELAXED)) >= DISCOVER_EVENTS) {
        __atomic_fetch_add(&page->events_lost, 1, __ATOMIC_RELAXED);
        return NULL;
    }
    event = &page->event[place];
    event->thread = recorder->thread;
    return event;
}

void record_commit(struct discover_event *event, enum discover_kind kind)
{
    __atomic_store_n(&event->kind, (uint16_t)kind, __ATOMIC_RELEASE);
}

/* A place in the code that has been seen very often is not noted any more. */
static bool is_seen_enough(struct recorder *recorder, const void *from)
{
    uint32_t place = (uint32_t)(((uintptr_t)from >> 1) * 0x9e3779b97f4a7c15u >> 56);

    if (recorder->sites[place].from != from) {
        recorder->sites[place].from = from;
        recorder->sites[place].count = 0;
    }
    return ++recorder->sites[place].count > SITE_EVENTS_MAX;
}

void record_event(enum discover_kind kind, unsigned by, uint64_t object, uint64_t value,
                  const void *from)
{
    struct recorder *recorder = recorder_own();
    struct discover_event *event;
    int saved_errno = errno;

    if (!recorder || recorder->is_busy)
        return;
    recorder->is_busy = true;
    if (kind == DISCOVER_WOKEN ? recorder->was_noted : !is_seen_enough(recorder, from)) {
        uint32_t stack = record_stack(from);

        words_note(recorder);
        keys_note(recorder);
        event = record_place(recorder);
        if (event) {
            event->flags = (uint16_t)by;
            event->stack = stack;
            event->object = object;
            event->value = value;
            record_commit(event, kind);
        }
        recorder->was_noted = kind == DISCOVER_WAIT && event;
    } else {
        recorder->was_noted = false;
    }
    recorder->is_busy = false;
    errno = saved_errno;
}

/* ---- start, fork, end ---- */

/* The child goes on in a file of its own, with what is known already. */
static void in_child(void)
{
    struct discover_header *before = page, *after;
    struct recorder *recorder = own;
    int error;

    if (!before)
        return;
    page = NULL;
    own = NULL;
    after = make_file(&error);
    if (after) {
        memcpy(after, before, offsetof(struct discover_header, event));
        after->pid = (uint32_t)sys_getpid();
        after->events = after->events_lost = after->ended = 0;
        if (recorder && recorder->thread < DISCOVER_THREADS)
            after->thread[recorder->thread].tid = after->pid;
        own = recorder;
        page = after;
    }
    atomic_flag_clear(&spare_lock);
    sys_unmap(before, sizeof *before);
}

static const char *setting(const char *name)
{
    size_t len = strlen(name);

    for (char **entry = environ; entry && *entry; entry++) {
        if (!strncmp(*entry, name, len) && (*entry)[len] == '=')
            return *entry + len + 1;
    }
    return NULL;
}

/* One line, cleaned of control characters. BATON_STRICT: the program does not start. */
/* As the other library's messages: a pipe that nobody reads ends no program that itself never wrote to it, nor does a file at
 * its limit; one that is full holds it up for a moment only. LEN is at most PIPE_BUF. */
static void say(const char *text, size_t len)
{
    const uint64_t held = UINT64_C(1) << (SIGPIPE - 1) | UINT64_C(1) << (SIGXFSZ - 1);
    struct timespec limit = {.tv_nsec = 100000000L}, none = {0};
    struct pollfd poll = {.fd = STDERR_FILENO, .events = POLLOUT};
    uint64_t pending = 0, old, ours;
    long done;

    if (SYS_CALL(ppoll, &poll, 1, &limit, NULL, 0) <= 0)
        return;
    (void)SYS_CALL(rt_sigpending, &pending, sizeof pending);
    if (SYS_CALL(rt_sigprocmask, SIG_BLOCK, &held, &old, sizeof old) != 0)
        return;
    done = sys_write(STDERR_FILENO, text, len);
    ours = held & ~pending;
    if (done == -EPIPE || done == -EFBIG) {
        while (ours && SYS_CALL(rt_sigtimedwait, &ours, NULL, &none, sizeof ours) == -EINTR)
            ;
    }
    (void)SYS_CALL(rt_sigprocmask, SIG_SETMASK, &old, NULL, sizeof old);
}

static void complain(const char *value, const char *why, int error)
{
    static const char begin[] = "baton: BATON_DISCOVER=\"", middle[] = "\": cannot be written: ";
    const char *strict = setting("BATON_STRICT");
    char line[800] = "";
    size_t len;

    strcat(line, begin);
    strncat(line, value, 511);
    for (char *c = line; *c; c++) {
        if ((unsigned char)*c < ' ' || (unsigned char)*c >= 0x7f)
            *c = '?';
    }
    strcat(strcat(line, middle), why);
    if (error) {
        strcat(line, "errno ");
        write_number(line + strlen(line), (unsigned)error);
    }
    len = strlen(line);
    line[len] = '\n';
    say(line, len + 1);
    if (strict && *strict && strcmp(strict, "0") != 0 && strcmp(strict, "off") != 0)
        sys_exit(EXIT_STRICT);
}

__attribute__((constructor)) static void begin(void)
{
    const char *value = setting("BATON_DISCOVER");
    struct discover_header *made;
    int error;

    if (!value || !*value)
        return;
    if (value[0] != '/' || strlen(value) >= sizeof pattern) {
        complain(value, "expected a path from / on, of at most 511 bytes", 0);
        return;
    }
    strcpy(pattern, value);
    made = make_file(&error);
    if (!made) {
        if (error != ENOENT || !strstr(value, "/baton-discover-"))
            complain(value, "", error);
        return;
    }
    memcpy(made->magic, DISCOVER_MAGIC, sizeof made->magic);
    made->pid = (uint32_t)sys_getpid();
    open_unwinder();
    made->has_unwinder = backtrace_plain != NULL;
    page = made;
    words_begin();
    recorder_begin(UINT32_MAX, NULL);
    pthread_atfork(NULL, NULL, in_child);
    if (own && backtrace_plain) {
        /* Its first use takes long and makes a key of its own. */
        void *frames[4];

        own->is_busy = true;
        backtrace_plain(frames, 4);
        own->is_busy = false;
    }
}

__attribute__((destructor)) static void end(void)
{
    if (page)
        page->ended = 1;
}
