/*
 * The memory that traces, stacks and counts are written to.
 *
 * Rules: nothing that the program could be killed for: the blocks of a file are reserved before they
 * are touched (a full disk would be SIGBUS), and where there is no room the answer is "none". A trace has
 * holes where nothing is written yet. The tables only grow, so readers, in this process and outside of
 * it, need no lock; a thread that adds takes one.
 */
#include "observe/store.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/arch.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/outfile.h"
#include "base/sys.h"
#include "context/context.h"
#include "elf/elf.h"
#include "interpose/hooks.h"
#include "slots/slots.h"

enum { INDEX = 1 << 16, FRAMES_MAX = 256, GROW = 4096, PAGE = 4096 };
/* How much more of a trace is got ready at a time: bytes of a table, chunks. */
enum { TABLE_GROW = 65536, CHUNKS_GROW = 16 };
enum { MADVISE_POPULATE_WRITE = 23 }; /* newer than glibc's headers may be */

struct trace_header *store_trace;
struct live_header *store_live;
struct handoff *store_handoffs;
bool store_has_ticks;

static size_t trace_size, live_size;
/* Ends of what may be touched of a trace's parts; 0: all of it. */
static size_t stacks_ready, nodes_ready;
static _Atomic size_t chunks_ready;
static int live_fd = -1;
static struct lock tables_lock;
/* By hash, open addressing: words of stacks, numbers of nodes; 0: free. */
static _Atomic uint32_t *stack_index, *node_index;

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

static void *map_shared(int fd, size_t size)
{
    long flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE : MAP_SHARED;
    long result = SYS_CALL(mmap, NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0L);

    return result < 0 && result > -4096 ? NULL : (void *)result;
}

/* Blocks for SIZE bytes from `at`; where the file system cannot reserve, zeroes are written. */
static bool reserve(int fd, size_t at, size_t size)
{
    static const char zeroes[4096];
    long result = SYS_CALL(fallocate, fd, 0, (long)at, (long)size);

    if (result != -EOPNOTSUPP)
        return result == 0;
    for (size_t done = 0; done < size; done += sizeof zeroes) {
        if (SYS_CALL(pwrite64, fd, zeroes, sizeof zeroes, (long)(at + done)) != (long)sizeof zeroes)
            return false;
    }
    return true;
}

/* The same for what is mapped, with no file open any more (Linux 5.14). */
static bool populate(void *start, size_t size)
{
    uintptr_t first = (uintptr_t)start & ~(uintptr_t)(PAGE - 1);
    uintptr_t end = ((uintptr_t)start + size + PAGE - 1) & ~(uintptr_t)(PAGE - 1);
    long result;

    do
        result = SYS_CALL(madvise, first, (long)(end - first), MADVISE_POPULATE_WRITE);
    while (result == -EINTR || result == -EAGAIN);
    return result == 0;
}

/* Of a table at `table` of `size` bytes: up to `end` it may be touched. */
static bool get_ready(size_t *ready, uint64_t table, size_t end, size_t size)
{
    size_t more = *ready + TABLE_GROW < size ? TABLE_GROW : size - *ready;

    if (!*ready || end <= *ready)
        return true;
    if (!populate((char *)store_trace + table + *ready, more))
        return false;
    *ready += more;
    return end <= *ready;
}

/* %p is the process. A file that a living process writes to is its: then the name gets our number. */
static int open_trace(const char *pattern, char *path, size_t size)
{
    struct trace_header header;
    size_t len = 0;
    bool has_pid = false;
    int pid = (int)SYS_CALL(getpid, 0), fd;

    for (const char *c = pattern; *c && len < size - 32; c++) {
        if (c[0] == '%' && c[1] == 'p') {
            len += (size_t)fmt_buf(path + len, size - len, "%d", pid);
            has_pid = true;
            c++;
        } else {
            path[len++] = *c;
        }
    }
    path[len] = '\0';
    fd = sys_open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (fd >= 0 && !has_pid && sys_pread(fd, &header, sizeof header, 0) == (long)sizeof header &&
        !memcmp(header.magic, TRACE_MAGIC, 8) && (int)header.pid != pid &&
        SYS_CALL(kill, (int)header.pid, 0) != -ESRCH) {
        sys_close(fd);
        fmt_buf(path + len, size - len, ".%d", pid);
        fd = sys_open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0600);
    }
    if (fd >= 0 &&
        (sys_file_size(fd) < 0 || outfile_check(fd))) { /* a pipe, a file with other names */
        sys_close(fd);
        return -EINVAL;
    }
    return fd;
}

