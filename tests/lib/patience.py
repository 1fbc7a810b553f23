"""Time limits that grow with the machine's load: how long anything here is waited for.

A limit is given in seconds of an idle machine. While something is waited for, a second of the clock
counts as much of a second as a program gets of a processor meanwhile: with 25 runnable processes on two
processors, 2/25. So nothing fails because others work, and what hangs still ends.
BATON_TEST_PATIENCE=N makes every limit N times as long.
"""
import contextlib
import os
import signal
import subprocess
import time

LIMIT = 60             # of one run of a program
FACTOR = float(os.environ.get("BATON_TEST_PATIENCE") or 1)
LOOK = 0.25            # seconds between two looks at the load


def share():
    """The part of a processor that a program gets at this moment."""
    try:
        # As bytes: a codec may be in the middle of being imported where a signal's handler asks.
        with open("/proc/loadavg", "rb") as file:
            words = file.read().split()
        # This program runs while it asks; the average knows of those that wait for a disk, too.
        runnable = max(int(words[3].partition(b"/")[0]), float(words[0]))
    except (OSError, ValueError, IndexError):
        return 1.0
    return min(1.0, len(os.sched_getaffinity(0)) / max(runnable, 1.0))


class Patience:
    """A limit that is being used up. Ask `over()` now and then: what passes between two calls is counted
    at the load of the second."""

    def __init__(self, seconds):
        self.limit = seconds * FACTOR
        self.used = 0.0
        self.started = self.looked = time.monotonic()

    def over(self):
        now = time.monotonic()
        self.used += (now - self.looked) * share()
        self.looked = now
        return self.used >= self.limit

    def __str__(self):
        return (f"{time.monotonic() - self.started:.0f} s, of which {self.used:.0f} count on a machine as "
                f"busy as this one (limit {self.limit:.0f})")


class Late(Exception):
    """The limit of a run has passed; .out and .err are what it had said until then."""

    def __init__(self, why, out, err):
        super().__init__(why)
        self.out, self.err = out, err


def groups_of_session(leader):
    """The process groups of a session: Check gives each of its tests one of its own."""
    groups = {leader}
    for folder in os.scandir("/proc"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            if folder.name.isdigit():
                with open(f"/proc/{folder.name}/stat", encoding="ascii", errors="replace") as file:
                    group, session = map(int, file.read().rpartition(")")[2].split()[2:4])
                if session == leader:
                    groups.add(group)
    return groups


def kill_group(process):
    """All of the session that the process leads."""
    for group in groups_of_session(process.pid):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


def finish(process, stdin=None, limit=LIMIT):
    """Wait for the end of a process that leads a session of its own -> (stdout, stderr). Whatever ends the
    waiting early, a limit or an interrupt, ends the process and its children."""
    patience = Patience(limit)
    try:
        while True:
            try:
                return process.communicate(stdin, timeout=LOOK)
            except subprocess.TimeoutExpired:
                stdin = None
            if patience.over():
                kill_group(process)
                raise Late(f"still running after {patience}", *process.communicate())
    finally:
        if process.poll() is None:
            kill_group(process)
            process.communicate()


def until(condition, limit=LIMIT):
    """Ask again and again until the answer is something, and answer it; what it was when the limit passed, if not."""
    patience = Patience(limit)
    while not (answer := condition()) and not patience.over():
        time.sleep(0.05)
    return answer


def wait(process, limit=LIMIT):
    """The status of a process that is to end by itself; None if it does not within the limit."""
    return process.returncode if until(lambda: process.poll() is not None, limit) else None


def heed_signals():
    """SIGINT and SIGQUIT as a terminal has them: who is started in the background by a shell ignores both, as would
    every program that is then run, and none could be told to end by them."""
    for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGQUIT, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)


def call(command, limit=LIMIT, check=False, stdin=None, **how):
    """As subprocess.run with what it says caught as text, with a limit that grows with the load."""
    words = [str(word) for word in command]
    how = {"text": True, "errors": "replace", "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **how}
    with subprocess.Popen(words, stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
                          start_new_session=True, **how) as process:
        out, err = finish(process, stdin, limit)
    done = subprocess.CompletedProcess(words, process.returncode, out, err)
    if check:
        done.check_returncode()
    return done
