"""libevent's buffers: callbacks run in the context of the call that added them."""
from harness import CARRIERS, carry, idle, plain, test, uncounted


def buffer(mode, kind, tasks, runs=(plain, idle)):
    for run in runs:
        run("libevent_evbuffer", mode, kind).wrong()
    uncounted(CARRIERS[kind], "libevent_evbuffer", mode, kind).quiet()
    return carry(CARRIERS[kind], "libevent_evbuffer", mode, kind).ok().quiet().clean().carried("libevent", exactly=tasks)


@test("A9: two callbacks of a buffer, each keeps what it sets; switched off and on by their handles", each=CARRIERS)
def keeps(kind):
    buffer("keeps", kind, tasks=2)


@test("A7, A8: removed by function and argument, by handle, by themselves", each=CARRIERS)
def remove(kind):
    buffer("remove", kind, tasks=103)


@test("A8: evbuffer_setcb takes all others away; it goes with the buffer", each=CARRIERS)
def set_callback(kind):
    buffer("set", kind, tasks=5)


@test("A1: deferred callbacks, of a buffer that was freed meanwhile", each=CARRIERS)
def deferred(kind):
    buffer("deferred", kind, tasks=2)


@test("A8: callbacks on the buffers of a bufferevent, freed from inside; bufferevent_new", each=CARRIERS)
def bufferevent(kind):
    buffer("bufferevent", kind, tasks=4)


@test("A5: threads change a buffer while another adds and removes callbacks", each=CARRIERS)
def threads(kind):
    buffer("threads", kind, tasks=501)


@test("E24: children that are forked while other threads are at it", each=("key", "tls"))
def fork(kind):
    for run in (plain, idle):
        run("libevent_evbuffer", "fork", kind).wrong()
    carry(CARRIERS[kind], "libevent_evbuffer", "fork", kind).ok().quiet().clean()


@test("A9: BATON_PERIODIC=off runs them bare and still puts the thread's values back")
def periodic_off():
    after = carry(CARRIERS["key"], "libevent_evbuffer", "keeps", env={"BATON_PERIODIC": "off"}).wrong().clean()
    after.says("the thread has 9\n").never_says("the thread has 1").bare("libevent")
