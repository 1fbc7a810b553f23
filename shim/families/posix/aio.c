/*
 * aio_read, aio_write, aio_fsync, lio_listio with SIGEV_THREAD.
 *
 * The address of an aiocb is its identity and glibc reads its sigevent when the request ends, so the
 * program's own aiocb has our callback for that long (notification.c puts the program's back). What could
 * not be queued gets it back at once. aio_cancel needs nothing: the callback comes all the same.
 * Source: glibc 2.36, aio_misc.c, lio_listio.c.
 */
#include <aio.h>
#include <errno.h>

#include "elf/elf.h"
#include "families/posix/notification.h"

/* One request; where not both are 64 bits wide, the layouts differ. */
_Static_assert(sizeof(struct aiocb) == sizeof(struct aiocb64),
               "aiocb and aiocb64 are laid out alike");

static struct notification *request_begin(struct aiocb *request)
{
    struct notification *notification =
        request ? notification_new(FAMILY_AIO, &request->aio_sigevent, false) : NULL;

    if (notification) {
        notification->request = request;
        notification_place(notification, &request->aio_sigevent);
    }
    return notification;
}

/* The request was not queued: the program's aiocb as it was. */
static void request_undo(struct notification *notification, struct aiocb *request)
{
    int saved_errno = errno;

    request->aio_sigevent.sigev_notify_function = notification->function;
    request->aio_sigevent.sigev_value = notification->value;
    notification_rollback(FAMILY_AIO, notification);
    errno = saved_errno;
}

#define REQUEST(NAME, ...)                                        \
    do {                                                          \
        struct aiocb *plain = (struct aiocb *)request;            \
        struct notification *notification = request_begin(plain); \
        int result = REAL(NAME)(__VA_ARGS__);                     \
                                                                  \
        if (notification && result != 0)                          \
            request_undo(notification, plain);                    \
        return result;                                            \
    } while (0)

int hook_aio_read(struct aiocb *request)
{
    REQUEST(aio_read, request);
}

int hook_aio_write(struct aiocb *request)
{
    REQUEST(aio_write, request);
}

int hook_aio_fsync(int operation, struct aiocb *request)
{
    REQUEST(aio_fsync, operation, request);
}

int hook_aio_read64(struct aiocb64 *request)
{
    REQUEST(aio_read64, request);
}

int hook_aio_write64(struct aiocb64 *request)
{
    REQUEST(aio_write64, request);
}

int hook_aio_fsync64(int operation, struct aiocb64 *request)
{
    REQUEST(aio_fsync64, operation, request);
}

/* ---- lists ---- */

static void list_begin(struct aiocb *const *list, int count)
{
    for (int i = 0; i < count; i++) {
        if (list[i] && list[i]->aio_lio_opcode != LIO_NOP)
            request_begin(list[i]);
    }
}

/*
 * Some requests of the list were refused, before this is called, and never notify: their error is one
 * that queueing gives. One that ran and ended with such an error may be taken for refused; then its
 * callback still comes, without context.
 */
static void list_undo(struct aiocb *const *list, int count)
{
    /* Not linked to: older C libraries have it in a library of its own. */
    int (*error_of)(const struct aiocb *) = (int (*)(const struct aiocb *))elf_libc("aio_error");

    for (int i = 0; i < count; i++) {
        struct notification *notification;
        int error;

        if (!list[i] || list[i]->aio_lio_opcode == LIO_NOP)
            continue;
        notification = list[i]->aio_sigevent.sigev_value.sival_ptr;
        error = error_of ? error_of(list[i]) : 0;
        if ((error == EINVAL || error == EAGAIN) && notification &&
            list[i]->aio_sigevent.sigev_notify == SIGEV_THREAD &&
            notification_is_placed(notification, &list[i]->aio_sigevent))
            request_undo(notification, list[i]);
    }
}

static int list_run(int (*real)(int, struct aiocb *const *, int, struct sigevent *), int mode,
                    struct aiocb *const *list, int count, struct sigevent *event)
{
    bool is_list = (mode == LIO_WAIT || mode == LIO_NOWAIT) && list && count > 0;
    struct notification *notification =
        mode == LIO_NOWAIT ? notification_new(FAMILY_AIO, event, false) : NULL;
    struct sigevent copy;
    int result;

    if (is_list)
        list_begin(list, count);
    if (notification) {
        copy = *event;
        notification_place(notification, &copy);
        event = &copy;
    }
    result = real(mode, list, count, event);
    if (result != 0 && is_list) {
        int saved_errno = errno;

        list_undo(list, count);
        errno = saved_errno;
    }
    return result;
}

int hook_lio_listio(int mode, struct aiocb *const *list, int count, struct sigevent *event)
{
    return list_run(REAL(lio_listio), mode, list, count, event);
}

int hook_lio_listio64(int mode, struct aiocb64 *const *list, int count, struct sigevent *event)
{
    return list_run((int (*)(int, struct aiocb *const *, int, struct sigevent *))REAL(lio_listio64),
                    mode, (struct aiocb *const *)list, count, event);
}
