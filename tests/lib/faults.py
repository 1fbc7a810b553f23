"""Every system call of the library fails once, one at a time: the program never notices.

    make faults                    all programs, all calls
    tests/lib/faults.py [NAME...]  some programs

tests/programs/parts/calls_of.c runs a program under ptrace and lists the calls whose instruction lies in libbaton.so, from
the loader's first call on, then lets each answer EPERM, ENOMEM and EINTR. What was to be carried may be lost then, as if it
had not been asked for: but for the values that tasks see, each line that the program prints and its status have to be
those of a run without us or of a carried run, and a wrong value one that the program sees without us.

The library's calls are killed, too, by a filter that was there before and ends the process at any call but the
program's own and its loader's. The later ones by one that the program enters: from before main on the kernel ends a process at any call but those that a run
without us makes (strace tells). Only what is written down at the end, a report, asks for more.
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
from harness import this_machine_only  # noqa: E402
from needs import unable  # noqa: E402

ERRORS = ("EPERM", "ENOMEM", "EINTR")
PROGRAMS = {  # each with the items that it carries
    "race": ("clean", "key"), "thread_ends": ("detached",), "errno_kept": ("tls",), "glib_pool": ("drop", "key"),
    "glib_source": ("ways", "key"), "uv_work": ("cancel", "tls"), "uv_handle": ("ways", "key"),
    "libevent": ("ways", "key"), "gomp": ("split", "tls"), "ucontext": ("switch", "key"),
    "sigevent": ("aio", "key"), "fork_in_task": ("key",),
}
ITEMS = "key:request_key;tls:request_id;key:owned_key;fn:get=request_get,set=request_set;locale;tls:nothing_here"
# Not BATON_STRICT, which ends a program whose files cannot be made.
OBSERVERS = {"BATON_STACKS": 8, "BATON_PUBLISH": "otel:request_key", "BATON_LATENCY": "on", "BATON_LIVE": "on",
             "BATON_PROBES": "on"}
# Of the program errno_kept, which counts descriptors: libunwind opens two for itself.
NOT_OBSERVED = {"errno_kept": ("BATON_STACKS",)}


def observers(program):
    return {name: value for name, value in OBSERVERS.items() if name not in NOT_OBSERVED.get(program, ())}


def names_of_calls():
    """The numbers of this machine's system calls."""
    text = subprocess.run(["cc", "-E", "-dM", "-include", "sys/syscall.h", "-x", "c", os.devnull], capture_output=True,
                          text=True, check=True).stdout
    return {int(number): name for name, number in re.findall(r"#define __NR_(\w+) (\d+)", text)}


def tracer():
    this_machine_only()
    return compiled("calls_of", "-O2", "calls_of.c")


def run(program, before=(), **settings):
    """Beside us, with a report and what else the settings ask for; what comes to lie beside it is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        files = {"BATON_REPORT": f"{folder}/report", **({"BATON_TRACE": f"{folder}/trace"} if "BATON_LATENCY" in settings else {})}
        words = [program, *PROGRAMS.get(program, ())]
        if not before:
            words.insert(0, tracer())
            words[1] = harness.find_program(program)
            files["CALLS_PRELOAD"] = harness.LIBRARY
        done = harness.run(*words, before=before, preload=bool(before),
                           env={"BATON_CARRY": ITEMS, "BATON_HOOKS": "", **files, **settings}, timeout=20)
    if done.code == 125:
        unable(f"no process may be traced: {done.err}")
    return done


def calls_of(program, **settings):
    """A list of (number, phase) in the order in which they were made, and the run itself."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        done = run(program, CALLS_LOG=log, **settings)
        lines = [line.split() for line in log.read_text().splitlines()] if log.exists() else []
    if ["=", "entry"] not in lines:
        raise harness.Failure(f"{program}: its entry was not seen: {done.err}")
    return [(int(line[1]), line[2]) for line in lines if line[0].isdecimal()], done


def lines(text):
    """Addresses and numbers of processes differ from run to run."""
    return [re.sub(r"0x[0-9a-f]+|\b\d{3,}\b", "N", line) for line in text.splitlines()]


def outcome(done):
    """What a program says but for the values that its tasks see: its lines, the wrong values, and its last line with its
    status, which say whether there are any."""
    said, wrong = lines(re.sub(r"\b(\d+) of (\d+) right", lambda m: "N of N right", done.out)), set()
    for i, line in enumerate(said):
        wrong |= set(re.findall(r"(\S+) WRONG, not", line))
        said[i] = re.sub(r"\S+ WRONG, not ", "", line)
    last = said.pop() if said and said[-1] in ("RIGHT", "WRONG") else ""
    some = re.search(r"\b(\d+) of (\d+) right", done.out)
    is_right = last != "WRONG" and not wrong and (not some or some[1] == some[2])
    return collections.Counter(said), wrong, (last, is_right, done.code)


