// The row of hooks.def for LLVM's OpenMP has the type of its own header, and ompt.c its numbers.
// cc: clang
// flags: -Ishim
#include <omp-tools.h>

_Static_assert(ompt_set_always == 5 && ompt_scope_begin == 1, "");
_Static_assert(ompt_task_complete == 1 && ompt_task_cancel == 3 && ompt_task_detach == 4 && ompt_task_switch == 7, "");
_Static_assert(ompt_task_explicit == 4 && ompt_task_untied == 0x10000000, "");
_Static_assert(ompt_callback_parallel_begin == 3 && ompt_callback_parallel_end == 4 && ompt_callback_task_create == 5 &&
                   ompt_callback_task_schedule == 6 && ompt_callback_implicit_task == 7 &&
                   ompt_callback_sync_region == 23,
               "");
_Static_assert(sizeof(ompt_data_t) == 8, "");

extern ompt_start_tool_result_t *ompt_start_tool(unsigned, const char *);

#define WANT_LIBOMP 1
#include "prototypes.h"
