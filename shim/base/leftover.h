/*
 * Files that show what a process does, and that go at its exit: those of processes that a signal has ended stay. Who
 * begins one of the kind removes them, or all but the last few where they are somebody's report.
 *
 * Call context: start. No memory; errno is kept.
 */
#ifndef BATON_BASE_LEFTOVER_H
#define BATON_BASE_LEFTOVER_H

#include <stddef.h>
#include <stdint.h>

/* How a kind of file begins. A process is known by its number and by the namespace of that (leftover_namespace): in
 * another one it may well live. */
struct leftover_kind {
    char magic[9];                 /* with the end of the string, which files do not have */
    uint16_t pid_at, namespace_at; /* uint32_t each, where in the file */
};

enum { LEFTOVER_KEPT = 16 }; /* at most */

/* Of this process; 0: not known, and then nothing is removed. */
uint32_t leftover_namespace(void);

/* Removes FOLDER's files PREFIX PID ".live" of KIND, of this user and of processes that are gone; the KEEP that were
 * written last stay. A folder is looked through for its first few thousand names. */
void leftover_remove(const char *folder, const char *prefix, const struct leftover_kind *kind,
                     unsigned keep);

#endif
