/*
 * ioprio: the thread's I/O scheduling class and priority (ioprio_set). What the process may not set
 * (the real-time class, without the right to) stays as it is.
 */
#include <string.h>
#include <sys/syscall.h>

#include "base/arch.h"
#include "slots/slots.h"

enum { WHO_PROCESS = 1, CALLING_THREAD = 0 };

static bool ioprio_parse(struct slot *slot, char *text, struct slot_error *error)
{
    slot->size = sizeof(uint64_t);
    if (*text)
        *error = (struct slot_error){"ioprio alone", text};
    return !*text;
}

static inline long ioprio_ask(void)
{
    return arch_kernel(SYS_ioprio_get, WHO_PROCESS, CALLING_THREAD, 0);
}

static void ioprio_resolve(struct slot *slot)
{
    if (ioprio_ask() < 0)
        slot_refuse(slot, "the kernel has no I/O priorities");
    else
        slot_bound(slot, "the kernel", "I/O priority");
}

/* What cannot be had is none. */
static uint64_t ioprio_get(const struct slot *slot)
{
    long now = ioprio_ask();

    return now < 0 ? 0 : (uint64_t)now;
}

static void ioprio_put(const struct slot *slot, uint64_t wanted)
{
    arch_kernel(SYS_ioprio_set, WHO_PROCESS, CALLING_THREAD, (long)wanted);
}

static bool ioprio_read(const struct slot *slot, void *value)
{
    uint64_t now = ioprio_get(slot);

    memcpy(value, &now, sizeof now);
    return now != 0;
}

static bool ioprio_same(const struct slot *slot, const void *value)
{
    uint64_t wanted;

    memcpy(&wanted, value, sizeof wanted);
    return wanted == ioprio_get(slot);
}

static void ioprio_write(const struct slot *slot, void *value)
{
    uint64_t wanted;

    memcpy(&wanted, value, sizeof wanted);
    if (wanted != ioprio_get(slot))
        ioprio_put(slot, wanted);
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
    .get = ioprio_get,
    .put = ioprio_put,
};
