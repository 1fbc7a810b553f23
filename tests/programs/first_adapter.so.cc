// An adapter that was built when the interface had no detach_at_end: the table ends with release.
#include "tracer.h"

static int capture(void **captured)
{
    if (!tracer::current())
        return 1;
    *captured = new tracer::context(tracer::current());
    return 0;
}

static int attach(void *captured, void **attached)
{
    *attached = new tracer::scope(captured ? *static_cast<tracer::context *>(captured) : tracer::context());
    return 0;
}

static void detach(void *attached)
{
    delete static_cast<tracer::scope *>(attached);
}

static void release(void *captured)
{
    delete static_cast<tracer::context *>(captured);
}

extern "C" __attribute__((visibility("default"))) const struct {
    unsigned version;
    const char *name;
    const char *(*start)();
    int (*capture)(void **);
    int (*attach)(void *, void **);
    void (*detach)(void *);
    void (*release)(void *);
} baton_adapter = {1, "first", nullptr, capture, attach, detach, release};
