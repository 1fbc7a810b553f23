// needs: log4cxx/helpers/threadspecificdata.h
// log4cxx: the thread's mapped and nested diagnostic contexts (MDC and NDC).
// Their copies are log4cxx's own containers; nothing but those two is touched.
#include <log4cxx/helpers/threadspecificdata.h>
#include <log4cxx/mdc.h>
#include <log4cxx/ndc.h>

#include "baton_adapter.h"

using log4cxx::helpers::ThreadSpecificData;

namespace {

struct contexts {
    log4cxx::NDC::Stack nested;
    log4cxx::MDC::Map mapped;
};

bool copy_now(contexts &to)
{
    ThreadSpecificData *data = ThreadSpecificData::getCurrentData();
    if (!data)
        return false;
    to.nested = data->getStack();
    to.mapped = data->getMap();
    return !to.nested.empty() || !to.mapped.empty();
}

/* A thread without data of its own gets some only when there is something to put in. */
void put_now(const contexts &from)
{
    ThreadSpecificData *data = ThreadSpecificData::getCurrentData();
    if (!data) {
        if (from.nested.empty() && from.mapped.empty())
            return;
        ThreadSpecificData::inherit(from.nested);
        data = ThreadSpecificData::getCurrentData();
        if (!data)
            return;
    }
    data->getStack() = from.nested;
    data->getMap() = from.mapped;
}

enum baton_adapter_result capture(void **captured)
try {
    contexts now;
    if (!copy_now(now))
        return BATON_ADAPTER_NONE;
    *captured = new contexts(std::move(now));
    return BATON_ADAPTER_OK;
} catch (...) {
    return BATON_ADAPTER_FAILED;
}

enum baton_adapter_result attach(void *captured, void **attached)
{
    contexts *before = nullptr;
    try {
        before = new contexts;
        copy_now(*before);
        put_now(captured ? *static_cast<contexts *>(captured) : contexts());
    } catch (...) {
        delete before;
        return BATON_ADAPTER_FAILED;
    }
    *attached = before;
    return BATON_ADAPTER_OK;
}

void detach(void *attached)
{
    contexts *before = static_cast<contexts *>(attached);
    try {
        put_now(*before);
    } catch (...) {
    }
    delete before;
}

void release(void *captured)
{
    delete static_cast<contexts *>(captured);
}

} // namespace

const struct baton_adapter baton_adapter = {BATON_ADAPTER_VERSION, "log4cxx", nullptr, capture, attach, detach, release};
