/*
 * The linker leads the calls below here (--wrap), and the library its own (SYS_KERNEL): those for a file of the
 * fuzzer's are answered from memory, and so is a small mapping; all others are passed on.
 *
 * A run makes no system call then, and a mapping that is given back need not be forgotten by each processor: ten
 * times as many runs a second. What the library (base/sys.h) opens besides is not there: no file of this machine
 * decides what a run finds.
 */
#include "memory_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sanitizer/asan_interface.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { FILES = 2, OPEN = 8, MAPS = 64, SMALL = 256 << 10, PAGE = 4096, FIRST = 1 << 20 };

static struct file {
    const char *path;
    void *bytes;
    size_t size;
    bool is_shared;
} files[FILES];
static struct {
    const struct file *file;
    size_t at;
} opened[OPEN];
static struct {
    char *at;
    size_t size;
    bool is_free; /* kept for the next of its size, and forbidden until then */
} maps[MAPS];

int __real_open(const char *path, int flags, ...);
int __real_close(int fd);
int __real_fstat(int fd, struct stat *status);
ssize_t __real_pread(int fd, void *into, size_t size, off_t at);
void *__real_mmap(void *at, size_t size, int rights, int flags, int fd, off_t from);
int __real_munmap(void *at, size_t size);
FILE *__real_fopen(const char *path, const char *mode);
long memory_kernel(long number, long one, long two, long three, long four, long five, long six);

/* What is freed stays forbidden for a while, which need not be 256 MiB of runs; few frames say who allocated. */
const char *__asan_default_options(void)
{
    return "quarantine_size_mb=8:malloc_context_size=8";
}

static void put(const char *path, void *bytes, size_t size, bool is_shared)
{
    size_t i = 0;

    while (i < FILES && files[i].path && strcmp(files[i].path, path) != 0)
        i++;
    if (i == FILES)
        abort();
    files[i] = (struct file){path, bytes, size, is_shared};
}

void memory_file_put(const char *path, const void *bytes, size_t size)
{
    put(path, (void *)(uintptr_t)bytes, size, false);
}

void memory_file_share(const char *path, void *bytes, size_t size)
{
    put(path, bytes, size, true);
}

static const struct file *file_of(const char *path)
{
    for (size_t i = 0; i < FILES; i++) {
        if (files[i].path && !strcmp(files[i].path, path))
            return &files[i];
    }
    return NULL;
}

static int file_open(const struct file *file)
{
    int i = 0;

    while (i < OPEN && opened[i].file)
        i++;
    if (i == OPEN)
        abort(); /* who opened them has not closed them */
    opened[i].file = file;
    opened[i].at = 0;
    return FIRST + i;
}

static bool is_ours(int fd)
{
    return fd >= FIRST && fd < FIRST + OPEN;
}

static int file_close(int fd)
{
    if (!opened[fd - FIRST].file)
        abort();
    opened[fd - FIRST].file = NULL;
    return 0;
}

static int file_stat(int fd, struct stat *status)
{
    memset(status, 0, sizeof *status);
    status->st_mode = S_IFREG | 0600;
    status->st_uid = geteuid();
    status->st_size = (off_t)opened[fd - FIRST].file->size;
    return 0;
}

static ssize_t file_read(int fd, void *into, size_t size, size_t at)
{
    const struct file *file = opened[fd - FIRST].file;

    at = at < file->size ? at : file->size;
    size = size < file->size - at ? size : file->size - at;
    memcpy(into, (const char *)file->bytes + at, size);
    return (ssize_t)size;
}

static size_t pages_of(size_t size)
{
    return (size + PAGE - 1) / PAGE;
}

/* One that was given back is taken again: a new one would be filled, and its pages made, at every run. */
static char *map_again(size_t i, size_t size)
{
    maps[i].is_free = false;
    maps[i].size = size;
    __asan_unpoison_memory_region(maps[i].at, size);
    return memset(maps[i].at, 0, size);
}

/* NULL: none of ours. */
static char *map_small(size_t size)
{
    size_t place = MAPS;
    void *memory;

    for (size_t i = MAPS; i--;) {
        if (maps[i].is_free && pages_of(maps[i].size) == pages_of(size))
            return map_again(i, size);
        if (!maps[i].at || (maps[i].is_free && place == MAPS))
            place = i;
    }
    if (place == MAPS || size > SMALL || posix_memalign(&memory, PAGE, pages_of(size) * PAGE))
        return NULL;
    free(maps[place].at);
    maps[place].at = memory;
    __asan_poison_memory_region(memory, pages_of(size) * PAGE);
    return map_again(place, size);
}

