/*
 * libevent: bufferevents that filter what passes through another one. The filters run again and again, in
 * the context of the call that made them; they end with the function that frees their argument, which
 * every such bufferevent gets here.
 *
 * Source of the behaviour: libevent 2.1.12. A filter may be left out. Filters run under the
 * bufferevent's lock; nothing runs any more when the argument is freed.
 */
#include "families/libevent/libevent.h"

typedef int filter(struct evbuffer *from, struct evbuffer *to, long limit, int mode, void *arg);
typedef void free_function(void *arg);

/* What does not fit into a registration, which has the filter of what comes in. */
struct others {
    filter *out;
    free_function *free;
};

static GUARDED int run_in(struct evbuffer *from, struct evbuffer *to, long limit, int mode,
                          void *arg)
{
    GUARDED_REGISTRATION_FRAME();
    struct registration *registration = arg;
    filter *callback = (filter *)registration->function;
    void *data = registration->data;
    int result;

    REGISTRATION_RUN(registration, result = callback(from, to, limit, mode, data));
    return result;
}

static GUARDED int run_out(struct evbuffer *from, struct evbuffer *to, long limit, int mode,
                           void *arg)
{
    GUARDED_REGISTRATION_FRAME();
    struct registration *registration = arg;
    filter *callback = ((struct others *)registration->more)->out;
    void *data = registration->data;
    int result;

    REGISTRATION_RUN(registration, result = callback(from, to, limit, mode, data));
    return result;
}

static void run_free(void *arg)
{
    struct registration *registration = arg;
    free_function *function = ((struct others *)registration->more)->free;
    void *data = registration->data;

    registration_end_wide(registration);
    if (function)
        function(data);
}

struct bufferevent *hook_bufferevent_filter_new(struct bufferevent *below, filter *in, filter *out,
                                                int options, free_function *function, void *arg)
{
    struct others others = {out, function};
    struct registration *registration = NULL;
    struct bufferevent *buffer;

    if ((in || out) && !IS_REENTRANT(bufferevent_filter_new))
        registration =
            registration_new_wide(FAMILY_LIBEVENT, (void *)in, arg, false, &others, sizeof others);
    if (!registration)
        return REAL(bufferevent_filter_new)(below, in, out, options, function, arg);
    buffer = REAL(bufferevent_filter_new)(below, in ? run_in : NULL, out ? run_out : NULL, options,
                                          run_free, registration);
    if (!buffer) {
        registration_rollback(registration);
        registration_end_wide(registration);
    }
    return buffer;
}
