/* See changed.h. What was handed over last is kept by its address, a few of them: what is pushed out is not noticed. */
#include "context/changed.h"

#include <string.h>

#include "base/sandbox.h"
#include "context/context.h"
#include "elf/elf.h"
#include "slots/object.h"

enum { SUMMED = 64, SEEN = 256 };

struct seen {
    const void *value, *thread;
    const struct slot *slot;
    uint64_t sum;
};
static struct seen seen[SEEN];

static unsigned place_of(const void *value)
{
    return (unsigned)(((uintptr_t)value >> 4) * 0x9e3779b97f4a7c15u >> 56);
}

/*
 * Symbols are asked once for an address: value, size and the last bits of where its segment ends in one word, because
 * others ask at the same time, and another module may lie there later.
 */
static size_t static_size(const void *value)
{
    enum { SIZE_BITS = 7, VALUE_BITS = 48 };
    static _Atomic uint64_t known[SEEN];
    uintptr_t address = (uintptr_t)value, end = elf_segment_end(value);
    _Atomic uint64_t *place = &known[place_of(value)];
    struct elf_symbol symbol;
    uint64_t word, size = 0;
    char name[8];

    if (!end || address >> VALUE_BITS)
        return 0;
    word = (uint64_t)end << (SIZE_BITS + VALUE_BITS) | (uint64_t)address << SIZE_BITS;
    size = atomic_load_explicit(place, memory_order_relaxed) ^ word;
    if (size >> SIZE_BITS) {
        size = 0;
        if (elf_symbol_at(value, ELF_OBJECT, &symbol, name, sizeof name) && symbol.value == address)
            size = symbol.size < SUMMED ? symbol.size : SUMMED;
        atomic_store_explicit(place, word | size, memory_order_relaxed);
    }
    if (size > end - address)
        size = end - address;
    return size;
}

/* Others may write to it meanwhile; it is looked at all the same. */
__attribute__((no_sanitize("address", "thread"))) uint64_t changed_sum(const void *value)
{
    size_t size = object_heap_bytes((void *)(uintptr_t)value, SUMMED);
    const volatile unsigned char *byte = value;
    uint64_t sum;

    if (!size && (!(size = static_size(value)) || !sandbox_is_readable(value, size)))
        return 0;
    sum = size;
    if ((uintptr_t)value % sizeof(uint64_t) == 0) {
        for (; size >= sizeof(uint64_t); size -= sizeof(uint64_t), byte += sizeof(uint64_t))
            sum = (sum ^ *(const volatile uint64_t *)(const volatile void *)byte) *
                  0x9e3779b97f4a7c15u;
    }
    for (; size; size--)
        sum = (sum ^ *byte++) * 0x9e3779b97f4a7c15u;
    return sum ? sum : 1;
}

uint64_t changed_note(const struct slot *slot, const void *value, uint64_t sum)
{
    struct seen *last = &seen[place_of(value)], before = *last;

    *last = (struct seen){value, thread_self, slot, sum};
    if (before.value != value || before.slot != slot || before.thread != thread_self ||
        before.sum == sum)
        return 0;
    return before.sum;
}
