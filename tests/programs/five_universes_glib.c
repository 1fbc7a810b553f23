// Five universes on one thread, as GLib sources: each chain of callbacks sees only its own "who am I".
// libs: glib-2.0
// usage: five_universes_glib [CARRIER]
#include "carrier.h"
#include <glib.h>

enum { UNIVERSES = 5, ROUNDS = 20 };

struct universe {
    long name;
    int round, own_right, child_right, timer_right, children;
    guint timer;
};

static struct universe universes[UNIVERSES];
static int alive = UNIVERSES;

static gboolean on_child(gpointer data)
{
    struct universe *me = data;
    me->child_right += current() == me->name * 1000 + me->children++;
    set_current(9999);
    return G_SOURCE_REMOVE;
}

/* A timer of its own counts in its own context. */
static gboolean on_timer(gpointer data)
{
    struct universe *me = data;
    long seen = current();
    me->timer_right += seen >= me->name * 100000 && seen < me->name * 100000 + 1000;
    set_current(seen + 1);
    return G_SOURCE_CONTINUE;
}

static gboolean on_round(gpointer data)
{
    struct universe *me = data;
    me->own_right += current() == me->name;
    if (++me->round == ROUNDS) {
        g_source_remove(me->timer);
        alive--;
        return G_SOURCE_REMOVE;
    }
    set_current(me->name * 1000 + me->round - 1);
    g_idle_add(on_child, me);
    set_current(me->name);
    if (me->round % 2)
        return G_SOURCE_CONTINUE;
    g_idle_add(on_round, me); /* goes on in a new source */
    set_current(-me->name);
    return G_SOURCE_REMOVE;
}

int main(int argc, char **argv)
{
    carrier_choose(argc > 1 ? argv[1] : "key");
    for (int i = 0; i < UNIVERSES; i++) {
        universes[i].name = i + 1;
        set_current(universes[i].name * 100000);
        universes[i].timer = g_timeout_add_full(G_PRIORITY_DEFAULT_IDLE, 0, on_timer, &universes[i], NULL);
        set_current(universes[i].name);
        g_idle_add(on_round, &universes[i]);
    }
    set_current(77);
    while (alive || g_main_context_pending(NULL))
        g_main_context_iteration(NULL, TRUE);
    for (int i = 0; i < UNIVERSES; i++) {
        printf("universe %d: ", i + 1);
        expect("own", universes[i].own_right, ROUNDS);
        printf("universe %d: ", i + 1);
        expect("children", universes[i].child_right, ROUNDS - 1);
        printf("universe %d: ", i + 1);
        expect("timer", universes[i].timer_right > 0, 1);
    }
    expect("the loop's thread has", current(), 77);
    return verdict();
}
