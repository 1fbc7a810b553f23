"""libevent's bufferevents and listeners: callbacks run in the context of the call that set them."""
from harness import CARRIERS, carry, idle, plain, test, uncounted


def buffer(mode, kind, tasks):
    for run in (plain, idle):
        run("libevent_buffer", mode, kind).wrong()
    uncounted(CARRIERS[kind], "libevent_buffer", mode, kind).quiet()
    return carry(CARRIERS[kind], "libevent_buffer", mode, kind).ok().quiet().clean().carried("libevent", exactly=tasks)


@test("A9: read, write and event callbacks of a bufferevent; getcb tells the program's", each=CARRIERS)
def bufferevent(kind):
    buffer("buffer", kind, tasks=2)


@test("A8: callbacks that are unset, a bufferevent that is freed with callbacks", each=CARRIERS)
def unset(kind):
    buffer("unset", kind, tasks=2)


@test("A8: a listener that gets another callback and is freed by it; one that is refused", each=CARRIERS)
def listener(kind):
    buffer("listener", kind, tasks=2).says("refused: 0")


@test("A8, A9: filters, in both directions, refused, freed with their argument; callbacks that they replace", each=CARRIERS)
def filters(kind):
    buffer("filter", kind, tasks=3)


@test("A8: a listener that becomes a server's, a connection's buffer that the program takes: libevent frees them", each=CARRIERS)
def taken(kind):
    buffer("taken", kind, tasks=3)


@test("A9: a listener that gets its callback later", each=CARRIERS)
def late(kind):
    buffer("late", kind, tasks=1)
