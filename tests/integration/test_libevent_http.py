"""libevent's HTTP: callbacks of servers, connections and requests."""
from harness import CARRIERS, carry, idle, plain, test, uncounted


def http(mode, kind, tasks=None):
    for run in (plain, idle):
        run("libevent_http", mode, kind).wrong()
    uncounted(CARRIERS[kind], "libevent_http", mode, kind).quiet()
    after = carry(CARRIERS[kind], "libevent_http", mode, kind).ok().quiet().clean()
    if tasks is not None:
        after.carried("libevent", exactly=tasks)


@test("A9: paths, all others, new connections; replaced, removed, refused, gone with the server", each=CARRIERS)
def server(kind):
    http("server", kind, tasks=16)


@test("A8: pieces of an answer, one without content; its end; the connection's end", each=CARRIERS)
def pieces(kind):
    http("pieces", kind, tasks=17)


@test("A1: a client's head, pieces and answer, twice on one connection", each=CARRIERS)
def client(kind):
    http("client", kind, tasks=23)


@test("A8: requests that fail: the server leaves, nobody listens, one that the program owns", each=CARRIERS)
def fails(kind):
    http("fails", kind, tasks=13)


@test("A8: requests that are cancelled, go with their connection, or are never asked", each=CARRIERS)
def dropped(kind):
    http("dropped", kind, tasks=93)


@test("A6: libevent in parts: what one asks of another is libevent's own", each=("server", "pieces", "client"))
def parts(mode):
    tasks = {"server": 16, "pieces": 17, "client": 23}[mode]
    plain("libevent_http_parts", mode).wrong()
    carry(CARRIERS["key"], "libevent_http_parts", mode).ok().quiet().clean().carried("libevent", exactly=tasks)


@test("A9: BATON_PERIODIC=off: what runs once is carried all the same, the rest is put back")
def periodic_off():
    after = carry(CARRIERS["key"], "libevent_http", "client", env={"BATON_PERIODIC": "off"}).wrong().clean()
    after.says("the loop's thread has 9\n").never_says("the loop's thread has 1").says("answers 2\n").bare("libevent")
