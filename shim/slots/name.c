/*
 * name: the thread's name, as top -H and perf show it. A task runs under its submitter's name.
 *
 * There is no "no name": an empty one stands for it (a task with an empty context keeps its worker's).
 */
#include <errno.h>
#include <string.h>
#include <sys/prctl.h>

#include "slots/slots.h"
#include "base/sys.h"

enum { NAME_SIZE = 16 };

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

static bool name_read(const struct slot *slot, void *value)
{
    int saved_errno = errno;
    char name[NAME_SIZE] = "";
    size_t length = 0;

    if (SYS_CALL(prctl, PR_GET_NAME, name, 0L, 0L, 0L) == 0) {
        while (length < NAME_SIZE - 1 && name[length])
            length++;
        memset(value, 0, NAME_SIZE); /* zeros after the end: two readings compare equal */
        memcpy(value, name, length);
    }
    errno = saved_errno;
    return *(const char *)value != '\0';
}

static void name_write(const struct slot *slot, void *value)
{
    int saved_errno = errno;

    if (*(const char *)value)
        (void)SYS_CALL(prctl, PR_SET_NAME, value, 0L, 0L, 0L);
    errno = saved_errno;
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
};
