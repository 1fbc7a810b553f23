/*
 * Context, or something else? The evidence, for each thread-local variable and key, on each way
 * from a thread that wakes to one that is woken and works:
 *
 * - Differs with the request: at the moments when work changed hands, the thread that handed over
 *   held different values. Identities (a thread's number, its arena, its buffer) are constant a
 *   thread.
 * - Lost on the way: the worker then held another value, so there is something to carry.
 * - Not the worker's own: the worker's value does not change while it works. Caches, counters,
 *   random states and error numbers are written by whoever uses them, tasks too.
 * - Read in the task. Of a key: the task asked for it before it set it (exact, every read is
 *   seen). Of a variable: a function that reads it and does not write it can be reached from what
 *   workers call. A counter, a cache, a random state is read only where it is also written.
 * - Set before handing over. Of a key: by a submitter that had not asked for it. Code that asks, changes
 *   and stores keeps a state; so does code that changes a QThreadStorage's value where it is.
 * - Not the thread's own. Of a key that few tasks read: mostly they do not find what their own thread has set before.
 *
 * Only what has all of it is written as an item; what lacks one is listed with the reason. Nothing
 * is known of values that no request has changed while we looked.
 */
#include "evidence.h"

#include <stddef.h>

enum { PAIRS_MIN = 2, REQUESTS_MIN = 4 };

const char *evidence_lacks(const struct seen *seen, bool is_key, bool is_pool, unsigned *rank)
{
    /* Of a key every read is seen: most tasks do without. */
    bool is_rare = is_key && seen->got_first * 2 < seen->tasks;

    *rank = 0;
    if (!is_pool || seen->pairs < PAIRS_MIN)
        return "was not seen where work was handed over";
    *rank = 1;
    if (seen->values_count < 2)
        return "the same at every handoff";
    *rank = 2;
    /* One value a thread is an identity, unless those who work have none and many hand over, one request each, which
     * most tasks look at. What is made anew in some of many threads is a cache of theirs. */
    if (seen->varied < seen->threads_count &&
        (seen->worker_own || seen->values_count < REQUESTS_MIN || is_rare))
        return "one value a thread: an identity";
    *rank = 3;
    if (seen->differs * 2 < seen->pairs)
        return "workers have the same value already";
    *rank = 4;
    if (is_key) {
        if (!seen->got_first && !seen->set_first)
            return "no task reads it";
        *rank = 5;
        if (seen->set_first > seen->got_first)
            return "tasks set it before they read it";
        if (is_rare && seen->found_own * 2 >= seen->got_first)
            return "set by each thread for itself";
        *rank = 6;
        if (!seen->set_blindly && (seen->set_looking || seen->is_in_place) &&
            seen->changed * 2 >= seen->got_first)
            return "read, changed and stored by whoever uses it, as a counter or a "
                   "cache is";
        return NULL;
    }
    if (!seen->tasks)
        return "no task was seen";
    if (seen->changed * 4 > seen->tasks)
        return "workers write it themselves";
    *rank = 5;
    return NULL;
}

const char *evidence_lacks_in_code(const struct uses *uses, bool is_code_known)
{
    if (!uses->is_known)
        return is_code_known ? "no code that uses it was found" : NULL;
    if (!uses->has_reader && uses->is_address_only)
        return NULL; /* through a pointer: not known */
    if (!uses->has_reader)
        return "read only where it is also written, as a counter or a cache is";
    if (!uses->is_reachable)
        return "no task reads it";
    return NULL;
}
