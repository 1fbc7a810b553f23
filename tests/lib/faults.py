"""Every system call of the library fails once, one at a time: the program never notices.

    make faults                    all programs, all calls
    tests/lib/faults.py [NAME...]  some programs

The library's later calls are killed, too: from before main on the kernel ends a process at any call but those that a run
without us makes (strace tells). Only what is written down at the end, a report, asks for more.

A preloaded library in front of ours (tests/programs/parts/faults.c) lists the calls that libbaton.so makes, then lets
each answer EPERM, ENOMEM and EINTR. What was to be carried may be lost then, as if it had not been asked for; so
each line that the program prints has to be that of a run without us or that of a carried run, and its status too.
"""
import collections
import errno
import itertools
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
import harness  # noqa: E402
from compile import compiled  # noqa: E402
from needs import unable  # noqa: E402

ERRORS = ("EPERM", "ENOMEM", "EINTR")
PROGRAMS = {  # each with the items that it carries
    "race": ("clean", "key"), "thread_ends": ("detached",), "errno_kept": ("tls",), "glib_pool": ("drop", "key"),
    "glib_source": ("ways", "key"), "uv_work": ("cancel", "tls"), "uv_handle": ("ways", "key"),
    "libevent": ("ways", "key"), "gomp": ("split", "tls"), "ucontext": ("switch", "key"),
    "sigevent": ("aio", "key"), "fork_in_task": ("key",),
}
ITEMS = "key:request_key;tls:request_id;fn:get=request_get,set=request_set;locale;tls:nothing_here"


def names_of_calls():
    """The numbers of this machine's system calls."""
    text = subprocess.run(["cc", "-E", "-dM", "-include", "sys/syscall.h", "-x", "c", os.devnull], capture_output=True,
                          text=True, check=True).stdout
    return {int(number): name for name, number in re.findall(r"#define __NR_(\w+) (\d+)", text)}


def run(program, faults, **settings):
    return harness.run(program, *PROGRAMS.get(program, ()), before=[faults],
                       env={"BATON_CARRY": ITEMS, "BATON_HOOKS": "", **settings}, timeout=20)


def calls_of(program, faults, **settings):
    """A list of (number, phase) in the order in which they were made, and the run itself."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        done = run(program, faults, FAULTS_LOG=log, **settings)
        lines = [line.split() for line in log.read_text().splitlines()] if log.exists() else []
    return [(int(number), phase) for _, number, phase in lines], done


def lines(text):
    """Addresses and numbers of processes differ from run to run."""
    return [re.sub(r"0x[0-9a-f]+|\b\d{3,}\b", "N", line) for line in text.splitlines()]


def differs(done, allowed):
    """Why this run is neither like one of those; None: it is."""
    if done.code not in {one.code for one in allowed}:
        return f"status {done.code}"
    mine, others = lines(done.out), [lines(one.out) for one in allowed]
    if len(mine) not in {len(other) for other in others}:
        return f"{len(mine)} lines"
    known = set().union(*map(set, others))
    for line in mine:
        if line not in known and not re.search(r"WRONG|sees|saw|has|right", line):
            return f"says {line!r}"
    return None


def faults_of(program, errors=ERRORS, each=None):
    """Yields for every run what went wrong, or None. `each`: how many calls of a kind are let fail."""
    library = compiled("libfaults.so", "-O2", "-shared", "-fPIC", "faults.c")
    before = harness.plain(program, *PROGRAMS.get(program, ()))
    calls, carried = calls_of(program, library)
    if not calls:
        raise harness.Failure(f"{program}: no system call was seen")
    names, seen = names_of_calls(), collections.Counter()
    for number, phase in calls:
        seen[number] += 1
        if each and seen[number] > each:
            continue
        for error in errors:
            try:
                done = run(program, library, FAULTS_AT=seen[number], FAULTS_NUMBER=number,
                           FAULTS_ERRNO=getattr(errno, error))
                why = differs(done, (before, carried))
            except harness.Failure as failure:
                why = str(failure)
            yield why and f"{program}: {names.get(number, number)}, call {seen[number]} ({phase}): {error}: {why}"


def calls_by_itself(program, library, turns=3):
    """The numbers of what it calls from before main on without us: what threads do differs from run to run."""
    names, found = {name: number for number, name in names_of_calls().items()}, set()
    for _ in range(turns):
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "log"
            done = harness.call(["strace", "-f", "-qq", "-e", "signal=none", "-o", log, "-E", f"LD_PRELOAD={library}",
                                 harness.find_program(program), *PROGRAMS.get(program, ())], limit=30)
            text = log.read_text() if log.exists() else ""
        if re.search("ptrace|ermission|ermitted|upported", done.stderr) and not text:
            unable("no process may be traced")
        if "close(-4242)" not in text:
            raise harness.Failure(f"{program}: strace saw nothing: {done.stderr[-500:]}")
        found |= {names[name] for name in re.findall(r"^\d+ +(?:<\.\.\. )?(\w+)[( ]", text.split("close(-4242)", 1)[1], re.M)
                  if name in names}
    return found


# What a program with threads may call in one run and not in another.
AT_TIMES = ("futex", "mmap", "munmap", "mprotect", "madvise", "brk", "rt_sigprocmask", "exit", "exit_group", "restart_syscall",
            "clock_nanosleep", "sched_yield", "rt_sigreturn", "write", "set_robust_list", "rseq")


def killed_in_a_sandbox(program):
    """What goes wrong in the program alone, beside us idle and carrying, when a call that it does not make kills."""
    library = compiled("libfaults.so", "-O2", "-shared", "-fPIC", "faults.c")
    numbers = {name: number for number, name in names_of_calls().items()}
    allowed = calls_by_itself(program, library) | {numbers[name] for name in AT_TIMES if name in numbers}
    settings = {"FAULTS_ALLOW": ",".join(map(str, sorted(allowed))), "BATON_REPORT": ""}
    before = harness.run(program, *PROGRAMS.get(program, ()), before=[library], preload=False, env=settings, timeout=20)
    carried = run(program, library, BATON_REPORT="")
    yield differs(before, (harness.plain(program, *PROGRAMS.get(program, ())),)) and f"{program}: by itself: {before.literal()}"
    for way, items in ("idle", ""), ("carrying", ITEMS):
        done = run(program, library, BATON_CARRY=items, **settings)
        why = differs(done, (before, carried))
        yield why and f"{program}: {way} in a sandbox: {why}\n{done.err}"


def main():
    failed = passed = 0
    for program in sys.argv[1:] or list(PROGRAMS):
        found, runs = [], 0
        for why in itertools.chain(killed_in_a_sandbox(program), faults_of(program)):
            runs += 1
            if why:
                print("FAILED", why, flush=True)
                found.append(why)
        print(f"{program}: {runs} runs, {len(found)} wrong", flush=True)
        failed += len(found)
        passed += runs - len(found)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
