#!/usr/bin/env python3
"""Run the tests: tests/run.py [-k PATTERN] [-j N] [--loop N] [--list]

Discovers the functions marked with @test in tests/integration/test_*.py and the Check suites
in build/tests/unit. One line a test; the output of what failed follows its line. The last line
is `N passed, N failed` (and `, N skipped`); the exit status is 0 when nothing failed.
"""
import argparse
import concurrent.futures
import importlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "lib"))
sys.path.insert(0, str(HERE / "integration"))
sys.dont_write_bytecode = True
import harness  # noqa: E402

UNIT_TIMEOUT_S = 120


class Suite:
    """A Check program: one line here, each of its checks counted."""

    def __init__(self, path):
        self.path, self.name, self.promise = path, f"unit.{path.name}", "its checks pass"
        self.checks = 1

    def call(self):
        try:
            done = subprocess.run([str(self.path)], capture_output=True, text=True, errors="replace",
                                  timeout=UNIT_TIMEOUT_S, env={**os.environ, "CK_VERBOSITY": "normal"})
        except subprocess.TimeoutExpired:
            raise harness.Failure(f"{self.path} still running after {UNIT_TIMEOUT_S} s") from None
        if done.returncode == 77:
            harness.skip(done.stdout.strip().rpartition("\n")[2])
        counts = re.search(r"Checks: (\d+)", done.stdout)
        self.checks = int(counts.group(1)) if counts else 1
        if done.returncode != 0 or not counts:
            raise harness.Failure(f"$ {self.path}\n--- exit {done.returncode}\n"
                                  f"{done.stdout[-6000:]}{done.stderr[-2000:]}")


def discover(pattern):
    for path in sorted((HERE / "integration").glob("test_*.py")):
        importlib.import_module(path.stem)
    suites = [Suite(path) for path in sorted((harness.BUILD / "tests" / "unit").glob("test_*"))
              if path.is_file() and os.access(path, os.X_OK)]
    everything = suites + harness.TESTS
    wanted = re.compile(pattern or "", re.I)
    return [case for case in everything if wanted.search(f"{case.name} {case.promise}")]


def run_case(case, times):
    """-> (state, text)"""
    for turn in range(times):
        try:
            case.call()
        except harness.Skip as why:
            return "skipped", str(why)
        except harness.Failure as failure:
            return "FAILED", (f"turn {turn + 1} of {times}: " if times > 1 else "") + str(failure)
        except Exception:  # a test that is wrong itself must not stop the others
            return "FAILED", traceback.format_exc()
    return "ok", ""


def main():
    parser = argparse.ArgumentParser(description="Run the tests of baton.")
    parser.add_argument("-k", metavar="PATTERN", help="only tests whose name or promise matches")
    parser.add_argument("-j", type=int, default=2, metavar="N", help="so many at a time (2)")
    parser.add_argument("--loop", type=int, default=1, metavar="N", help="each so many times (1)")
    parser.add_argument("--list", action="store_true", help="list the tests and their promises")
    options = parser.parse_args()

    if harness.MACHINE:  # tests that call strip mean the one for its programs
        tools = tempfile.TemporaryDirectory()
        for tool in ("strip", "objcopy", "nm"):
            (Path(tools.name) / tool).symlink_to(shutil.which(f"{harness.MACHINE}-linux-gnu-{tool}"))
        os.environ["PATH"] = f"{tools.name}:{os.environ['PATH']}"
    cases = discover(options.k)
    if options.list:
        for case in cases:
            print(f"{case.name}: {case.promise}")
        return 0
    tally = {"ok": 0, "FAILED": 0, "skipped": 0}
    failed = []
    lock = threading.Lock()

    def one(case):
        started = time.monotonic()
        state, text = run_case(case, options.loop)
        seconds = time.monotonic() - started
        with lock:
            tally[state] += getattr(case, "checks", 1) if state == "ok" else 1
            slow = f" ({seconds:.1f} s)" if seconds > 3 else ""
            why = f": {text}" if state == "skipped" else ""
            print(f"{state:7} {case.name}{slow}{why}")
            if state == "FAILED":
                failed.append(case.name)
                print(f"        promise: {case.promise}")
                print("\n".join("        " + line for line in text.splitlines()))
            sys.stdout.flush()

    with concurrent.futures.ThreadPoolExecutor(max(1, options.j)) as pool:
        for future in [pool.submit(one, case) for case in cases]:
            future.result()
    if not cases:
        print("no test matches")
        return 1
    if failed:
        print("failed: " + " ".join(sorted(failed)))
    skipped = f", {tally['skipped']} skipped" if tally["skipped"] else ""
    print(f"{tally['ok']} passed, {tally['FAILED']} failed{skipped}")
    return 1 if tally["FAILED"] else 0


if __name__ == "__main__":
    sys.exit(main())
