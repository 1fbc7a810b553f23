/*
 * The policies. See policy.h for what each does.
 *
 * Rules: copies come from the program's allocator, because a task may take one over and free it;
 * everything else is our own memory. What is foreign is called with no lock held.
 *
 * copy=N reads no further than the object: a heap block ends where malloc_usable_size says (of glibc's
 * allocator and the sanitizers', which alone can be asked about any address; it takes no lock there), a
 * static object at its segment, one on the submitter's stack at the stack. Of what the allocator does not
 * know (an arena, a pool, a collector's, the inside of a block) and of other allocators' blocks the user's word
 * is taken: N bytes, when they can be read.
 */
#include "slots/policy.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/arch.h"
#include "base/sandbox.h"
#include "elf/elf.h"
#include "slots/bytes.h"
#include "slots/origin.h"

bool slots_have_owned;

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
static bool heap_find(void)
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
 * Pages that were readable when they were last asked about: a value that is handed over again and again costs
 * no system call. Only of pages that the value is surely in, or an allocator: one that is gone since would have to
 * be named by a value that dangles.
 */
enum { KNOWN = 64 };
static _Atomic uintptr_t known[KNOWN]; /* 0: none, which nobody can read */

static inline bool is_known(uintptr_t page)
{
    return page && atomic_load_explicit(&known[page % KNOWN], memory_order_relaxed) == page;
}

static bool is_readable(uintptr_t from, size_t len)
{
    enum { PAGE_BITS = 12 };

    for (uintptr_t page = from >> PAGE_BITS; page <= (from + len - 1) >> PAGE_BITS; page++) {
        if (is_known(page))
            continue;
        if (!sandbox_is_readable((const void *)(page << PAGE_BITS), 1))
            return false;
        atomic_store_explicit(&known[page % KNOWN], page, memory_order_relaxed);
    }
    return true;
}

