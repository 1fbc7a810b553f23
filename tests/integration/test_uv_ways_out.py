"""libuv: sends that cross callbacks, and callbacks that come after uv_close."""
from harness import CARRIERS, carry, idle, plain, test

MODES = ("blocked", "often", "closed-in-alloc", "closed-in-receive")


@test("A1, A8: a send by a thread with blocked signals, sends between callbacks, closing in an alloc or receive "
      "callback", each=[(mode, kind) for mode in MODES for kind in ("key", "tls", "fn")])
def keeps(mode, kind):
    for run in (plain, idle):
        run("uv_ways_out", mode, kind).exits(1)
    carry(CARRIERS[kind], "uv_ways_out", mode, kind).ok().quiet().clean()


@test("A10: with repeating callbacks run bare, a handle that its callback closes is still safe",
      each=("closed-in-alloc", "closed-in-receive"))
def bare(mode):
    carry(CARRIERS["key"], "uv_ways_out", mode, env={"BATON_PERIODIC": "off"}).exits(1).quiet().clean()
