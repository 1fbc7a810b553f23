"""SIGEV_THREAD: callbacks of timers, asynchronous I/O, look-ups and queues run in their maker's context."""
from harness import CARRIERS, carry, idle, plain, test
from needs import unable

MODES = {
    "timer": "timer",
    "repeat": "timer",
    "delete_in_callback": "timer",
    "timer_errors": "timer",
    "aio": "aio",
    "aio_sandboxed": "aio",
    "aio_copied": "aio",
    "aio64": "aio",
    "aio_cancel": "aio",
    "list": "aio",
    "lookup": "getaddrinfo_a",
    "queue": "mq",
}


@test("A8, A9: callbacks by SIGEV_THREAD", each=[(mode, kind) for mode in MODES for kind in CARRIERS])
def callbacks(mode, kind):
    for run in (plain, idle):
        run("sigevent", mode, kind).wrong()
    carry(CARRIERS[kind], "sigevent", mode, kind).ok().quiet().clean().carried(MODES[mode])


@test("A8: a timer's callback that is under way when the timer is deleted has its context, and nothing stays", each=CARRIERS)
def deleted_under_way(kind):
    if plain("sigevent", "deleted_under_way", kind).code == 77:
        unable("no real-time scheduling")
    plain("sigevent", "deleted_under_way", kind).wrong()
    carry(CARRIERS[kind], "sigevent", "deleted_under_way", kind).ok().quiet().clean().carried("timer")


@test("A11: past BATON_MAX_AGE a repeating timer's callback runs with empty slots, and is counted", each=("key", "tls"))
def age(kind):
    after = carry(CARRIERS[kind], "sigevent", "repeat", kind, env={"BATON_MAX_AGE": "0.05"}).wrong().quiet().clean()
    after.says("call sees 0 WRONG").bare("timer")


@test("A9: BATON_PERIODIC=off lets repeating timers run bare")
def periodic_off():
    after = carry(CARRIERS["key"], "sigevent", "repeat", env={"BATON_PERIODIC": "off"}).wrong().quiet().clean()
    after.bare("timer").says("call sees 0 WRONG")
