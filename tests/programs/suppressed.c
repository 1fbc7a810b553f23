// What is handed over while carrying is suppressed gets empty slots, and gives its thread its own values back.
// flags: -Iinclude
// libs: glib-2.0
// usage: suppressed [CARRIER]
#include "baton.h"
#include "carrier.h"
#include <glib.h>

static long saw[4];
static int calls;

static gboolean note(gpointer number)
{
    saw[(long)number] = current();
    set_current(7);
    calls++;
    return G_SOURCE_REMOVE;
}

static void *in_thread(void *unused)
{
    note((gpointer)3);
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    carrier_choose(argc > 1 ? argv[1] : "key");
    set_current(5);
    baton_suppress();
    g_idle_add(note, (gpointer)0);
    baton_suppress();
    g_idle_add(note, (gpointer)1);
    pthread_create(&thread, NULL, in_thread, NULL);
    pthread_join(thread, NULL);
    baton_resume();
    baton_resume();
    g_idle_add(note, (gpointer)2);
    expect("the suppressing thread has", current(), 5);
    set_current(9);
    while (g_main_context_iteration(NULL, FALSE))
        expect("between callbacks", current(), 9);
    expect("suppressed", saw[0], 0);
    expect("suppressed twice", saw[1], 0);
    expect("suppressed, in a thread", saw[3], 0);
    expect("resumed", saw[2], 5);
    expect("calls", calls, 4);
    set_current(0);
    return verdict();
}
