// promise: the library's own memcpy and its kin do what the standard says, at every length and place, and touch nothing else
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "suite.h"

/* Not what the compiler knows of these names. */
#define KEPT(name) __typeof__(&(name)) volatile own_##name = (name)

enum { LONGEST = 80, EDGE = 16 };

static char text_at(size_t i)
{
    return (char)('a' + i * 7 % 23);
}

static bool copies_at(size_t len, int shift)
{
    KEPT(memcpy);
    KEPT(memmove);
    KEPT(memcmp);
    const size_t start = (size_t)EDGE + (shift & 7);
    char from[LONGEST + 4 * EDGE], to[LONGEST + 4 * EDGE];
    bool is_right;

    for (size_t i = 0; i < sizeof from; i++)
        from[i] = text_at(i);
    memset(to, '-', sizeof to);
    is_right = own_memcpy(to + EDGE, from + start, len) == to + EDGE;
    for (size_t i = 0; i < sizeof to; i++)
        is_right &= to[i] == (i - EDGE < len ? text_at(i - EDGE + start) : '-');
    is_right &= own_memcmp(to + EDGE, from + start, len) == 0;
    for (size_t i = 0; i < len; i++) {
        to[EDGE + i] = '~'; /* behind all letters */
        is_right &= own_memcmp(to + EDGE, from + start, len) > 0 &&
                    own_memcmp(from + start, to + EDGE, len) < 0;
        to[EDGE + i] = from[start + i];
    }
    own_memmove(from + 2 * EDGE + shift, from + 2 * EDGE, len);
    for (size_t i = 0; i < sizeof from; i++) {
        size_t at = i - (size_t)(2 * EDGE + shift);

        is_right &= from[i] == text_at(at < len ? 2 * EDGE + at : i);
    }
    return is_right;
}

START_TEST(test_copies)
{
    KEPT(memset);

    for (size_t len = 0; len <= LONGEST; len++) {
        char set[LONGEST + 2];
        bool is_right = true;

        for (int shift = -EDGE; shift <= EDGE; shift += 3)
            is_right &= copies_at(len, shift);
        memset(set, '-', sizeof set);
        own_memset(set + 1, 'x', len);
        for (size_t i = 0; i < sizeof set; i++)
            is_right &= set[i] == (i >= 1 && i <= len ? 'x' : '-');
        ck_assert_msg(is_right, "of %zu bytes", len);
    }
}
END_TEST

START_TEST(test_lengths)
{
    KEPT(strlen);
    KEPT(strnlen);
    KEPT(strcmp);
    KEPT(strncmp);

    for (size_t len = 0; len <= LONGEST; len++) {
        char one[LONGEST + 1], other[LONGEST + 1];
        bool is_right = true;

        for (size_t i = 0; i < len; i++)
            one[i] = other[i] = text_at(i);
        one[len] = other[len] = '\0';
        ck_assert_uint_eq(own_strlen(one), len);
        ck_assert_uint_eq(own_strnlen(one, LONGEST / 2), len < LONGEST / 2 ? len : LONGEST / 2);
        ck_assert_int_eq(own_strcmp(one, other), 0);
        for (size_t i = 0; i < len; i++) {
            other[i] = (char)0xe9;
            is_right &= own_strcmp(one, other) < 0 && own_strcmp(other, one) > 0 &&
                        own_strncmp(one, other, i) == 0 && own_strncmp(one, other, i + 1) < 0;
            other[i] = one[i];
        }
        ck_assert_msg(is_right, "of %zu bytes", len);
    }
}
END_TEST

static const char *pointer(const void *found)
{
    return found;
}

START_TEST(test_finds)
{
    static const char text[] = "one,two;three,four";
    const char *(*volatile own_strchr)(const char *, int) =
        (const char *(*)(const char *, int))strchr;
    const char *(*volatile own_strrchr)(const char *, int) =
        (const char *(*)(const char *, int))strrchr;
    const char *(*volatile own_strpbrk)(const char *, const char *) =
        (const char *(*)(const char *, const char *))strpbrk;
    const char *(*volatile own_strstr)(const char *, const char *) =
        (const char *(*)(const char *, const char *))strstr;
    KEPT(strcspn);
    KEPT(strspn);

    ck_assert_ptr_eq(own_strchr(text, ','), text + 3);
    ck_assert_ptr_eq(own_strchr(text, '\0'), text + sizeof text - 1);
    ck_assert_ptr_null(own_strchr(text, '!'));
    ck_assert_ptr_eq(own_strrchr(text, ','), text + 13);
    ck_assert_ptr_eq(own_strrchr(text, '\0'), text + sizeof text - 1);
    ck_assert_ptr_null(own_strrchr(text, '!'));
    ck_assert_ptr_eq(pointer(memchr(text, ';', sizeof text)), text + 7);
    ck_assert_uint_eq(own_strcspn(text, ","), 3);
    ck_assert_uint_eq(own_strcspn(text, ";,"), 3);
    ck_assert_uint_eq(own_strcspn(text, ";!"), 7);
    ck_assert_uint_eq(own_strcspn(text, "!"), sizeof text - 1);
    ck_assert_uint_eq(own_strcspn(text, "!?"), sizeof text - 1);
    ck_assert_uint_eq(own_strcspn(text, ""), sizeof text - 1);
    ck_assert_uint_eq(own_strcspn("", ","), 0);
    ck_assert_uint_eq(own_strspn(text, "neo"), 3);
    ck_assert_uint_eq(own_strspn(text, "x"), 0);
    ck_assert_uint_eq(own_strspn("***", "*"), 3);
    ck_assert_ptr_eq(own_strpbrk(text, ";,"), text + 3);
    ck_assert_ptr_null(own_strpbrk(text, "!?"));
    ck_assert_ptr_eq(own_strstr(text, "three"), text + 8);
    ck_assert_ptr_eq(own_strstr(text, ""), text);
    ck_assert_str_eq(own_strstr("aaab", "aab"), "aab");
    ck_assert_ptr_null(own_strstr(text, "four,"));
    ck_assert_ptr_null(own_strstr("", "x"));
    ck_assert_str_eq(own_strstr("", ""), "");
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("string");

    tcase_add_test(tests, test_copies);
    tcase_add_test(tests, test_lengths);
    tcase_add_test(tests, test_finds);
    return suite_run("string", tests);
}
