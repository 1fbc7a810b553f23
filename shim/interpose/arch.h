/* The processor's part of early.c. */
#ifndef BATON_INTERPOSE_ARCH_H
#define BATON_INTERPOSE_ARCH_H

#if defined(__x86_64__)
#include "interpose/asker_x86_64.h"
#elif defined(__aarch64__)
#include "interpose/asker_aarch64.h"
#endif

#endif
