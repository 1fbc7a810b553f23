// A program that traces: tasks see the span of their request through an adapter that the user wrote; spans end.
// libs: glib-2.0
// link: -rdynamic
#define COROUTINES_SHARE /* the adapter has no exchange */
#include "adapter.h"
#include "tracer.h"

static thread_local std::vector<std::unique_ptr<tracer::scope>> scopes;

static void set_request(long number)
{
    scopes.clear();
    if (number)
        scopes.push_back(std::make_unique<tracer::scope>(std::make_shared<tracer::span>(tracer::span{std::to_string(number)})));
}

static long seen(void)
{
    return tracer::current() ? atol(tracer::current()->name.c_str()) : 0;
}

/* Leaves a context on the stack: the adapter's scope takes it away. */
static void spoil(void)
{
    tracer::stack().push_back(std::make_shared<tracer::span>(tracer::span{"99"}));
}

int main()
{
    return main_of_test();
}
