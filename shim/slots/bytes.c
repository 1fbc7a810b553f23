/*
 * The bytes of values: copied, and compared with what was copied.
 *
 * Of a static object or one on the stack only the room around it is known: what lies behind it is read, too,
 * which a sanitizer must not take for a mistake of the program.
 */
#include "slots/bytes.h"

#include <stdatomic.h>
#include <stdint.h>

#include "base/arch.h"

typedef uint64_t __attribute__((vector_size(16), aligned(1), may_alias)) block;
#define UNCHECKED __attribute__((no_sanitize("address", "thread")))

UNCHECKED void bytes_copy(char *to, const char *from, size_t size)
{
    for (; size >= 4 * sizeof(block);
         size -= 4 * sizeof(block), to += 4 * sizeof(block), from += 4 * sizeof(block)) {
        block one = ((const block *)(const void *)from)[0],
              two = ((const block *)(const void *)from)[1],
              three = ((const block *)(const void *)from)[2],
              four = ((const block *)(const void *)from)[3];

        ((block *)(void *)to)[0] = one;
        ((block *)(void *)to)[1] = two;
        ((block *)(void *)to)[2] = three;
        ((block *)(void *)to)[3] = four;
    }
    for (; size; size--)
        *(volatile char *)to++ = *from++;
}

/* Whatever alignment. */
typedef uint64_t __attribute__((aligned(1), may_alias)) word;

UNCHECKED static inline __attribute__((always_inline)) block
differences(const char *one, const char *other, unsigned at)
{
    return ((const block *)(const void *)one)[at] ^ ((const block *)(const void *)other)[at];
}

#ifdef ARCH_WIDE
typedef uint64_t __attribute__((vector_size(32), aligned(1), may_alias)) wide;

/* Of how many bytes it can say that they are the same: all but the last few, or fewer than that. */
UNCHECKED ARCH_WIDE static size_t count_same(const char *one, const char *other, size_t size)
{
    enum { EACH = 16, STEP = EACH * sizeof(wide) };
    size_t at = 0;

    for (; size - at >= STEP; at += STEP) {
        const wide *a = (const wide *)(const void *)(one + at),
                   *b = (const wide *)(const void *)(other + at);
        wide odd = a[0] ^ b[0];

#pragma GCC unroll 16
        for (unsigned i = 1; i < EACH; i++)
            odd |= a[i] ^ b[i];
        if (!ARCH_WIDE_IS_ZERO(odd))
            break;
    }
    return at;
}

_Atomic enum bytes_width bytes_width;

bool bytes_ask_width(void)
{
    enum bytes_width width = arch_is_wide() ? BYTES_WIDE : BYTES_NARROW;

    atomic_store_explicit(&bytes_width, width, memory_order_relaxed);
    return width == BYTES_WIDE;
}
#endif

UNCHECKED static inline __attribute__((always_inline)) bool
rest_is_same(const char *one, const char *other, const char *end)
{
    enum { STEP = 4 * sizeof(block) };

    for (; (size_t)(end - one) >= STEP; one += STEP, other += STEP) {
        block odd = differences(one, other, 0) | differences(one, other, 1) |
                    differences(one, other, 2) | differences(one, other, 3);

        if (odd[0] | odd[1])
            return false;
    }
    for (; (size_t)(end - one) >= sizeof(word); one += sizeof(word), other += sizeof(word)) {
        if (*(const word *)(const void *)one != *(const word *)(const void *)other)
            return false;
    }
    for (; one < end; one++, other++) {
        if (*(const volatile char *)one != *other)
            return false;
    }
    return true;
}

#ifdef ARCH_WIDE
/* Apart, so that few bytes keep no registers for it. */
UNCHECKED static APART bool many_are_same(const char *one, const char *other, size_t size)
{
    size_t same = bytes_are_wide() ? count_same(one, other, size) : 0;

    return rest_is_same(one + same, other + same, one + size);
}
#endif

UNCHECKED bool bytes_are_same(const char *one, const char *other, size_t size)
{
#ifdef ARCH_WIDE
    enum { LARGE = 512 };

    if (size >= LARGE)
        return many_are_same(one, other, size);
#endif
    return rest_is_same(one, other, one + size);
}
