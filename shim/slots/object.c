/*
 * Copies of the program's objects. See object.h.
 *
 * copy=N reads no further than the object: a heap block ends where malloc_usable_size says (of glibc's
 * allocator and the sanitizers', which alone can be asked about any address; it takes no lock there), a
 * static object at its segment, one on the submitter's stack at the stack. Of what the allocator does not
 * know (an arena, a pool, a collector's, the inside of a block) and of other allocators' blocks the user's word
 * is taken: N bytes, when they can be read.
 */
#include "slots/object.h"

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "base/arch.h"
#include "base/sandbox.h"
#include "elf/elf.h"
#include "slots/bytes.h"

enum { PAGE = 4096 };

/* ---- the program's allocator ---- */

static struct {
    bool is_libc;
    bool is_watched; /* by valgrind, whose allocator it is then, and which knows each block */
    void *(*allocate)(size_t size);
    void (*release)(void *block);
    int (*owns)(const volatile void *block); /* a sanitizer's */
    size_t (*usable)(void *block);           /* NULL: this one must not be asked */
} heap;

/*
 * All of one library: two allocators in one process must not be mixed. jemalloc follows what it finds of an address
 * that it does not know and tcmalloc ends the program, so these are not asked; a sanitizer says first whether a
 * block of its own begins there.
 */
bool object_find_heap(void)
{
    struct elf_module module;

    if (heap.release)
        return true;
    if (!elf_lookup_global("malloc", NULL, &module, NULL))
        return false;
    heap.is_libc = !strncmp(module.name, "libc.so", 7);
    heap.is_watched = elf_lookup_global("_vgnU_freeres", NULL, NULL, NULL);
    heap.allocate = (void *(*)(size_t))elf_dynsym(&module, "malloc");
    heap.owns = (int (*)(const volatile void *))elf_dynsym(&module, "__sanitizer_get_ownership");
    if (heap.is_libc || heap.is_watched || heap.owns)
        heap.usable = (size_t(*)(void *))elf_dynsym(&module, "malloc_usable_size");
    heap.release = (void (*)(void *))elf_dynsym(&module, "free");
    return heap.allocate && heap.release;
}

/* The end of the calling thread's stack: glibc puts the thread's block right above it. */
static uintptr_t stack_end(uintptr_t sp)
{
    uintptr_t block = (uintptr_t)arch_tp(), first = elf_stack_end();
    const uintptr_t widest = (uintptr_t)1 << 30;

    if (block > sp && block - sp < widest)
        return block;
    return first > sp && first - sp < widest ? first : 0;
}

/*
 * Pages that were readable when they were last asked about, and stay so: a value that is handed over again and again
 * costs no system call. Only of glibc's heaps and of modules: other memory may be unmapped while a value still names it.
 */
enum { KNOWN = 64, PAGE_BITS = 12 };
static _Atomic uintptr_t known[KNOWN]; /* 0: none, which nobody can read */

static const uintptr_t heap_reach = (uintptr_t)1 << 40; /* nothing else is so near to the break */

/* The first heap gives back what lies above the break. */
static inline bool is_known(uintptr_t page)
{
    return page && atomic_load_explicit(&known[page % KNOWN], memory_order_relaxed) == page &&
           (page << PAGE_BITS) - elf_heap_end() >= heap_reach;
}

/* The words of glibc's chunks. Source: glibc 2.31 to 2.41, malloc.c, struct malloc_chunk; arena.c, struct _heap_info. */
enum {
    CHUNK_HEADER = 2 * sizeof(size_t),
    CHUNK_ALIGNMENT = 16,
    CHUNK_LEAST = 32,
    CHUNK_IS_MAPPED = 2,
    CHUNK_OF_THREAD = 4,
    CHUNK_FLAGS = 7
};

/* A heap of a thread begins with its arena, the heap before it, its size, and how much of it is mapped. */
static bool is_of_thread_heap(uintptr_t address)
{
    const uintptr_t heap_size = (uintptr_t)64 << 20, first = address & ~(heap_size - 1);
    const size_t *words = (const size_t *)first;

    return heap.is_libc && !heap.is_watched && first &&
           sandbox_is_readable(words, 4 * sizeof *words) && words[0] && words[2] <= words[3] &&
           words[3] <= heap_size && !((words[2] | words[3]) % PAGE) && address - first < words[2];
}

