"""libuv handles: a callback runs in the context of the call that started it."""
import re

from harness import CARRIERS, LIBRARY, PROGRAMS, carry, idle, plain, test, uncounted

KEY = CARRIERS["key"]
# What baton sees after itself in the list of libraries: uv_version of a libuv that it does not know.
UNKNOWN = {"LD_PRELOAD": f"{LIBRARY}:{PROGRAMS / 'uv_unknown.so'}"}


def handle(mode, kind="key", tasks=None, **how):
    for run in (plain, idle):
        run("uv_handle", mode, kind).wrong()
    uncounted(CARRIERS[kind], "uv_handle", mode, kind, **how).quiet()
    after = carry(CARRIERS[kind], "uv_handle", mode, kind, **how).ok().quiet().clean()
    if tasks is not None:
        after.carried("uv.handle", exactly=tasks)
    return after


@test("A1: timer, poll, idle, prepare, check, signal, read, listen, recv, fs_event, fs_poll, async, exit, close",
      each=CARRIERS)
def ways(kind):
    handle("ways", kind, tasks=30)


@test("A1, A8: a terminal, a polled socket, a datagram, connections that are reset, and one that cannot be", each=CARRIERS)
def rare(kind):
    handle("rare", kind, tasks=8).says("reset while shutting down: EINVAL\n")


@test("A9: what a callback sets is there when it runs the next time, and for nobody else", each=CARRIERS)
def keeps(kind):
    handle("keeps", kind, tasks=1)


@test("A9: a timer that starts itself, again, stopped, refused", each=CARRIERS)
def restart(kind):
    before = plain("uv_handle", "restart")
    told = [line for line in before.out.splitlines() if ": " in line]
    handle("restart", kind, tasks=6).says(*told)


@test("A1, A8, A9: a timer that fires once and is started again, in a context of each start; given an interval before it fires",
      each=CARRIERS)
def refires(kind):
    handle("refires", kind, tasks=20)


@test("A7: starting an active idle handle changes nothing", each=CARRIERS)
def active(kind):
    handle("active", kind, tasks=1)


@test("A5: a loop inside a callback closes and frees the handle that is running", each=CARRIERS)
def nested(kind):
    handle("nested", kind, tasks=4)


@test("A1: an async callback runs in the context of the last sender", each=CARRIERS)
def async_(kind):
    handle("async", kind, tasks=7)


@test("uv_async_send in signal handlers, in the middle of anything")
def signal():
    handle("signal")


@test("A8: every stop function lets the context go", each=CARRIERS)
def stops(kind):
    handle("stops", kind, tasks=31)


@test("an unknown libuv: handles are remembered in a table",
      each=("keeps", "restart", "refires", "active", "nested", "async", "stops", "rare"))
def unknown_version(mode):
    handle(mode, env=UNKNOWN)


@test("an unknown libuv: uv_spawn's options are not copied, its callback runs bare")
def unknown_version_ways():
    after = carry(KEY, "uv_handle", "ways", env=UNKNOWN).wrong().clean()
    after.says("callback sees 9 WRONG, not 115").bare("uv.handle")
    if after.out.count("WRONG,") != 2:
        after.fail("expected only the process to see wrong values")


@test("G30: a libuv 1 that nobody has read: all ways carried, its words left alone, and the report says so")
def newer_version():
    newer = {"LD_PRELOAD": f"{LIBRARY}:{PROGRAMS / 'uv_newer.so'}"}
    after = handle("ways", tasks=30, env=newer)
    untried = after.report.get("untried")
    if not untried or (untried[0]["library"], untried[0]["version"]) != ("libuv", "1.255.0"):
        after.fail(f"expected libuv 1.255.0 to be untried: {untried}")
    after = carry(KEY, "uv_handle", "ways", env={**newer, "BATON_LOG": "info"}).ok().clean()
    if len(re.findall(r"libuv 1\.255\.0 has not been tried: its reserved words are left alone", after.err)) != 1:
        after.fail("expected one line about libuv")


@test("A9: BATON_PERIODIC=off runs repeating callbacks bare and still puts the loop's values back")
def periodic_off():
    after = carry(KEY, "uv_handle", "keeps", env={"BATON_PERIODIC": "off"}).wrong().clean()
    after.says("between ticks 9\n", "tick sees 9 ").never_says("between ticks 1").bare("uv.handle")


@test("A5, A9: a timer inside its own callback keeps nothing, the outer run does; A1: an async sent by a task",
      each=[(mode, kind) for mode in ("inside_itself", "sent_by_task") for kind in CARRIERS])
def in_a_callback(mode, kind):
    for run in (plain, idle):
        run("uv_handle", mode, kind).wrong()
    carry(CARRIERS[kind], "uv_handle", mode, kind).ok().quiet().clean()


@test("A11: past BATON_MAX_AGE a repeating callback runs with empty slots, and is counted", each=("key", "tls"))
def age(kind):
    item = CARRIERS[kind]
    plain("uv_handle", "ages", kind).says("tick 1 sees 9")
    carry(item, "uv_handle", "ages", kind).ok().quiet().clean().says("tick 6 sees 5101")
    after = carry(item, "uv_handle", "ages", kind, env={"BATON_MAX_AGE": "0.06"}).ok().quiet().clean()
    after.matches(r"tick 6 sees (0|[1-5]000)$").bare("uv.handle")


@test("five universes as libuv callbacks on one thread", each=CARRIERS)
def five_universes(kind):
    for run in (plain, idle):
        run("five_universes_uv", kind).wrong()
    carry(CARRIERS[kind], "five_universes_uv", kind).ok().quiet().clean()


@test("BATON_DISABLE=uv.handle leaves handles alone")
def disabled():
    carry(KEY, "uv_handle", "keeps", env={"BATON_DISABLE": "uv.handle"}).wrong().clean().carried("uv.handle", exactly=0)
