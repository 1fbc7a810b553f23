/* Files that the code under test opens by their paths, and that are nowhere but in the fuzzer's memory. */
#ifndef TESTS_FUZZ_MEMORY_FILE_H
#define TESTS_FUZZ_MEMORY_FILE_H

#include <stddef.h>

/*
 * From now on PATH, which stays the caller's, is a regular file with these bytes, which stay the caller's, too.
 * Whoever maps it has a copy of just that length, whose end is watched, so that to read behind the file is an
 * error even in its last page.
 */
void memory_file_put(const char *path, const void *bytes, size_t size);

/* The same, but whoever maps it sees these bytes themselves: they are many, and their end is watched already. */
void memory_file_share(const char *path, void *bytes, size_t size);

#endif
