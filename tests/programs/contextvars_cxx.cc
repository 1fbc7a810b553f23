// The header in C++, and an exception that leaves a run: outside nothing has changed.
// flags: -Iinclude -Wpedantic -Werror
#include "baton.h"
#include <cstdio>
#include <stdexcept>

static baton_var *request;

static void fails(void *)
{
    baton_set(request, (void *)2, NULL);
    throw std::runtime_error("out of the run");
}

int main()
{
    request = baton_var_new("request", NULL, NULL);
    baton_set(request, (void *)1, NULL);
    baton_context *context = baton_context_copy();
    void *inside = NULL;
    try {
        baton_context_run(context, fails, NULL);
    } catch (const std::runtime_error &error) {
        std::printf("caught: %s\n", error.what());
    }
    baton_context_find(context, request, &inside);
    std::printf("outside %ld inside %ld\n", (long)baton_get(request), (long)inside);
    std::printf("entered again %d\n", baton_context_run(context, [](void *) {}, NULL));
    baton_context_free(context);
    return !((long)baton_get(request) == 1 && (long)inside == 2);
}
