"""libevent: a callback runs in the context of the call that made its event pending or active."""
from harness import CARRIERS, carry, idle, plain, test, uncounted

KEY = CARRIERS["key"]


def event(mode, kind="key", tasks=None, **how):
    for run in (plain, idle):
        run("libevent", mode, kind).wrong()
    uncounted(CARRIERS[kind], "libevent", mode, kind, **how).quiet()
    after = carry(CARRIERS[kind], "libevent", mode, kind, **how).ok().quiet().clean()
    if tasks is not None:
        after.carried("libevent", exactly=tasks)
    return after


@test("A1: timers, io, signals, assigned and set events, once, active", each=CARRIERS)
def ways(kind):
    event("ways", kind, tasks=12)


@test("A1: event_once; event_base_loopexit is libevent's own; a refused once leaves nothing", each=CARRIERS)
def once(kind):
    event("once", kind, tasks=2).says("wrong events: -1")


@test("A9: what a persistent event's callback sets is there when it runs the next time", each=CARRIERS)
def keeps(kind):
    event("keeps", kind, tasks=1)


@test("A8: an event that adds itself again and frees itself", each=CARRIERS)
def readd(kind):
    event("readd", kind, tasks=10)


@test("A7: getters tell the program's callback and argument", each=CARRIERS)
def getters(kind):
    event("getters", kind, tasks=1)


@test("A8: what libevent refuses leaves nothing behind")
def refused():
    before = plain("libevent", "refused").wrong()
    after = carry(KEY, "libevent", "refused").ok().clean().says("refused: -1\nrefused: 0\n")
    after.carried("libevent", exactly=1)
    if after.err != before.err:
        after.fail("libevent says something else")


@test("A8: events that never run, a base freed with callbacks under way", each=CARRIERS)
def dropped(kind):
    event("dropped", kind, tasks=106)


@test("A8: deleted in each of the ways; a base that is freed without finalizers", each=CARRIERS)
def deleted(kind):
    event("deleted", kind, tasks=8)


@test("A5: a loop inside a callback", each=CARRIERS)
def nested(kind):
    event("nested", kind, tasks=2)


@test("A7: finalizers get the program's argument", each=CARRIERS)
def finalize(kind):
    event("finalize", kind, tasks=2)


@test("A1: four threads add, activate and delete events of one loop", each=("key", "tls"))
def threads(kind):
    event("threads", kind)


@test("A8: another thread adds and frees an event while its callback runs", each=CARRIERS)
def free_elsewhere(kind):
    event("free_elsewhere", kind)


@test("A9: BATON_PERIODIC=off runs persistent events bare and still puts the loop's values back")
def periodic_off():
    after = carry(KEY, "libevent", "keeps", env={"BATON_PERIODIC": "off"}).wrong().clean()
    after.says("between ticks 9\n", "tick sees 9 ").never_says("between ticks 1").bare("libevent")


@test("A11: BATON_MAX_HOPS ends an event that adds itself again")
def hops():
    after = carry(KEY, "libevent", "readd", env={"BATON_MAX_HOPS": "3"}).wrong().clean()
    after.bare("libevent")


@test("the rows of libevent have the types of its headers")
def prototypes():
    plain("prototypes_libevent").ok()
