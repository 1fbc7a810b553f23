"""libuv requests: their callbacks run in the context of their submit."""
from harness import CARRIERS, LIBRARY, PROGRAMS, carry, idle, plain, test

KEY = CARRIERS["key"]
# What baton sees after itself in the list of libraries: uv_version of a libuv that it does not know.
UNKNOWN = {"LD_PRELOAD": f"{LIBRARY}:{PROGRAMS / 'uv_unknown.so'}"}


def request(mode, kind="key", tasks=None, **how):
    for run in (plain, idle):
        run("uv_request", mode, kind).wrong()
    after = carry(CARRIERS[kind], "uv_request", mode, kind, **how).ok().quiet().clean()
    if tasks is not None:
        after.carried("uv.request", exactly=tasks)
    return after


@test("A1: 36 functions of the file system, in requests that are freed by their callbacks", each=CARRIERS)
def fs(kind):
    request("fs", kind, tasks=36)


@test("A1: names, random numbers, write, write2, connect, shutdown, udp send", each=CARRIERS)
def others(kind):
    request("others", kind, tasks=9)


@test("A8: cancelled requests and those of closed handles call back in their contexts", each=CARRIERS)
def cancel(kind):
    request("cancel", kind, tasks=2)


@test("A8: submits that fail leave nothing behind and return libuv's error")
def errors():
    before = plain("uv_request", "errors").wrong()
    told = [line for line in before.out.splitlines() if ": " in line]
    request("errors", tasks=1).says(*told)


@test("A11: BATON_MAX_HOPS ends a chain of requests")
def chain():
    request("chain", tasks=5)
    after = carry(KEY, "uv_request", "chain", env={"BATON_MAX_HOPS": "2"}).wrong().clean()
    after.says("link sees 101\n" * 2 + "link sees 0 WRONG").bare("uv.request")


@test("an unknown libuv: requests are remembered in a table", each=("fs", "others", "cancel", "errors", "chain"))
def unknown_version(mode):
    request(mode, env=UNKNOWN)


@test("an unknown libuv: work is remembered in a table", each=("after", "cancel", "requeue", "freed", "nested"))
def unknown_version_work(mode):
    carry(KEY, "uv_work", mode, env=UNKNOWN).ok().quiet().clean()
