/* The bytes of values, which may be of static objects or on a stack: no sanitizer looks on. */
#ifndef BATON_SLOTS_BYTES_H
#define BATON_SLOTS_BYTES_H

#include <stdbool.h>
#include <stddef.h>

void bytes_copy(char *to, const char *from, size_t size);
bool bytes_are_same(const char *one, const char *other, size_t size);

#endif
