/*
 * The live report's file. Promise: with no BATON_REPORT nothing of this runs; with it, a process that
 * cannot have the file goes on without. The rules of outfile.c hold: no link is followed, no file of
 * another's is taken, and the descriptor is closed at once, because the program may close them all.
 */
#include "base/live.h"

#include <string.h>

#include "base/leftover.h"
#include "base/log.h"
#include "base/outfile.h"
#include "base/sandbox.h"
#include "base/sys.h"

enum { PATH_SIZE = 4096, CHILD_PAGES = 16 };

bool live_is_on;

static char file[PATH_SIZE];    /* without ".PID.live" */
static struct live_head *head;  /* mapped; NULL: none */
static struct live_head layout; /* what every file of this process begins with */
static size_t mapped;           /* the whole file */
static size_t held;             /* of it, what is still mapped at `head` */

static size_t page_size(void)
{
    return layout.page_size;
}

static void name_file(char *path, size_t n)
{
    fmt_buf(path, n, "%s.%d" LIVE_SUFFIX, file, (int)SYS_CALL(getpid, 0));
}

/* Field 22 of /proc/self/stat, behind the program's name, which may have anything in it. */
static uint64_t start_time(void)
{
    char text[1024];
    int fd = sys_open("/proc/self/stat", O_RDONLY, 0);
    long len = fd < 0 ? 0 : sys_read(fd, text, sizeof text - 1);
    const char *at;
    uint64_t value = 0;

    if (fd >= 0)
        sys_close(fd);
    text[len > 0 ? len : 0] = '\0';
    at = strrchr(text, ')');
    for (unsigned field = 2; at && field < 22; field++)
        at = strchr(at + 1, ' ');
    for (at = at ? at + 1 : ""; *at >= '0' && *at <= '9'; at++)
        value = value * 10 + (uint64_t)(*at - '0');
    return value;
}

/* With room for the first COUNT of its pages. */
static struct live_head *map_file(uint32_t count)
{
    char path[PATH_SIZE + 32];
    long result = -1;
    int fd;

    name_file(path, sizeof path);
    (void)SYS_CALL(unlinkat, AT_FDCWD, path, 0); /* of a process that had our number */
    if (!outfile_fits("BATON_REPORT", file, "live report", mapped))
        return NULL;
    fd = sys_open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    if (fd < 0)
        return NULL;
    if (SYS_CALL(ftruncate, fd, mapped) == 0 &&
        outfile_reserve(fd, 0, layout.pages_at + count * page_size()) == 0)
        result = SYS_CALL(mmap, NULL, mapped, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0L);
    sys_close(fd);
    if (result < 0 && result > -4096) {
        (void)SYS_CALL(unlinkat, AT_FDCWD, path, 0);
        return NULL;
    }
    held = mapped;
    memcpy((void *)result, &layout, sizeof layout);
    ((struct live_head *)result)->pid = (int)SYS_CALL(getpid, 0);
    ((struct live_head *)result)->start = start_time();
    ((struct live_head *)result)->pid_namespace = leftover_namespace();
    return (struct live_head *)result;
}

/* Each is of 700 kB, and a server that is killed by whoever restarts it would leave one a time. */
static void remove_old(void)
{
    static const struct leftover_kind kind = {LIVE_MAGIC, offsetof(struct live_head, pid),
                                              offsetof(struct live_head, pid_namespace)};
    char folder[PATH_SIZE], prefix[PATH_SIZE];
    const char *base = strrchr(file, '/') + 1;

    fmt_buf(folder, sizeof folder, "%.*s", (int)(base - file), file);
    fmt_buf(prefix, sizeof prefix, "%s.", base);
    leftover_remove(folder, prefix, &kind, LEFTOVER_KEPT);
}

void live_begin(const char *target, const struct live_head *wanted)
{
    static const char *const no_files[] = {"stdout", "stderr", "/dev/", "/proc/"};
    size_t len = 0;

    for (size_t i = 0; i < sizeof no_files / sizeof *no_files; i++) {
        if (!strncmp(target, no_files[i], strlen(no_files[i])))
            return;
    }
    /* The program may change its folder. */
    if (target[0] != '/') {
        if (SYS_CALL(getcwd, file, sizeof file / 2) < 0)
            return;
        len = strlen(file);
        file[len++] = '/';
    }
    if (!outfile_path(target, file + len, sizeof file - len))
        return;
    layout = *wanted;
    memcpy(layout.magic, LIVE_MAGIC, sizeof layout.magic);
    layout.pages_at = LIVE_HEAD + 2 * LIVE_TEXT;
    mapped = layout.pages_at + (size_t)LIVE_PAGES * page_size();
    remove_old();
    if (outfile_is_no_file(file)) /* nothing would take it up at the end */
        return;
    head = map_file(LIVE_PAGES);
    live_is_on = head != NULL;
}

static char *page_of(const struct live_head *of, uint32_t index)
{
    return (char *)of + of->pages_at + (size_t)index * page_size();
}

/* Page INDEX of the file, where it belongs: mremap needs no descriptor. */
static bool put_page(const struct live_head *from, uint32_t index, void *where)
{
    return SYS_CALL(mremap, page_of(from, index), page_size(), page_size(),
                    MREMAP_MAYMOVE | MREMAP_FIXED, where) == (long)where;
}

