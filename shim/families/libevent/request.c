/*
 * libevent's HTTP requests that a program makes. The answer's callback runs once, in the context of
 * evhttp_make_request; those for its head, its pieces and an error in that of the call that set them.
 *
 * All four get the same argument, which evhttp_request_new is told: here the request's own `asked`.
 * Programs that read or write the fields of struct evhttp_request by its "internal" header see it.
 *
 * Source of the behaviour: libevent 2.1.12. When a request fails, it is freed first, and then told to
 * the callbacks: what is freed inside of evhttp_connection_fail_ stays until that has returned.
 */
#include "families/handoff.h"
#include "families/libevent/owned.h"

typedef void request_callback(struct evhttp_request *request, void *arg);
typedef int head_callback(struct evhttp_request *request, void *arg);
typedef void error_callback(int error, void *arg);

enum part { PART_ANSWER, PART_PIECE, PART_HEAD, PART_ERROR, PARTS };

struct asked {
    struct owned owned; /* the request's */
    void *data;
    struct registration *parts[PARTS]; /* NULL: none, or bare */
    void *functions[PARTS];
};

/* Requests whose end waits for evhttp_connection_fail_ to return. The place of the outermost on the stack:
 * one that was left by longjmp or an exception lies above the asking frame. */
static __thread struct owned *failed;
static __thread uintptr_t failing_at;

static bool is_failing(void)
{
    return failing_at > (uintptr_t)__builtin_frame_address(0);
}

static void free_asked(struct owned *owned)
{
    struct asked *asked = (struct asked *)owned;

    for (unsigned i = 0; i < PARTS; i++)
        if (asked->parts[i])
            registration_end(asked->parts[i]);
    handoff_free(asked, sizeof *asked);
}

static void free_failed(void)
{
    for (struct owned *owned = failed, *next; owned; owned = next) {
        next = owned->next;
        free_asked(owned);
    }
    failed = NULL;
}

static void end_asked(struct owned *owned)
{
    if (!is_failing()) {
        free_asked(owned);
        return;
    }
    owned->next = failed;
    failed = owned;
}

void hook_evhttp_connection_fail_(struct evhttp_connection *connection, int error)
{
    if (is_failing()) {
        REAL(evhttp_connection_fail_)(connection, error);
        return;
    }
    failing_at = (uintptr_t)__builtin_frame_address(0);
    REAL(evhttp_connection_fail_)(connection, error);
    failing_at = 0;
    free_failed();
}

/* ---- running ---- */

#define RUN(name, result, params, part, how, call)                             \
    static GUARDED result run_##name params                                    \
    {                                                                          \
        GUARDED_REGISTRATION_FRAME();                                          \
        struct asked *asked = arg;                                             \
        struct registration *registration = asked->parts[part];                \
        name##_callback *callback = (name##_callback *)asked->functions[part]; \
        void *data = asked->data;                                              \
                                                                               \
        if (registration)                                                      \
            how(registration, call);                                           \
        else                                                                   \
            call;                                                              \
    }

typedef request_callback answer_callback;
typedef request_callback piece_callback;

RUN(answer, void, (struct evhttp_request * request, void *arg), PART_ANSWER, REGISTRATION_RUN_ONCE,
    callback(request, data))
RUN(piece, void, (struct evhttp_request * request, void *arg), PART_PIECE, REGISTRATION_RUN,
    callback(request, data))
RUN(error, void, (int error, void *arg), PART_ERROR, REGISTRATION_RUN_ONCE, callback(error, data))

static GUARDED int run_head(struct evhttp_request *request, void *arg)
{
    GUARDED_REGISTRATION_FRAME();
    struct asked *asked = arg;
    struct registration *registration = asked->parts[PART_HEAD];
    head_callback *callback = (head_callback *)asked->functions[PART_HEAD];
    void *data = asked->data;
    int result;

    if (!registration)
        return callback(request, data);
    REGISTRATION_RUN(registration, result = callback(request, data));
    return result;
}

/* ---- making and asking ---- */

static struct asked *asked_of(const struct evhttp_request *request)
{
    return (struct asked *)owned_find(request, end_asked);
}

struct evhttp_request *hook_evhttp_request_new(request_callback *function, void *data)
{
    struct evhttp_request *request;
    struct asked *asked;

    if (IS_REENTRANT(evhttp_request_new) || !(asked = handoff_alloc(sizeof *asked)))
        return REAL(evhttp_request_new)(function, data);
    asked->owned.end = end_asked;
    asked->data = data;
    asked->functions[PART_ANSWER] = (void *)function;
    request = REAL(evhttp_request_new)(function ? run_answer : NULL, asked);
    if (!request)
        handoff_free(asked, sizeof *asked);
    else
        owned_add(&asked->owned, request); /* no memory: kept for good, its callbacks run bare */
    return request;
}

/* The part has a new context; true: one that could be rolled back. */
static bool arm(struct asked *asked, enum part part, bool is_once)
{
    uint8_t flags;
    struct context *context = registration_capture(FAMILY_LIBEVENT, is_once, &flags);
    struct registration *registration = asked->parts[part];

    if (!registration)
        registration = asked->parts[part] = registration_new(FAMILY_LIBEVENT, NULL, NULL);
    if (registration)
        registration_arm(registration, context, flags);
    else if (context)
        context_rollback(FAMILY_LIBEVENT, context);
    return registration && context;
}

/* It may fail, and call back, before it returns. */
int hook_evhttp_make_request(struct evhttp_connection *connection, struct evhttp_request *request,
                             int type, const char *uri)
{
    struct asked *asked = asked_of(request);
    bool is_armed = asked && asked->functions[PART_ANSWER] && !IS_REENTRANT(evhttp_make_request) &&
                    arm(asked, PART_ANSWER, true);
    int error = REAL(evhttp_make_request)(connection, request, type, uri);

    if (error && is_armed && asked_of(request) == asked)
        registration_rollback(asked->parts[PART_ANSWER]);
    return error;
}

#define SET(name, type, part, run, is_once)                                  \
    void hook_##name(struct evhttp_request *request, type *function)         \
    {                                                                        \
        struct asked *asked = IS_REENTRANT(name) ? NULL : asked_of(request); \
                                                                             \
        if (asked) {                                                         \
            asked->functions[part] = (void *)function;                       \
            if (function)                                                    \
                arm(asked, part, is_once);                                   \
            else if (asked->parts[part])                                     \
                registration_disarm(asked->parts[part]);                     \
        }                                                                    \
        REAL(name)(request, function && asked ? run : function);             \
    }

SET(evhttp_request_set_chunked_cb, request_callback, PART_PIECE, run_piece, false)
SET(evhttp_request_set_header_cb, head_callback, PART_HEAD, run_head, false)
SET(evhttp_request_set_error_cb, error_callback, PART_ERROR, run_error, true)
