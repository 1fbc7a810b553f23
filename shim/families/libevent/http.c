/*
 * libevent's HTTP: what a server calls for a path, for all others, for a new connection; what a connection
 * calls when it closes, when a piece of an answer or all of it was sent.
 *
 * All of these run in the context of the call that set them, again and again but for the last, and
 * belong to a server, connection or request, with which they end. The requests that a program makes
 * are in request.c.
 *
 * Source of the behaviour: libevent 2.1.12. One thread works with a server and its connections.
 * A callback may replace or remove itself, or free what it belongs to.
 */
#include <string.h>

#include "base/mem.h"
#include "families/handoff.h"
#include "families/libevent/owned.h"

typedef void request_callback(struct evhttp_request *request, void *arg);
typedef struct bufferevent *buffer_callback(struct event_base *base, void *arg);
typedef void connection_callback(struct evhttp_connection *connection, void *arg);

static GUARDED void run_request(struct evhttp_request *request, void *arg)
{
    GUARDED_REGISTRATION_FRAME();
    struct registration *registration = arg;
    request_callback *callback = (request_callback *)registration->function;
    void *data = registration->data;

    REGISTRATION_RUN(registration, callback(request, data));
}

static GUARDED void run_complete(struct evhttp_request *request, void *arg)
{
    GUARDED_REGISTRATION_FRAME();
    struct registration *registration = arg;
    request_callback *callback = (request_callback *)registration->function;
    void *data = registration->data;

    REGISTRATION_RUN_ONCE(registration, callback(request, data));
}

static GUARDED struct bufferevent *run_buffer(struct event_base *base, void *arg)
{
    GUARDED_REGISTRATION_FRAME();
    struct registration *registration = arg;
    buffer_callback *callback = (buffer_callback *)registration->function;
    struct bufferevent *buffer;
    void *data = registration->data;

    REGISTRATION_RUN(registration, buffer = callback(base, data));
    return buffer;
}

static GUARDED void run_connection(struct evhttp_connection *connection, void *arg)
{
    GUARDED_REGISTRATION_FRAME();
    struct registration *registration = arg;
    connection_callback *callback = (connection_callback *)registration->function;
    void *data = registration->data;

    REGISTRATION_RUN(registration, callback(connection, data));
}

/* Each kind ends in its own way, by which it is found again. */
#define KIND(name)                              \
    static void end_##name(struct owned *owned) \
    {                                           \
        owned_callback_end(owned);              \
    }
KIND(others)
KIND(buffer)
KIND(close)
KIND(sent)
KIND(complete)
KIND(path)

/* ---- one of a kind ---- */

/* The object's callback becomes this one (NULL: none of ours); the one of before ends. */
static void replace(const void *object, struct owned *old, struct owned_callback *callback)
{
    owned_end(old);
    if (callback)
        owned_add(&callback->owned, object); /* no memory: kept for good */
}

#define SET(name, kind, object_type, callback_type, run, is_once)                                  \
    void hook_##name(object_type *object, callback_type *function, void *data)                     \
    {                                                                                              \
        struct owned_callback *callback = NULL;                                                    \
        struct owned *old = owned_find(object, end_##kind);                                        \
                                                                                                   \
        if (function && !IS_REENTRANT(name))                                                       \
            callback =                                                                             \
                owned_callback_new(sizeof *callback, (void *)function, data, is_once, end_##kind); \
        if (callback)                                                                              \
            REAL(name)(object, run, callback->registration);                                       \
        else                                                                                       \
            REAL(name)(object, function, data);                                                    \
        replace(object, old, callback);                                                            \
    }

SET(evhttp_set_gencb, others, struct evhttp, request_callback, run_request, false)
SET(evhttp_set_bevcb, buffer, struct evhttp, buffer_callback, run_buffer, false)
SET(evhttp_connection_set_closecb, close, struct evhttp_connection, connection_callback,
    run_connection, false)
SET(evhttp_request_set_on_complete_cb, complete, struct evhttp_request, request_callback,
    run_complete, true)

/* ---- paths ---- */

struct path {
    struct owned_callback callback;
    char text[];
};

static struct path *new_path(request_callback *function, void *data, const char *text)
{
    size_t size = strlen(text) + 1;
    struct path *path = (struct path *)owned_callback_new(sizeof *path + size, (void *)function,
                                                          data, false, end_path);

    if (path)
        memcpy(path->text, text, size);
    return path;
}

int hook_evhttp_set_cb(struct evhttp *http, const char *text, request_callback *function,
                       void *data)
{
    struct path *path = NULL;
    int error;

    if (function && !IS_REENTRANT(evhttp_set_cb))
        path = new_path(function, data, text);
    if (!path)
        return REAL(evhttp_set_cb)(http, text, function, data);
    error = REAL(evhttp_set_cb)(http, text, run_request, path->callback.registration);
    if (error)
        owned_callback_rollback(&path->callback);
    else
        owned_add(&path->callback.owned, http);
    return error;
}

int hook_evhttp_del_cb(struct evhttp *http, const char *text)
{
    struct owned *owned = owned_find(http, end_path);
    int error;

    while (owned && (owned->end != end_path || strcmp(((struct path *)owned)->text, text) != 0))
        owned = owned->next;
    error = REAL(evhttp_del_cb)(http, text);
    if (!error)
        owned_end(owned);
    return error;
}

/* ---- pieces of an answer ---- */

static struct evhttp_connection *connection_of(struct evhttp_request *request, const void *caller)
{
    return NEXT(struct evhttp_connection * (*)(struct evhttp_request *),
                "evhttp_request_get_connection", caller)(request);
}

static size_t length_of(const struct evbuffer *buffer, const void *caller)
{
    return NEXT(size_t(*)(const struct evbuffer *), "evbuffer_get_length", caller)(buffer);
}

/*
 * Its callback is the connection's until the next piece takes its place, and may come more than once.
 * A piece that is empty, or of an answer without a body, changes nothing; what is sent has left the
 * buffer. evhttp_send_reply_chunk comes here from inside, without a callback.
 */
void hook_evhttp_send_reply_chunk_with_cb(struct evhttp_request *request, struct evbuffer *piece,
                                          connection_callback *function, void *data)
{
    const void *caller = __builtin_return_address(0);
    struct evhttp_connection *connection = connection_of(request, caller);
    struct owned *old = connection ? owned_find(connection, end_sent) : NULL;
    struct owned_callback *callback = NULL;
    bool is_sent = connection && length_of(piece, caller);

    if (function && is_sent)
        callback = owned_callback_new(sizeof *callback, (void *)function, data, false, end_sent);
    if (callback)
        REAL(evhttp_send_reply_chunk_with_cb)
    (request, piece, run_connection, callback->registration);
    else REAL(evhttp_send_reply_chunk_with_cb)(request, piece, function, data);
    if (is_sent && !length_of(piece, caller))
        replace(connection, old, callback);
    else if (callback)
        owned_callback_rollback(callback);
}

/* What comes next is libevent's own callback. */
void hook_evhttp_send_reply_end(struct evhttp_request *request)
{
    struct evhttp_connection *connection = connection_of(request, __builtin_return_address(0));

    if (connection)
        owned_end(owned_find(connection, end_sent));
    REAL(evhttp_send_reply_end)(request);
}
