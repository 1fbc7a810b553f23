/*
 * The stale pool: five tasks with the values 1 to 5 on two workers. A task asks who it works for;
 * a worker that does not know yet remembers the user of the job that it does first, as caches and
 * lazily set up loggers do. The first two tasks wait for each other, so both workers are taken;
 * the last ones run on used threads.
 */
#ifndef STALE_POOL_H
#define STALE_POOL_H
#include "carrier.h"

#define TASKS 5
#define WORKERS 2

struct job {
    int number;
    long seen;
    pthread_t worker;
    int done;
};

static struct job jobs[TASKS];
static pthread_mutex_t jobs_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t jobs_changed = PTHREAD_COND_INITIALIZER;
static struct gate first_two = GATE_CLOSED;

static inline void job_run(struct job *job, int may_meet)
{
    if (current() == 0)
        set_current(job->number);
    long seen = current();
    if (may_meet && job->number <= WORKERS)
        gate_meet(&first_two, WORKERS);
    pthread_mutex_lock(&jobs_lock);
    job->seen = seen;
    job->worker = pthread_self();
    job->done = 1;
    pthread_cond_broadcast(&jobs_changed);
    pthread_mutex_unlock(&jobs_lock);
}

static inline void jobs_wait(int count)
{
    pthread_mutex_lock(&jobs_lock);
    for (int done = 0; done < count;) {
        done = 0;
        for (int i = 0; i < TASKS; i++)
            done += jobs[i].done;
        if (done < count)
            pthread_cond_wait(&jobs_changed, &jobs_lock);
    }
    pthread_mutex_unlock(&jobs_lock);
}

/* Print what was seen; with `probe`, what the workers hold now that they are idle. */
static inline int jobs_report(int probe)
{
    int wrong = 0;
    for (int i = 0; i < TASKS; i++) {
        int stale = jobs[i].seen != jobs[i].number;
        printf("task %d sees %ld%s\n", jobs[i].number, jobs[i].seen, stale ? "  STALE" : "");
        wrong += stale;
    }
    for (int i = 0; probe && i < WORKERS; i++) {
        long held = held_by(jobs[i].worker);
        if (held)
            printf("idle worker holds %ld\n", held);
        else
            printf("idle worker holds nothing\n");
        wrong += held != 0;
    }
    return wrong ? 1 : 0;
}
#endif
