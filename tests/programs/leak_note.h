/*
 * The leak note: a million tasks, each with a context of 1 kB that the submitter owns and frees when its
 * window of tasks is done. A worker that kept a reference to the context of a finished task would
 * hold freed memory, and a library that kept the contexts would grow.
 */
#ifndef LEAK_NOTE_H
#define LEAK_NOTE_H
#include "carrier.h"

#define WINDOW 1000

struct note {
    long number;
    struct note *seen; /* what the task found in its slot */
    pthread_t worker;
    char rest[1000];
};

static struct note *notes[WINDOW];
static long finished, right;

static inline long rss_kb(void)
{
    char line[256];
    long kb = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof(line), file))
        if (sscanf(line, "VmRSS: %ld", &kb) == 1)
            break;
    if (file)
        fclose(file);
    return kb;
}

static inline void note_task(struct note *note)
{
    note->seen = (struct note *)current();
    note->worker = pthread_self();
    __atomic_add_fetch(&finished, 1, __ATOMIC_RELEASE);
}

static inline struct note *note_new(int place, long number)
{
    struct note *note = malloc(sizeof(*note));
    memset(note, number & 0xff, sizeof(*note));
    note->number = number;
    notes[place] = note;
    set_current((long)note);
    return note;
}

/* The window is done: count, free. */
static inline void notes_free(void)
{
    for (int i = 0; i < WINDOW; i++) {
        right += notes[i]->seen == notes[i];
        free(notes[i]);
    }
}

/*
 * What memory may grow by between a tenth of the tasks and the end, by the allocator's own habits on a busy
 * machine. The contexts that are made in between are 180 times that for 200,000 tasks; records of 24 bytes
 * that were kept would be 4 times that.
 */
#define ROOM_KB 1024

static inline int notes_report(long tasks, long early_kb, pthread_t worker)
{
    long late_kb = rss_kb();
    expect("right", right, tasks);
    printf("rss at 10%% %ld kB\nrss at end %ld kB\n", early_kb, late_kb);
    expect("grown by more than 1024 kB", late_kb > early_kb + ROOM_KB, 0);
    expect("idle worker holds", held_by(worker), 0);
    return verdict();
}
#endif
