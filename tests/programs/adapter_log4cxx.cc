// log4cxx's MDC and NDC of the request are the task's, and nobody else's.
// libs: liblog4cxx glib-2.0
#include "adapter.h"
#include <log4cxx/mdc.h>
#include <log4cxx/ndc.h>
#include <string>

static void set_request(long number)
{
    log4cxx::NDC::clear();
    log4cxx::MDC::clear();
    if (number) {
        log4cxx::NDC::push(std::to_string(number));
        log4cxx::NDC::push("inner");
        log4cxx::MDC::put("request", std::to_string(number));
    }
}

static long seen(void)
{
    std::string nested, mapped = log4cxx::MDC::get("request");
    bool has_nested = log4cxx::NDC::get(nested);
    if (mapped.empty() && !has_nested)
        return 0;
    return nested == mapped + " inner" && log4cxx::MDC::get("of a task").empty() ? atol(mapped.c_str()) : -1;
}

static void spoil(void)
{
    log4cxx::MDC::put("request", "99");
    log4cxx::MDC::put("of a task", "1");
    log4cxx::NDC::push("left by a task");
}

int main()
{
    return main_of_test();
}
