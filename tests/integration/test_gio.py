"""GIO: a task's callback runs in the context in which the task was made, whichever thread finishes it."""
from harness import CARRIERS, carry, idle, plain, test


def task(mode, kind="key", tasks=None):
    for run in (plain, idle):
        run("gio_task", mode, kind).wrong()
    after = carry(CARRIERS[kind], "gio_task", mode, kind).ok().quiet().clean()
    if tasks is not None:
        after.carried("glib.task", exactly=tasks)
    return after


@test("A1: g_task_run_in_thread and its sync form: work and callback", each=CARRIERS)
def thread(kind):
    task("thread", kind, tasks=5).carried("glib.pool", exactly=5)


@test("A1: a task that another thread finishes", each=CARRIERS)
def elsewhere(kind):
    task("elsewhere", kind, tasks=4)


@test("A8: tasks that are cancelled, at work and before, tell it in their contexts and let them go", each=CARRIERS)
def cancel(kind):
    task("cancel", kind, tasks=4)


@test("A1: files; GIO's own machinery keeps nobody's context", each=CARRIERS)
def file(kind):
    task("file", kind)


@test("A1: replies on D-Bus; GIO's own machinery keeps nobody's context", each=CARRIERS)
def dbus(kind):
    task("dbus", kind)
