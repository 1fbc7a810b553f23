/* Gives back what a reading of settings took, which the library keeps to its process's end. */
#ifndef TESTS_UNIT_CONFIG_FREE_H
#define TESTS_UNIT_CONFIG_FREE_H

#include <string.h>
#include <sys/mman.h>

#include "base/config.h"

/* One reading at a time, each freed before the next. The first short one lies in memory of the library's own. */
static inline void config_free(struct config *config)
{
    enum { SMALL = 1024 }; /* config.c's small_memory */
    static void *own;

    if (config->memory && !own && config->memory_len <= SMALL)
        own = config->memory;
    else if (config->memory && config->memory != own)
        munmap(config->memory, config->memory_len);
    memset(config, 0, sizeof *config);
}

#endif