/* May that page be taken for readable from now on? */
static APART bool is_lasting(uintptr_t address)
{
    return elf_heap_end() - address - 1 < heap_reach || elf_segment_end((const void *)address) ||
           is_of_thread_heap(address);
}

static bool is_readable(uintptr_t from, size_t len)
{
    for (uintptr_t page = from >> PAGE_BITS; page <= (from + len - 1) >> PAGE_BITS; page++) {
        if (is_known(page))
            continue;
        if (!sandbox_is_readable((const void *)(page << PAGE_BITS), 1))
            return false;
        if (!is_lasting(page << PAGE_BITS))
            continue;
        atomic_store_explicit(&known[page % KNOWN], page, memory_order_relaxed);
    }
    return true;
}

/* May LEN bytes at FROM be read? What lies in the page of ASKED is known. */
static bool is_readable_now(uintptr_t from, size_t len, uintptr_t asked)
{
    return !(((from ^ asked) | ((from + len - 1) ^ asked)) >> PAGE_BITS) ||
           sandbox_is_readable((const void *)from, len);
}

/* Of an object that begins there: of the pages behind its first one nobody knows whether they are still its own. */
static bool object_is_readable(uintptr_t address, size_t len)
{
    return is_readable(address, 1) && is_readable_now(address, len, address);
}

/* How many of `want` bytes can be read: a small block of an allocator that is not asked may be the last of its pages. */
static size_t readable_bytes(uintptr_t address, size_t want)
{
    const uintptr_t page = 4096;

    for (size_t have = 0, next; have < want; have = next) {
        next = page - (address + have) % page + have;
        if (next > want)
            next = want;
        if (have ? !sandbox_is_readable((const void *)(address + have), next - have)
                 : !is_readable(address, next))
            return have;
    }
    return want;
}

/*
 * Can glibc have a block here whose header's second word is this one? What stands before an object of somebody's
 * own pool is often its size, too. The first heap ends at the break (when it had to go on elsewhere, its blocks are
 * taken for unknown), one of a thread has its size at the start of its 64 MiB, and a mapping is the block's alone.
 */
static bool can_be_glibcs(uintptr_t address, size_t word)
{
    const uintptr_t page = 4096, heap_size = (uintptr_t)64 << 20;
    uintptr_t first = address & ~(heap_size - 1), end = address + (word & ~(size_t)CHUNK_FLAGS);

    if (word & CHUNK_IS_MAPPED)
        return !((address - CHUNK_HEADER - ((const size_t *)address)[-2]) % page) &&
               is_readable_now(end - 2 * CHUNK_HEADER, CHUNK_HEADER, address);
    if (!(word & CHUNK_OF_THREAD))
        return end <= elf_heap_end() && is_readable(end - CHUNK_HEADER, CHUNK_HEADER);
    return is_readable(first, 4 * sizeof(size_t)) && end - first <= ((const size_t *)first)[2];
}

/*
 * What the allocator says of a block, 0: nothing. glibc's believes the words around whatever it is given, and
 * follows them: they are looked at first.
 */
static inline __attribute__((always_inline)) size_t block_size(void *object)
{
    uintptr_t address = (uintptr_t)object;
    size_t word, size;

    if (!heap.is_libc || heap.is_watched)
        return heap.usable && address % 8 == 0 && (!heap.owns || heap.owns(object))
                   ? heap.usable(object)
                   : 0;
    if (address % CHUNK_ALIGNMENT || !is_readable(address, 1) ||
        !is_readable_now(address - CHUNK_HEADER, CHUNK_HEADER, address))
        return 0;
    word = ((const size_t *)object)[-1];
    size = word & ~(size_t)CHUNK_FLAGS;
    if (size < CHUNK_LEAST || size % CHUNK_ALIGNMENT || size > (size_t)1 << 40 ||
        !can_be_glibcs(address, word))
        return 0;
    return heap.usable(object);
}

/* As block_size, of what may be gone: no page is remembered, and a block with a mapping of its own is none. */
static size_t block_size_now(uintptr_t address)
{
    size_t size;

    if (address % CHUNK_ALIGNMENT || address < 4096 ||
        !sandbox_is_readable((const void *)(address - CHUNK_HEADER), CHUNK_HEADER))
        return 0;
    size = ((const size_t *)address)[-1];
    if (size & CHUNK_IS_MAPPED || (!(size & CHUNK_OF_THREAD) && address >= elf_heap_end()))
        return 0;
    size &= ~(size_t)CHUNK_FLAGS;
    if (size < CHUNK_LEAST || size % CHUNK_ALIGNMENT || size > (size_t)1 << 40 ||
        !is_readable_now(address + size - CHUNK_HEADER, CHUNK_HEADER, address - CHUNK_HEADER))
        return 0;
    return heap.usable((void *)address);
}

