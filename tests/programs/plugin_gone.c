// A plugin is unloaded while tasks wait that hold values of its key: they run, nothing crashes.
// libs: glib-2.0
// link: -ldl
// usage: plugin_gone PLUGIN
#include "carrier.h"
#include <dlfcn.h>
#include <glib.h>

static struct gate gate = GATE_CLOSED;
static void *(*session_get)(void);
static void (*session_set)(void *);
static int ran, saw;
static char sessions[4];
static GThreadPool *pool;

static void work(gpointer data, gpointer user_data)
{
    if (data == sessions)
        gate_wait(&gate);
    ran++;
    if (session_get)
        saw += session_get() == data;
}

static void *owner(void *session)
{
    session_set(session);
    g_thread_pool_push(pool, session, NULL);
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    pool = g_thread_pool_new(work, NULL, 1, TRUE, NULL);
    for (int round = 0; round < 3; round++) {
        void *plugin = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
        if (!plugin) {
            fprintf(stderr, "%s\n", dlerror());
            return 2;
        }
        session_get = (void *(*)(void))dlsym(plugin, "session_get");
        session_set = (void (*)(void *))dlsym(plugin, "session_set");
        int (*destroyed)(void) = (int (*)(void))dlsym(plugin, "sessions_destroyed");
        int earlier = destroyed(); /* not 0 when something has kept it loaded */
        ran = saw = 0;
        gate.open = gate.arrived = 0;
        g_thread_pool_push(pool, sessions, NULL);
        gate_await(&gate, 1);
        for (int i = 1; i <= 2; i++) {
            pthread_create(&thread, NULL, owner, &sessions[i]);
            pthread_join(thread, NULL);
        }
        if (round < 2) { /* the tasks run after it is gone */
            printf("destroyed before the tasks %d\n", destroyed() - earlier);
            session_get = NULL;
            dlclose(plugin);
        }
        gate_open(&gate);
        while (__atomic_load_n(&ran, __ATOMIC_ACQUIRE) < 3)
            sleep_ms(1);
        let_rest();
        expect("ran", ran, 3);
        if (round == 2) {
            expect("sessions seen", saw, 2);
            expect("destroyed in the end", destroyed() - earlier, 2);
        }
    }
    g_thread_pool_free(pool, FALSE, TRUE);
    return verdict();
}
