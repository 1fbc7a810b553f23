// BIND's offloaded work: both callbacks see the value of the one who offloaded; jobs of a loop, too, from 9.20 on.
// flags: -DHAVE_STDATOMIC_H=1 -D_GNU_SOURCE
// link: -lisc
// needs: isc/netmgr.h
// usage: isc_work [CARRIER]
#include "carrier.h"

enum { ITEMS = 200 };
static pthread_t worker_of[ITEMS], loop;
static long saw_in_work[ITEMS], saw_after[ITEMS], saw_in_job[ITEMS], done, jobs;
static struct gate all_done = GATE_CLOSED;

static void has_worked(void *data)
{
    long i = (long)data;
    worker_of[i] = pthread_self();
    saw_in_work[i] = current();
    set_current(5); /* nobody else's business */
}

static void is_after(void *data, int is_success)
{
    long i = (long)data;
    saw_after[i] = is_success && pthread_equal(loop, pthread_self()) ? current() : -1;
    set_current(6);
    if (++done == ITEMS)
        gate_open(&all_done);
}

#if __has_include(<isc/task.h>)
#include <isc/event.h>
#include <isc/managers.h>
#include <isc/mem.h>
#include <isc/netmgr.h>
#include <isc/task.h>

#if __has_include(<isc/tls.h>) /* 9.18; 9.16 makes no timers beside them */
#define TIMERS , NULL
#else
#define TIMERS
#endif

enum { has_jobs = 0 };
static isc_nm_t *network;
static isc_task_t *task;

static void on_after(void *data, isc_result_t result)
{
    is_after(data, result == ISC_R_SUCCESS);
}

/* Runs in the network thread, woken by main; so does what comes after each piece of work. */
static void on_start(isc_task_t *its_task, isc_event_t *event)
{
    loop = pthread_self();
    for (long i = 0; i < ITEMS; i++) {
        set_current(1000 + i);
        isc_nm_work_offload(network, has_worked, on_after, (void *)i);
    }
    isc_event_free(&event);
}

static int offload(isc_mem_t *memory)
{
    isc_taskmgr_t *tasks = NULL;
    isc_managers_create(memory, 1, 0, &network, &tasks TIMERS);
    if (isc_task_create_bound(tasks, 0, &task, 0) != ISC_R_SUCCESS)
        return 2;
    isc_event_t *event = isc_event_allocate(memory, NULL, 1, on_start, NULL, sizeof(*event));
    isc_task_send(task, &event);
    gate_wait(&all_done);
    for (int ms = 0; ms < 100 && held_by(loop) != 0; ms++) /* it may still be on its way out */
        sleep_ms(1);
    expect("the loop's thread has", held_by(loop), 0);
    isc_task_detach(&task);
    isc_managers_destroy(&network, &tasks TIMERS);
    return 0;
}
#else
/* As 9.20.30 has them, whose headers need those of liburcu. */
typedef struct isc_loopmgr isc_loopmgr_t;
typedef struct isc_loop isc_loop_t;
typedef struct isc_mem isc_mem_t;
typedef enum { ISC_R_SUCCESS } isc_result_t;
typedef enum { ISC_WORKLANE_FAST, ISC_WORKLANE_SLOW, ISC_WORKLANE_COUNT } isc_worklane_t;
void isc__mem_create(isc_mem_t **);
void isc__mem_destroy(isc_mem_t **);
void isc_loopmgr_create(isc_mem_t *, unsigned, isc_loopmgr_t **);
void isc_loopmgr_destroy(isc_loopmgr_t **);
void isc_loopmgr_run(isc_loopmgr_t *);
void isc_loopmgr_shutdown(isc_loopmgr_t *);
isc_loop_t *isc_loop_main(isc_loopmgr_t *);
void *isc_loop_setup(isc_loop_t *, void (*)(void *), void *);
void isc_async_run(isc_loop_t *, void (*)(void *), void *);
struct isc_work *isc_work_enqueue(isc_loop_t *, isc_worklane_t, isc_result_t (*)(void *), void (*)(void *, isc_result_t), void *);
extern char isc_work_cancel[] __attribute__((weak)); /* before there was one, work had no lanes */
#define isc_mem_create isc__mem_create
#define isc_mem_destroy isc__mem_destroy

enum { has_jobs = 1 };
static isc_loopmgr_t *loops;

static isc_result_t on_work(void *data)
{
    has_worked(data);
    return ISC_R_SUCCESS;
}

static void on_job(void *data)
{
    saw_in_job[(long)data] = current();
    set_current(7);
    jobs++;
}

static void on_after(void *data, isc_result_t result)
{
    is_after(data, result == ISC_R_SUCCESS);
    if (done == ITEMS)
        isc_loopmgr_shutdown(loops);
}

/* Runs in the loop, which is main's; so do the jobs, and what comes after each piece of work. */
static void on_start(void *data)
{
    isc_loop_t *its_loop = isc_loop_main(loops);
    loop = pthread_self();
    for (long i = 0; i < ITEMS; i++) {
        set_current(2000 + i);
        isc_async_run(its_loop, on_job, (void *)i);
        set_current(1000 + i);
        isc_work_enqueue(its_loop, i % ISC_WORKLANE_COUNT, on_work, on_after, (void *)i);
    }
    set_current(0);
}

static int offload(isc_mem_t *memory)
{
    if (!isc_work_cancel)
        return 77;
    isc_loopmgr_create(memory, 1, &loops);
    isc_loop_setup(isc_loop_main(loops), on_start, NULL);
    isc_loopmgr_run(loops);
    expect("the loop's thread has", current(), 0);
    isc_loopmgr_destroy(&loops);
    return 0;
}
#endif

int main(int argc, char **argv)
{
    isc_mem_t *memory = NULL;
    carrier_choose(argc > 1 ? argv[1] : "key");
    isc_mem_create(&memory);
    int failed = offload(memory);
    if (failed)
        return failed;
    isc_mem_destroy(&memory);
    long wrong_work = 0, wrong_after = 0, wrong_jobs = 0, elsewhere = 0;
    for (long i = 0; i < ITEMS; i++) {
        wrong_work += saw_in_work[i] != 1000 + i;
        wrong_after += saw_after[i] != 1000 + i;
        wrong_jobs += saw_in_job[i] != 2000 + i;
        elsewhere += !pthread_equal(worker_of[i], loop);
    }
    expect("in other threads", elsewhere, ITEMS);
    expect("wrong in the work", wrong_work, 0);
    expect("wrong after it", wrong_after, 0);
    if (has_jobs) {
        expect("jobs", jobs, ITEMS);
        expect("wrong in jobs", wrong_jobs, 0);
    }
    return verdict();
}
