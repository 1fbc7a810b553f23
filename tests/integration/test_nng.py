"""nng: the callback of an aio runs in the context of the last operation that was started on it."""
from harness import CARRIERS, carry, idle, plain, test

# What each mode hands over.
MODES = {"timer": 3, "chain": 4, "sockets": 2, "contexts": 4, "streams": 4, "http": 12, "ways_out": 11, "own": 2, "thread": 1}


@test("A1, A2, A8: timers, sockets, contexts, streams, HTTP, operations of one's own; cancelled, timed out, freed, reaped",
      each=[(mode, kind) for mode in MODES for kind in (CARRIERS if mode in ("timer", "ways_out") else ("key",))])
def operations(mode, kind):
    for start in (plain, idle):
        start("nng", mode, kind).wrong()
    carry(CARRIERS[kind], "nng", mode, kind).ok().quiet().clean().carried("nng", exactly=MODES[mode])


@test("A6: what nng does for itself by the functions that it exports is no handoff")
def blocking():
    carry(CARRIERS["key"], "nng", "blocking").ok().quiet().clean().carried("nng", exactly=0)


@test("B12: a worker of nng that is started by a request does not keep that request's values")
def workers():
    def says(inherit):
        return carry(CARRIERS["key"], "nng", "timer", env={"BATON_DISABLE": "nng", "BATON_INHERIT": inherit}).wrong().out

    assert "callback sees 5 " in says("all")
    assert "callback sees 5 " not in says("app")


@test("the rows of nng have the types of its headers")
def prototypes():
    plain("prototypes_nng").ok()
