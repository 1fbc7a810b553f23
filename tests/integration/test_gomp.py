"""OpenMP by libgomp: members of regions and tasks see what the thread that made them saw."""
from harness import CARRIERS, carry, idle, plain, test


def openmp(mode, kind="key", env=None, **counts):
    for run in (plain, idle):
        run("gomp", mode, kind, env=env).wrong()
    return carry(CARRIERS[kind], "gomp", mode, kind, env=env).ok().quiet().clean().carried("gomp", **counts)


@test("A1: members of a region see the value of its start; its master keeps what it sets", each=CARRIERS)
def parallel(kind):
    openmp("parallel", kind, exactly=6)


@test("A4: threads that join a region never keep an earlier one's values", each=CARRIERS)
def join(kind):
    openmp("join", kind)


@test("A5: regions inside regions", each=CARRIERS)
def nested(kind):
    openmp("nested", kind, exactly=3)


@test("A1: every form of GOMP_parallel_loop", each=CARRIERS)
def loops(kind):
    openmp("loops", kind, exactly=8)


@test("A1: parallel sections", each=CARRIERS)
def sections(kind):
    openmp("sections", kind, exactly=2)


@test("A1: a region with task reductions, whose data the runtime reads", each=CARRIERS)
def reductions(kind):
    openmp("reductions", kind)


@test("A1: a region inside of teams")
def teams():
    openmp("teams")


@test("A1: target regions that nobody waits for, on the host: in order, at once, with much to map",
      each=[(mode, kind) for mode in ("nowait", "order", "wide") for kind in CARRIERS])
def target(mode, kind):
    for run in (plain, idle):
        run("gomp_target", mode, kind).wrong()
    carry(CARRIERS[kind], "gomp_target", mode, kind).ok().quiet().clean().carried("gomp", at_least=16)


@test("A8: target regions that cancellation discards let their contexts go", each=CARRIERS)
def target_cancel(kind):
    env = {"OMP_CANCELLATION": "true"}
    for run in (plain, idle):
        run("gomp_target", "cancel", kind, env=env).wrong()
    after = carry(CARRIERS[kind], "gomp_target", "cancel", kind, env=env).ok().quiet().clean()
    after.says("some were discarded: 1\n")


@test("A8: regions with split start and end, as gcc made them before 4.9", each=CARRIERS)
def split(kind):
    openmp("split", kind, exactly=8)


@test("A1: tasks see the value of their making, however they are made",
      each=[(mode, kind) for mode in ("tasks", "undeferred", "copy", "large", "depend", "deep", "detach")
            for kind in CARRIERS])
def tasks(mode, kind):
    openmp(mode, kind)


@test("A1: task loops, waiting or not", each=[(mode, kind) for mode in ("taskloop", "nogroup") for kind in CARRIERS])
def taskloop(mode, kind):
    openmp(mode, kind)


@test("A8: tasks that cancellation discards let their contexts go", each=CARRIERS)
def cancel(kind):
    after = openmp("cancel", kind, env={"OMP_CANCELLATION": "true"})
    after.says("some were discarded: 1\n")


@test("BATON_DISABLE=gomp leaves regions and tasks alone")
def disabled():
    carry(CARRIERS["key"], "gomp", "tasks", env={"BATON_DISABLE": "gomp"}).wrong().clean()