static size_t add_name(char *names, size_t used, const char *name, size_t len)
{
    if (used + len + 1 > TRACE_NAMES)
        return used;
    memcpy(names + used, name, len);
    names[used + len] = '\0';
    return used + len + 1;
}

static void program_name(char *name, size_t size)
{
    long len = sys_readlink("/proc/self/exe", name, size - 1);

    name[len > 0 ? len : 0] = '\0';
}

static void write_names(struct trace_header *header)
{
    char *names = (char *)header + header->names_at, program[1024];
    struct trace_names *counts = (struct trace_names *)(void *)names;
    size_t used = sizeof *counts;

    *counts = (struct trace_names){FAMILY_COUNT, HOOK_COUNT, slots_count, 0};
    program_name(program, sizeof program);
    used = add_name(names, used, program, strlen(program));
    for (unsigned i = 0; i < FAMILY_COUNT; i++)
        used =
            add_name(names, used, family_name((enum family)i), strlen(family_name((enum family)i)));
    for (unsigned i = 0; i < HOOK_COUNT; i++)
        used =
            add_name(names, used, hooks_name((enum hook_id)i), strlen(hooks_name((enum hook_id)i)));
    for (unsigned i = 0; i < slots_count; i++)
        used = add_name(names, used, slots[i].item, strlen(slots[i].item));
    header->names_used = (uint32_t)used;
}

