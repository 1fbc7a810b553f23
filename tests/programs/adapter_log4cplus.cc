// log4cplus's MDC and NDC of the request are the task's, and nobody else's.
// libs: log4cplus glib-2.0
#include "adapter.h"
#include <log4cplus/initializer.h>
#include <log4cplus/mdc.h>
#include <log4cplus/ndc.h>
#include <string>

static void set_request(long number)
{
    log4cplus::getNDC().clear();
    log4cplus::getMDC().clear();
    if (number) {
        log4cplus::getNDC().push(std::to_string(number));
        log4cplus::getNDC().push("inner");
        log4cplus::getMDC().put("request", std::to_string(number));
    }
}

static long seen(void)
{
    std::string mapped, other, nested = log4cplus::getNDC().get();
    bool has_mapped = log4cplus::getMDC().get(&mapped, "request");
    if (!has_mapped && nested.empty())
        return 0;
    return nested == mapped + " inner" && !log4cplus::getMDC().get(&other, "of a task") ? atol(mapped.c_str()) : -1;
}

static void spoil(void)
{
    log4cplus::getMDC().put("request", "99");
    log4cplus::getMDC().put("of a task", "1");
    log4cplus::getNDC().push("left by a task");
}

int main()
{
    log4cplus::Initializer initializer;
    return main_of_test();
}
