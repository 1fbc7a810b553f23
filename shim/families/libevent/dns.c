/*
 * libevent's DNS: a look-up's callback runs once, in the context of the call; a server's callback runs for
 * each question, in the context of the call that opened the port.
 *
 * Source of the behaviour: libevent 2.1.12. An answer, also that it was cancelled or failed, is told by the
 * loop later; evdns_getaddrinfo may tell it before it returns. evdns_base_free drops look-ups without a
 * word if it is told to, but not those whose answer waits for the loop, and nobody can tell them
 * apart: what is left then goes with the event base, which drops everything. evdns_getaddrinfo makes
 * look-ups of its own, bufferevents call evdns_getaddrinfo: the callback tells whose call it is.
 */
#include "base/map.h"
#include "families/libevent/once.h"
#include "families/libevent/owned.h"

typedef void answer_callback(int result, char type, int count, int ttl, void *addresses, void *arg);
typedef void info_callback(int result, struct addrinfo *info, void *arg);
typedef void question_callback(struct evdns_server_request *request, void *arg);

/* evdns_base: the event base that tells its answers. */
static struct map event_bases;

static GUARDED void run_answer(int result, char type, int count, int ttl, void *addresses,
                               void *arg)
{
    GUARDED_REGISTRATION_FRAME();
    struct once once = once_take(arg);

    SCOPE_RUN(once.context, FRAME_OWNED,
              ((answer_callback *)once.function)(result, type, count, ttl, addresses, once.data));
}

static GUARDED void run_info(int result, struct addrinfo *info, void *arg)
{
    GUARDED_REGISTRATION_FRAME();
    struct once once = once_take(arg);

    SCOPE_RUN(once.context, FRAME_OWNED, ((info_callback *)once.function)(result, info, once.data));
}

/* NULL: it is libevent's own, or one that was wrapped already by the function that calls this one. */
static struct once *look_up(const void *real, void *callback, void *arg, const void *base)
{
    if (!callback || callback == (void *)run_answer || libevent_is_reentrant(real, callback))
        return NULL;
    return once_new(callback, arg, base);
}

#define RESOLVE(name, type, wanted)                                                    \
    struct evdns_request *hook_##name(struct evdns_base *base, type wanted, int flags, \
                                      answer_callback *callback, void *arg)            \
    {                                                                                  \
        struct once *once = look_up((void *)REAL(name), (void *)callback, arg, base);  \
        struct evdns_request *request;                                                 \
                                                                                       \
        if (!once)                                                                     \
            return REAL(name)(base, wanted, flags, callback, arg);                     \
        request = REAL(name)(base, wanted, flags, run_answer, once);                   \
        if (!request)                                                                  \
            once_rollback(once);                                                       \
        return request;                                                                \
    }

RESOLVE(evdns_base_resolve_ipv4, const char *, host)
RESOLVE(evdns_base_resolve_ipv6, const char *, host)
RESOLVE(evdns_base_resolve_reverse, const struct in_addr *, address)
RESOLVE(evdns_base_resolve_reverse_ipv6, const struct in6_addr *, address)

/* The callback always comes. */
struct evdns_getaddrinfo_request *hook_evdns_getaddrinfo(struct evdns_base *base, const char *node,
                                                         const char *service,
                                                         const struct addrinfo *hints,
                                                         info_callback *callback, void *arg)
{
    const void *caller = __builtin_return_address(0), *owner = base;
    struct evdns_base *(*global)(void) =
        NEXT(struct evdns_base * (*)(void), "evdns_get_global_base", caller);
    struct once *once;

    if (!base && global)
        owner = global();
    once = look_up((void *)REAL(evdns_getaddrinfo), (void *)callback, arg, owner);
    if (!once)
        return REAL(evdns_getaddrinfo)(base, node, service, hints, callback, arg);
    return REAL(evdns_getaddrinfo)(base, node, service, hints, run_info, once);
}

struct evdns_base *hook_evdns_base_new(struct event_base *event_base, int flags)
{
    const void *caller = __builtin_return_address(0);
    struct event_base **current = NEXT(struct event_base **, "event_global_current_base_", caller);
    struct evdns_base *base = REAL(evdns_base_new)(event_base, flags);

    if (!event_base && current)
        event_base = *current;
    if (base && event_base)
        map_put(&event_bases, base, event_base, NULL);
    return base;
}

void hook_evdns_base_free(struct evdns_base *base, int fails)
{
    const void *event_base = map_take(&event_bases, base);

    REAL(evdns_base_free)(base, fails);
    if (event_base)
        once_move_all(base, event_base);
}

/* ---- servers ---- */

static GUARDED void run_question(struct evdns_server_request *request, void *arg)
{
    GUARDED_REGISTRATION_FRAME();
    struct registration *registration = arg;
    question_callback *callback = (question_callback *)registration->function;
    void *data = registration->data;

    REGISTRATION_RUN(registration, callback(request, data));
}

/* evdns_add_server_port goes on to it by the linkage table. */
struct evdns_server_port *hook_evdns_add_server_port_with_base(struct event_base *base, int socket,
                                                               int flags,
                                                               question_callback *function,
                                                               void *data)
{
    struct owned_callback *callback = NULL;
    struct evdns_server_port *port;

    if (function &&
        !libevent_is_reentrant((void *)REAL(evdns_add_server_port_with_base), (void *)function))
        callback =
            owned_callback_new(sizeof *callback, (void *)function, data, false, owned_callback_end);
    if (!callback)
        return REAL(evdns_add_server_port_with_base)(base, socket, flags, function, data);
    port = REAL(evdns_add_server_port_with_base)(base, socket, flags, run_question,
                                                 callback->registration);
    if (!port)
        owned_callback_rollback(callback);
    else
        owned_add(&callback->owned, port); /* no memory: kept for good */
    return port;
}
