/*
 * The memory that traces, stacks and counts are written to: opened, named, and handed out.
 *
 * Rules: nothing that the program could be killed for: the blocks of a file are reserved before they
 * are touched (a full disk would be SIGBUS), and where there is no room the answer is "none". A trace has
 * holes where nothing is written yet.
 */
#include "observe/store_parts.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/config_parse.h"
#include "base/arch.h"
#include "base/leftover.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/outfile.h"
#include "base/sys.h"
#include "context/context.h"
#include "interpose/hooks.h"
#include "slots/slots.h"
#include "userhooks/named.h"

enum { HANDOFFS_GROW = 4096, CHUNKS_GROW = 16 }; /* that are got ready at a time */
/* Of the live page, where the system gets no more ready later. */
enum { LIVE_THREADS_RESERVED = 256, LIVE_HANDOFFS_RESERVED = 1 << 16 };

struct live_header *store_live;
struct handoff *store_handoffs;
bool store_has_ticks;

static size_t trace_size, live_size;
static _Atomic size_t chunks_ready; /* may be touched */
static bool live_is_file;
/* Of the page, what there may be, and whether each is got ready before it is touched: a full disk would be SIGBUS. */
static uint32_t threads_most = LIVE_THREADS, handoffs_most = LIVE_HANDOFFS;
static bool live_grows;
static struct lock room_lock;

/* ---- the clock ---- */

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now = clock_read(clock);

    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t store_ticks_slow(void)
{
    return store_has_ticks ? arch_ticks() : clock_ns(CLOCK_MONOTONIC);
}

struct trace_anchor store_anchor(void)
{
    struct trace_anchor anchor = {.ns = clock_ns(CLOCK_MONOTONIC)};

    anchor.ticks = store_has_ticks ? arch_ticks() : anchor.ns;
    return anchor;
}

/* ---- the files ---- */

/* They are known by their order: where one does not fit, none of those behind it has a name. */
static size_t add_name(char *names, size_t used, const char *name, size_t len)
{
    if (used + len + 1 > TRACE_NAMES)
        return TRACE_NAMES;
    memcpy(names + used, name, len);
    names[used + len] = '\0';
    return used + len + 1;
}

static void write_names(struct trace_header *header)
{
    char *names = (char *)header + header->names_at, program[1024];
    struct trace_names *counts = (struct trace_names *)(void *)names;
    size_t used = sizeof *counts;

    *counts = (struct trace_names){FAMILY_COUNT, HOOK_COUNT + named_count, slots_count, 0};
    store_name_program(program, sizeof program);
    used = add_name(names, used, program, strlen(program));
    for (unsigned i = 0; i < FAMILY_COUNT; i++)
        used =
            add_name(names, used, family_name((enum family)i), strlen(family_name((enum family)i)));
    for (unsigned i = 0; i < HOOK_COUNT; i++)
        used =
            add_name(names, used, hooks_name((enum hook_id)i), strlen(hooks_name((enum hook_id)i)));
    for (unsigned i = 0; i < named_count; i++) {
        const char *item = named_hooks[i].spec.item;
        size_t len = strcspn(item, "("), most = TRACE_NAMES / 2 / named_count - 1;

        used = add_name(names, used, item, len < most ? len : most);
    }
    for (unsigned i = 0; i < slots_count; i++)
        used = add_name(names, used, slots[i].item, strlen(slots[i].item));
    header->names_used = (uint32_t)used;
}

static void say_no_room(const char *file, size_t size, int error)
{
    log_msg(LOG_LEVEL_ERROR,
            "BATON_TRACE=\"%s\": no room for %u MiB (BATON_TRACE_MIB): %s (errno %d)", file,
            (unsigned)(size >> 20), config_errno_text(error), error);
}

