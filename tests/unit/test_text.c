// promise: what strangers wrote is shown without steering the reader, and is a string of JSON whatever it is
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "suite.h"

static const struct {
    const char *text, *clean, *json;
} rows[] = {
    {"plain", "plain", "\"plain\""},
    {"", "", "\"\""},
    {"a\"b\\c", "a\"b\\c", "\"a\\\"b\\\\c\""},
    {"tab\there", "tab?here", "\"tab\\u0009here\""},
    {"\x1b[31mred", "?[31mred", "\"\\u001b[31mred\""},
    {"\x7f", "?", "\"\\u007f\""},
    {"\xc3\xa9", "\xc3\xa9", "\"\xc3\xa9\""},                         /* e with an accent */
    {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80", "\"\xf0\x9f\x98\x80\""}, /* beyond the first plane */
    {"\xc2\x9b", "??", "\"\\u009b\""},                                /* CSI in one character */
    {"\xe2\x80\xae", "???", "\"\\u202e\""},                           /* right to left from here */
    {"\xef\xbb\xbf", "???", "\"\\ufeff\""},                           /* byte order mark */
    {"\xff\xfe", "??", "\"\\\\xff\\\\xfe\""},
    {"\xc3", "?", "\"\\\\xc3\""},                                     /* cut */
    {"\xc0\xaf", "??", "\"\\\\xc0\\\\xaf\""},                         /* overlong */
    {"\xe0\x80\xaf", "???", "\"\\\\xe0\\\\x80\\\\xaf\""},             /* overlong */
    {"\xed\xa0\x80", "???", "\"\\\\xed\\\\xa0\\\\x80\""},             /* half of a pair */
    {"\xf4\x90\x80\x80", "????", "\"\\\\xf4\\\\x90\\\\x80\\\\x80\""}, /* beyond Unicode */
    {"\x80x", "?x", "\"\\\\x80x\""},
};

START_TEST(test_text_is_shown)
{
    char clean[32], json[64];
    size_t len = strlen(rows[_i].text);

    strcpy(clean, rows[_i].text);
    text_clean(clean, len);
    ck_assert_str_eq(clean, rows[_i].clean);
    ck_assert_uint_eq(text_json(json, sizeof json, rows[_i].text, len), strlen(rows[_i].json));
    ck_assert_str_eq(json, rows[_i].json);
}
END_TEST

START_TEST(test_text_fits)
{
    char json[8];

    for (size_t n = 0; n <= sizeof json; n++) {
        memset(json, 'x', sizeof json);
        ck_assert_uint_eq(text_json(json, n, "12345678", 8), 10);
        for (size_t i = n; i < sizeof json; i++)
            ck_assert_int_eq(json[i], 'x');
        if (n)
            ck_assert_uint_eq(strlen(json), n - 1);
    }
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("text");

    tcase_add_loop_test(tests, test_text_is_shown, 0, sizeof rows / sizeof *rows);
    tcase_add_test(tests, test_text_fits);
    return suite_run("text", tests);
}
