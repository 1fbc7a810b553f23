/* Messages to the user, and the formatter behind them.
 *
 * Call context: anywhere, signal handlers and code before libc's own start included. No memory is
 * allocated, no lock is taken, errno is kept. One message is one write(2) to descriptor 2, which is not
 * written to when it is no longer the file that it was; what is quoted in it is cleaned.
 */
#ifndef BATON_BASE_LOG_H
#define BATON_BASE_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* The most talkative level that is written; errors only until the settings say otherwise. */
extern int log_level;

/* Write "baton: <message>\n" when LEVEL is wanted. A longer message than LOG_MAX bytes is cut and
 * ends in "...". */
#define LOG_MAX 1024
void log_msg(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* At the start, before there is a second thread: from here on a warning or an error is said once by a process
 * and its forks, once by all processes of a run whose launcher waits for it (said.h), and at most 20 are a process; log_count
 * says how many were held back since it was called last. */
void log_begin(char **environment);
void log_count(void);

/* Remember what descriptor FD is now. is_still: it is open and the same file. */
void log_remember(int fd);
bool log_is_remembered(int fd);
bool log_is_still(int fd);

/* Write LEN bytes as they are to descriptor FD, without SIGPIPE and SIGXFSZ. 0, or an errno value: EBADF too when FD
 * was remembered and is another file by now. */
int log_write(int fd, const char *text, size_t len);

/* Format into BUF of N bytes, always terminated when N > 0. The answer is the length that the
 * whole text has, as snprintf's: >= N means that it was cut.
 * Known: %s %.*s %.Ns %c %d %i %u %x %p %%, with l, ll, z, j, and a width with '0' or '-'. Anything
 * else is copied as it stands and takes no argument. */
int fmt_buf(char *buf, size_t n, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int fmt_vbuf(char *buf, size_t n, const char *fmt, va_list args)
    __attribute__((format(printf, 3, 0)));

#endif
