/*
 * c-ares: look-ups. A callback runs once, in the context of its query.
 *
 * Source of the behaviour: c-ares 1.18. Every query calls back exactly once, also when it fails, is
 * cancelled or its channel destroyed; some before the call returns. c-ares makes queries of its own
 * through the same functions, with callbacks of its own.
 */
#include "context/pool/slab.h"
#include "families/handoff.h"
#include "interpose/reentry.h"

typedef void answer_callback(void *arg, int status, int timeouts, unsigned char *answer,
                             int length);
typedef void host_callback(void *arg, int status, int timeouts, struct hostent *host);
typedef void name_callback(void *arg, int status, int timeouts, char *node, char *service);
typedef void info_callback(void *arg, int status, int timeouts, struct ares_addrinfo *info);

static struct library_place ares_place;

/* A query may take long: a slab object rather than a record of the arena. NULL: run it bare. */
static struct record *query(const void *real, void *callback, void *arg)
{
    struct context *context;
    struct record *object;

    if (!callback || caller_is_reentrant(&ares_place, real, callback) || !(object = slab_new()))
        return NULL;
    context = context_capture(FAMILY_ARES);
    if (!context) {
        slab_free(object);
        return NULL;
    }
    *object = (struct record){callback, arg, context};
    return object;
}

static struct record take(void *arg)
{
    struct record record = *(struct record *)arg;

    slab_free(arg);
    return record;
}

static GUARDED void run_answer(void *arg, int status, int timeouts, unsigned char *answer,
                               int length)
{
    GUARDED_FRAME();
    struct record record = take(arg);

    SCOPE_RUN(record.context, FRAME_OWNED,
              ((answer_callback *)record.function)(record.data, status, timeouts, answer, length));
}

static GUARDED void run_host(void *arg, int status, int timeouts, struct hostent *host)
{
    GUARDED_FRAME();
    struct record record = take(arg);

    SCOPE_RUN(record.context, FRAME_OWNED,
              ((host_callback *)record.function)(record.data, status, timeouts, host));
}

static GUARDED void run_name(void *arg, int status, int timeouts, char *node, char *service)
{
    GUARDED_FRAME();
    struct record record = take(arg);

    SCOPE_RUN(record.context, FRAME_OWNED,
              ((name_callback *)record.function)(record.data, status, timeouts, node, service));
}

static GUARDED void run_info(void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
    GUARDED_FRAME();
    struct record record = take(arg);

    SCOPE_RUN(record.context, FRAME_OWNED,
              ((info_callback *)record.function)(record.data, status, timeouts, info));
}

#define EACH(...) __VA_ARGS__
/* The callback is a trampoline already (one function went on to another by a jump). */
#define QUERY(name, type, trampoline, params, args)                                            \
    void hook_##name(struct ares_channeldata *channel, EACH params, type *callback, void *arg) \
    {                                                                                          \
        struct record *object =                                                                \
            callback == trampoline ? NULL : query((void *)REAL(name), (void *)callback, arg);  \
                                                                                               \
        if (object)                                                                            \
            REAL(name)(channel, EACH args, trampoline, object);                                \
        else                                                                                   \
            REAL(name)(channel, EACH args, callback, arg);                                     \
    }

QUERY(ares_query, answer_callback, run_answer, (const char *name, int class, int type),
      (name, class, type))
QUERY(ares_search, answer_callback, run_answer, (const char *name, int class, int type),
      (name, class, type))
QUERY(ares_send, answer_callback, run_answer, (const unsigned char *query_, int length),
      (query_, length))
QUERY(ares_gethostbyname, host_callback, run_host, (const char *name, int family), (name, family))
QUERY(ares_gethostbyaddr, host_callback, run_host, (const void *address, int length, int family),
      (address, length, family))
QUERY(ares_getnameinfo, name_callback, run_name,
      (const struct sockaddr *address, unsigned length, int flags), (address, length, flags))
QUERY(ares_getaddrinfo, info_callback, run_info,
      (const char *node, const char *service, const struct ares_addrinfo_hints *hints),
      (node, service, hints))
