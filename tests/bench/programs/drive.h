/*
 * What every handoff driver shares: options, modes, gates, clocks and counts.
 * A driver is a file with one `struct way` per kind of handoff; main is in drive.c.
 */
#ifndef BENCH_DRIVE_H
#define BENCH_DRIVE_H

#include <stdbool.h>
#include <stddef.h>

struct way {
    const char *name;
    /* Called once, before the first handoff, with the largest number that will be in flight. */
    void (*setup)(size_t in_flight);
    /* Optional: called when the values of the next batches are set. */
    void (*begin)(void);
    /* Optional: hands drive_gate() to the only worker, which then waits there. */
    void (*park)(void);
    /* Hands over drive_task(index); index < in_flight. */
    void (*submit)(size_t index);
    /* Optional: what must still happen in the submitting thread for the handoffs to complete. */
    void (*finish)(void);
    /* Optional: from inside a task, hand over drive_task(index + in_flight). */
    void (*nest)(size_t index);
    /* Optional: runs the whole measurement inside something (a parallel region). */
    void (*around)(void (*body)(void));
    /* The work is done on threads that the clocks of gate and task do not see. */
    bool is_timed_by_process;
    /* Callbacks run in the submitting thread, which therefore changes its values in between. */
    bool is_same_thread;
    /* What tasks see was taken at begin(), not at submit(). */
    bool is_taken_at_begin;
    /* The way sets what it needs itself. */
    bool has_own_values;
    /* How many handoffs one submit is (0 means 1). */
    int handoffs;
};

/* The ways of this program, ended by a NULL name. */
extern const struct way drive_ways[];

/* To be called by the way's callbacks. */
void drive_task(size_t index);
void drive_gate(void);

#endif
