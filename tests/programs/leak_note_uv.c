// A million tasks with 1 kB contexts through two libuv workers: memory stays flat.
// libs: libuv
// usage: leak_note_uv [CARRIER [TASKS]]
#include "leak_note.h"
#include <uv.h>

static void work(uv_work_t *request)
{
    note_task(request->data);
}

static void after(uv_work_t *request, int status)
{
}

int main(int argc, char **argv)
{
    static uv_work_t requests[WINDOW];
    setenv("UV_THREADPOOL_SIZE", "2", 1);
    carrier_choose(argc > 1 ? argv[1] : "key");
    long tasks = argc > 2 ? atol(argv[2]) : 1000000, early_kb = 0;
    pthread_t worker = pthread_self();
    for (long done = 0; done < tasks; done += WINDOW) {
        for (int i = 0; i < WINDOW; i++) {
            requests[i].data = note_new(i, done + i);
            uv_queue_work(uv_default_loop(), &requests[i], work, after);
        }
        set_current(0);
        uv_run(uv_default_loop(), UV_RUN_DEFAULT);
        worker = notes[0]->worker;
        notes_free();
        if (done == tasks / 10)
            early_kb = rss_kb();
    }
    int result = notes_report(tasks, early_kb, worker);
    uv_loop_close(uv_default_loop());
    return result;
}
