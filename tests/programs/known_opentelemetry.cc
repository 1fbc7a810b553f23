// Contexts of OpenTelemetry C++, whose stack is a thread_local in a header: the task's are its request's, and nobody else's.
// libs: glib-2.0
#define ENDS_UNTOLD
#include "adapter.h"
#include "parts/opentelemetry/context/runtime_context.h"
#include <mutex>
#include <vector>

using opentelemetry::context::Context;
using opentelemetry::context::RuntimeContext;

static void stays(const Context &context)
{
    static std::mutex mutex;
    static auto *tokens =
        new std::vector<opentelemetry::context::Token *>; /* their ends would detach */
    std::lock_guard<std::mutex> guard(mutex);
    tokens->push_back(RuntimeContext::Attach(context).release());
}

static void set_request(long number)
{
    while (RuntimeContext::GetCurrent().GetValue("request")) {
        auto again = RuntimeContext::Attach(RuntimeContext::GetCurrent());
        RuntimeContext::Detach(*again); /* and its end detaches the one below, which is the same */
    }
    if (number) { /* two scopes, which stay: a task gets the stack, not its top alone */
        stays(Context().SetValue("request", number));
        stays(RuntimeContext::GetCurrent().SetValue("span", number));
    }
}

static long number_of(const char *key)
{
    return RuntimeContext::GetCurrent().GetValue(key);
}

static long seen(void)
{
    long number = number_of("request");
    for (int i = 0; i < 5; i++) { /* scopes of its own, in which the stack grows */
        auto one = RuntimeContext::Attach(RuntimeContext::GetCurrent().SetValue("span", 100));
        auto other = RuntimeContext::Attach(RuntimeContext::GetCurrent().SetValue("span", 101));
        if (number_of("span") != 101 || number_of("request") != number)
            return -1;
    }
    return number_of("span") == number && number_of("request") == number ? number : -1;
}

static void spoil(void)
{
    set_request(99);
}

int main()
{
    return main_of_test();
}
