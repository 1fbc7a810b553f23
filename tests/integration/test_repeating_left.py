"""A2, A8, A9: repeating callbacks that leave a run early, in every library that has them."""
from harness import carry, idle, plain, test, uncounted

ENDS = [(library, mode) for library in ("libuv", "glib", "libevent", "libevent-threads", "sd-event")
        for mode in ("exit", "cancel")]
# The loops of the others are not meant to be run again after an exception.
GOES_ON = [("libuv", mode) for mode in ("throw", "jump", "none")]


@test("A8: a repeating callback that ends its thread lets its context go; the key's destructor runs", each=ENDS)
def ends_its_thread(library, mode):
    for run in (plain, idle):
        run("repeating_left", library, mode).ok().says("runs 1, destroyed 1")
    uncounted("key:request_key", "repeating_left", library, mode).quiet().says("runs 1, destroyed 1")
    after = carry("key:request_key", "repeating_left", library, mode).ok().quiet().says("runs 1, destroyed 1")
    # Its registration stays, as the library's own does.
    after.clean(records=2)


@test("A9: a repeating callback that throws or jumps out of a run has its values in the next ones", each=GOES_ON)
def goes_on(library, mode):
    for run in (plain, idle):
        run("repeating_left", library, mode).wrong()
    uncounted("key:request_key", "repeating_left", library, mode).quiet()
    carry("key:request_key", "repeating_left", library, mode).ok().quiet().clean()
