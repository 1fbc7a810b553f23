"""E21: a program that shuts itself in before it first hands anything over, in a filter that allows what it calls by itself
and ends it at all else, lives, carries, and ends as without us, whatever is wanted of the library."""
import ctypes
import functools
import re
import tempfile
from pathlib import Path

import faults
import harness
from harness import LIBRARY, PROGRAMS, Failure, carry, expect, idle, plain, test, this_machine_only
from needs import needs, unable
from test_launcher import baton

ITEMS = "key:request_key;tls:request_word;fn:get=request_get,set=request_set;locale;fenv"
SEEN = " word pair key locale fenv"
WAYS = ("none", "thread", "threads", "jump", "idle", "timer", "uv", "many", "pool", "fork", "open", "crash", "expiry", "coroutine")
# Setting by setting, and kind by kind: what is set beside BATON_CARRY, what is carried, what a task sees of it.
SETTINGS = {
    "report": ({"BATON_REPORT": "{folder}/counts"}, ITEMS, SEEN), "warn": ({"BATON_LOG": "warn"}, ITEMS + ";tls:nothing_here", SEEN),
    "latency": ({"BATON_LATENCY": "on"}, ITEMS, SEEN), "probes": ({"BATON_PROBES": "on"}, ITEMS, SEEN),
    "live": ({"BATON_LIVE": "on"}, ITEMS, SEEN), "publish": ({"BATON_PUBLISH": "otel:tls:request_word"}, ITEMS, SEEN),
    "trace": ({"BATON_TRACE": "{folder}/trace"}, ITEMS, SEEN), "stacks": ({"BATON_STACKS": "8"}, ITEMS, SEEN),
    "traced stacks": ({"BATON_TRACE": "{folder}/trace", "BATON_STACKS": "8", "BATON_REPORT": "{folder}/counts"}, ITEMS, SEEN),
    "strict": ({"BATON_STRICT": "on"}, ITEMS, SEEN), "age": ({"BATON_MAX_AGE": "60", "BATON_MAX_HOPS": "9"}, ITEMS, SEEN),
    "auto": ({}, "auto", " locale fenv"), "key": ({}, "key:request_key", " key"), "tls": ({}, "tls:request_word", " word"),
    "string": ({}, "key:request_key,string", " key"), "copy": ({}, "key:request_key,copy=5", " key"),
    "by": ({}, "key:by=main", " key"),
    "fn": ({}, "fn:get=request_get,set=request_set", " pair"), "locale": ({}, "locale", " locale"), "dup": ({}, "locale,dup", " locale"),
    "ioprio": ({}, "ioprio;tls:request_word", " word"), "ioprio alone": ({}, "ioprio", ""),
    "ioprio, one waits": ({}, "ioprio;tls:not_there", ""),  # which moves by the table, not as the only word
    "fenv": ({}, "fenv", " fenv"), "name": ({}, "name;tls:request_word", " word"),
}
# What many need more memory for than was there when the program was shut in runs as without us.
SHORT = {"many": ("strict", "auto", "string", "copy", "locale", "dup", "fn", "fenv", "name")}


def short_of_memory(way):
    """The settings of which work may run bare. All of them where a request of libuv has no words of ours: a table of them grows."""
    if way == "many" and ctypes.CDLL("libuv.so.1").uv_version() >> 8 != 0x012c:
        return tuple(SETTINGS)
    return SHORT.get(way, ())


@functools.cache
def allowed(way, *more, program="sandbox_exact"):
    """The numbers of the calls that the program makes by itself where it would be shut in, and of those that come and go."""
    this_machine_only()
    numbers = {name: number for number, name in faults.names_of_calls().items()}
    names = {"futex", "exit", "exit_group", "write", "restart_syscall", "sched_yield", *more}
    for _ in range(2):
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "log"
            harness.call(["strace", "-f", "-qq", "-e", "signal=none", "-o", log, harness.find_program(program), way], limit=30)
            text = log.read_text() if log.exists() else ""
        if "execve(" not in text:
            unable("no process may be traced")
        expect("close(-4242" in text, f"{program} does not go the way {way}: {text[-300:]}")
        names |= set(re.findall(r"^\d+ +(?:<\.\.\. )?(\w+)[( ]", text.split("close(-4242", 1)[1], re.M)) & set(numbers)
    if way == "crash":  # a handler of signals cannot return without
        names.add("rt_sigreturn")
    if plain(program, way, ",".join(str(numbers[name]) for name in sorted(names))).code == 77:
        unable("no seccomp here")
    return ",".join(str(numbers[name]) for name in sorted(names))


def lines_of(done):
    return [line.split(":", 1) for line in done.out.splitlines() if ":" in line]


@needs("strace")
@test("a way that the program of these tests does not have is a fault, and not skipped")
def unknown_way():
    for program in ("sandbox_exact", "sandbox_loops"):
        plain(program, "no_such_way").exits(2)
        try:
            allowed("no_such_way", program=program)
        except Failure:
            continue
        raise Failure(f"{program}: it was taken for a way")


@needs("strace")
@test("E21: in a sandbox that is entered before the first handoff, and ends the program at what it does not call by itself, it lives, carries and ends as without us",
      each=WAYS)
def first_handoff(way, tmp_path):
    seen_by("sandbox_exact", way, tmp_path)


