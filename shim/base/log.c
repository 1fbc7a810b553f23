/* Messages from inside somebody else's process.
 *
 * Promise: a message never changes what the program does. So the rules here are those of a signal
 * handler: the stack only, no stdio, no locale, no lock; errno comes back as it was; a reader of
 * stderr that went away must not kill the program (SIGPIPE and SIGXFSZ are taken back), and a file that has taken
 * its number gets nothing. What is quoted is cleaned of control characters. A message is said once, not
 * by every child of fork again (said.h), and at most 20 a process.
 */
#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "base/said.h"
#include "base/sandbox.h"
#include "base/sys.h"
#include "base/text.h"

int log_level = LOG_LEVEL_ERROR;

struct fmt_out {
    char *buf;
    size_t capacity; /* bytes that fit before the terminator */
    size_t len;      /* bytes that the whole text has */
};

struct fmt_spec {
    bool is_left, is_zero;
    int width, precision; /* precision -1: none given */
    int longs;            /* 0 int, 1 long and size_t, 2 long long */
};

static void fmt_put(struct fmt_out *out, char c)
{
    if (out->len < out->capacity)
        out->buf[out->len] = c;
    out->len++;
}

static void fmt_put_padded(struct fmt_out *out, const struct fmt_spec *spec, const char *text,
                           size_t len, bool is_number)
{
    size_t pad = spec->width > 0 && (size_t)spec->width > len ? (size_t)spec->width - len : 0;
    char fill = is_number && spec->is_zero && !spec->is_left ? '0' : ' ';

    if (fill == '0' && len && *text == '-') {
        fmt_put(out, '-');
        text++, len--;
    }
    for (size_t i = 0; !spec->is_left && i < pad; i++)
        fmt_put(out, fill);
    for (size_t i = 0; i < len; i++)
        fmt_put(out, text[i]);
    for (size_t i = 0; spec->is_left && i < pad; i++)
        fmt_put(out, ' ');
}