/* May LEN bytes at FROM be read? What lies in the page of ASKED is known. */
static bool is_readable_now(uintptr_t from, size_t len, uintptr_t asked)
{
    enum { PAGE_BITS = 12 };

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

/* The words of glibc's chunks. Source: glibc 2.31 to 2.41, malloc.c, struct malloc_chunk; arena.c, struct _heap_info. */
enum {
    CHUNK_HEADER = 2 * sizeof(size_t),
    CHUNK_ALIGNMENT = 16,
    CHUNK_LEAST = 32,
    CHUNK_IS_MAPPED = 2,
    CHUNK_OF_THREAD = 4,
    CHUNK_FLAGS = 7
};

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
size_t policy_heap_bytes(void *value, size_t want)
{
    uintptr_t address = (uintptr_t)value, sp = arch_sp();
    size_t size;

    if (!heap_find() || !heap.is_libc || heap.is_watched)
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

static void *copy_object(void *object, size_t size, const char **why)
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

static void *copy_foreign_string(const char *string, const char **why)
{
    size_t size = string_size(string);

    if (!size)
        *why = "its value is no address of a string that can be read";
    return size ? copy_string(string, size) : NULL;
}

/* ---- the four steps ---- */

typedef void *maker(void *value);
typedef void ender(void *value);

static void *make(const struct slot *slot, void *value)
{
    int saved_errno = errno;
    const char *why = NULL;
    void *made = NULL;

    switch (slot->policy) {
    case POLICY_COPY:
        made = copy_object(value, slot->copy_size, &why);
        break;
    case POLICY_STRING:
        made = copy_foreign_string(value, &why);
        break;
    case POLICY_CLONE:
        made = ((maker *)slot->policy_function[0])(value);
        break;
    case POLICY_REF:
        /* Many answer the object, some nothing (void): what they answer says nothing. */
        policy_call(slot->policy_function[0], value);
        made = value;
        break;
    default:
        break;
    }
    if (why)
        slot_failed_as(slot, why);
    else if (!made)
        slot_failed(slot);
    errno = saved_errno;
    return made;
}

static void end(const struct slot *slot, void *value)
{
    int saved_errno = errno;

    if (slot->policy == POLICY_CLONE || slot->policy == POLICY_REF)
        ((ender *)slot->policy_function[1])(value);
    else
        heap.release(value);
    errno = saved_errno;
}

/* Of what we have made ourselves, size and all are known. */
static void *copy_again(const struct slot *slot, const void *owned)
{
    int saved_errno = errno;
    size_t size = slot->policy == POLICY_STRING ? strlen(owned) + 1 : slot->copy_size;
    void *copy = heap.allocate(size);

    if (copy)
        bytes_copy(copy, owned, size);
    else
        slot_failed(slot);
    errno = saved_errno;
    return copy;
}

void *policy_hold(const struct slot *slot, void *value, const void *owner, void *const *place)
{
    if (!value)
        return NULL;
    return slot->policy == POLICY_WEAK ? origin_get(slot, value, owner, place) : make(slot, value);
}

bool policy_is_shareable(const struct slot *slot)
{
    return slot->key_index != SLOT_NO_KEY &&
           (slot->policy == POLICY_COPY || slot->policy == POLICY_STRING ||
            slot->policy == POLICY_REF);
}

/* The copy of an object that was smaller then ends in zeroes. */
static bool is_copy_of(const char *copy, size_t size, void *object)
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
static inline bool is_same_string(const char *copy, const char *string)
{
    enum { EARLY = 64 };
    uintptr_t address = (uintptr_t)string;

    if (address % PAGE > PAGE - EARLY || !is_known(address / PAGE))
        return is_same_asked(copy, string, EARLY);
    return !strcmp(copy, string);
}

bool policy_same(const struct slot *slot, void *owned, void *value)
{
    if (!owned || !value || slot->policy == POLICY_REF)
        return owned == value;
    return slot->policy == POLICY_STRING ? is_same_string(owned, value)
                                         : is_copy_of(owned, slot->copy_size, value);
}

void *policy_lend(const struct slot *slot, void *owned)
{
    if (!owned)
        return NULL;
    if (slot->policy == POLICY_WEAK)
        return origin_look(owned) == ORIGIN_CURRENT ? origin_value(owned) : NULL;
    if (slot->policy == POLICY_REF) {
        policy_call(slot->policy_function[0], owned);
        return owned;
    }
    return slot->policy == POLICY_CLONE ? make(slot, owned) : copy_again(slot, owned);
}

/* Within the block that is kept, whatever a task has written to it. */
static bool is_lendable(const struct slot *slot, const void *owned, void *kept)
{
    size_t size = slot->policy == POLICY_COPY ? slot->copy_size : strlen(owned) + 1;

    return (slot->policy == POLICY_COPY || (heap.usable && heap.usable(kept) >= size)) &&
           bytes_are_same(owned, kept, size);
}

static APART void *lend_in_place_of(const struct slot *slot, void *owned, void *kept)
{
    if (kept)
        end(slot, kept);
    return policy_lend(slot, owned);
}

void *policy_lend_copy(const struct slot *slot, void *owned, void *kept)
{
    if (kept && owned && is_lendable(slot, owned, kept))
        return kept;
    return lend_in_place_of(slot, owned, kept);
}

struct policy_held policies_held[SLOTS_MAX + 1];
unsigned policies_held_count;

void policies_begin(void)
{
    for (unsigned i = 0; slots_have_owned_keys && i < 2 * slots_count; i++) {
        const struct slot *slot = &slots[i % slots_count];
        bool calls_out = slot->policy == POLICY_CLONE || slot->policy == POLICY_REF;

        if (slot->is_owned && slot->key_index != SLOT_NO_KEY && calls_out == (i >= slots_count))
            policies_held[policies_held_count++] =
                (struct policy_held){slot, slot->key_index, slot->policy};
    }
}

enum policies_mix policies_mix(void)
{
    bool are_refs = true, are_copies = true;

    for (const struct policy_held *held = policies_held; held->slot; held++) {
        are_refs &= held->policy == POLICY_REF;
        are_copies &= held->policy == POLICY_COPY || held->policy == POLICY_STRING;
    }
    return are_refs ? POLICIES_REFS : are_copies ? POLICIES_COPIES : POLICIES_MIXED;
}

void policy_take_back(const struct slot *slot, void *borrowed)
{
    if (borrowed && slot->policy != POLICY_WEAK)
        end(slot, borrowed);
}

static bool is_over;

void policies_end(void)
{
    is_over = true;
}

void policy_let_go(const struct slot *slot, void *owned)
{
    if (!owned || (is_over && slot->policy_function[1]))
        return;
    if (slot->policy == POLICY_WEAK)
        origin_put(owned);
    else
        end(slot, owned);
}

/* ---- from the setting ---- */

bool policy_note_names(struct slot *slot, struct slot_error *error, const char *text)
{
    for (unsigned i = 0; i < 2; i++) {
        char *name = (char *)(uintptr_t)slot->policy_name[i];
        const char *module;

        if (!name)
            continue;
        form_cut_module(name, &module);
        if (!slot_name_add(&slot->policy_id[i], name, module, NULL, ELF_FUNC))
            return form_bad(error, text, "fewer names");
    }
    return true;
}

/* A context that is kept for the next capture would have what this one takes for lost. */
static void look_for_leak_checker(void)
{
    static bool has_looked;

    if (has_looked)
        return;
    has_looked = true;
    if (elf_lookup_global("__lsan_do_leak_check", NULL, NULL, NULL))
        slots_always_build = true;
}

bool policy_resolve(struct slot *slot)
{
    if (policy_is_shareable(slot))
        look_for_leak_checker();
    if (slot->policy == POLICY_COPY || slot->policy == POLICY_STRING) {
        if (heap_find())
            return true;
        slot->reason = "no loaded module has both malloc and free";
        return false;
    }
    for (unsigned i = 0; i < 2; i++) {
        struct elf_search found;

        if (!slot->policy_name[i] || slot->policy_function[i])
            continue;
        if (!slot_name_find(slot->policy_id[i], &found)) {
            slot->reason = i ? "no loaded module has the function of free= or unref="
                             : "no loaded module has the function of clone= or ref=";
            return false;
        }
        if (found.query.found.is_local && found.query.found.matches > 1) {
            slot->reason = "several static functions have the name of its policy's function";
            return false;
        }
        slot->policy_function[i] = elf_symbol_address(&found.query.found);
        slot_pin(slot->policy_function[i]);
    }
    return true;
}
