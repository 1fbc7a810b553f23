"""libev: a watcher's callback runs in the context of the call that started it."""
from harness import CARRIERS, carry, idle, plain, test, uncounted

KEY = CARRIERS["key"]


def watcher(mode, kind, tasks):
    for run in (plain, idle):
        run("libev", mode, kind).wrong()
    uncounted(CARRIERS[kind], "libev", mode, kind).quiet()
    return carry(CARRIERS[kind], "libev", mode, kind).ok().quiet().clean().carried("libev", exactly=tasks)


@test("A1: io, timer, periodic, signal, child, stat, idle, prepare, check, async, once", each=CARRIERS)
def ways(kind):
    watcher("ways", kind, tasks=12)


@test("A9: what a callback sets is there when it runs the next time, and for nobody else", each=CARRIERS)
def keeps(kind):
    watcher("keeps", kind, tasks=1)


@test("A9: timers that start themselves, again, and stop", each=CARRIERS)
def restart(kind):
    watcher("restart", kind, tasks=5)


@test("A8: stopped watchers let their contexts go and have their callbacks back", each=CARRIERS)
def stopped(kind):
    watcher("stopped", kind, tasks=7)


@test("A5: a loop inside a callback stops the watcher that is running", each=CARRIERS)
def nested(kind):
    watcher("nested", kind, tasks=2)


@test("A1, E24: fork watchers run in the child, in their own context", each=CARRIERS)
def fork(kind):
    watcher("fork", kind, tasks=2)


@test("A8: a loop that is destroyed: its cleanup watchers run, all others and ev_once are dropped", each=CARRIERS)
def destroy(kind):
    watcher("destroy", kind, tasks=203)


@test("A9: a periodic that is started anew, from outside and by itself", each=CARRIERS)
def periodic(kind):
    watcher("periodic", kind, tasks=4)


@test("A9: BATON_PERIODIC=off runs repeating watchers bare and still puts the loop's values back")
def periodic_off():
    after = carry(KEY, "libev", "keeps", env={"BATON_PERIODIC": "off"}).wrong().clean()
    after.says("between ticks 9\n", "tick sees 9 ").never_says("between ticks 1").bare("libev")


@test("the rows of libev have the types of its header")
def prototypes():
    plain("prototypes_libev").ok()
