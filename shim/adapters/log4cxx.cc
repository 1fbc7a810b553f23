// needs: log4cxx/helpers/threadspecificdata.h
// log4cxx: the thread's mapped and nested diagnostic contexts (MDC and NDC).
// Their copies are log4cxx's own containers; nothing but those two is touched.
#include <log4cxx/helpers/threadspecificdata.h>
#include <log4cxx/mdc.h>
#include <log4cxx/ndc.h>

#include "adapters/diagnostic.hh"

using log4cxx::helpers::ThreadSpecificData;

namespace
{

typedef diagnostic<log4cxx::NDC::Stack, log4cxx::MDC::Map> contexts;
typedef diagnostic_place<log4cxx::NDC::Stack, log4cxx::MDC::Map> place;

/* A thread without data of its own gets some only when there is something to put in. */
bool find(bool is_wanted, place &found)
{
    ThreadSpecificData *data = ThreadSpecificData::getCurrentData();
    if (!data && is_wanted) {
        ThreadSpecificData::inherit(log4cxx::NDC::Stack());
        data = ThreadSpecificData::getCurrentData();
    }
    if (!data)
        return false;
    found = {&data->getStack(), &data->getMap()};
    return true;
}

bool are_equal(const contexts &one, const place &other)
{
    return one.nested == *other.nested && one.mapped == *other.mapped;
}

typedef diagnostic_adapter<contexts, place, find, are_equal> adapter;

} // namespace

const struct baton_adapter baton_adapter = {BATON_ADAPTER_VERSION,
                                            "log4cxx",
                                            nullptr,
                                            adapter::capture,
                                            adapter::attach,
                                            adapter::detach,
                                            adapter::release,
                                            adapter::detach_at_end,
                                            adapter::exchange,
                                            nullptr,
                                            0};