def differs(done, plain, carried):
    """Why this run is like none of those, which are lists of runs; None: it is."""
    said, wrong, end = outcome(done)
    before, beside = [outcome(one) for one in plain], [outcome(one) for one in carried]
    if end not in {one[2] for one in before + beside}:
        return f"ends with {end}"
    if sum(said.values()) not in {sum(one[0].values()) for one in before + beside}:
        return f"{sum(said.values())} lines"
    for line, times in said.items():
        if times > max(one[0][line] for one in before + beside):
            return f"says {line!r} {times} times"
    if wrong - set().union(*(one[1] for one in before)):
        return f"a task sees {wrong}"
    others = [line for line in done.err.splitlines() if not line.startswith("baton: ") and line not in plain[0].err]
    if others:
        return f"says {others}"
    return None


def references(program, **settings):
    """Runs without us and beside us: what threads see without us differs from run to run."""
    plain = [harness.plain(program, *PROGRAMS.get(program, ())) for _ in range(4)]
    calls, carried = calls_of(program, **settings)
    return calls, plain, [carried]


def faults_of(program, errors=ERRORS, each=None, **settings):
    """Yields for every run what went wrong, or None. `each`: how many calls of a kind are let fail."""
    calls, plain, carried = references(program, **settings)
    if not calls:
        raise harness.Failure(f"{program}: no system call was seen")
    yield differs(carried[0], plain, carried) and f"{program}: beside us: {carried[0].literal()}"
    names, seen = names_of_calls(), collections.Counter()
    for number, phase in calls:
        seen[number] += 1
        if each and seen[number] > each:
            continue
        for error in errors:
            try:
                done = run(program, CALLS_AT=seen[number], CALLS_NUMBER=number, CALLS_ERRNO=getattr(errno, error), **settings)
                why = differs(done, plain, carried)
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
    plain = [harness.plain(program, *PROGRAMS.get(program, ())) for _ in range(4)]
    before = harness.run(program, *PROGRAMS.get(program, ()), before=[library], preload=False, env=settings, timeout=20)
    carried = run(program, [library], BATON_REPORT="")
    yield differs(before, plain, ()) and f"{program}: by itself: {before.literal()}"
    for way, items in ("idle", ""), ("carrying", ITEMS):
        done = run(program, [library], BATON_CARRY=items, **settings)
        why = differs(done, plain, [carried])
        yield why and f"{program}: {way} in a sandbox: {why}\n{done.err}"


def killed_from_the_start(program):
    """What goes wrong where a filter that ends the process at all but the program's own and its loader's calls was there
    before: none may be asked whether it is."""
    words = [tracer(), harness.find_program(program), *PROGRAMS.get(program, ())]
    plain, allowed = [], set()
    for _ in range(4):
        with tempfile.TemporaryDirectory() as folder:
            plain.append(harness.run(*words, preload=False, env={"CALLS_LOG": f"{folder}/log"}, timeout=20))
            said = Path(folder, "log").read_text()
        allowed |= {int(number) for number in re.findall(r"^- (\d+)", said, re.M)}
    numbers = {name: number for number, name in names_of_calls().items()}
    allowed |= {numbers[name] for name in AT_TIMES if name in numbers}
    if not allowed or numbers["readlinkat"] in allowed or {numbers[name] for name in ("gettid", "getpid", "faccessat")} <= allowed:
        raise harness.Failure(f"{program}: it calls {allowed} itself: this shows nothing")
    settings = {"CALLS_ALLOW": ",".join(map(str, sorted(allowed))), "BATON_HOOKS": "", "BATON_REPORT": ""}
    carried = run(program, BATON_REPORT="")
    for way, items in ("idle", None), ("with nothing to carry", ""), ("carrying", ITEMS):
        env = {**settings, "CALLS_PRELOAD": harness.LIBRARY, **({} if items is None else {"BATON_CARRY": items})}
        done = harness.run(*words, preload=False, env=env, timeout=20)
        why = differs(done, plain, [carried])
        if not why and items and outcome(done)[2] != outcome(carried)[2]:
            why = "nothing is carried"
        yield why and f"{program}: {way} in a sandbox that was there: {why}\n{done.err}"


def main():
    failed = passed = 0
    for program in sys.argv[1:] or list(PROGRAMS):
        found, runs = [], 0
        for why in itertools.chain(killed_in_a_sandbox(program), killed_from_the_start(program), faults_of(program), faults_of(program, each=2, **observers(program))):
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
