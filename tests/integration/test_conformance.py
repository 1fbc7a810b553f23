"""E21: a few of the tests that others have for themselves; `make conformance` runs them all."""
import conformance
from harness import Failure, skip, test

FEW = ("glib:cond", "glib:once", "glib:private", "glib:thread", "glib:thread-pool", "glib:asyncqueue", "python:context", "stress:mq")


@test("E21: tests of GLib, CPython and stress-ng end carrying as they end plain", timeout=120, each=FEW)
def few(name):
    tests = [command for found, command in conformance.wanted([name.partition(":")[0]]) if found == name]
    if not tests:
        skip(f"{name}: its package is not installed")
    command = tests[0]
    plain, carried = conformance.run(command, "plain")[0], conformance.run(command, "carry")
    if carried[0] != plain:
        raise Failure(f"plain {plain}, carrying {carried[0]}: {carried[1][-2000:]}")
