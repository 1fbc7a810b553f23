"""OpenSSL's asynchronous jobs: a fibre's next job does not see the job before it."""
from harness import CARRIERS, carry, idle, plain, test

MODES = {
    "again": "job after job on one fibre",
    "turns": "thirty jobs on five fibres, in turns",
    "arguments": "without an argument, with a large one; jobs that are refused",
    "threads": "fibres of threads that end, jobs that start threads",
}


@test("C15: a job sees the values of its start and keeps its own over its pauses",
      each=[(mode, kind) for mode in MODES for kind in CARRIERS])
def jobs(mode, kind):
    for run in (plain, idle):
        run("openssl_async", mode, kind).wrong()
    carry(CARRIERS[kind], "openssl_async", mode, kind).ok().quiet().clean().carried("openssl")


@test("BATON_DISABLE=openssl: fibres are coroutines like any other, a fibre's first job decides")
def disabled():
    after = carry(CARRIERS["key"], "openssl_async", "again", env={"BATON_DISABLE": "openssl"}).wrong()
    after.carried("openssl", exactly=0).carried("ucontext", exactly=1)
    after.says("job starts with 101\n", "job starts with 7777 WRONG, not 103\n")


@test("BATON_DISABLE=ucontext: who does not follow stacks leaves the jobs alone")
def without_coroutines():
    before = plain("openssl_async", "turns").wrong()
    after = carry(CARRIERS["key"], "openssl_async", "turns", env={"BATON_DISABLE": "ucontext"})
    after.same_as(before).clean().carried("openssl", exactly=0)