/*
 * Where pages were moved away from, anybody may have mapped something since: it must not be unmapped with what
 * is left. So what is left is unmapped at once, and only what is in front of all pages stays.
 */
static void drop_pages(uint32_t index)
{
    if (index < LIVE_PAGES)
        sys_unmap(page_of(head, index), mapped - layout.pages_at - (size_t)index * page_size());
    held = layout.pages_at;
}

/* What live_block gives, one after the other: pages of the file from `first_page` on. */
static char *blocks;
static size_t block_size; /* what lies in front, and the page behind */
static uint32_t blocks_count, first_page;
static atomic_uint blocks_taken;

static void prepare(size_t before, uint32_t first, uint32_t count)
{
    size_t size = (before + page_size() - 1) & ~(page_size() - 1);
    char *memory;
    uint32_t i;

    block_size = size + page_size();
    blocks_count = 0;
    if (held != mapped) /* they have been given away already */
        return;
    memory = sys_map(count * block_size, -1);
    for (i = 0; memory && i < count && put_page(head, first + i, memory + i * block_size + size);
         i++)
        ;
    drop_pages(first + i);
    if (!memory)
        return;
    blocks = memory;
    first_page = first;
    atomic_store(&blocks_taken, 0);
    blocks_count = i;
}

void live_prepare(size_t before)
{
    if (head && !blocks)
        prepare(before, 0, LIVE_PAGES);
}

void *live_block(size_t before)
{
    uint32_t index, pages;

    if (!head || before > block_size - page_size() || atomic_load(&blocks_taken) >= blocks_count)
        return NULL;
    index = atomic_fetch_add(&blocks_taken, 1);
    if (index >= blocks_count)
        return NULL;
    pages = atomic_load(&head->pages);
    while (pages < first_page + index + 1 &&
           !atomic_compare_exchange_weak(&head->pages, &pages, first_page + index + 1))
        ;
    return blocks + (size_t)(index + 1) * block_size - page_size();
}

void live_tell(const char *text, size_t len)
{
    uint32_t other;

    if (!head || len > LIVE_TEXT)
        return;
    other = !atomic_load(&head->text);
    memcpy((char *)head + LIVE_HEAD + other * LIVE_TEXT, text, len);
    head->text_len[other] = (uint32_t)len;
    atomic_store(&head->text, other);
}

static void *_Atomic *lent; /* to whom the room in the head is; NULL: nobody */
static size_t lent_kept;
static void (*lent_begin)(void *room);

static void *room_of(struct live_head *of)
{
    return of ? (char *)of + LIVE_ROOM_AT : NULL;
}

void *live_room(void)
{
    return room_of(head);
}

void live_lend(void *_Atomic *where, size_t kept, void (*begin)(void *room))
{
    lent_kept = kept < LIVE_ROOM ? kept : LIVE_ROOM;
    lent_begin = begin;
    lent = where;
    if (head)
        begin(room_of(head));
    atomic_store(where, room_of(head));
}

/* Before the parent's is unmapped: a signal handler may be the next to write. */
static void lend_again(struct live_head *parents)
{
    if (!lent)
        return;
    if (head) {
        memcpy(room_of(head), room_of(parents), lent_kept);
        lent_begin(room_of(head));
    }
    atomic_store(lent, room_of(head));
}

/* Memory of the child's own in place of its parent's page. In a sandbox that forbids that, it is told of with the parent. */
static bool own_page(void *counters)
{
    return sandbox_allows(SANDBOX_OWN) &&
           SYS_CALL(mmap, counters, page_size(), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0L) == (long)counters;
}

/*
 * The page is shared with the parent, which goes on counting in it. The first page of the new file takes its place, or
 * at least memory of our own.
 */
bool live_fork_child(void *counters)
{
    struct live_head *parents = head;
    size_t parents_held = held;
    bool is_own = true, is_moved = false;

    if (!head)
        return true;
    if (sandbox_is_shut() || !sandbox_allows(SANDBOX_FILES)) { /* no file: it is not told of */
        head = NULL;
        blocks_count = 0;
        live_is_on = false;
        if (lent)
            atomic_store(lent, NULL);
        return !counters || own_page(counters);
    }
    head = map_file(1 + CHILD_PAGES);
    if (head) {
        uint32_t text = atomic_load(&parents->text);

        head->is_child = 1;
        live_tell((char *)parents + LIVE_HEAD + text * LIVE_TEXT, parents->text_len[text]);
        atomic_store(&head->pages, 1);
    }
    if (counters) {
        is_moved = head && put_page(head, 0, counters);
        if (!is_moved)
            is_own = own_page(counters);
    }
    lend_again(parents);
    sys_unmap(parents, parents_held);
    if (head) { /* the blocks that are left are the parent's */
        prepare(block_size - page_size(), 1, CHILD_PAGES);
        if (!is_moved)
            sys_unmap(page_of(head, 0), page_size());
    }
    live_is_on = head != NULL;
    return is_own;
}

void live_stay(void)
{
    if (head)
        head->is_over = atomic_load(&sandbox_is_seen) ? LIVE_IN_SANDBOX : LIVE_FEARED;
}

void live_end(void)
{
    char path[PATH_SIZE + 32];

    if (!file[0])
        return;
    name_file(path, sizeof path);
    if (head && head->pid == (int)SYS_CALL(getpid, 0))
        (void)SYS_CALL(unlinkat, AT_FDCWD, path, 0);
}
