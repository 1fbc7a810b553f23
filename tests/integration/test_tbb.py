"""oneTBB: every task brings the context of who handed it over."""
from harness import CARRIERS, PROGRAMS, carry, idle, plain, test

MODES = {
    "for": "parallel_for, with and without affinity",
    "submitters": "loops of four threads at once",
    "reduce": "parallel_reduce",
    "invoke": "parallel_invoke",
    "sort": "parallel_sort",
    "pipeline": "parallel_pipeline, serial and parallel stages",
    "group": "task_group, run and defer",
    "nested": "tasks of tasks, loops in tasks",
    "cancel": "cancelled tasks let their contexts go",
    "exception": "exceptions out of a body, out of an arena",
    "arena": "task_arena: enqueue, execute, more threads than places",
    "flow": "a flow graph, node to node",
    "standard": "std::execution::par",
    "suspend": "task::suspend and resume",
    "stale": "who has no value sees none",
}
# Modes whose tasks are counted: each that was handed over has run or was cancelled, for nothing is left.
TASKS = {"group": 600, "cancel": 1001}
OPENCV = {"loops": "cv::parallel_for_, loops in loops"}


def right(kind, program, *mode):
    """Carried; of a version that nobody has read each task is left alone and counted (shim/interpose/versions.def)."""
    after = carry(CARRIERS[kind], program, *mode, kind).quiet().clean()
    untried = [library["library"] for library in after.reported().get("untried", ())]
    if "oneTBB" in untried:
        after.wrong().carried("tbb", exactly=0).bare("tbb")
    else:
        after.ok().carried("tbb", exactly=TASKS.get(mode[0]) if mode else None)


@test("A1, A3, A8: tasks of oneTBB", each=[(mode, kind) for mode in MODES for kind in ("key", "tls")])
def modes(mode, kind):
    for run in (plain, idle):
        run("tbb", mode, kind).wrong()
    right(kind, "tbb", mode)


@test("A2: values behind functions are put back in oneTBB's threads", each=["fn", "swap", "tss"])
def carriers(kind):
    plain("tbb", "nested", kind).wrong()
    right(kind, "tbb", "nested")


@test("A1, A3: OpenCV's loops, which run on oneTBB", each=[(mode, kind) for mode in OPENCV for kind in ("key", "tls")])
def opencv(_, kind):
    for run in (plain, idle):
        run("opencv", kind).wrong()
    right(kind, "opencv")


@test("G30: a oneTBB that has not been tried, or a task that looks otherwise, is left alone and said",
      each=[("version", "a version of oneTBB that has not been tried"), ("task", "a task does not look as expected")])
def unknown(what, message):
    library = PROGRAMS / "tbb_next.so"
    plain("tbb_unknown", library, what, "tls").ok()
    settings = {"BATON_LOG": "warn"}
    result = carry("tls:request_id", "tbb_unknown", library, what, "tls", env=settings)
    result.ok().complains(message).carried("tbb", exactly=0).bare("tbb")


@test("G30: with the layout that is known, the same task is carried")
def known():
    carry("tls:request_id", "tbb_unknown", PROGRAMS / "tbb_next.so", "none", "tls").wrong().carried("tbb")
