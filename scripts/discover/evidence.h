/* What was seen of a variable or key while work changed hands, and what that says. */
#ifndef BATON_DISCOVER_EVIDENCE_H
#define BATON_DISCOVER_EVIDENCE_H

#include <stdbool.h>
#include <stdint.h>

enum { VALUES_MAX = 8 };

/* What was seen of one subject on one channel. */
struct seen {
    uint32_t pairs, differs; /* handoffs; the worker had another value than its submitter */
    uint32_t values_count, threads_count;
    uint64_t values[VALUES_MAX]; /* of the submitters, different ones */
    uint32_t threads[VALUES_MAX];
    uint64_t last[VALUES_MAX];     /* of each of these threads, not empty */
    uint32_t varied;               /* so often a thread had another one than before */
    uint32_t worker_own;           /* the worker had one of its own */
    uint32_t tasks, changed;       /* intervals of the worker after it; that changed the value */
    uint32_t got_first, set_first; /* keys: tasks that read it before they set it,
                                    or the other way */
    uint32_t found_own; /* keys: those of got_first that found what their thread had set before */
    uint32_t set_blindly,
        set_looking;   /* keys: the submitter had set it without, or after, reading it */
    bool is_in_place;  /* keys: told by what its object holds, which may change without being set */
    uint32_t in_stack; /* the value points into the submitter's stack */
    uint32_t answered,
        unanswered; /* the task's submitter was woken, and had still what it had handed over; or not so */
};

/* What the code says of a variable. */
struct uses {
    bool is_known;
    bool has_reader;      /* a function reads it and does not write it */
    bool is_reachable;    /* such a one can be reached from a task */
    bool is_address_only; /* its address is taken, and that is all that is known */
};

/* What one that was seen so lacks to be context, on a way that ends in a pool's worker or not; NULL: nothing.
 * rank: how far it got, to compare ways. */
const char *evidence_lacks(const struct seen *seen, bool is_key, bool is_pool, unsigned *rank);
/* The same of a variable's code. Where no code is known (no Zydis) nothing is said against it. */
const char *evidence_lacks_in_code(const struct uses *uses, bool is_code_known);

#endif
