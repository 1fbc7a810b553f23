"""The programs from which the project grew: stale pools, five universes, the leak, the web request."""
import functools

from harness import CARRIERS, ROOT, carry, idle, plain, test

POOLS = [(kind, *pool) for kind in CARRIERS
         for pool in (("glib", "exclusive"), ("glib", "shared"), ("uv",))]
THREADS = [(kind, way) for kind in CARRIERS for way in ("pthread", "c11", "thread", "jthread", "async")]
ALL_RIGHT = [f"task {n} sees {n}\n" for n in range(1, 6)]


@test("stale pool: tasks on used workers see their own values, idle workers hold nothing", each=POOLS)
def stale_pool(kind, library, *how):
    program = f"stale_pool_{library}"
    for run in (plain, idle):
        before = run(program, kind, *how).wrong()
        before.matches(r"^task 4 sees [^4] +STALE").matches(r"^task 5 sees [^5] +STALE")
        before.matches(r"^idle worker holds \d")
    after = carry(CARRIERS[kind], program, kind, *how).ok().quiet().says(*ALL_RIGHT)
    after.never_says("STALE", "holds 1", "holds 2").clean()
    after.carried({"uv": "uv.work", "glib": "glib.pool"}[library], exactly=5)


@test("stale pool: a thread sees the value of the moment it was started", each=THREADS)
def thread_per_task(kind, way):
    for run in (plain, idle):
        run("stale_pool_pthread", kind, way).wrong().says("task 4 sees 0  STALE")
    after = carry(CARRIERS[kind], "stale_pool_pthread", kind, way).ok().quiet().says(*ALL_RIGHT)
    after.clean().carried("pthread", exactly=5)


@test("five universes: interleaved threads and their children each see only their own", each=CARRIERS)
def five_universes(kind):
    for run in (plain, idle):
        run("five_universes", kind).wrong().says("universe 3: own 20\nuniverse 3: children 0 WRONG")
    after = carry(CARRIERS[kind], "five_universes", kind).ok().quiet().clean()
    after.carried("pthread", exactly=5 + 5 * 20)


@test("leak note: 200,000 tasks with 1 kB contexts leave memory flat and nothing alive",
      each=[(library, kind) for library in ("glib", "uv") for kind in ("key", "tls")], timeout=120)
def leak_note(library, kind):
    program = f"leak_note_{library}"
    plain(program, kind, 10000).wrong()
    after = carry(CARRIERS[kind], program, kind, 200000, timeout=110).ok().quiet().clean()
    after.says("right 200000\n", "grown by more than 1024 kB 0", "idle worker holds 0")


@test("web request: 400 concurrent requests, every log line bears its own id", each=CARRIERS)
def web_request(kind):
    for run in (plain, idle):
        before = run("web_request", kind).wrong().says("400 requests, 400 answered")
        before.matches(r"^orphaned +[1-9]").matches(r"^stitched +[1-9]")
    after = carry(CARRIERS[kind], "web_request", kind).ok().quiet()
    after.says("right      400\norphaned     0\nstitched     0\n").clean()


@functools.cache
def asyncio_says(script):
    return plain("python3", ROOT / "tests" / "programs" / script).ok().quiet()


@test("C15, A1: five universes on one thread as libuv callbacks, GLib sources, coroutines: the lines of asyncio's",
      each=[(loop, kind) for loop in ("uv", "glib", "ucontext") for kind in CARRIERS])
def universes_loop(loop, kind):
    original = asyncio_says("universes_loop.py")
    for run in (plain, idle):
        if run("universes_loop", loop, kind).wrong().out == original.out:
            original.fail("the plain run prints what asyncio prints")
    carry(CARRIERS[kind], "universes_loop", loop, kind).quiet().clean().same_as(original)