static void *map_file(int fd, size_t size, size_t from)
{
    const struct file *file = opened[fd - FIRST].file;
    char *memory;

    if (file->is_shared)
        return from + size <= file->size ? (char *)file->bytes + from : MAP_FAILED;
    memory = map_small(size);
    if (!memory)
        abort();
    file_read(fd, memory, size, from);
    return memory;
}

/* Over what is mapped already, to the end of that at most. */
static void *map_over(char *at, size_t size, int fd, size_t from)
{
    for (size_t i = 0; i < MAPS; i++) {
        if (maps[i].at && !maps[i].is_free && at >= maps[i].at && at < maps[i].at + maps[i].size &&
            size > (size_t)(maps[i].at + maps[i].size - at))
            size = (size_t)(maps[i].at + maps[i].size - at);
    }
    memset(at, 0, size);
    file_read(fd, at, size, from);
    return at;
}

static bool unmap(void *at, size_t size)
{
    for (size_t i = 0; i < FILES; i++) {
        if (files[i].is_shared && at == files[i].bytes)
            return true;
    }
    for (size_t i = 0; i < MAPS; i++) {
        if (maps[i].at != at || !at || maps[i].is_free)
            continue;
        if (pages_of(maps[i].size) != pages_of(size))
            abort(); /* the rest would stay mapped, or others' be gone */
        maps[i].is_free = true;
        __asan_poison_memory_region(at, pages_of(size) * PAGE);
        return true;
    }
    return false;
}

int __wrap_open(const char *path, int flags, ...)
{
    const struct file *file = file_of(path);
    va_list args;
    int mode;

    va_start(args, flags);
    mode = flags & O_CREAT ? va_arg(args, int) : 0;
    va_end(args);
    return file ? file_open(file) : __real_open(path, flags, mode);
}

int __wrap_close(int fd)
{
    return is_ours(fd) ? file_close(fd) : __real_close(fd);
}

int __wrap_fstat(int fd, struct stat *status)
{
    return is_ours(fd) ? file_stat(fd, status) : __real_fstat(fd, status);
}

ssize_t __wrap_pread(int fd, void *into, size_t size, off_t at)
{
    return is_ours(fd) ? file_read(fd, into, size, (size_t)at) : __real_pread(fd, into, size, at);
}

/* A program's segments are laid over whole pages. */
void *__wrap_mmap(void *at, size_t size, int rights, int flags, int fd, off_t from)
{
    char *memory = NULL;

    if (is_ours(fd))
        return flags & MAP_FIXED ? map_over(at, size, fd, (size_t)from)
                                 : map_file(fd, size, (size_t)from);
    if (!at && fd < 0 && flags & MAP_PRIVATE)
        memory = map_small(pages_of(size) * PAGE);
    return memory ? memory : __real_mmap(at, size, rights, flags, fd, from);
}

int __wrap_munmap(void *at, size_t size)
{
    return unmap(at, size) || unmap(at, (size + PAGE - 1) & ~(size_t)(PAGE - 1))
               ? 0
               : __real_munmap(at, size);
}

FILE *__wrap_fopen(const char *path, const char *mode)
{
    const struct file *file = file_of(path);

    return file ? fmemopen(file->bytes, file->size, "r") : __real_fopen(path, mode);
}

/* The library's own calls (base/sys.h). */
__attribute__((no_sanitize("address"))) long
memory_kernel(long number, long one, long two, long three, long four, long five, long six)
{
    long word[6] = {one, two, three, four, five, six}, result;

    if (number == SYS_openat) {
        const struct file *file = file_of((const char *)word[1]);

        return file ? file_open(file) : -ENOENT;
    }
    if (number == SYS_mmap && (int)word[4] < 0) {
        char *memory = map_small((size_t)word[1]);

        if (memory)
            return (long)memory;
    }
    if (number == SYS_mmap && is_ours((int)word[4]))
        return (long)map_file((int)word[4], (size_t)word[1], (size_t)word[5]);
    if (number == SYS_munmap && unmap((void *)word[0], (size_t)word[1]))
        return 0;
    if (is_ours((int)word[0])) {
        int fd = (int)word[0];
        size_t *at = &opened[fd - FIRST].at;
        long got;

        switch (number) {
        case SYS_close:
            return file_close(fd);
        case SYS_newfstatat: /* by no path */
            return file_stat(fd, (struct stat *)word[2]);
        case SYS_pread64:
            return file_read(fd, (void *)word[1], (size_t)word[2], (size_t)word[3]);
        case SYS_read:
            got = file_read(fd, (void *)word[1], (size_t)word[2], *at);
            *at += (size_t)got;
            return got;
        default:
            abort();
        }
    }
    result = syscall(number, one, two, three, four, five, six);
    return result == -1 ? -(long)errno : result;
}
