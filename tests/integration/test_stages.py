"""How the tests are run where nobody watches: scripts/steady, scripts/stages."""
import os
import sys
import tempfile
from pathlib import Path

from harness import ROOT, Failure, plain, test

# Stands for make: what the tests say the first time and the second, and their end.
MAKE = """#!/bin/sh
echo "$@" >>{folder}/calls
[ -e {folder}/again ] && {{ printf '%s' '{second}'; exit {second_status}; }}
touch {folder}/again
printf '%s' '{first}'
exit {first_status}
"""
ONE = "FAILED tests/integration/test_a.py::one[key] - harness.Failure: expected 0\n10 passed, 1 failed\n"
FOUR = "".join(f"FAILED tests/integration/test_a.py::t{i}\n" for i in range(4)) + "10 passed, 4 failed\n"


def steady(folder, first, second, program=("scripts/steady", "--release")):
    make = Path(folder, "make")
    for stale in ("again", "calls"):
        Path(folder, stale).unlink(missing_ok=True)
    make.write_text(MAKE.format(folder=folder, first=first, second=second, first_status=int(" 0 failed" not in first),
                                second_status=int(" 0 failed" not in second)))
    make.chmod(0o755)
    result = plain(sys.executable, *(str(ROOT / word) if "/" in word else word for word in program), cwd=ROOT,
                   env={"PATH": f"{folder}:{os.environ['PATH']}"})
    return result, Path(folder, "calls").read_text().splitlines()


@test("scripts/steady: what fails twice has failed; what is right alone is told as unsteady; many failures are not tried again")
def tried_again():
    with tempfile.TemporaryDirectory(prefix="baton-test-") as folder:
        result, calls = steady(folder, "11 passed, 0 failed\n", "")
        result.ok().never_says("unsteady")
        if len(calls) != 1:
            raise Failure(f"run again although nothing had failed: {calls}")
        result, calls = steady(folder, ONE, "1 passed, 0 failed\n")
        result.ok().says("unsteady: tests/integration/test_a.py::one[key]\n11 passed, 0 failed\n")
        if calls[1:] != ["--no-print-directory test TEST_ARGS=--release --lf -n 0"]:
            raise Failure(f"run again as {calls}")
        steady(folder, ONE, "0 passed, 1 failed\n")[0].wrong().says("10 passed, 1 failed").never_says("unsteady")
        steady(folder, ONE, "killed\n")[0].wrong().never_says("unsteady")
        result, calls = steady(folder, FOUR, "4 passed, 0 failed\n")
        result.wrong().never_says("unsteady")
        if len(calls) != 1:
            raise Failure(f"four failures were tried again: {calls}")
