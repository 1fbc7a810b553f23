/*
 * ioprio: the thread's I/O scheduling class and priority (ioprio_set). What the process may not set
 * (the real-time class, without the right to) stays as it is.
 */
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "slots/slots.h"

enum { WHO_PROCESS = 1, CALLING_THREAD = 0 };

static bool ioprio_parse(struct slot *slot, char *text, struct slot_error *error)
{
    slot->size = sizeof(int);
    if (*text)
        *error = (struct slot_error){"ioprio alone", text};
    return !*text;
}

static int ioprio_now(void)
{
    int saved_errno = errno, now = (int)syscall(SYS_ioprio_get, WHO_PROCESS, CALLING_THREAD);

    errno = saved_errno;
    return now;
}

static void ioprio_resolve(struct slot *slot)
{
    if (ioprio_now() < 0)
        slot_refuse(slot, "the kernel has no I/O priorities");
    else
        slot_bound(slot, "the kernel", "I/O priority");
}

static bool ioprio_read(const struct slot *slot, void *value)
{
    int now = ioprio_now();

    if (now < 0)
        now = 0;
    memcpy(value, &now, sizeof now);
    return now != 0;
}

static bool ioprio_same(const struct slot *slot, const void *value)
{
    int wanted, now = ioprio_now();

    memcpy(&wanted, value, sizeof wanted);
    return wanted == (now < 0 ? 0 : now);
}

static void ioprio_write(const struct slot *slot, void *value)
{
    int saved_errno = errno, wanted;

    memcpy(&wanted, value, sizeof wanted);
    if (wanted != ioprio_now())
        syscall(SYS_ioprio_set, WHO_PROCESS, CALLING_THREAD, wanted);
    errno = saved_errno;
}

static const struct slot_form ioprio_form = {
    .name = "ioprio",
    .shape = SHAPE_ALONE,
    .item = "ioprio alone",
    .extra = "no option: ioprio stands alone",
};

const struct slot_kind slot_kind_ioprio = {
    .form = &ioprio_form,
    .is_everywhere = true,
    .parse = ioprio_parse,
    .resolve = ioprio_resolve,
    .read = ioprio_read,
    .write = ioprio_write,
    .same = ioprio_same,
};
