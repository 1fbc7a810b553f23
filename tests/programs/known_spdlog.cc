// The MDC of spdlog 1.13, as its header has it (spdlog/mdc.h): the task's is its request's, and nobody else's.
// libs: glib-2.0
#define ENDS_UNTOLD
#include "adapter.h"
#include <map>
#include <string>

namespace spdlog
{
class mdc
{
  public:
    using mdc_map_t = std::map<std::string, std::string>;
    static mdc_map_t &get_context()
    {
        static thread_local mdc_map_t context;
        return context;
    }
};
} // namespace spdlog

static void set_request(long number)
{
    spdlog::mdc::get_context().clear();
    if (number)
        spdlog::mdc::get_context()["request"] = std::to_string(number);
}

static long seen(void)
{
    auto found = spdlog::mdc::get_context().find("request");
    return found == spdlog::mdc::get_context().end() ? 0 : std::stol(found->second);
}

static void spoil(void)
{
    set_request(99);
}

int main()
{
    return main_of_test();
}
