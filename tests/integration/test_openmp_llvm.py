"""OpenMP by LLVM's libomp, through its tool interface."""
from harness import CARRIERS, LIBRARY, PROGRAMS, carry, idle, plain, test
from needs import needs

MODES = {
    "parallel": "members of a region, over explicit barriers",
    "implicit_barrier": "what a member sets is there after an implicit barrier",
    "nested": "regions inside regions",
    "tasks": "tasks, queued and at once",
    "deep": "tasks that make and await tasks",
    "late": "untied tasks that pause, tasks run by the region's last barrier",
    "taskloop": "task loops",
    "detach": "detachable tasks",
    "teams": "teams, whose threads are several",
    "cancel": "tasks that cancellation discards",
}
ENV = {"OMP_CANCELLATION": "true"}


@test("A1, A5, A8: LLVM's OpenMP", each=[(mode, kind) for mode in MODES for kind in CARRIERS])
def openmp(mode, kind):
    for run in (plain, idle):
        run("openmp_llvm", mode, kind, env=ENV).wrong()
    carry(CARRIERS[kind], "openmp_llvm", mode, kind, env=ENV).ok().quiet().clean().carried("libomp")


@test("a member of a region is one run, however many barriers it meets")
def counts_by_item():
    after = carry(CARRIERS["key"], "openmp_llvm", "implicit_barrier", "key", env=ENV).ok().clean()
    if after.slot(CARRIERS["key"])["counts"] != {"captured": 1, "empty": 0, "attached": 2}:
        after.fail("expected two members")


@needs(programs=["other_tool.so"])
@test("another tool comes first: preloaded, or named by OMP_TOOL_LIBRARIES", each=("preloaded", "named"))
def other_tool(how):
    tool = PROGRAMS / "other_tool.so"
    env = {"LD_PRELOAD": f"{LIBRARY}:{tool}"} if how == "preloaded" else {"OMP_TOOL_LIBRARIES": str(tool)}
    after = carry(CARRIERS["key"], "openmp_llvm", "parallel", env=env).wrong().quiet().clean()
    after.says("the other tool runs").bare("libomp")
