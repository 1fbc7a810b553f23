/* The door to what this room knows of the processor: what thunks save. */
#ifndef BATON_USERHOOKS_ARCH_H
#define BATON_USERHOOKS_ARCH_H

#include <stdbool.h>

#if defined(__x86_64__)
#include "userhooks/frame_x86_64.h"
#elif defined(__aarch64__)
#include "userhooks/frame_aarch64.h"
#else
#error "baton: named functions need thunks for this processor (see shim/userhooks/thunks_x86_64.S)"
#endif

#endif
