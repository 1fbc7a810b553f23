// A tool of somebody else's for LLVM's OpenMP: says that it runs.
// cc: clang
#include <omp-tools.h>
#include <stdio.h>

static int initialize(ompt_function_lookup_t lookup, int device, ompt_data_t *data)
{
    puts("the other tool runs");
    return 1;
}

static void finalize(ompt_data_t *data)
{
}

static ompt_start_tool_result_t result = {initialize, finalize, {0}};

ompt_start_tool_result_t *ompt_start_tool(unsigned version, const char *runtime)
{
    return &result;
}
