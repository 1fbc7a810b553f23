"""sd-event: a source's callback runs in the context of the call that added it."""
from harness import CARRIERS, carry, idle, plain, test, uncounted
from needs import unable

KEY = CARRIERS["key"]


def source(mode, kind, tasks):
    for run in (plain, idle):
        run("sdevent", mode, kind).wrong()
    uncounted(CARRIERS[kind], "sdevent", mode, kind).quiet()
    return carry(CARRIERS[kind], "sdevent", mode, kind).ok().quiet().clean().carried("sdevent", exactly=tasks)


@test("A1: io, time, relative time, signal, child, inotify, defer, post, exit, floating sources", each=CARRIERS)
def ways(kind):
    source("ways", kind, tasks=11)


@test("A9: what a callback sets is there when it runs the next time; it frees its source", each=CARRIERS)
def keeps(kind):
    source("keeps", kind, tasks=1)


@test("A9: BATON_PERIODIC=off runs sources that stay on bare and still puts the loop's values back")
def periodic_off():
    after = carry(KEY, "sdevent", "keeps", env={"BATON_PERIODIC": "off"}).wrong().clean()
    after.says("between ticks 9\n", "tick sees 9 ").never_says("between ticks 1").bare("sdevent")


@test("A7: userdata, destroy and prepare callbacks are the program's own", each=CARRIERS)
def getters(kind):
    source("getters", kind, tasks=1)


@test("A8: sources that never run, one that is refused, one that goes with its loop", each=CARRIERS)
def dropped(kind):
    source("dropped", kind, tasks=3)


@test("A1: a child by its pidfd; one that is killed with its source", each=CARRIERS)
def children(kind):
    if plain("sdevent", "children", kind).code == 77:
        unable("this kernel has no pidfd_open")
    source("children", kind, tasks=2)


@test("A1: a file by its descriptor; one that nothing happens to", each=CARRIERS)
def files(kind):
    source("files", kind, tasks=2)


@test("the rows of sd-event have the types of its header")
def prototypes():
    plain("prototypes_sdevent").ok()
