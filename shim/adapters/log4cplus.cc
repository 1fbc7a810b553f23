// needs: log4cplus/mdc.h
// log4cplus: the thread's mapped and nested diagnostic contexts (MDC and NDC), by value: the block of the
// thread that they live in holds format buffers too, which are never touched.
#include <algorithm>

#include <log4cplus/config.hxx>
#define INSIDE_LOG4CPLUS /* the header says what the library exports, and is installed */
#include <log4cplus/internal/internal.h>

#include "adapters/diagnostic.hh"

namespace
{

using log4cplus::internal::get_ptd;

typedef diagnostic<log4cplus::DiagnosticContextStack, log4cplus::MappedDiagnosticContextMap>
    contexts;
typedef diagnostic_place<log4cplus::DiagnosticContextStack, log4cplus::MappedDiagnosticContextMap>
    place;

/* A thread that log4cplus has no data of has set nothing. (getNDC() would make some, and start the
 * library's own threads on its first call, which hand over, and so on.) */
bool find(bool is_wanted, place &found)
{
    auto *data = get_ptd(is_wanted);
    if (!data)
        return false;
    found = {&data->ndc_dcs, &data->mdc_map};
    return true;
}

bool are_equal(const contexts &one, const place &other)
{
    return one.nested.size() == other.nested->size() && one.mapped == *other.mapped &&
           std::equal(one.nested.begin(), one.nested.end(), other.nested->begin(),
                      [](const auto &a, const auto &b) { return a.fullMessage == b.fullMessage; });
}

typedef diagnostic_adapter<contexts, place, find, are_equal> adapter;

} // namespace

const struct baton_adapter baton_adapter = {BATON_ADAPTER_VERSION,
                                            "log4cplus",
                                            nullptr,
                                            adapter::capture,
                                            adapter::attach,
                                            adapter::detach,
                                            adapter::release,
                                            adapter::detach_at_end,
                                            adapter::exchange,
                                            nullptr,
                                            0};
