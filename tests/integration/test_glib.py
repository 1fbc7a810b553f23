"""GThreadPool: the program keeps its pointers, order and errors; tasks get their contexts."""
from harness import CARRIERS, carry, idle, plain, test

KEY = CARRIERS["key"]


def pool(mode, kind="key", tasks=None, **how):
    after = carry(CARRIERS[kind], "glib_pool", mode, kind, **how).ok().clean()
    if tasks is not None:
        after.carried("glib.pool", exactly=tasks)
    return after


def wrong_without(mode):
    for run in (plain, idle):
        run("glib_pool", mode).wrong()


@test("A7: a sort function sees the program's own pointers, each job its own context", each=CARRIERS)
def sort_function(kind):
    wrong_without("sort")
    pool("sort", kind, tasks=6).quiet()


@test("A7: a sort function can be taken away again")
def sort_function_taken_away():
    wrong_without("unsort")
    pool("unsort", tasks=5).quiet()


@test("A7: move_to_front finds the program's pointer", each=CARRIERS)
def move_to_front(kind):
    wrong_without("front")
    pool("front", kind, tasks=5).quiet()


@test("A6: the same pointer queued many times keeps one context each, in order", each=CARRIERS)
def same_pointer_twice(kind):
    wrong_without("twice")
    pool("twice", kind, tasks=5).quiet()


@test("A8: immediate free gives dropped items to the program's free function and lets contexts go")
def free_immediately():
    for run in (plain, idle):
        run("glib_pool", "drop").ok()
    pool("drop", tasks=5).quiet().says("freed 4")


@test("A8: immediate free of a pool without a free function lets contexts go")
def free_immediately_without_function():
    pool("drop_plain", tasks=5).quiet().says("freed 0")


@test("A8: a waiting free runs all tasks in their contexts", each=("wait", "no_wait"))
def free_and_wait(mode):
    wrong_without(mode)
    pool(mode, tasks=5).quiet()


@test("A1: exclusive pools and pools that share threads", each=[(m, k) for m in ("shared", "exclusive") for k in CARRIERS])
def shared_and_exclusive(mode, kind):
    wrong_without(mode)
    pool(mode, kind, tasks=4).quiet()


@test("A8: a push of NULL is GLib's error, told by GLib, and leaves nothing behind")
def push_of_null():
    complaint = "g_async_queue_push_unlocked: assertion 'data' failed"
    before = plain("glib_pool", "null").wrong().complains(complaint).says("NULL pushed: 1")
    after = pool("null").complains(complaint).says("NULL pushed: 1")
    if len(after.err.splitlines()) != len(before.err.splitlines()):
        after.fail("more was said than GLib says")


@test("A8: a push into a pool that is being freed is refused by GLib, told by GLib, and leaves nothing behind")
def push_into_freed():
    complaint = "g_thread_pool_push: assertion 'real->running' failed"
    before = plain("glib_pool", "freed").wrong().complains(complaint)
    after = pool("freed", tasks=2).complains(complaint)
    if len(after.err.splitlines()) != len(before.err.splitlines()):
        after.fail("more was said than GLib says")


@test("A3: what a task sets is not there for the next task", each=CARRIERS)
def nothing_left_for_the_next(kind):
    wrong_without("leave")
    pool("leave", kind, tasks=4).quiet()


@test("E21: the numbers that a pool tells are the same")
def numbers_of_a_pool():
    before = plain("glib_pool", "numbers")
    after = pool("numbers")
    told = [line for line in before.out.splitlines() if line.startswith(("max", "more"))]
    after.says(*told)


@test("BATON_DISABLE=glib.pool leaves pools alone and counts nothing for them")
def disabled():
    off = carry(KEY, "glib_pool", "leave", env={"BATON_DISABLE": "glib.pool"}).wrong()
    off.clean().carried("glib.pool", exactly=0)