static void fmt_put_number(struct fmt_out *out, const struct fmt_spec *spec,
                           unsigned long long value, unsigned base, bool is_negative,
                           const char *prefix)
{
    char digits[32], *p = digits + sizeof digits;

    do {
        *--p = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    for (size_t i = strlen(prefix); i > 0; i--)
        *--p = prefix[i - 1];
    if (is_negative)
        *--p = '-';
    fmt_put_padded(out, spec, p, (size_t)(digits + sizeof digits - p), true);
}

/* A va_list that is an array cannot be passed on by address; a struct around it can. */
struct fmt_args {
    va_list list;
};

/* Read flags, width, precision and length at FMT; the conversion is where it stops. */
static const char *fmt_parse(const char *fmt, struct fmt_spec *spec, struct fmt_args *args)
{
    for (; *fmt == '-' || *fmt == '0'; fmt++) {
        if (*fmt == '-')
            spec->is_left = true;
        else
            spec->is_zero = true;
    }
    if (*fmt == '*') {
        spec->width = va_arg(args->list, int);
        fmt++;
    }
    for (; *fmt >= '0' && *fmt <= '9' && spec->width < 10000; fmt++)
        spec->width = spec->width * 10 + (*fmt - '0');
    if (*fmt == '.') {
        spec->precision = 0;
        if (*++fmt == '*') {
            spec->precision = va_arg(args->list, int);
            fmt++;
        }
        for (; *fmt >= '0' && *fmt <= '9' && spec->precision < 10000; fmt++)
            spec->precision = spec->precision * 10 + (*fmt - '0');
    }
    for (; *fmt == 'l' || *fmt == 'z' || *fmt == 'j'; fmt++)
        spec->longs += *fmt == 'j' ? 2 : 1;
    return fmt;
}

static unsigned long long fmt_take_unsigned(struct fmt_args *args, int longs)
{
    if (longs == 0)
        return va_arg(args->list, unsigned);
    if (longs == 1)
        return va_arg(args->list, unsigned long);
    return va_arg(args->list, unsigned long long);
}

static void fmt_put_signed(struct fmt_out *out, const struct fmt_spec *spec, struct fmt_args *args)
{
    long long value;

    if (spec->longs == 0)
        value = va_arg(args->list, int);
    else if (spec->longs == 1)
        value = va_arg(args->list, long);
    else
        value = va_arg(args->list, long long);
    /* Negated as unsigned: the smallest value has no positive twin. */
    fmt_put_number(out, spec, value < 0 ? 0 - (unsigned long long)value : (unsigned long long)value,
                   10, value < 0, "");
}

static void fmt_put_string(struct fmt_out *out, const struct fmt_spec *spec, const char *text)
{
    if (!text)
        text = "(null)";
    fmt_put_padded(out, spec, text,
                   spec->precision >= 0 ? strnlen(text, (size_t)spec->precision) : strlen(text),
                   false);
}

/* One conversion; FMT stands behind the '%'. Answers where the text goes on. */
static const char *fmt_convert(struct fmt_out *out, const char *fmt, struct fmt_args *args)
{
    struct fmt_spec spec = {.precision = -1};
    const char *conversion = fmt_parse(fmt, &spec, args);
    char c;

    switch (*conversion) {
    case 's':
        fmt_put_string(out, &spec, va_arg(args->list, const char *));
        break;
    case 'c':
        c = (char)va_arg(args->list, int);
        fmt_put_padded(out, &spec, &c, 1, false);
        break;
    case 'd':
    case 'i':
        fmt_put_signed(out, &spec, args);
        break;
    case 'u':
        fmt_put_number(out, &spec, fmt_take_unsigned(args, spec.longs), 10, false, "");
        break;
    case 'x':
        fmt_put_number(out, &spec, fmt_take_unsigned(args, spec.longs), 16, false, "");
        break;
    case 'p':
        fmt_put_number(out, &spec, (uintptr_t)va_arg(args->list, void *), 16, false, "0x");
        break;
    case '%':
        fmt_put(out, '%');
        break;
    default:
        fmt_put(out, '%');
        return fmt;
    }
    return conversion + 1;
}

int fmt_vbuf(char *buf, size_t n, const char *fmt, va_list list)
{
    struct fmt_out out = {.buf = buf, .capacity = n ? n - 1 : 0};
    struct fmt_args args;

    va_copy(args.list, list);
    while (*fmt) {
        if (*fmt != '%')
            fmt_put(&out, *fmt++);
        else
            fmt = fmt_convert(&out, fmt + 1, &args);
    }
    va_end(args.list);
    if (n)
        buf[out.len < out.capacity ? out.len : out.capacity] = '\0';
    return (int)out.len;
}

int fmt_buf(char *buf, size_t n, const char *fmt, ...)
{
    va_list args;
    int len;

    va_start(args, fmt);
    len = fmt_vbuf(buf, n, fmt, args);
    va_end(args);
    return len;
}

/* ---- descriptors ---- */

/* A number says little: daemons close 0 to 2, and the next file that they open has that number. */
static struct known {
    int fd;
    bool is_taken, is_open;
    bool may_block;        /* a pipe, a terminal, a socket: somebody has to read */
    _Atomic bool is_stuck; /* nobody did, the last time */
    dev_t device;
    ino_t inode;
} known[4];

static bool log_look_at(int fd, struct known *into)
{
    struct stat st;

    if (sys_status(fd, &st) != 0)
        return false;
    into->may_block = !S_ISREG(st.st_mode);
    into->device = st.st_dev;
    into->inode = st.st_ino;
    return true;
}

static struct known *log_known(int fd)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].is_taken && known[i].fd == fd)
            return &known[i];
    return NULL;
}

void log_remember(int fd)
{
    for (size_t i = 0; i < sizeof known / sizeof *known && !log_known(fd); i++) {
        if (known[i].is_taken)
            continue;
        known[i].fd = fd;
        known[i].is_open = log_look_at(fd, &known[i]);
        known[i].is_taken = true;
    }
}

bool log_is_remembered(int fd)
{
    return log_known(fd) != NULL;
}

bool log_is_still(int fd)
{
    const struct known *before = log_known(fd);
    struct known now;

    return before && before->is_open && log_look_at(fd, &now) && now.device == before->device &&
           now.inode == before->inode;
}

/* ---- writing ---- */

enum {
    WAIT_MS = 100,
    WAITS = 2,   /* for a reader that is slow */
    PIECE = 4096 /* PIPE_BUF: what is surely taken at once where there is room */
};

/* False: there is no room yet. */
static bool log_wait(int fd, long milliseconds)
{
    struct pollfd poll = {.fd = fd, .events = POLLOUT};
    struct timespec limit = {.tv_nsec = milliseconds * 1000000L};

    return SYS_CALL(ppoll, &poll, 1, &limit, NULL, 0) > 0;
}

/* A descriptor that was there before us may block, and nobody may change that: it is the program's. */
static int log_write_all(int fd, const char *text, size_t len)
{
    struct known *one = log_known(fd);
    bool may_block = one && one->may_block;
    unsigned waits = one && atomic_load(&one->is_stuck) ? WAITS : 0;

    while (len) {
        bool has_room = !may_block || log_wait(fd, waits < WAITS ? WAIT_MS : 0);
        long done = has_room ? sys_write(fd, text, may_block && len > PIECE ? PIECE : len)
                             : -EAGAIN;

        if (done == -EINTR)
            continue;
        if (done == -EAGAIN && waits++ < WAITS) {
            if (!may_block)
                (void)log_wait(fd, WAIT_MS);
            continue;
        }
        if (one)
            atomic_store(&one->is_stuck, done == -EAGAIN);
        if (done <= 0)
            return done < 0 ? (int)-done : EIO;
        waits = 0;
        text += done;
        len -= (size_t)done;
    }
    return 0;
}

