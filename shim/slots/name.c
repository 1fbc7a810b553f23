/*
 * name: the thread's name, as top -H and perf show it. A task runs under its submitter's name.
 *
 * There is no "no name": an empty one stands for it (a task with an empty context keeps its worker's). Nobody but the
 * kernel knows it: in a sandbox that ends the program at the question it is not carried, which is counted.
 */
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "base/arch.h"
#include "base/sandbox.h"
#include "slots/kind.h"
#include "slots/slots.h"

enum { NAME_SIZE = sizeof(struct slot_wide) };

static bool name_parse(struct slot *slot, char *text, struct slot_error *error)
{
    slot->size = NAME_SIZE;
    if (*text)
        *error = (struct slot_error){"name alone", text};
    return !*text;
}

static void name_resolve(struct slot *slot)
{
    slot_bound(slot, "the kernel", "thread name");
}

/* What is behind the first zero byte; the machine is little-endian. */
static inline uint64_t behind_end(uint64_t half)
{
    uint64_t ends = (half - 0x0101010101010101u) & ~half & 0x8080808080808080u;

    return ends ? ~(((ends & -ends) >> 7) - 1) : 0;
}

/* False: it cannot be had. */
static inline bool ask(struct slot_wide *name)
{
    return arch_kernel(SYS_prctl, PR_GET_NAME, (long)name, 0) == 0;
}

/* Zeros after the end, so that two readings compare equal. */
static inline void clean(struct slot_wide *name)
{
    uint64_t behind = behind_end(name->half[0]);

    name->half[0] &= ~behind;
    name->half[1] &= behind ? 0 : ~behind_end(name->half[1]);
}

static inline bool are_equal(const struct slot_wide *one, const struct slot_wide *other)
{
    return one->half[0] == other->half[0] && one->half[1] == other->half[1];
}

static __attribute__((noinline, cold)) void forbidden(const struct slot *slot)
{
    slot_failed_as(slot, "the program is in a sandbox where prctl ends it, or may");
}

static inline bool may_ask(const struct slot *slot)
{
    bool may = __builtin_expect(sandbox_allows(SANDBOX_NAME), 1);

    if (!may)
        forbidden(slot);
    return may;
}

static bool name_read(const struct slot *slot, void *value)
{
    struct slot_wide name;

    if (may_ask(slot) && ask(&name))
        clean(&name);
    else
        name = (struct slot_wide){{0}};
    memcpy(value, &name, sizeof name);
    return *(const char *)value != '\0';
}

/* Kernels leave nothing behind the end that they are known for: mostly what they give is equal as it is. */
static bool name_same(const struct slot *slot, const void *value)
{
    struct slot_wide name, wanted;

    memcpy(&wanted, value, sizeof wanted);
    if (!sandbox_allows(SANDBOX_NAME) || !ask(&name))
        return false;
    if (__builtin_expect(are_equal(&name, &wanted), 1))
        return true;
    clean(&name);
    return are_equal(&name, &wanted);
}

/* Not cleaned: what the kernel leaves behind the end is what it left there before, or else the slow way sees it. */
static struct slot_wide name_get_wide(const struct slot *slot)
{
    struct slot_wide name = {{0, 0}};

    (void)ask(&name);
    return name;
}

static void name_write(const struct slot *slot, void *value)
{
    if (*(const char *)value && may_ask(slot))
        (void)arch_kernel(SYS_prctl, PR_SET_NAME, (long)value, 0);
}

static const struct slot_form name_form = {
    .name = "name",
    .shape = SHAPE_ALONE,
    .item = "name alone",
    .extra = "no option: name stands alone",
};

const struct slot_kind slot_kind_name = {
    .form = &name_form,
    .is_everywhere = true,
    .parse = name_parse,
    .resolve = name_resolve,
    .read = name_read,
    .write = name_write,
    .same = name_same,
    .get_wide = name_get_wide,
};
