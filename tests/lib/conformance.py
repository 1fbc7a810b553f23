"""Other projects' own tests pass and fail with us as without us, idle, with auto and carrying.

    make conformance                      everything that is installed
    tests/lib/conformance.py [GROUP...]   glib, python, stress
    tests/lib/conformance.py glib:hash    tests whose name has that in it

Each test runs plain, idle, with auto, and carrying a key with a destructor, a word, a function pair, the locale and fenv, all set
before main. What differs is run twice more in both ways: a test that fails plain now and then says nothing.
Needs libglib2.0-tests, libpython3.11-testsuite and stress-ng (scripts/setup --full).
"""
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
import harness  # noqa: E402
import patience  # noqa: E402
from compile import compiled  # noqa: E402

ITEMS = "key:request_key;tls:request_word;fn:get=request_get,set=request_set;locale;fenv"
GLIB = Path("/usr/share/installed-tests/glib")
PYTHON = ("threading", "threading_local", "threadedtempfile", "thread", "concurrent_futures", "asyncio", "context",
          "contextlib_async", "signal", "threadsignals", "fork1", "subprocess", "wait3", "queue", "sched", "dummy_thread")
STRESS = ("pthread", "timer", "timerfd", "itimer", "aio", "mq", "fork", "vfork", "signal", "sigq", "sigfd", "sigpending",
          "context", "clone", "mutex", "sem", "futex")
OPERATIONS = {"timer": 2000, "timerfd": 2000, "itimer": 2000, "context": 1000, "futex": 20000, "mutex": 20000, "sem": 20000}


def glib():
    for file in sorted(GLIB.glob("*.test")):
        for line in file.read_text().splitlines():
            if line.startswith("Exec="):
                yield f"glib:{file.stem}", ["sh", "-c", line[5:]]


def python():
    python3 = "/usr/bin/python3.11"
    folder = Path("/usr/lib/python3.11/test")
    for name in PYTHON:
        if (folder / f"test_{name}.py").exists() or (folder / f"test_{name}").exists():
            yield f"python:{name}", [python3, "-m", "test", "-q", f"test_{name}"]


def stress():
    if subprocess.run(["sh", "-c", "command -v stress-ng"], capture_output=True).returncode == 0:
        for name in STRESS:
            yield f"stress:{name}", ["stress-ng", "--quiet", f"--{name}", "2", f"--{name}-ops",
                                     str(OPERATIONS.get(name, 500)), "--timeout", "20"]


GROUPS = {"glib": glib, "python": python, "stress": stress}


def run(command, how, limit=240):
    values = compiled("libconformance.so", "-O2", "-shared", "-fPIC", "conformance.c")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("BATON_", "LD_", "PYTHON"))}
    environment["LD_PRELOAD"] = str(values) if how == "plain" else f"{values}:{harness.LIBRARY}"
    if how in ("auto", "carry"):
        environment["BATON_CARRY"] = ITEMS if how == "carry" else "auto"
    with tempfile.TemporaryDirectory(prefix="baton-conformance-") as folder:
        process = subprocess.Popen(command, cwd=folder, env={**environment, "TMPDIR": folder}, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            out, _ = patience.finish(process, b"", limit)
            return process.returncode, (out or b"").decode(errors="replace")
        except patience.Late:
            return "hung", ""


def difference(command):
    """How a way differs from plain; None: it does not."""
    plain = {run(command, "plain")[0]}
    for how in ("idle", "auto", "carry"):
        for turn in range(3):
            code, out = run(command, how)
            if code in plain:
                break
            plain.add(run(command, "plain")[0])
            if code in plain:
                break
        else:
            return f"{how}: {code}, plain: {sorted(map(str, plain))}\n{out[-3000:]}"
    return None


def wanted(words):
    for name, tests in GROUPS.items():
        group = [word for word in words if word.partition(":")[0] == name]
        for test, command in tests() if group or not words else ():
            parts = [word.partition(":")[2] for word in group]
            if not parts or any(part in test for part in parts):
                yield test, command


def main():
    passed = failed = 0
    for test, command in wanted(sys.argv[1:]):
        began = time.monotonic()
        why = difference(command)
        if why:
            print(f"FAILED {test}: {why}", flush=True)
        elif time.monotonic() - began > 15:
            print(f"{test}: {time.monotonic() - began:.0f} s", flush=True)
        failed += why is not None
        passed += why is None
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
