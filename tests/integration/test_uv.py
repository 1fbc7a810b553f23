"""uv_queue_work and uv_thread_create: work and after-callback run in the context of their submit."""
from harness import CARRIERS, carry, idle, plain, test


def work(mode, kind="key", tasks=None):
    for run in (plain, idle):
        run("uv_work", mode, kind).wrong()
    after = carry(CARRIERS[kind], "uv_work", mode, kind).ok().quiet().clean()
    if tasks is not None:
        after.carried("uv.work", exactly=tasks)
    return after


@test("A1: work and its after-callback see the submit's value, the loop's own comes back", each=CARRIERS)
def after_callback(kind):
    work("after", kind, tasks=5)


@test("A1: submits of one value: each sees it, and the loop's own comes back", each=CARRIERS)
def unchanged(kind):
    work("unchanged", kind, tasks=7)


@test("A7: cancelled work: uv_cancel answers as ever, the after-callback gets ECANCELED in its context", each=CARRIERS)
def cancel(kind):
    work("cancel", kind, tasks=5)


@test("A8: work without an after-callback lets its context go", each=CARRIERS)
def null_after_callback(kind):
    work("null_after", kind, tasks=4)


@test("A6: the after-callback queues the same request again, five times", each=CARRIERS)
def requeue(kind):
    work("requeue", kind, tasks=5)


@test("A8: requests in memory full of rubbish, freed by the after-callback")
def freed_by_after_callback():
    work("freed", tasks=4)


@test("A8: uv_queue_work without a work function fails as ever and leaves nothing behind")
def no_work_function():
    before = plain("uv_work", "no_work").says("no work: EINVAL")
    after = carry("key:request_key", "uv_work", "no_work").ok().quiet().clean()
    after.says("no work: EINVAL").carried("uv.work", exactly=1)
    before.wrong()


@test("B12: threads of uv_thread_create and _ex inherit", each=CARRIERS)
def thread(kind):
    work("thread", kind)


@test("A5: two loops in two threads, each with a value of its own", each=CARRIERS)
def two_loops(kind):
    work("two_loops", kind, tasks=2)


@test("A5: a loop that runs inside an after-callback", each=CARRIERS)
def nested_loop(kind):
    work("nested", kind, tasks=2)


@test("A8: after-callbacks that never come are told as alive, not hidden")
def unfinished():
    after = carry("key:request_key", "uv_work", "unfinished").ok().quiet()
    if after.reported()["records_alive"] not in (0, 3):
        after.fail("expected 3 records for the 3 after-callbacks that never came, or none")
