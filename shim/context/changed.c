/* See changed.h. What was handed over last is kept by its address, a few of them: what is pushed out is not noticed. */
#include "context/changed.h"

#include <string.h>

#include "context/context.h"
#include "elf/elf.h"
#include "slots/policy.h"

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

/* Symbols are asked once for an address: sizes of objects do not change. */
static size_t static_size(const void *value)
{
    static struct {
        const void *_Atomic value;
        _Atomic size_t size;
    } known[SEEN];
    unsigned place = place_of(value);
    struct elf_symbol symbol;
    size_t size = 0;
    char name[8];

    if (!elf_segment_end(value))
        return 0;
    if (atomic_load_explicit(&known[place].value, memory_order_acquire) == value)
        return atomic_load_explicit(&known[place].size, memory_order_relaxed);
    if (elf_symbol_at(value, ELF_OBJECT, &symbol, name, sizeof name) &&
        symbol.value == (uintptr_t)value)
        size = symbol.size < SUMMED ? symbol.size : SUMMED;
    atomic_store_explicit(&known[place].value, NULL, memory_order_relaxed);
    atomic_store_explicit(&known[place].size, size, memory_order_release);
    atomic_store_explicit(&known[place].value, value, memory_order_release);
    return size;
}

/* Others may write to it meanwhile; it is looked at all the same. */
__attribute__((no_sanitize("address", "thread"))) uint64_t changed_sum(const void *value)
{
    size_t size = policy_heap_bytes((void *)(uintptr_t)value, SUMMED);
    const volatile unsigned char *byte = value;
    uint64_t sum;

    if (!size && !(size = static_size(value)))
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
