"""BIND's offloaded work: by libuv's function in 9.18, by threads of its own from 9.20.30 on."""
from harness import CARRIERS, carry, idle, plain, test


@test("A1, A6: work and what comes after it see the value of the offload, captured once; jobs of a loop see their own", each=CARRIERS)
def offload(kind):
    for run in (plain, idle):
        run("isc_work", kind).wrong()
    after = carry(CARRIERS[kind], "isc_work", kind).ok().quiet().clean()
    if "in jobs" in after.out:
        after.carried("isc", exactly=400)
    else:
        after.carried("uv.work", exactly=200)
