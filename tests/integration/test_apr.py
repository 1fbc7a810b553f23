"""APR: threads and tasks of the thread pool run in the context of their making."""
from harness import CARRIERS, carry, idle, plain, test

MODES = {
    "push": "push, top and schedule",
    "cancel": "tasks that are cancelled by their owner",
    "destroy": "tasks left in a pool that ends",
    "thread": "apr_thread_create, apr_thread_exit",
    "chain": "tasks that push tasks while others are cancelled",
}


@test("A7, A8: APR's threads and thread pool", each=[(mode, kind) for mode in MODES for kind in CARRIERS])
def apr(mode, kind):
    for run in (plain, idle):
        run("apr", mode, kind).wrong()
    after = carry(CARRIERS[kind], "apr", mode, kind).ok().quiet().carried("apr")
    # Before apr-util 1.6.3 what is left in a pool that ends is dropped by no call that is seen; the table of versions says so.
    drops = "ends without a word" in after.out
    alive = after.report["contexts_alive"]  # of two rounds, which may share one
    after.clean(*(alive, 20) if drops and alive in (1, 2) else ())
    if "pthread" in after.report["families"] and after.report["families"]["pthread"]["carried"]:
        after.fail("A6: a thread of APR's was captured twice")
