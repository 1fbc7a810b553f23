"""libpthreadpool: all 21 forms of parallel loops."""
from harness import CARRIERS, carry, idle, plain, test


@test("A1, A3, A6: every call of a loop's function sees the caller's values, and one capture a loop", each=CARRIERS)
def loops(kind):
    for run in (plain, idle):
        run("parallel_loops", kind).wrong()
    after = carry(CARRIERS[kind], "parallel_loops", kind).ok().quiet().clean()
    after.carried("pthreadpool", exactly=24 - after.out.count("not in this library"))
