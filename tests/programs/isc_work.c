// BIND's offloaded work: both callbacks see the value of the one who offloaded.
// flags: -DHAVE_STDATOMIC_H=1 -D_GNU_SOURCE
// link: -lisc
// needs: isc/task.h
// usage: isc_work [CARRIER]
#include "carrier.h"
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

enum { ITEMS = 200 };
static isc_nm_t *network;
static isc_task_t *task;
static pthread_t worker_of[ITEMS], loop;
static long saw_in_work[ITEMS], saw_after[ITEMS], done;
static struct gate all_done = GATE_CLOSED;

static void on_work(void *data)
{
    long i = (long)data;
    worker_of[i] = pthread_self();
    saw_in_work[i] = current();
    set_current(5); /* nobody else's business */
}

static void on_after(void *data, isc_result_t result)
{
    long i = (long)data;
    saw_after[i] = result == ISC_R_SUCCESS && pthread_equal(loop, pthread_self()) ? current() : -1;
    set_current(6);
    if (++done == ITEMS)
        gate_open(&all_done);
}

/* Runs in the network thread, woken by main; so does what comes after each piece of work. */
static void on_start(isc_task_t *its_task, isc_event_t *event)
{
    loop = pthread_self();
    for (long i = 0; i < ITEMS; i++) {
        set_current(1000 + i);
        isc_nm_work_offload(network, on_work, on_after, (void *)i);
    }
    isc_event_free(&event);
}

int main(int argc, char **argv)
{
    isc_mem_t *memory = NULL;
    isc_taskmgr_t *tasks = NULL;
    carrier_choose(argc > 1 ? argv[1] : "key");
    isc_mem_create(&memory);
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
    isc_mem_destroy(&memory);
    long wrong_work = 0, wrong_after = 0, elsewhere = 0;
    for (long i = 0; i < ITEMS; i++) {
        wrong_work += saw_in_work[i] != 1000 + i;
        wrong_after += saw_after[i] != 1000 + i;
        elsewhere += !pthread_equal(worker_of[i], loop);
    }
    expect("in other threads", elsewhere, ITEMS);
    expect("wrong in the work", wrong_work, 0);
    expect("wrong after it", wrong_after, 0);
    return verdict();
}
