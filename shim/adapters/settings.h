/*
 * For adapters of a few settings of a thread that are read and written as a whole. The adapter defines struct
 * settings, whose bytes are compared (zeros where nothing is), how the calling thread's are read and written, and
 * what a thread has that set nothing.
 */
#ifndef BATON_ADAPTERS_SETTINGS_H
#define BATON_ADAPTERS_SETTINGS_H

#include <stdlib.h>
#include <string.h>

#include "baton_adapter.h"

/* By the adapter. *now is zeroed. */
static void settings_read(struct settings *now);
static void settings_write(const struct settings *settings);
static struct settings settings_fresh;

struct settings_attached {
    struct settings before, attached;
};

static int settings_are(const struct settings *one, const struct settings *other)
{
    return !memcmp(one, other, sizeof *one);
}

static struct settings settings_now(void)
{
    struct settings now;

    memset(&now, 0, sizeof now);
    settings_read(&now);
    return now;
}

static void settings_become(const struct settings *wanted)
{
    struct settings now = settings_now();

    if (!settings_are(&now, wanted))
        settings_write(wanted);
}

static enum baton_adapter_result capture(void **captured)
{
    struct settings now = settings_now();

    if (settings_are(&now, &settings_fresh))
        return BATON_ADAPTER_NONE;
    *captured = malloc(sizeof now);
    if (!*captured)
        return BATON_ADAPTER_FAILED;
    memcpy(*captured, &now, sizeof now);
    return BATON_ADAPTER_OK;
}

static enum baton_adapter_result attach(void *captured, void **attached)
{
    struct settings_attached *scope = malloc(sizeof *scope);

    if (!scope)
        return BATON_ADAPTER_FAILED;
    scope->before = settings_now();
    memcpy(&scope->attached, captured ? captured : &settings_fresh, sizeof scope->attached);
    settings_become(&scope->attached);
    *attached = scope;
    return BATON_ADAPTER_OK;
}

static void detach(void *attached)
{
    struct settings_attached *scope = attached;

    settings_become(&scope->before);
    free(scope);
}

static void detach_at_end(void *attached)
{
    struct settings_attached *scope = attached;
    struct settings own = settings_now();

    if (settings_are(&own, &scope->attached))
        settings_become(&scope->before);
    free(scope);
}

static void exchange(void **state)
{
    struct settings now = settings_now();
    struct settings *comes = *state, *goes = NULL;

    if (!settings_are(&now, &settings_fresh)) {
        goes = malloc(sizeof *goes);
        if (!goes)
            return;
        memcpy(goes, &now, sizeof now);
    }
    settings_become(comes ? comes : &settings_fresh);
    free(comes);
    *state = goes;
}

#define SETTINGS_ADAPTER(name, start)                                          \
    const struct baton_adapter baton_adapter = {                               \
        BATON_ADAPTER_VERSION, name,     start, capture, attach, detach, free, \
        detach_at_end,         exchange, NULL,  0}

#endif
