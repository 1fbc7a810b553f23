/*
 * Values that `share` carries and whose bytes are changed in place (BATON_STRICT): the same thread hands the same
 * address over again with something else behind it, as a struct that is filled in anew for every request. Of glibc's
 * heap blocks and of objects that symbols know; the first bytes are looked at, when it is handed over. That a block was
 * freed and given out anew looks just the same. Values may dangle: the kernel is asked first, each time.
 */
#ifndef BATON_CONTEXT_CHANGED_H
#define BATON_CONTEXT_CHANGED_H

#include <stdint.h>

struct slot;

/* Of the first bytes of the object that VALUE points to; 0: nobody knows how large it is. */
uint64_t changed_sum(const void *value);
/* The calling thread hands it over. Was there something else in it when it last did: the sum of that, else 0. Under
 * the lock of the list of holdings. */
uint64_t changed_note(const struct slot *slot, const void *value, uint64_t sum);

#endif
