// A million tasks with 1 kB contexts through two GThreadPool workers: memory stays flat.
// libs: glib-2.0
// usage: leak_note_glib [CARRIER [TASKS]]
#include "leak_note.h"
#include <glib.h>

static void work(gpointer data, gpointer user_data)
{
    note_task(data);
}

int main(int argc, char **argv)
{
    carrier_choose(argc > 1 ? argv[1] : "key");
    long tasks = argc > 2 ? atol(argv[2]) : 1000000, early_kb = 0;
    pthread_t worker = pthread_self();
    GThreadPool *pool = g_thread_pool_new(work, NULL, 2, TRUE, NULL);
    for (long done = 0; done < tasks; done += WINDOW) {
        for (int i = 0; i < WINDOW; i++)
            g_thread_pool_push(pool, note_new(i, done + i), NULL);
        while (__atomic_load_n(&finished, __ATOMIC_ACQUIRE) < done + WINDOW)
            sched_yield();
        worker = notes[0]->worker;
        notes_free();
        if (done == tasks / 10)
            early_kb = rss_kb();
    }
    set_current(0);
    int result = notes_report(tasks, early_kb, worker);
    g_thread_pool_free(pool, FALSE, TRUE);
    return result;
}
