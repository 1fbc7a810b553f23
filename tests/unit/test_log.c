// promise: messages are formatted as printf would, in one write, and change nothing of the host
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "suite.h"

static int stderr_pipe[2], real_stderr;

static void capture_begin(void)
{
    ck_assert_int_eq(pipe(stderr_pipe), 0);
    real_stderr = dup(2);
    dup2(stderr_pipe[1], 2);
    close(stderr_pipe[1]);
}

static size_t capture_end(char *buf, size_t n)
{
    ssize_t got;

    dup2(real_stderr, 2);
    close(real_stderr);
    got = read(stderr_pipe[0], buf, n - 1);
    close(stderr_pipe[0]);
    buf[got > 0 ? got : 0] = '\0';
    return got > 0 ? (size_t)got : 0;
}

/* The same conversion through printf and through ours. */
#define SAME(...)                                                     \
    do {                                                              \
        char theirs[256], ours[256];                                  \
        int n = snprintf(theirs, sizeof theirs, __VA_ARGS__);         \
                                                                      \
        ck_assert_int_eq(fmt_buf(ours, sizeof ours, __VA_ARGS__), n); \
        ck_assert_str_eq(ours, theirs);                               \
    } while (0)

START_TEST(test_log_formats_as_printf_does)
{
    const char *text = "text";

    SAME("%s %d %u %x %c %%|", text, -5, 7u, 0xbeefu, 'c');
    SAME("%d %d %u", INT_MIN, INT_MAX, UINT_MAX);
    SAME("%ld %lu %lx %zu", LONG_MIN, ULONG_MAX, ULONG_MAX, (size_t)-1);
    SAME("%lld %llu", LLONG_MIN, ULLONG_MAX);
    SAME("%p", (void *)&errno);
    SAME("%5d|%-5d|%05d|%05d|%2d", 42, 42, 42, -42, 12345);
    SAME("%8s|%-8s|%.2s|%.*s|%*d", text, text, text, 3, text, 6, 7);
    SAME("%02x%02x", 0xau, 0xffu);
    SAME("%s", "");
}
END_TEST

START_TEST(test_log_formats_null_and_unknown_without_reading_on)
{
    char buf[64];
    const char *volatile null = NULL;
    const char *fmt = "%s|%";

    fmt_buf(buf, sizeof buf, "%s", null);
    ck_assert_str_eq(buf, "(null)");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
#pragma GCC diagnostic ignored "-Wformat"
    fmt_buf(buf, sizeof buf, fmt, "a");
    ck_assert_str_eq(buf, "a|%");
    fmt = "%q%";
    fmt_buf(buf, sizeof buf, fmt);
    ck_assert_str_eq(buf, "%q%");
#pragma GCC diagnostic pop
}
END_TEST

START_TEST(test_log_never_writes_past_the_buffer)
{
    char buf[8] = "#######";

    ck_assert_int_eq(fmt_buf(buf, 4, "%s", "abcdef"), 6);
    ck_assert_str_eq(buf, "abc");
    ck_assert_int_eq(buf[4], '#');
    ck_assert_int_eq(fmt_buf(NULL, 0, "%d", 1234), 4);
}
END_TEST

START_TEST(test_log_writes_one_line_and_keeps_errno)
{
    char got[256];

    capture_begin();
    errno = 77;
    log_msg(LOG_LEVEL_ERROR, "slot %d of %s", 3, "x");
    ck_assert_int_eq(errno, 77);
    capture_end(got, sizeof got);
    ck_assert_str_eq(got, "baton: slot 3 of x\n");
}
END_TEST

START_TEST(test_log_is_silent_above_its_level)
{
    char got[256];

    capture_begin();
    log_msg(LOG_LEVEL_WARN, "no");
    log_level = LOG_LEVEL_INFO;
    log_msg(LOG_LEVEL_DEBUG, "no");
    log_msg(LOG_LEVEL_INFO, "yes");
    log_level = LOG_LEVEL_ERROR;
    capture_end(got, sizeof got);
    ck_assert_str_eq(got, "baton: yes\n");
}
END_TEST

START_TEST(test_log_cuts_a_long_message)
{
    char longer[3000], got[4000];
    size_t n;

    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    capture_begin();
    log_msg(LOG_LEVEL_ERROR, "%s", longer);
    n = capture_end(got, sizeof got);
    ck_assert_uint_le(n, LOG_MAX + 1);
    ck_assert_uint_ge(n, LOG_MAX - 8);
    ck_assert_str_eq(got + n - 5, "x...\n");
}
END_TEST

START_TEST(test_log_survives_a_reader_that_went_away)
{
    int fds[2];
    sigset_t pending;

    ck_assert_int_eq(pipe(fds), 0);
    close(fds[0]);
    signal(SIGPIPE, SIG_DFL);
    errno = 5;
    ck_assert_int_eq(log_write(fds[1], "x", 1), EPIPE);
    ck_assert_int_eq(errno, 5);
    sigpending(&pending);
    ck_assert_int_eq(sigismember(&pending, SIGPIPE), 0);
    ck_assert_int_eq(log_write(-1, "x", 1), EBADF);
    close(fds[1]);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("log");

    tcase_add_test(tc, test_log_formats_as_printf_does);
    tcase_add_test(tc, test_log_formats_null_and_unknown_without_reading_on);
    tcase_add_test(tc, test_log_never_writes_past_the_buffer);
    tcase_add_test(tc, test_log_writes_one_line_and_keeps_errno);
    tcase_add_test(tc, test_log_is_silent_above_its_level);
    tcase_add_test(tc, test_log_cuts_a_long_message);
    tcase_add_test(tc, test_log_survives_a_reader_that_went_away);
    return suite_run("log", tc);
}
