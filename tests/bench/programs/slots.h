/*
 * The per-thread state that a benchmark driver owns: pthread keys, scattered and adjacent
 * __thread words. The names are what BATON_CARRY is given; the programs know nothing of it.
 */
#ifndef BENCH_SLOTS_H
#define BENCH_SLOTS_H

#include <stdbool.h>

enum { SLOT_MAX = 64 };

enum slot_kind { SLOT_KEY, SLOT_TLS, SLOT_ROW, SLOT_OBJECT };

/* Reads "key", "tls" (scattered words), "row" (adjacent words) or "object" (keys whose values are addresses of
 * blocks that hold the value as text); false for anything else. */
bool slots_kind_parse(const char *name, enum slot_kind *kind);

/* Creates the keys; with a destructor when asked, which counts its runs and frees nothing. */
void slots_create(bool with_destructor);
long slots_destroyed(void);

/* Slot `index` of the calling thread. */
void slots_set(enum slot_kind kind, int index, long value);
long slots_get(enum slot_kind kind, int index);

/* Loads the library that has bench_late. */
void slots_load_late(void);

/* The calling thread's locale, rounding, name, bench_late, and what bench_get answers are not what other threads have. */
void slots_differ(void);

#endif
