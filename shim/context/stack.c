/*
 * One stack is one mapping: thread stacks have guard pages, coroutine stacks are mapped or carved
 * out of the heap. In doubt (nothing can be read) the answer is no: a stale attach is then found a
 * little later, while a live one dropped too early would lose a context.
 */
#include "context/stack.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <unistd.h>

#include "base/sys.h"

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool stack_is_same(uintptr_t one, uintptr_t other)
{
    int saved_errno = errno;
    uintptr_t low = 0, value = 0;
    enum { LOW, HIGH, REST } part = LOW;
    bool answer = false, is_done = false;
    char buffer[1024];
    ssize_t got;
    int fd;

    /* Large threads' stacks are at most some hundred MiB; further apart is never one stack. */
    if ((one > other ? one - other : other - one) > ((uintptr_t)1 << 30))
        return false;
    fd = sys_open("/proc/self/maps", O_RDONLY, 0);
    if (fd < 0) {
        errno = saved_errno;
        return false;
    }
    while (!is_done && (got = sys_read(fd, buffer, sizeof buffer)) > 0) {
        for (ssize_t i = 0; i < got && !is_done; i++) {
            char c = buffer[i];

            if (part != REST && digit(c) >= 0) {
                value = value << 4 | (uintptr_t)digit(c);
            } else if (part == LOW && c == '-') {
                low = value;
                value = 0;
                part = HIGH;
            } else if (part == HIGH) {
                bool has_one = one >= low && one < value, has_other = other >= low && other < value;

                if (has_one || has_other) {
                    answer = has_one && has_other;
                    is_done = true;
                }
                part = REST;
            }
            if (c == '\n') {
                part = LOW;
                value = 0;
            }
        }
    }
    sys_close(fd);
    errno = saved_errno;
    return answer;
}
