/* Chosen slots' values for readers outside of the process (BATON_PUBLISH). */
#ifndef BATON_OBSERVE_PUBLISH_H
#define BATON_OBSERVE_PUBLISH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/config.h"
#include "context/context.h"

extern bool publish_is_on;

/* Opens what the symbol lies in; what is wrong is said. After the slots are known, before any capture. */
void publish_begin(const struct config *config);
/* Maps a record for each handoff, and what all of the process have in common; again in a forked child. */
void publish_open(void);
/* Writes the record of handoff number `number`, which runs nowhere yet. */
void publish_fill(uint32_t number, const struct context *context);
/* Where the calling thread's pointer is. */
void *volatile *publish_place(void);
/* The record, for the pointer. */
void *publish_record(uint32_t number);

#endif