/* A pipe nobody reads answers with SIGPIPE, a file at the limit of its size with SIGXFSZ; both end a
 * program that itself never wrote. Hold them back, and eat what is ours, that is, if none was waiting
 * before. The kernel's own signal sets, of 64 bits: libc's calls are intercepted by sanitizers. */
int log_write(int fd, const char *text, size_t len)
{
    const uint64_t pipe_set = UINT64_C(1) << (SIGPIPE - 1), size_set = UINT64_C(1) << (SIGXFSZ - 1);
    const uint64_t held = pipe_set | size_set;
    uint64_t pending = 0, old, ours;
    bool is_owned;
    int error;

    if (sandbox_is_shut())
        return EPERM;
    if (log_is_remembered(fd) && !log_is_still(fd))
        return EBADF;
    (void)SYS_CALL(rt_sigpending, &pending, sizeof pending);
    is_owned = SYS_CALL(rt_sigprocmask, SIG_BLOCK, &held, &old, sizeof old) == 0;
    error = log_write_all(fd, text, len);
    ours = (error == EPIPE ? pipe_set : error == EFBIG ? size_set : 0) & ~pending;
    if (ours && is_owned) {
        struct timespec none = {0};

        while (SYS_CALL(rt_sigtimedwait, &ours, NULL, &none, sizeof ours) == -EINTR)
            ;
    }
    if (is_owned)
        (void)SYS_CALL(rt_sigprocmask, SIG_SETMASK, &old, NULL, sizeof old);
    return error;
}

/* ---- what was said already ---- */

enum { MESSAGES_MAX = 20 };

/* One page that a process and its children share, so that no child repeats what was said before (said.h). */
static _Atomic uint64_t *said;
static _Atomic uint64_t said_here[SAID_MAX]; /* where there is no memory for that */
static atomic_uint shown, held_back;

void log_begin(char **environment)
{
    log_remember(STDERR_FILENO);
    if (said)
        return;
    said = said_page(environment);
    if (!said)
        said = said_here;
}

/* True the first time in this process, its children and its run; and when too many were said to know. Where it is said counts:
 * what one program of a run has said into a file the next one says on the terminal. */
static bool log_is_new(const char *text, size_t len)
{
    const uint64_t prime = UINT64_C(0x100000001b3);
    const struct known *place = log_known(STDERR_FILENO);
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    size_t at;

    if (place)
        hash = ((hash ^ place->device) * prime ^ place->inode) * prime;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)text[i]) * prime;
    hash |= 1;
    at = hash >> 32;
    for (size_t i = 0; i < SAID_MAX; i++) {
        uint64_t none = 0;

        if (atomic_compare_exchange_strong(&said[(at + i) % SAID_MAX], &none, hash))
            return true;
        if (none == hash)
            return false;
    }
    return true;
}

static bool log_is_wanted(enum log_level level, const char *text, size_t len)
{
    if (level > LOG_LEVEL_WARN || !said)
        return true;
    if (!log_is_new(text, len))
        return false;
    if (log_level > LOG_LEVEL_INFO || atomic_fetch_add(&shown, 1) < MESSAGES_MAX)
        return true;
    atomic_fetch_add(&held_back, 1);
    return false;
}

void log_count(void)
{
    unsigned count = atomic_exchange(&held_back, 0);
    char line[80];
    int len;

    if (!count)
        return;
    len = fmt_buf(line, sizeof line, "baton: %u more message%s, not shown\n", count,
                  count > 1 ? "s" : "");
    if (log_is_new(line, (size_t)len))
        log_write(STDERR_FILENO, line, (size_t)len);
}

void log_msg(enum log_level level, const char *fmt, ...)
{
    static const char prefix[] = "baton: ", cut[] = "...";
    char line[LOG_MAX + 1];
    size_t head = sizeof prefix - 1, capacity = LOG_MAX - head, len;
    va_list args;

    if ((int)level > log_level)
        return;
    memcpy(line, prefix, head);
    va_start(args, fmt);
    len = (size_t)fmt_vbuf(line + head, capacity, fmt, args);
    va_end(args);
    if (len >= capacity) {
        len = capacity - 1;
        memcpy(line + head + len - (sizeof cut - 1), cut, sizeof cut - 1);
    }
    text_clean(line, head + len);
    if (!log_is_wanted(level, line, head + len))
        return;
    line[head + len] = '\n';
    log_write(STDERR_FILENO, line, head + len + 1);
}
