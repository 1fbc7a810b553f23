// Every row of hooks.def for APR has the type of its own headers.
// libs: apr-1 apr-util-1
// flags: -Ishim -D_GNU_SOURCE
#include <apr_thread_pool.h>
#include <apr_thread_proc.h>

#define WANT_APR 1
#include "prototypes.h"
