/*
 * ioprio: the thread's I/O scheduling class and priority (ioprio_set). What the process may not set
 * (the real-time class, without the right to) stays as it is. In a sandbox that ends the program at the question it is not
 * carried, which is counted.
 */
#include <string.h>
#include <sys/syscall.h>

#include "base/arch.h"
#include "base/sandbox.h"
#include "slots/kind.h"
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

static uint64_t ioprio_shut_get(const struct slot *slot)
{
    slot_failed_as(slot,
                   "the program is in a sandbox where ioprio_get or ioprio_set ends it, or may");
    return 0;
}

static void ioprio_shut_put(const struct slot *slot, uint64_t wanted)
{
    (void)wanted;
    (void)ioprio_shut_get(slot);
}

static inline uint64_t get_where_allowed(const struct slot *slot)
{
    return sandbox_allows(SANDBOX_IOPRIO) ? ioprio_get(slot) : ioprio_shut_get(slot);
}

static bool ioprio_read(const struct slot *slot, void *value)
{
    uint64_t now = get_where_allowed(slot);

    memcpy(value, &now, sizeof now);
    return now != 0;
}

static bool ioprio_same(const struct slot *slot, const void *value)
{
    uint64_t wanted;

    memcpy(&wanted, value, sizeof wanted);
    return wanted == get_where_allowed(slot);
}

static void ioprio_write(const struct slot *slot, void *value)
{
    uint64_t wanted;

    memcpy(&wanted, value, sizeof wanted);
    if (wanted != get_where_allowed(slot) && sandbox_allows(SANDBOX_IOPRIO))
        ioprio_put(slot, wanted);
}

static const struct slot_form ioprio_form = {
    .name = "ioprio",
    .shape = SHAPE_ALONE,
    .item = "ioprio alone",
    .extra = "no option: ioprio stands alone",
};

static const struct slot_shut ioprio_shut = {
    .wish = SANDBOX_IOPRIO, .get = ioprio_shut_get, .put = ioprio_shut_put};

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
    .shut = &ioprio_shut,
};
