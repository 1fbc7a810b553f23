/* Which thread forks: see lock.h. */
#include "base/lock.h"

#include <stddef.h>

_Atomic(int *) lock_forking;
