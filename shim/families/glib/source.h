/* The callbacks of GLib's sources: registered by source.c, dispatched by source_dispatch.c, and let go there or
 * by way of another thread (source_release.c). */
#ifndef BATON_FAMILIES_GLIB_SOURCE_H
#define BATON_FAMILIES_GLIB_SOURCE_H

#include "families/registration.h"

typedef int source_function(void *data);
typedef void notify_function(void *data);

struct _GSourceCallbackFuncs {
    void (*ref)(void *data);
    void (*unref)(void *data);
    void (*get)(void *data, struct _GSource *source, source_function **function, void **user_data);
};

enum {
    SOURCE_INDIRECT =
        REGISTRATION_OTHER, /* function and data are the program's callback funcs and their data */
    SOURCE_VOID = REGISTRATION_OTHER *
                  2, /* its callback answers nothing: it is removed after it ran */
};

/* What a source is given together with a registration. */
extern struct _GSourceCallbackFuncs glib_source_funcs;

/* Where a registration whose source is gone has room: nobody will ask it for its callback again. */
static inline struct registration **source_release_next(struct registration *remote_release)
{
    return (struct registration **)(remote_release->flags & SOURCE_INDIRECT
                                        ? &remote_release->more
                                        : &remote_release->function);
}

/* What others have left to this thread, which has left the dispatches that they are of: to be ended; is_dispatching: is
 * the thread in a dispatch of it? */
struct registration *source_take_releases(struct thread *self,
                                          bool (*is_dispatching)(const struct registration *));
/* The source's reference goes to `reader`, which is inside. False: it has left; the caller has it. */
bool source_leave_release(struct registration *registration, struct thread *reader);

#endif
