"""libevent's DNS: look-ups and servers, on loopback."""
from harness import CARRIERS, carry, idle, plain, test, uncounted


def dns(mode, kind, tasks):
    for run in (plain, idle):
        run("libevent_dns", mode, kind).wrong()
    uncounted(CARRIERS[kind], "libevent_dns", mode, kind).quiet()
    carry(CARRIERS[kind], "libevent_dns", mode, kind).ok().quiet().clean().carried("libevent", exactly=tasks)


@test("A1: every kind of look-up, answers at once, one that is refused; A9: the server", each=CARRIERS)
def ways(kind):
    dns("ways", kind, tasks=9)


@test("A1: the functions without a base", each=CARRIERS)
def global_base(kind):
    dns("global", kind, tasks=8)


@test("A8: look-ups that are cancelled", each=CARRIERS)
def cancel(kind):
    dns("cancel", kind, tasks=3)


@test("A8: look-ups that end with their base, told or not", each=CARRIERS)
def dropped(kind):
    dns("dropped", kind, tasks=106)


@test("A6: what a bufferevent looks up for its connection is libevent's own", each=CARRIERS)
def connect(kind):
    dns("connect", kind, tasks=2)


@test("A6: libevent in parts: what one asks of another is libevent's own", each=("connect", "ways"))
def parts(mode):
    tasks = {"connect": 2, "ways": 9}[mode]
    plain("libevent_dns_parts", mode).wrong()
    carry(CARRIERS["key"], "libevent_dns_parts", mode).ok().quiet().clean().carried("libevent", exactly=tasks)


@test("A1: two threads ask, a third one runs the loop", each=CARRIERS)
def threads(kind):
    for run in (plain, idle):
        run("libevent_dns", "threads", kind).wrong()
    carry(CARRIERS[kind], "libevent_dns", "threads", kind).ok().quiet().clean().carried("libevent", at_least=401)
