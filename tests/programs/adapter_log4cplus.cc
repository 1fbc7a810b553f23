// log4cplus's MDC and NDC of the request are the task's, and nobody else's; the thread's buffers stay the thread's.
// libs: log4cplus glib-2.0
#include "adapter.h"
#include <log4cplus/config.hxx>
#define INSIDE_LOG4CPLUS /* to look at the block of the thread that all of it lives in */
#include <log4cplus/internal/internal.h>
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

/* Every thread formats in memory of its own, in tasks as well: what a task left there is found again. */
static bool has_own_buffers(void)
{
    static thread_local const void *block;
    static thread_local std::string left;
    auto *data = log4cplus::internal::get_ptd();
    if (!block)
        block = data;
    bool is_own = data == block && data->gft_sp.tmp == left;
    left = std::to_string((unsigned long)&left) + "/" + std::to_string(left.size() % 7);
    data->gft_sp.tmp = left;
    return is_own;
}

static long seen(void)
{
    if (!has_own_buffers())
        return -2;

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
