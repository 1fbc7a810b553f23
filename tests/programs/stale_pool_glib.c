// The stale pool on a GThreadPool: a task sees the value of its submit, idle workers hold nothing.
// libs: glib-2.0
// usage: stale_pool_glib [CARRIER [exclusive|shared]]
#include "stale_pool.h"
#include <glib.h>

static void work(gpointer data, gpointer user_data)
{
    job_run(data, 1);
}

int main(int argc, char **argv)
{
    carrier_choose(argc > 1 ? argv[1] : "key");
    gboolean exclusive = argc < 3 || !strcmp(argv[2], "exclusive");
    GThreadPool *pool = g_thread_pool_new(work, NULL, WORKERS, exclusive, NULL);
    for (int i = 0; i < TASKS; i++) {
        jobs[i].number = i + 1;
        set_current(i + 1);
        g_thread_pool_push(pool, &jobs[i], NULL);
    }
    set_current(0);
    jobs_wait(TASKS);
    int result = jobs_report(1);
    g_thread_pool_free(pool, FALSE, TRUE);
    g_thread_pool_stop_unused_threads();
    return result;
}
