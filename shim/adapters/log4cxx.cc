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

bool copy_now(contexts &to)
{
    ThreadSpecificData *data = ThreadSpecificData::getCurrentData();
    if (!data)
        return false;
    to.nested = data->getStack();
    to.mapped = data->getMap();
    return !to.is_empty();
}

/* A thread without data of its own gets some only when there is something to put in. */
void put_now(const contexts &from)
{
    ThreadSpecificData *data = ThreadSpecificData::getCurrentData();
    if (!data) {
        if (from.is_empty())
            return;
        ThreadSpecificData::inherit(from.nested);
        data = ThreadSpecificData::getCurrentData();
        if (!data)
            return;
    }
    data->getStack() = from.nested;
    data->getMap() = from.mapped;
}

bool are_equal(const contexts &one, const contexts &other)
{
    return one.nested == other.nested && one.mapped == other.mapped;
}

typedef diagnostic_adapter<contexts, copy_now, put_now, are_equal> adapter;

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
