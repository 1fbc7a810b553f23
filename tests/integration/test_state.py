"""State that no variable names: locale, floating-point control, thread name, I/O priority."""
from harness import carry, idle, plain, test

ITEMS = {"locale": "locale", "fenv": "fenv", "name": "name", "ioprio": "ioprio"}
WAYS = ("return", "throw", "longjmp", "pthread_exit", "cancel")


@test("locale, fenv, name, ioprio: the task has its request's, and all is put back on every way out",
      each=[(kind, way) for kind in ITEMS for way in WAYS])
def every_way_out(kind, way):
    if way not in ("pthread_exit", "cancel"):  # the kernel hands most of them to new threads anyway
        for how in (plain, idle):
            how("thread_state", kind, way).wrong()
    carry(ITEMS[kind], "thread_state", kind, way).ok().quiet().clean()


@test("A2: a worker that exits or is cancelled inside a task has its own state back before its destructors run",
      each=[(kind, way) for kind in ITEMS for way in ("task_exits", "task_cancelled")])
def worker_ends(kind, way):
    plain("thread_state", kind, way).wrong()
    carry(ITEMS[kind], "thread_state", kind, way).ok().quiet().clean()


@test("locale,dup: the submitter frees its locale while the task waits", each=("return", "throw", "longjmp", "free"))
def freed_locale(way):
    carry("locale,dup", "thread_state", "locale", way).ok().quiet().clean()


@test("fenv: the worker's flags stay, and no trap fires for an old one")
def sticky_flags():
    plain("sticky_flags").wrong()
    carry("fenv", "sticky_flags").ok().quiet().clean()


@test("E22: nothing may follow the word", each=("fenv:x", "name,string", "ioprio:4", "locale,copy=3", "locale:x"))
def nothing_follows(item):
    carry(item, "thread_state", "fenv", "return").wrong().complains("BATON_CARRY=")