/*
 * Only glibc's blocks can be told from what is none: other allocators abort, or read whatever is there, when they
 * are asked about the inside of a block or a stack.
 */
size_t object_heap_bytes(void *value, size_t want)
{
    uintptr_t address = (uintptr_t)value, sp = arch_sp();
    size_t size;

    if (!object_find_heap() || !heap.is_libc || heap.is_watched)
        return 0;
    if ((address >= sp && address < stack_end(sp)) || elf_segment_end(value))
        return 0;
    size = block_size_now(address);
    if (size > want)
        size = want;
    return size && is_readable_now(address, size, address - 1) ? size : 0;
}

/* How many bytes from `object` on belong to it, at most `want`. */
static size_t object_size(void *object, size_t want)
{
    uintptr_t address = (uintptr_t)object, sp = arch_sp(), end;

    if (address < 4096)
        return 0; /* a small number, not an object */
    if (address >= sp && address < stack_end(sp))
        end = stack_end(sp);
    else if (!(end = elf_segment_end(object)))
        end = address + block_size(object);
    if (end > address)
        return end - address < want ? end - address : want;
    if (heap.is_watched)
        return 0;
    if (heap.usable)
        return object_is_readable(address, want) ? want : 0;
    return readable_bytes(address, want);
}

void *object_copy(void *object, size_t size, const char **why)
{
    size_t have = object_size(object, size);
    char *copy = have ? heap.allocate(size) : NULL;

    if (!have)
        *why = "its value is no address of memory that can be read for as long as copy= says";
    if (!copy)
        return NULL;
    bytes_copy(copy, object, have);
    memset(copy + have, 0, size - have);
    return copy;
}

static void *copy_string(const char *string, size_t size)
{
    void *copy = heap.allocate(size);

    return copy ? memcpy(copy, string, size) : NULL;
}

/* How long a string is that goes on behind its page: 0 where it cannot be read to its end. */
static APART size_t far_string_size(const char *string, size_t len)
{
    for (size_t more = PAGE; more == PAGE; len += more) {
        if (!sandbox_is_readable(string + len, 1))
            return 0;
        more = strnlen(string + len, PAGE);
    }
    return len + 1;
}

/* With its end; 0: the value is a number, or the address of nothing. */
static size_t string_size(const char *string)
{
    uintptr_t address = (uintptr_t)string;
    size_t room = PAGE - address % PAGE, len;

    if (address < PAGE || !is_readable(address, 1))
        return 0;
    len = strnlen(string, room);
    return len < room ? len + 1 : far_string_size(string, len);
}

void *object_copy_string(const char *string, const char **why)
{
    size_t size = string_size(string);

    if (!size)
        *why = "its value is no address of a string that can be read";
    return size ? copy_string(string, size) : NULL;
}

/* The copy of an object that was smaller then ends in zeroes. */
bool object_is_copy(const char *copy, size_t size, void *object)
{
    size_t have = object_size(object, size);

    if (!have || !bytes_are_same(copy, object, have))
        return false;
    while (have < size && !copy[have])
        have++;
    return have == size;
}

/* What differs does so early, if not at the first byte: no more is asked about, in the one page that it mostly is. */
static APART bool is_same_asked(const char *copy, const char *string, size_t early)
{
    return (uintptr_t)string >= PAGE && is_readable((uintptr_t)string, early) &&
           !strcmp(copy, string);
}

/* The value may be another string, a number, or gone. */
bool object_is_string_copy(const char *copy, const char *string)
{
    enum { EARLY = 64 };
    uintptr_t address = (uintptr_t)string;

    if (address % PAGE > PAGE - EARLY || !is_known(address / PAGE))
        return is_same_asked(copy, string, EARLY);
    return !strcmp(copy, string);
}

void *object_copy_again(const void *copy, size_t size)
{
    void *again = heap.allocate(size);

    return again ? bytes_copy(again, copy, size), again : NULL;
}

bool object_copy_has_room(void *copy, size_t size)
{
    return heap.usable && heap.usable(copy) >= size;
}

void object_release(void *copy)
{
    heap.release(copy);
}
