/*
 * Reading what shim/observe writes (observe/trace_format.h), and writing it as others read it.
 *
 * A trace may be of a process that was killed, or that is still running: it is read once, bounds are
 * checked at every step, and what makes no sense is left out and counted (`damaged`).
 */
#ifndef BATON_TRACE_H
#define BATON_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "observe/trace_format.h"

struct trace_value_view {
    unsigned slot;
    enum trace_kind kind;
    unsigned length;
    const void *bytes;
};

enum { VALUES_MAX = 64, ID_NONE = 0 };

struct trace_run {
    uint64_t start_ns, end_ns; /* end 0: it had not ended */
    uint32_t thread;           /* index */
    uint32_t how;              /* enum observed_end, RUN_OPEN */
    uint32_t handoff;          /* index */
    uint32_t next;             /* 1 + index of its handoff's next run, 0: none */
};
enum { RUN_RETURNED, RUN_EXCEPTION, RUN_CANCELLED, RUN_JUMPED, RUN_SUSPENDED, RUN_OPEN };
extern const char *const run_ends[];

struct trace_handoff {
    uint64_t id, parent;   /* parent: id of the run that handed over, 0: nobody's */
    uint64_t submit_ns;    /* 0: the record is lost, only runs are known */
    uint64_t drop_ns;      /* not 0: it was given up without having run */
    uint32_t thread;       /* index of the submitting one */
    uint32_t family, hook; /* hook: 1 + number, 0: not known */
    uint32_t node;
    uint32_t first_run;     /* 1 + index, 0: none */
    const uint64_t *values; /* words */
    uint32_t value_words;
};

struct trace_thread {
    uint32_t tid;
    char name[20];
};

struct trace {
    const char *path;
    const struct trace_header *header;
    size_t size;
    const char *program;
    uint32_t pid, family_count, hook_count, slot_count;
    const char **families, **hooks, **slots;
    struct trace_handoff *handoffs; /* by time of submission */
    uint32_t handoff_count;
    struct trace_run *runs; /* by time of start */
    uint32_t run_count;
    struct trace_thread *threads;
    uint32_t thread_count;
    uint64_t start_ns; /* CLOCK_MONOTONIC of the first record */
    uint64_t lost, unwatched, damaged;
    int64_t to_real_ns; /* added to a time, that of the day */
};

/* Ends the program when the file is no trace. */
void trace_read(struct trace *trace, const char *path);
/* Takes the value at word *at apart, and moves *at behind it. False: there is none. */
bool trace_next_value(const struct trace *trace, const struct trace_handoff *handoff, uint32_t *at,
                      struct trace_value_view *value);
/* As text, in one of a few static buffers. */
const char *trace_value_text(const struct trace_value_view *value);
/* The value of that slot as text; NULL: it has none. */
const char *trace_slot_text(const struct trace *trace, const struct trace_handoff *handoff,
                            unsigned slot);
/* The slot that a user means: the item, or the name in it. -1: none. */
int trace_slot_find(const struct trace *trace, const char *name);
const char *trace_family(const struct trace *trace, const struct trace_handoff *handoff);
/* What was called: the hooked function, else the family. */
const char *trace_call(const struct trace *trace, const struct trace_handoff *handoff);
/* Frames of a node's stack: how many; *frames points at them. */
unsigned trace_stack(const struct trace *trace, uint32_t node, const uint64_t **frames);
uint32_t trace_node_parent(const struct trace *trace, uint32_t node);
/* The handoff of that id; NULL. */
const struct trace_handoff *trace_find(const struct trace *trace, uint64_t id);

/* ---- symbols.c ---- */

/* NAME+0xOFFSET (demangled), or MODULE+0xOFFSET; in memory that stays. */
const char *symbol_of(const struct trace *trace, uint64_t address);
/* The same of a file: NULL when it has no name for it. */
const char *symbol_in_file(const char *path, uint64_t offset, uint64_t *start);
/* FILE:LINE by addr2line, or NULL. Slow. */
const char *symbol_line(const char *path, uint64_t offset);

/* ---- who writes what ---- */

void write_chrome(const struct trace *trace, FILE *out);
void write_perfetto(const struct trace *trace, FILE *out);
void write_otlp(const struct trace *trace, const char *trace_id_slot, FILE *out);
void write_csv(const struct trace *trace, FILE *out);
void write_html(const struct trace *trace, FILE *out);

void put_json(FILE *out, const char *text);

#endif
