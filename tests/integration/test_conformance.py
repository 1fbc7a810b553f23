"""E21: a few of the tests that others have for themselves; `make conformance` runs them all."""
import conformance
from harness import Failure, test
from needs import needs

FEW = ("glib:cond", "glib:once", "glib:private", "glib:thread", "glib:thread-pool", "glib:asyncqueue", "python:context", "stress:mq")
PACKAGES = {"glib": "glib's tests", "python": "python's tests", "stress": "stress-ng"}


@needs(of=lambda name: (PACKAGES[name.partition(":")[0]],))
@test("E21: tests of GLib, CPython and stress-ng end carrying, and with auto, as they end plain", timeout=120, each=FEW)
def few(name):
    command = next(command for found, command in conformance.wanted([name.partition(":")[0]]) if found == name)
    plain = conformance.run(command, "plain")[0]
    for how in ("carry", "auto"):
        code, out = conformance.run(command, how)
        if code != plain:
            raise Failure(f"plain {plain}, {how} {code}: {out[-2000:]}")