static bool open_trace_map(const char *file, unsigned megabytes)
{
    size_t fixed = TRACE_HEADER + TRACE_NAMES + TRACE_MODULES * sizeof(struct trace_module) +
                   TRACE_STACK_WORDS * sizeof(uint64_t) + TRACE_NODES * sizeof(struct trace_node);
    size_t chunks = file ? ((size_t)(megabytes ? megabytes : 1) << 20) / TRACE_CHUNK : 0;
    size_t tables = TRACE_HEADER + TRACE_NAMES + TRACE_MODULES * sizeof(struct trace_module);
    struct trace_header *header;
    char path[4096];
    int fd = -1;

    fixed = (fixed + TRACE_CHUNK - 1) & ~(size_t)(TRACE_CHUNK - 1);
    trace_size = fixed + chunks * TRACE_CHUNK;
    if (file) {
        fd = open_trace(file, path, sizeof path);
        if (fd < 0) {
            log_msg(LOG_LEVEL_ERROR, "BATON_TRACE=\"%s\": cannot be opened for writing", file);
            return false;
        }
        if (SYS_CALL(ftruncate, fd, 0L) < 0 || SYS_CALL(ftruncate, fd, (long)trace_size) < 0 ||
            !reserve(fd, 0, TRACE_HEADER)) {
            log_msg(LOG_LEVEL_ERROR, "BATON_TRACE=\"%s\": no room for %u MiB (BATON_TRACE_MIB)",
                    file, (unsigned)(trace_size >> 20));
            (void)SYS_CALL(ftruncate, fd, 0L);
            sys_close(fd);
            return false;
        }
    }
    header = map_shared(fd, trace_size);
    stacks_ready = nodes_ready = 0;
    atomic_store(&chunks_ready, SIZE_MAX);
    if (header && file && populate(header, tables)) {
        stacks_ready = nodes_ready = TABLE_GROW;
        atomic_store(&chunks_ready, 0);
    } else if (header && file && !reserve(fd, 0, trace_size)) {
        log_msg(LOG_LEVEL_ERROR, "BATON_TRACE=\"%s\": no room for %u MiB (BATON_TRACE_MIB)", file,
                (unsigned)(trace_size >> 20));
        (void)SYS_CALL(munmap, header, (long)trace_size);
        header = NULL;
    }
    if (fd >= 0)
        sys_close(fd);
    if (!header)
        return false;
    header->version = 1;
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
    if (stacks_ready && !(populate((char *)header + header->stacks_at, TABLE_GROW) &&
                          populate((char *)header + header->nodes_at, TABLE_GROW))) {
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

static bool open_live_map(bool is_live)
{
    size_t handoffs_at = LIVE_HEADER + (size_t)LIVE_THREADS * LIVE_THREAD_SIZE;
    struct live_header *header;
    struct trace_anchor anchor = store_anchor();
    char path[64];

    live_size = handoffs_at + (size_t)LIVE_HANDOFFS * sizeof(struct handoff);
    if (is_live) {
        live_path(path, sizeof path);
        (void)SYS_CALL(unlinkat, AT_FDCWD, path, 0); /* of an earlier process of this number */
        live_fd = sys_open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
        if (live_fd < 0 || SYS_CALL(ftruncate, live_fd, (long)live_size) < 0 ||
            !reserve(live_fd, 0, LIVE_HEADER)) {
            log_msg(LOG_LEVEL_ERROR, "BATON_LIVE: %s cannot be written", path);
            if (live_fd >= 0)
                sys_close(live_fd);
            live_fd = -1;
        }
    }
    header = map_shared(live_fd, live_size);
    if (!header)
        return false;
    header->version = 1;
    header->pid = (uint32_t)SYS_CALL(getpid, 0);
    header->first_ticks = anchor.ticks;
    header->first_ns = anchor.ns;
    header->real_ns = clock_ns(CLOCK_REALTIME);
    header->clock = store_has_ticks ? TRACE_CLOCK_TICKS : TRACE_CLOCK_NS;
    header->is_alive = 1;
    header->threads_at = LIVE_HEADER;
    header->handoffs_at = handoffs_at;
    header->family_count = FAMILY_COUNT;
    program_name(header->program, sizeof header->program);
    for (unsigned i = 0; i < FAMILY_COUNT && i < LIVE_FAMILIES; i++)
        fmt_buf(header->families[i], sizeof header->families[i], "%s", family_name((enum family)i));
    memcpy(header->magic, LIVE_PAGE_MAGIC, 8);
    store_handoffs = (struct handoff *)(void *)((char *)header + handoffs_at);
    __atomic_store_n(&store_live, header, __ATOMIC_RELEASE);
    return true;
}

bool store_open(const char *file, unsigned megabytes, bool is_live)
{
    store_has_ticks = arch_has_ticks();
    if (!stack_index)
        stack_index = mem_map(2 * INDEX * sizeof *stack_index);
    if (!stack_index)
        return false;
    node_index = stack_index + INDEX;
    return (open_trace_map(file, megabytes) || (file && open_trace_map(NULL, 0))) &&
           open_live_map(is_live);
}

void store_forget(void)
{
    if (live_fd >= 0)
        sys_close(live_fd);
    live_fd = -1;
    store_trace = NULL;
    store_live = NULL;
    store_handoffs = NULL;
    if (stack_index)
        memset((void *)stack_index, 0, 2 * INDEX * sizeof *stack_index);
}

void store_close(void)
{
    char path[64];

    if (!store_live)
        return;
    store_live->is_alive = 0;
    if (live_fd >= 0) {
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
    lock_take(&tables_lock);
    ready = atomic_load(&chunks_ready);
    while (ready <= chunk) {
        size_t more = store_trace->chunk_count - ready < CHUNKS_GROW
                          ? store_trace->chunk_count - ready
                          : CHUNKS_GROW;

        if (!populate((char *)store_trace + store_trace->chunks_at + ready * TRACE_CHUNK,
                      more * TRACE_CHUNK))
            break;
        ready += more;
        atomic_store_explicit(&chunks_ready, ready, memory_order_release);
    }
    lock_drop(&tables_lock);
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

    lock_take(&tables_lock);
    first = atomic_load(&store_live->handoffs_used);
    if (first == 0)
        reserved = 0;
    if (first + count > LIVE_HANDOFFS) {
        first = UINT32_MAX;
    } else if (live_fd >= 0 && first + count > reserved) {
        if (reserve(live_fd, store_live->handoffs_at + reserved * sizeof(struct handoff),
                    GROW * sizeof(struct handoff)))
            reserved += GROW;
        else
            first = UINT32_MAX;
    }
    if (first != UINT32_MAX)
        atomic_store(&store_live->handoffs_used, first + count);
    lock_drop(&tables_lock);
    return first;
}

struct live_thread *store_thread(void)
{
    uint32_t number = atomic_load(&store_live->threads_used);
    size_t at;

    do {
        if (number >= LIVE_THREADS)
            return NULL;
    } while (!atomic_compare_exchange_weak(&store_live->threads_used, &number, number + 1));
    at = store_live->threads_at + (size_t)number * LIVE_THREAD_SIZE;
    if (live_fd >= 0 && !reserve(live_fd, at, LIVE_THREAD_SIZE))
        return NULL;
    return (struct live_thread *)(void *)((char *)store_live + at);
}

/* ---- stacks and nodes ---- */

static void note_module(uint64_t address)
{
    struct trace_module *modules =
        (struct trace_module *)(void *)((char *)store_trace + store_trace->modules_at);
    uint32_t count = atomic_load(&store_trace->modules_used);
    struct elf_module module;
    const uint8_t *id;
    size_t len = 0;

    for (uint32_t i = 0; i < count; i++) {
        if (address >= modules[i].lo && address < modules[i].hi)
            return;
    }
    if (count >= TRACE_MODULES || !elf_module_at((const void *)(uintptr_t)address, &module))
        return;
    id = elf_module_build_id(&module, &len);
    modules[count].lo = module.lo;
    modules[count].hi = module.hi;
    modules[count].base = module.base;
    modules[count].build_id_len = (uint32_t)(id && len <= 20 ? len : 0);
    memcpy(modules[count].build_id, id ? id : (const uint8_t *)"", modules[count].build_id_len);
    if (module.is_main)
        program_name(modules[count].path, sizeof modules[count].path);
    else
        fmt_buf(modules[count].path, sizeof modules[count].path, "%s", module.path);
    atomic_store(&store_trace->modules_used, count + 1);
}

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 29;
}

static bool is_stack(uint32_t at, const void *const *frames, unsigned count)
{
    const uint64_t *words = store_stack_words() + at;

    return words[0] == count && !memcmp(words + 1, frames, count * sizeof *words);
}

uint32_t store_stack(const void *const *frames, unsigned count)
{
    uint64_t hash = count, *words;
    uint32_t at, place, used;

    if (count > FRAMES_MAX)
        count = FRAMES_MAX;
    for (unsigned i = 0; i < count; i++)
        hash = mix(hash, (uintptr_t)frames[i]);
    place = (uint32_t)(hash >> 32) % INDEX;
    while ((at = atomic_load_explicit(&stack_index[place], memory_order_acquire))) {
        if (is_stack(at, frames, count))
            return at;
        place = (place + 1) % INDEX;
    }
    lock_take(&tables_lock);
    while ((at = atomic_load(&stack_index[place])) && !is_stack(at, frames, count))
        place = (place + 1) % INDEX;
    used = atomic_load(&store_trace->stack_words_used);
    if (!at && used + count + 1 <= TRACE_STACK_WORDS && used < INDEX / 4 * 3 * 2 &&
        get_ready(&stacks_ready, store_trace->stacks_at, (used + count + 1) * sizeof *words,
                  TRACE_STACK_WORDS * sizeof *words)) {
        words = (uint64_t *)(uintptr_t)(store_stack_words() + used);
        words[0] = count;
        for (unsigned i = 0; i < count; i++) {
            words[1 + i] = (uintptr_t)frames[i];
            note_module(words[1 + i]);
        }
        atomic_store(&store_trace->stack_words_used, used + count + 1);
        atomic_store_explicit(&stack_index[place], used, memory_order_release);
        at = used;
    }
    lock_drop(&tables_lock);
    return at;
}

/* A chain that comes back to where it was (a task that submits itself) is the node that it was. */
static uint32_t node_before(uint32_t parent, uint32_t stack)
{
    const struct trace_node *nodes = store_nodes();

    for (unsigned steps = 0; parent && steps < 64; steps++) {
        if (nodes[parent].stack == stack)
            return parent;
        parent = nodes[parent].parent;
    }
    return 0;
}

uint32_t store_node(uint32_t parent, uint32_t stack)
{
    struct trace_node *nodes = (struct trace_node *)(uintptr_t)store_nodes();
    uint64_t key = (uint64_t)parent << 32 | stack;
    uint32_t place = (uint32_t)(mix(0, key) >> 32) % INDEX, at, used;

    while ((at = atomic_load_explicit(&node_index[place], memory_order_acquire))) {
        if (nodes[at].parent == parent && nodes[at].stack == stack)
            return at;
        place = (place + 1) % INDEX;
    }
    if ((at = node_before(parent, stack)))
        return at;
    lock_take(&tables_lock);
    while ((at = atomic_load(&node_index[place])) &&
           (nodes[at].parent != parent || nodes[at].stack != stack))
        place = (place + 1) % INDEX;
    used = atomic_load(&store_trace->nodes_used);
    if (!at && used < TRACE_NODES &&
        get_ready(&nodes_ready, store_trace->nodes_at, (used + 1) * sizeof *nodes,
                  TRACE_NODES * sizeof *nodes)) {
        nodes[used] = (struct trace_node){parent, stack};
        atomic_store(&store_trace->nodes_used, used + 1);
        atomic_store_explicit(&node_index[place], used, memory_order_release);
        at = used;
    }
    lock_drop(&tables_lock);
    return at;
}

void store_fork_lock(void)
{
    lock_take_for_fork(&tables_lock);
}

void store_fork_unlock(void)
{
    lock_drop_after_fork(&tables_lock);
}
