"""BIND's isc_nm_work_offload goes through libuv: one handoff, carried there."""
from harness import CARRIERS, carry, idle, plain, test


@test("A1, A6: work and what comes after it see the value of the offload, captured once, by libuv's function", each=CARRIERS)
def offload(kind):
    for run in (plain, idle):
        run("isc_work", kind).wrong()
    carry(CARRIERS[kind], "isc_work", kind).ok().quiet().clean().carried("uv.work", exactly=200)