static bool open_trace_map(const char *file, unsigned megabytes)
{
    size_t fixed = TRACE_HEADER + TRACE_NAMES + TRACE_MODULES * sizeof(struct trace_module) +
                   TRACE_STACK_WORDS * sizeof(uint64_t) + TRACE_NODES * sizeof(struct trace_node);
    size_t chunks = file ? ((size_t)(megabytes ? megabytes : 1) << 20) / TRACE_CHUNK : 0;
    size_t tables = TRACE_HEADER + TRACE_NAMES + TRACE_MODULES * sizeof(struct trace_module);
    struct trace_header *header;
    bool is_reserved = true;
    char path[4096];
    int fd = -1, error = 0;

    fixed = (fixed + TRACE_CHUNK - 1) & ~(size_t)(TRACE_CHUNK - 1);
    trace_size = fixed + chunks * TRACE_CHUNK;
    if (file) {
        if (!outfile_fits("BATON_TRACE", file, "trace", trace_size))
            return false;
        fd = store_open_trace(file, path, sizeof path);
        if (fd < 0) {
            outfile_complain("BATON_TRACE", file, -fd);
            return false;
        }
        error = (int)-SYS_CALL(ftruncate, fd, 0L);
        if (!error)
            error = (int)-SYS_CALL(ftruncate, fd, (long)trace_size);
        if (!error)
            error = outfile_reserve(fd, 0, TRACE_HEADER);
        if (error) {
            say_no_room(file, trace_size, error);
            (void)SYS_CALL(ftruncate, fd, 0L);
            sys_close(fd);
            return false;
        }
    }
    header = store_map(fd, trace_size);
    if (!header && file)
        say_no_room(file, trace_size, ENOMEM);
    if (header && file)
        store_want_large_pages(header, trace_size);
    store_open_tables();
    atomic_store(&chunks_ready, SIZE_MAX);
    if (header && file && store_populate(header, tables)) {
        is_reserved = false;
        atomic_store(&chunks_ready, 0);
    } else if (header && file && (error = outfile_reserve(fd, 0, trace_size)) != 0) {
        say_no_room(file, trace_size, error);
        (void)SYS_CALL(munmap, header, (long)trace_size);
        header = NULL;
    }
    if (fd >= 0)
        sys_close(fd);
    if (!header)
        return false;
    header->version = TRACE_VERSION;
    header->header_size = TRACE_HEADER;
    header->pid = (uint32_t)SYS_CALL(getpid, 0);
    header->clock = store_has_ticks ? TRACE_CLOCK_TICKS : TRACE_CLOCK_NS;
    header->first = store_anchor();
    header->real_ns = clock_ns(CLOCK_REALTIME);
    header->names_at = TRACE_HEADER;
    header->modules_at = header->names_at + TRACE_NAMES;
    header->stacks_at = header->modules_at + TRACE_MODULES * sizeof(struct trace_module);
    header->nodes_at = header->stacks_at + TRACE_STACK_WORDS * sizeof(uint64_t);
    header->chunks_at = fixed;
    if (!is_reserved && !store_begin_tables(header)) {
        (void)SYS_CALL(munmap, header, (long)trace_size);
        return false;
    }
    header->chunk_count = (uint32_t)chunks;
    atomic_store(&header->stack_words_used, 1);
    atomic_store(&header->nodes_used, 1);
    write_names(header);
    memcpy(header->magic, TRACE_MAGIC, 8);
    __atomic_store_n(&store_trace, header, __ATOMIC_RELEASE);
    return true;
}

static void live_path(char *path, size_t size)
{
    fmt_buf(path, size, "/dev/shm/baton-%d.live", (int)SYS_CALL(getpid, 0));
}

static struct live_header *map_live_file(size_t handoffs_at)
{
    static const struct leftover_kind kind = {LIVE_PAGE_MAGIC, offsetof(struct live_header, pid),
                                              offsetof(struct live_header, pid_namespace)};
    static bool is_clean;
    struct live_header *header = NULL;
    char path[64];
    long error;
    int fd;

    if (!is_clean) /* not by each child */
        leftover_remove("/dev/shm", "baton-", &kind, 0);
    is_clean = true;
    live_path(path, sizeof path);
    (void)SYS_CALL(unlinkat, AT_FDCWD, path, 0); /* of an earlier process of this number */
    fd = sys_open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    error = fd < 0 ? fd : SYS_CALL(ftruncate, fd, (long)live_size);
    if (error == 0 && !(header = store_map(fd, live_size)))
        error = -ENOMEM;
    live_grows = header && store_populate(header, LIVE_HEADER);
    if (header && !live_grows) { /* Linux before 5.14: all that there will be, at once */
        threads_most = LIVE_THREADS_RESERVED;
        handoffs_most = LIVE_HANDOFFS_RESERVED;
        error = -outfile_reserve(fd, 0, LIVE_HEADER + (size_t)threads_most * LIVE_THREAD_SIZE);
        if (!error)
            error = -outfile_reserve(fd, handoffs_at, handoffs_most * sizeof(struct handoff));
        if (error) {
            sys_unmap(header, live_size);
            header = NULL;
        }
    }
    if (fd >= 0)
        sys_close(fd);
    if (header)
        return header;
    log_msg(LOG_LEVEL_ERROR, "BATON_LIVE: %s cannot be written: %s (errno %d)", path,
            config_errno_text((int)-error), (int)-error);
    if (fd >= 0)
        (void)SYS_CALL(unlinkat, AT_FDCWD, path, 0);
    return NULL;
}

