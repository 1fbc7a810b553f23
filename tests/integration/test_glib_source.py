"""GLib sources: a callback runs in the context of its registration, the loop's own values come back."""
import re

from harness import CARRIERS, carry, idle, plain, test

KEY = CARRIERS["key"]


def source(mode, kind="key", tasks=None, **how):
    for run in (plain, idle):
        run("glib_source", mode, kind).wrong()
    after = carry(CARRIERS[kind], "glib_source", mode, kind, **how).ok().quiet().clean()
    if tasks is not None:
        after.carried("glib.source", exactly=tasks)
    return after


@test("A1: idle, timeout, child, io, fd, signal, closure, indirect, invoke: 21 ways to make a source", each=CARRIERS)
def ways(kind):
    source("ways", kind, tasks=21)


@test("A9: what a callback sets is there when it runs the next time, and for nobody else", each=CARRIERS)
def keeps(kind):
    source("keeps", kind, tasks=1)


@test("A7: sources are found and removed by their data", each=CARRIERS)
def find(kind):
    source("find", kind, tasks=5)


@test("A8: a callback replaces itself, a callback destroys its source", each=CARRIERS)
def replace(kind):
    source("replace", kind, tasks=3)


@test("A5: a loop inside a callback, and a source dispatched inside its own callback", each=CARRIERS)
def nested(kind):
    source("nested", kind, tasks=3)


@test("A7: a callback of six arguments, called three times in one dispatch that destroys its source", each=CARRIERS)
def wide(kind):
    source("wide", kind, tasks=2)


@test("A5, A7, A8, A9: the same by the ways that are short because nobody counts",
      each=[(mode, kind) for mode in ("ways", "keeps", "replace", "nested", "wide", "destroy_elsewhere") for kind in CARRIERS])
def uncounted(mode, kind):
    carry(CARRIERS[kind], "glib_source", mode, kind, env={"BATON_REPORT": ""}).ok().quiet()


@test("A8: sources that never run let their contexts go", each=CARRIERS)
def dropped(kind):
    source("dropped", kind, tasks=6)


@test("A8: another thread destroys a source while its callback runs", each=CARRIERS)
def destroy_elsewhere(kind):
    source("destroy_elsewhere", kind)


@test("A8: another thread destroys a source at any moment of its dispatch: it is let go once, in time", each=("key", "tls"))
def race(kind):
    after = source("race", kind)
    rounds = int(re.search(r"^rounds (\d+)$", after.out, re.M).group(1))
    after.carried("glib.source", exactly=rounds)
    if rounds < 500:
        after.fail("too few rounds to see a race")


@test("A1: four threads add 20,000 sources to one loop", each=("key", "tls"))
def storm(kind):
    source("storm", kind, tasks=20000)


@test("A11: BATON_MAX_HOPS ends a chain of sources")
def hops():
    source("chain", tasks=10)
    after = carry(KEY, "glib_source", "chain", env={"BATON_MAX_HOPS": "4"}).wrong().clean()
    after.says("link sees 101\n" * 4 + "link sees 0 WRONG").bare("glib.source", 1)


@test("A9: BATON_PERIODIC=off runs repeating callbacks bare and still puts the loop's values back")
def periodic_off():
    after = carry(KEY, "glib_source", "keeps", env={"BATON_PERIODIC": "off"}).wrong().clean()
    after.says("between ticks 9\n", "first tick 9 ", "second tick 9 ", "third tick 9 ", "thread has 9\n")
    after.never_says("between ticks 1").bare("glib.source", 1)


@test("A11: past BATON_MAX_AGE a repeating callback runs with empty slots, and is counted", each=("key", "tls"))
def age(kind):
    plain("glib_source", "ages", kind).says("tick 1 sees 9").wrong()
    carry(CARRIERS[kind], "glib_source", "ages", kind).ok().quiet().clean().says("tick 6 sees 5101")
    after = carry(CARRIERS[kind], "glib_source", "ages", kind, env={"BATON_MAX_AGE": "0.06"}).ok().quiet().clean()
    after.matches(r"tick 6 sees (0|[1-5]000)$").bare("glib.source")


@test("A8: what GLib refuses it refuses as ever, and leaves nothing behind")
def wrong_arguments():
    before = plain("glib_source", "wrong").wrong()
    after = carry(KEY, "glib_source", "wrong").ok().clean().says(before.out.splitlines()[0])
    told = [re.sub(r".*\d: ", "", line) for line in before.err.splitlines()]
    after.complains(*told)
    if len(after.err.splitlines()) != len(told):
        after.fail("more was said than GLib says")


@test("five universes as GLib sources on one thread", each=CARRIERS)
def five_universes(kind):
    for run in (plain, idle):
        run("five_universes_glib", kind).wrong()
    carry(CARRIERS[kind], "five_universes_glib", kind).ok().quiet().clean()


@test("E21: BATON_DISABLE=glib leaves sources alone")
def disabled():
    off = carry(KEY, "glib_source", "keeps", env={"BATON_DISABLE": "glib"}).wrong()
    off.clean().carried("glib.source", exactly=0)


@test("the rows of GLib have the types of its headers")
def prototypes():
    plain("prototypes_glib").ok()
