// An adapter as a user writes one: it keeps a scope object of a tracing library around each task.
// flags: -Iinclude
#include "tracer.h"
#include <baton_adapter.h>

static enum baton_adapter_result capture(void **captured)
{
    if (!tracer::current())
        return BATON_ADAPTER_NONE;
    *captured = new tracer::context(tracer::current());
    return BATON_ADAPTER_OK;
}

static enum baton_adapter_result attach(void *captured, void **attached)
{
    *attached =
        new tracer::scope(captured ? *static_cast<tracer::context *>(captured) : tracer::context());
    return BATON_ADAPTER_OK;
}

static void detach(void *attached)
{
    delete static_cast<tracer::scope *>(attached);
}

/* Of a thread that has scopes of its own, its own destructors end them. */
static void detach_at_end(void *attached)
{
    tracer::scope *lent = static_cast<tracer::scope *>(attached);
    if (!lent->is_current())
        lent->release();
    delete lent;
}

static void release(void *captured)
{
    delete static_cast<tracer::context *>(captured);
}

const struct baton_adapter baton_adapter = {
    BATON_ADAPTER_VERSION, "tracer", NULL, capture, attach, detach, release,
    detach_at_end,         NULL,     NULL, 0};