static bool open_live_map(bool is_live)
{
    size_t handoffs_at = LIVE_HEADER + (size_t)LIVE_THREADS * LIVE_THREAD_SIZE;
    struct live_header *header;
    struct trace_anchor anchor = store_anchor();

    live_size = handoffs_at + (size_t)LIVE_HANDOFFS * sizeof(struct handoff);
    threads_most = LIVE_THREADS;
    handoffs_most = LIVE_HANDOFFS;
    live_grows = false;
    if (is_live && !outfile_fits("BATON_LIVE", "on", "page for baton top", live_size))
        is_live = false;
    header = is_live ? map_live_file(handoffs_at) : NULL;
    live_is_file = header != NULL;
    if (!header) {
        threads_most = LIVE_THREADS;
        handoffs_most = LIVE_HANDOFFS;
        header = store_map(-1, live_size);
    }
    if (!header)
        return false;
    header->version = 1;
    header->pid = (uint32_t)SYS_CALL(getpid, 0);
    header->first_ticks = anchor.ticks;
    header->first_ns = anchor.ns;
    header->real_ns = clock_ns(CLOCK_REALTIME);
    header->clock = store_has_ticks ? TRACE_CLOCK_TICKS : TRACE_CLOCK_NS;
    header->is_alive = 1;
    header->pid_namespace = live_is_file ? leftover_namespace() : 0;
    header->threads_at = LIVE_HEADER;
    header->handoffs_at = handoffs_at;
    header->family_count = FAMILY_COUNT;
    store_name_program(header->program, sizeof header->program);
    for (unsigned i = 0; i < FAMILY_COUNT && i < LIVE_FAMILIES; i++)
        fmt_buf(header->families[i], sizeof header->families[i], "%s", family_name((enum family)i));
    memcpy(header->magic, LIVE_PAGE_MAGIC, 8);
    store_handoffs = (struct handoff *)(void *)((char *)header + handoffs_at);
    __atomic_store_n(&store_live, header, __ATOMIC_RELEASE);
    return true;
}

bool store_open(const char *file, unsigned megabytes, bool is_live)
{
    if (!store_make_tables())
        return false;
    return (open_trace_map(file, megabytes) || (file && open_trace_map(NULL, 0))) &&
           open_live_map(is_live);
}

void store_forget(void)
{
    live_is_file = false;
    store_trace = NULL;
    store_live = NULL;
    store_handoffs = NULL;
    store_forget_tables();
}

void store_close(void)
{
    char path[64];

    if (!store_live)
        return;
    store_live->is_alive = 0;
    store_trace->last = store_anchor();
    if (live_is_file) {
        live_path(path, sizeof path);
        (void)SYS_CALL(unlinkat, AT_FDCWD, path, 0);
    }
}

/* ---- room ---- */

static bool get_chunk_ready(uint32_t chunk)
{
    size_t ready;

    if (chunk < atomic_load_explicit(&chunks_ready, memory_order_acquire))
        return true;
    lock_take(&room_lock);
    ready = atomic_load(&chunks_ready);
    while (ready <= chunk) {
        size_t more = store_trace->chunk_count - ready < CHUNKS_GROW
                          ? store_trace->chunk_count - ready
                          : CHUNKS_GROW;

        if (!store_populate((char *)store_trace + store_trace->chunks_at + ready * TRACE_CHUNK,
                            more * TRACE_CHUNK))
            break;
        ready += more;
        atomic_store_explicit(&chunks_ready, ready, memory_order_release);
    }
    lock_drop(&room_lock);
    return chunk < ready;
}

struct trace_chunk *store_chunk(void)
{
    uint32_t chunk;

    if (atomic_load_explicit(&store_trace->chunks_used, memory_order_relaxed) >=
        store_trace->chunk_count)
        return NULL;
    chunk = atomic_fetch_add(&store_trace->chunks_used, 1);
    if (chunk >= store_trace->chunk_count || !get_chunk_ready(chunk))
        return NULL;
    return (struct trace_chunk *)(void *)((char *)store_trace + store_trace->chunks_at +
                                          (size_t)chunk * TRACE_CHUNK);
}

uint32_t store_reserve_handoffs(uint32_t count)
{
    static uint32_t reserved;
    uint32_t first;

    lock_take(&room_lock);
    first = atomic_load(&store_live->handoffs_used);
    if (first == 0)
        reserved = 0;
    if (first + count > handoffs_most) {
        first = UINT32_MAX;
    } else if (live_grows && first + count > reserved) {
        if (store_populate(store_handoffs + reserved, HANDOFFS_GROW * sizeof(struct handoff)))
            reserved += HANDOFFS_GROW;
        else
            first = UINT32_MAX;
    }
    if (first != UINT32_MAX)
        atomic_store(&store_live->handoffs_used, first + count);
    lock_drop(&room_lock);
    return first;
}

struct live_thread *store_thread(void)
{
    uint32_t number = atomic_load(&store_live->threads_used);
    size_t at;

    do {
        if (number >= threads_most)
            return NULL;
    } while (!atomic_compare_exchange_weak(&store_live->threads_used, &number, number + 1));
    at = store_live->threads_at + (size_t)number * LIVE_THREAD_SIZE;
    if (live_grows && !store_populate((char *)store_live + at, LIVE_THREAD_SIZE))
        return NULL;
    return (struct live_thread *)(void *)((char *)store_live + at);
}

void store_fork_lock(void)
{
    lock_take_for_fork(&room_lock);
    store_tables_fork_lock();
}

void store_fork_unlock(void)
{
    store_tables_fork_unlock();
    lock_drop_after_fork(&room_lock);
}
