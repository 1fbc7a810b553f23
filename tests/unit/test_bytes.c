// promise: values of every size are copied and compared to their last byte, by registers of either width
#include <stdlib.h>
#include <string.h>

#include "context/internal.h"
#include "slots/bytes.h"
#include "suite.h"

enum { BEHIND = 64, MARK = 0xa5 };

static void narrow(void)
{
#ifdef ARCH_WIDE
    atomic_store(&bytes_width, BYTES_NARROW);
#endif
}

static void as_found(void)
{
#ifdef ARCH_WIDE
    atomic_store(&bytes_width, BYTES_UNKNOWN);
#endif
}

static unsigned char pattern(size_t at)
{
    return (unsigned char)(at * 7 + at / 251 + 1);
}

/* `from` differs from `to` in all that is to be copied, and behind it. */
static void copy_one(size_t bytes)
{
    unsigned char *from = malloc(bytes + BEHIND), *to = malloc(bytes + BEHIND);
    int64_t refs;

    memset(to, MARK, bytes + BEHIND);
    memcpy(&refs, to, sizeof refs);
    for (size_t at = 0; at < bytes + BEHIND; at++)
        from[at] = pattern(at) == MARK ? 0 : pattern(at);
    context_bytes = bytes;
    context_copy_values((struct context *)(void *)to, (const struct context *)(const void *)from);
    ck_assert(!memcmp(to, &refs, sizeof refs)); /* others are changing it */
    ck_assert(!memcmp(to + sizeof refs, from + sizeof refs, bytes - sizeof refs));
    for (size_t at = bytes; at < bytes + BEHIND; at++)
        ck_assert_uint_eq(to[at], MARK);
    free(from);
    free(to);
}

static void copy_contexts(void)
{
    for (size_t pairs = 0; pairs < 140; pairs++)
        copy_one(offsetof(struct context, key) + pairs * 2 * sizeof(void *));
}

START_TEST(test_bytes_of_a_context_are_copied_whatever_its_size)
{
    as_found();
    copy_contexts();
    narrow();
    copy_contexts();
}
END_TEST

static void compare(size_t size)
{
    char *one = malloc(size + 1), *other = malloc(size + 1);

    for (size_t at = 0; at <= size; at++)
        one[at] = other[at] = (char)pattern(at);
    other[size]++; /* is not looked at */
    ck_assert(bytes_are_same(one, other, size));
    for (size_t at = 0; at < size; at++) {
        other[at]++;
        ck_assert_msg(!bytes_are_same(one, other, size), "%zu of %zu", at, size);
        other[at]--;
    }
    free(one);
    free(other);
}

START_TEST(test_bytes_that_differ_are_seen_wherever_they_lie)
{
    as_found();
    for (size_t size = 0; size < 1300; size += size < 80 ? 1 : 37)
        compare(size);
    compare(4096);
    narrow();
    for (size_t size = 0; size < 1300; size += size < 80 ? 1 : 37)
        compare(size);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("bytes");

    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_bytes_of_a_context_are_copied_whatever_its_size);
    tcase_add_test(tc, test_bytes_that_differ_are_seen_wherever_they_lie);
    return suite_run("bytes", tc);
}
