// needs: log4cplus/mdc.h
// log4cplus: the thread's mapped and nested diagnostic contexts (MDC and NDC), by value: the block of the
// thread that they live in holds format buffers too, which are never touched.
#include <log4cplus/config.hxx>
#define INSIDE_LOG4CPLUS /* the header says what the library exports, and is installed */
#include <log4cplus/internal/internal.h>

#include "baton_adapter.h"

namespace {

using log4cplus::internal::get_ptd;

struct contexts {
    log4cplus::DiagnosticContextStack nested;
    log4cplus::MappedDiagnosticContextMap mapped;
};

/* A thread that log4cplus has no data of has set nothing. (getNDC() would make some, and start the
 * library's own threads on its first call, which hand over, and so on.) */
bool copy_now(contexts &to)
{
    auto *data = get_ptd(false);
    if (!data)
        return false;
    to.nested = data->ndc_dcs;
    to.mapped = data->mdc_map;
    return !to.nested.empty() || !to.mapped.empty();
}

void put_now(const contexts &from)
{
    auto *data = get_ptd(!from.nested.empty() || !from.mapped.empty());
    if (!data)
        return;
    data->ndc_dcs = from.nested;
    data->mdc_map = from.mapped;
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

const struct baton_adapter baton_adapter = {BATON_ADAPTER_VERSION, "log4cplus", nullptr, capture, attach, detach, release};
