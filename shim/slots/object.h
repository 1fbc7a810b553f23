/*
 * Copies of the program's objects and strings, for the policies copy=N and string: how much of what an address names
 * may be read, and the program's own allocator, which the copies are of, since a task may take one over and free it.
 * Called with no lock held; the allocator is the program's code.
 */
#ifndef BATON_SLOTS_OBJECT_H
#define BATON_SLOTS_OBJECT_H

#include <stdbool.h>
#include <stddef.h>

#pragma GCC visibility push(hidden)

/* Before all others. False: no loaded module has both malloc and free. */
bool object_find_heap(void);

/* A copy of SIZE bytes, zeroes behind the object's own. NULL: no memory, or *WHY says why not; the caller owns it. */
void *object_copy(void *object, size_t size, const char **why);
void *object_copy_string(const char *string, const char **why);

/* Of what was made here, whose size is known: it is not asked whether it may be read. */
void *object_copy_again(const void *copy, size_t size);

/* Would a copy that is made now have the bytes of COPY? The other may be another object, a number, or gone. */
bool object_is_copy(const char *copy, size_t size, void *object);
bool object_is_string_copy(const char *copy, const char *string);

/* Has its block room for SIZE bytes? False also where the allocator must not be asked. */
bool object_copy_has_room(void *copy, size_t size);

void object_release(void *copy);

/*
 * How many of the bytes from `value` on, at most `want`, are of the heap block that begins there. 0: none does, or that
 * is not known, as with another allocator than glibc's. `value` may dangle.
 */
size_t object_heap_bytes(void *value, size_t want);

#pragma GCC visibility pop

#endif
