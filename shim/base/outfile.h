/* Files that a setting names, for what is written: the report and its like. One way to open them all.
 *
 * A target is a path, in which %p stands for the process id and %% for %; or stdout or stderr (also
 * written /dev/stdout, /dev/stderr); or /dev/fd/N, a descriptor that the process was started with.
 */
#ifndef BATON_BASE_OUTFILE_H
#define BATON_BASE_OUTFILE_H

#include <stdbool.h>
#include <stddef.h>

/* Before main: which descriptor TARGET names, if it does, is remembered with what it is then, and how large a file may
 * be, which nobody asks at exit. */
void outfile_note(const char *target);

/*
 * Opens TARGET to append to it; to be given back with outfile_close. FLAGS are added to those of open
 * (O_RDWR for whoever maps it); a new file is its owner's alone (0600). No symbolic link at the
 * end of the path is followed, and only a regular file, a pipe or a character device is taken; a pipe
 * that nobody reads is given up, not waited for. Answers the descriptor or -errno; errno is kept.
 */
int outfile_open(const char *target, int flags);
void outfile_close(int fd);

/* Before main, for whoever wants to know early: says why not, and makes nothing. A pipe may still get its reader, unless
 * it is to be mapped. */
bool outfile_can_be_written(const char *setting, const char *target, bool is_mapped);

/* All of TEXT, or nothing where the file would be larger than it may be (EFBIG). 0, or an errno value. */
int outfile_append(int fd, const char *text, size_t len);

/* Whether a file of SIZE bytes may be made; where not, that SETTING's WHAT is missed is said. */
bool outfile_fits(const char *setting, const char *target, const char *what, size_t size);

/* Whether PATH is there and is nothing that outfile_open takes as a file: a link, a pipe, a file with other names. */
bool outfile_is_no_file(const char *path);

/* Blocks for SIZE bytes from AT, for whoever maps them; where the file system cannot reserve, zeroes are written. 0, or an
 * errno value. */
int outfile_reserve(int fd, size_t at, size_t size);

/* Whether what was opened may be written to: 0, or the errno that says why not. */
int outfile_check(int fd);

/* Say that it could not be opened or written, and why: unless the file is another user's, as it is for
 * a process that has changed its user and is not to append there. */
void outfile_complain(const char *setting, const char *target, int error);

/* TARGET as a path, in BUF of N bytes. False: it has a % that stands for nothing, or is too long. */
bool outfile_path(const char *target, char *buf, size_t n);

#endif
