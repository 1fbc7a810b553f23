/*
 * A long random history against a model: slots are set, contexts captured, run and let go in every
 * order, by tasks within tasks; each look compares all slots with what was captured. The suite says
 * what the slots are: history_get and history_set.
 */
#ifndef UNIT_HISTORY_H
#define UNIT_HISTORY_H

#include <stdint.h>
#include <string.h>

#include "core.h"

enum { HISTORY_SLOTS = 8, HISTORY_HELD = 40, HISTORY_STEPS = 60000 };

static uintptr_t history_get(unsigned slot);
static void history_set(unsigned slot, uintptr_t value);

struct held {
    struct context *context;
    uintptr_t expected[HISTORY_SLOTS];
};

static unsigned history_wrong, history_depth;

static uint32_t random_below(uint32_t limit)
{
    static uint32_t state = 12345;

    state = state * 1664525u + 1013904223u;
    return (state >> 8) % limit;
}

static void compare(const uintptr_t *expected)
{
    for (unsigned i = 0; i < HISTORY_SLOTS; i++)
        history_wrong += history_get(i) != expected[i];
}

static void history(void *arg);

/* A task: sees what was captured, may live a life of its own. */
static void see_held(void *arg)
{
    struct held *held = arg;

    compare(held->expected);
    if (history_depth < 4 && random_below(4) == 0)
        history(held->expected);
}

/* Sets, captures, runs and lets go at random; `now` is what this attach sees. */
static void history(void *arg)
{
    uintptr_t now[HISTORY_SLOTS];
    struct held held[HISTORY_HELD] = {0};

    memcpy(now, arg, sizeof now);
    history_depth++;
    for (unsigned steps = history_depth == 1 ? HISTORY_STEPS : random_below(60); steps-- > 0;) {
        unsigned what = random_below(10), place = random_below(HISTORY_HELD),
                 key = random_below(HISTORY_SLOTS);

        if (what < 4) {
            now[key] = random_below(3) ? random_below(1000) : 0;
            history_set(key, now[key]);
        } else if (what < 8 && !held[place].context) {
            held[place].context = context_capture(FAMILY_UNIT);
            memcpy(held[place].expected, now, sizeof now);
        } else if (held[place].context && what < 9) {
            struct held taken = held[place];

            held[place].context = NULL;
            core_run(taken.context, see_held, &taken);
            compare(now);
        } else if (held[place].context) {
            context_release(held[place].context);
            held[place].context = NULL;
        }
    }
    for (unsigned i = 0; i < HISTORY_HELD; i++) {
        if (held[i].context)
            core_run(held[i].context, see_held, &held[i]);
    }
    compare(now);
    history_depth--;
}

static void history_in_thread(void *unused)
{
    uintptr_t now[HISTORY_SLOTS];

    for (unsigned i = 0; i < HISTORY_SLOTS; i++)
        now[i] = history_get(i);
    history(now);
}

/* Returns how often a look was wrong; leaves all slots empty. */
static unsigned history_run(void)
{
    uintptr_t empty[HISTORY_SLOTS] = {0};

    history_wrong = 0;
    history(empty);
    history_set(0, 7);
    pthread_join(core_thread(history_in_thread, NULL), NULL); /* one that has inherited */
    for (unsigned i = 0; i < HISTORY_SLOTS; i++)
        history_set(i, 0);
    return history_wrong;
}

#endif