def seen_by(program, way, tmp_path, more=()):
    numbers = allowed(way, program=program)
    before = plain(program, way, numbers)
    expect(before.code == (-11 if way == "crash" else 0), before.literal())
    expect(all("word" not in seen and "key" not in seen for _, seen in lines_of(before)), before.literal())
    wrong, short = [], short_of_memory(way)
    if idle(program, way, numbers, env=dict(more)).out != before.out:
        wrong.append("idle")
    for name, (settings, items, seen) in SETTINGS.items():
        folder = tmp_path / name.replace(" ", "_")
        folder.mkdir()
        env = {key: value.format(folder=folder) for key, value in settings.items()}
        after = idle(program, way, numbers, env={"BATON_REPORT": "", "BATON_CARRY": items, **env, **dict(more)})
        # A thread starts with the floating-point control of who starts it, as the system has it.
        own = " fenv" if any("fenv" in line for _, line in lines_of(before)) and "fenv" not in seen else ""
        right = [after.out if name in short else re.sub(r":.*", f":{seen}{own}", before.out)]
        if after.code != before.code or after.out not in right or ("BATON" in after.err and way != "crash"):
            wrong.append(f"{name}: {after.literal()} {after.err[:300]!r}")
        if name == "report" and name in short and not re.search(r"^uv\.work .* memory [1-9]", baton("report", folder / "counts").ok().out, re.M):
            wrong.append("report: that memory was short is not said")
    if wrong:
        raise Failure(f"{way}:\n" + "\n".join(wrong))


# Each way of another library, and what is set for it.
LOOPS = {"std": (), "timeout": (), "queue": (("BATON_HOOKS", "preset:g_async_queue"),), "event": (), "sd": (), "tbb": ()}


@needs("strace")
@test("E21: the same by std::thread, GLib's timers, a preset's queue, libevent, sd-event and oneTBB", each=LOOPS)
def first_handoff_of_loops(way, tmp_path):
    if way == "tbb" and carry("tls:request_id", "tbb", "stale", "tls").reported().get("untried"):
        unable("tasks of this oneTBB are left alone: it has not been tried")
    seen_by("sandbox_loops", way, tmp_path, LOOPS[way])


@needs("strace")
@test("E21: a thread's name is carried where the sandbox lets it, elsewhere that it is not is counted and said", each=("uv", "pool"))
def asks_the_kernel(way, tmp_path):
    before = plain("sandbox_exact", way, allowed(way, "prctl"), env={"ASKS_NAME": "on"}).ok()
    expect(any("name" not in seen for _, seen in lines_of(before)), before.literal())
    items = {"BATON_CARRY": "name;tls:request_word", "BATON_REPORT": tmp_path / "counts"}
    after = idle("sandbox_exact", way, allowed(way, "prctl"), env={**items, "ASKS_NAME": "on"}).ok()
    expect(all("word" in seen and "name" in seen for _, seen in lines_of(after)), after.literal())
    expect("failures" not in baton("report", tmp_path / "counts").ok().out, "a name was not carried")
    for file in tmp_path.iterdir():
        file.unlink()
    idle("sandbox_exact", way, allowed(way), env=items).ok()
    report = baton("report", tmp_path / "counts").ok().out
    expect(re.search(r"^name +bound .*reason: the program is in a sandbox where prctl ends it.*failures: [1-9]", report, re.M), report)


@needs("strace")
@test("E21: the I/O priority is carried until the program is in a sandbox that forbids it, which is then counted and said; one that does not forbid it changes nothing",
      each=("ioprio", "ioprio;tls:request_word", "ioprio;key:request_key", "ioprio;locale"))
def priority_of_input(items, tmp_path):
    settings = {"BATON_CARRY": items, "BATON_REPORT": tmp_path / "counts"}
    for more in ((), ("ioprio_get", "ioprio_set"), ("ioprio_get",)):
        idle("sandbox_exact", "uv", allowed("uv", *more), env=settings).ok()
        report = baton("report", tmp_path / "counts").ok().out
        said = re.search(r"^ioprio +bound .*reason: the program is in a sandbox where ioprio_get or ioprio_set ends it.*failures: [1-9]", report, re.M)
        expect(bool(said) == (len(more) < 2), f"{more}: {report}")
        for file in tmp_path.iterdir():
            file.unlink()


@test("E21: what a child of vfork enters is not its parent's: that one tells of itself at its end")
def child_of_vfork(tmp_path):
    if "was ended" not in plain("sandbox_exact", "vfork").ok().out:
        unable("no seccomp here")
    idle("sandbox_exact", "vfork", env={"BATON_CARRY": "name;key:request_key", "BATON_REPORT": tmp_path / "counts"}).ok().says("key")
    expect([file.name for file in tmp_path.iterdir()] == ["counts"], "its report is not there")
    report = baton("report", tmp_path / "counts").ok().out
    expect("ended in" not in report and "failures" not in report, report)


@needs("strace")
@test("E21: a child of fork in a sandbox, where it can have no report, counts nothing in its parent's")
def child_of_fork(tmp_path):
    idle("sandbox_exact", "fork", allowed("fork"), env={"BATON_CARRY": "key:request_key", "BATON_REPORT": tmp_path / "counts"}).ok() \
        .says("the child ended well")
    expect(len(list(tmp_path.iterdir())) == 1, "a file too many")
    baton("report", tmp_path / "counts").ok().matches("ended in a sandbox$").matches("^pthread +2 +0 +0 *$")


@needs("strace")
@test("E21: where nothing is carried, and nothing was handed over, what a report is written with is had before main too", each=("auto", "key:no_such_key"))
def prepared(items, tmp_path):
    trace, report = tmp_path / "calls", tmp_path / "counts"
    plain("strace", "-f", "-o", trace, "-E", f"LD_PRELOAD={LIBRARY}", "-E", f"BATON_CARRY={items}", "-E", f"BATON_REPORT={report}",
          PROGRAMS / "sandbox_exact", "none").ok()
    calls = trace.read_text().split("close(-4242)", 1)[1]
    expect(str(report) in calls and not re.search(r" (mmap|brk|readlink\w*|pread64|faccessat)\(", calls), calls)
