/* What the files of the store (store.c, store_file.c, store_tables.c) have of each other. */
#ifndef BATON_OBSERVE_STORE_PARTS_H
#define BATON_OBSERVE_STORE_PARTS_H

#include <stdbool.h>
#include <stddef.h>

#include "observe/store.h"

/* ---- store_file.c ---- */

/* Memory of its own where fd is -1; NULL: none. */
void *store_map(int fd, size_t size);
/* As outfile_reserve, for what is mapped, with no file open any more (Linux 5.14). */
bool store_populate(void *start, size_t size);
/* Of a file that is mapped: a first touch gets 2 MiB ready instead of 4 KiB, where the file system can. Not of the first
 * 2 MiB, which is all that most processes need. */
void store_want_large_pages(void *start, size_t size);
/* %p is the process. A file that a living process writes to is its: then the name gets our number. `path`, of
 * `size` bytes: the name in the end. Negative: it cannot be had. */
int store_open_trace(const char *pattern, char *path, size_t size);

/* The file of the running program. */
void store_name_program(char *name, size_t size);

/* ---- store_tables.c ---- */

/* Before the first trace. False: no memory. */
bool store_make_tables(void);
/* Of a trace whose blocks are reserved as they are needed: gets the beginnings of both tables ready. */
bool store_begin_tables(const struct trace_header *header);
/* Of any other: all of them may be touched. */
void store_open_tables(void);
void store_forget_tables(void);
void store_tables_fork_lock(void);
void store_tables_fork_unlock(void);

#endif
