"""Where the work came from: the crash report (BATON_STACKS), baton stacks, the gdb command."""
import os
import random
import re
import subprocess
import tempfile
import time
from pathlib import Path

from harness import LIBRARY, PROGRAMS, ROOT, call, expect, find_program, plain, run, test
from needs import missing, needs
from patience import Patience

BATON = ROOT / "scripts" / "baton"
ENV = {"BATON_STACKS": "8"}
CHAIN = (r"#0 crash_here\S* \(crash.*\n(    .*\n)+  submitted by thread \d+, g_thread_pool_push:\n    #0 second_submit\S* "
         r".*\n    #1 _ZL4task(.*\n)+?  submitted by\n    #0 first_submit\S* .*\n    #1 main\S* ")

AT = r" at \S*crash\.cc:\d+"


@test("a crash says where its work came from, back to main; then the program ends as it would have",
      each=(("segv", "SIGSEGV at 0x10"), ("fpe", "SIGFPE"), ("abort", "SIGABRT"), ("assert", "SIGABRT"),
            ("terminate", "SIGABRT")))
def crashes(how, words):
    before = plain("crash", how)
    after = run("crash", how, env=ENV).exits(before.code).complains(words, *filter(None, [before.err.strip()]))
    after.matches(CHAIN if how in ("segv", "fpe") else CHAIN.replace("#0 crash", r"#\d+ crash"), "err")


@test("the same with a full stack, with the heap destroyed, and before the program's own handler")
def broken():
    run("crash", "overflow", env=ENV).exits(-11).matches(r"#0 fill_the_stack(.*\n)+  submitted by(.*\n)+.*#1 main", "err")
    run("crash", "segv", "heap", env=ENV).exits(-11).matches(CHAIN, "err")
    run("crash", "segv", "handler", env=ENV).exits(3).matches(CHAIN, "err").says("own handler, at 0x10")
    run("crash", "kill", env=ENV).exits(-11).complains("SIGSEGV")


@test("a key that belongs to the thread, as memcached's logger: a crash says that the work had none of it, and nothing where it had one; "
      "the verdict says how to ask", each=[(inherit, items) for inherit in ("app", "none") for items in ("key:n=1", "key:n=1;key:n=2")])
def thread_of_its_own(inherit, items):
    plain("thread_owns").ok().says("the thread's own")
    env = {**ENV, "BATON_CARRY": items, "BATON_INHERIT": inherit}
    missed = "  key:n=1 is empty in this work, as it was where that was handed over; the thread has a value of its own: "
    after = run("thread_owns", env=env).exits(-11).complains(missed)
    expect(after.err.count(" is empty in this work") == 1, after.err)  # the second key is nowhere set
    after = run("thread_owns", "submitter", env=env).exits(-6).complains("SIGABRT")
    expect("is empty in this work" not in after.err, after.err)
    said = plain(str(BATON), "run", "--verdict", "--carry", items, "--", str(PROGRAMS / "thread_owns")).exits(-11).err
    expect("which keys it missed: BATON_STACKS=8)" in said, said)


@test("a process that closed all descriptors and opened its own: nothing is written to them; BATON_CRASH is")
def closed():
    with tempfile.TemporaryDirectory(prefix="baton-test-") as folder:
        run("crash", "segv", "closed", env=ENV, cwd=folder).exits(-11)
        expect((Path(folder) / "data").read_bytes() == b"", "the program's file was written to")
        said = Path(folder) / "said"
        run("crash", "segv", "closed", env={**ENV, "BATON_CRASH": str(said)}, cwd=folder).exits(-11)
        expect(re.search(CHAIN, said.read_text()), said.read_text())
        expect((Path(folder) / "data").read_bytes() == b"", "the program's file was written to")


@test("E21: libunwind's first walk opens a pipe and tries what may be read: errno is the program's, and no signal is blocked")
def errno_kept():
    before, after = (way("errno_kept", "key") for way in (plain, lambda *words: run(*words, env=ENV)))
    seen = [[line for line in one.out.splitlines() if "errno" in line] for one in (before, after)]
    expect(len(seen[0]) == 9 and seen[0] == seen[1], f"{seen}")


@test("without BATON_STACKS a crash says nothing, and libunwind is not loaded")
def off():
    before = plain("crash", "segv")
    run("crash", "segv", env={"BATON_TRACE": "/dev/null/no"}).exits(before.code)
    run("crash", "segv").same_as(before)


def start(*args, env=None):
    environment = {**os.environ, **ENV, "LD_PRELOAD": str(LIBRARY), **(env or {})}
    return subprocess.Popen([find_program("crash"), *args], env=environment, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)


def when_it_waits(process):
    """What `baton stacks` says of it as soon as its last task runs."""
    patience = Patience(20)
    while True:
        result = plain(str(BATON), "stacks", str(process.pid))
        if (result.code == 0 and "second_submit" in result.out) or patience.over():
            return result
        time.sleep(0.05)


@test("baton stacks: the same of a process that runs on")
def outside():
    process = start("wait")
    try:
        result = when_it_waits(process)
        result.ok().matches(r"thread \d+\n  submitted by\n    #0 second_submit(.*\n)+  submitted by\n    #0 first_submit.*\n"
                            r"    #1 main\S+ \(crash\+0x\w+\)" + ("" if missing(["libdw"]) else AT))
        expect(process.poll() is None, "the process has ended")
    finally:
        process.kill()
        process.wait()
    plain(str(BATON), "stacks", str(os.getpid())).exits(1).complains("keeps no stacks")
    plain(str(BATON), "stacks", "/no/such/file").exits(1).complains("No such file")
    plain(str(BATON), "stacks", "-1").exits(2)
    plain(str(BATON), "stacks").exits(2)


def told(text, folder):
    """What `baton stacks` makes of a report."""
    path = Path(folder) / "report"
    path.write_text(text)
    return plain(str(BATON), "stacks", str(path)).ok().quiet()


@needs("binutils", "libdw")
@test("baton stacks FILE: a crash report with names as the source has them, and its lines, from the debug file too")
def lines():
    report = run("crash", "segv", env=ENV).exits(-11).err
    own, = re.findall(r"^    (/.*/crash) build-id (\w+)$", report, re.M)
    wanted = (r"#0 crash_here\S+ \(crash\+0x\w+\)" + AT + r"\n    #1 task\(void\*, void\*\)\+0x\w+ \(crash\+0x\w+\)" + AT +
              r"\n(.*\n)+?  submitted by\n    #0 first_submit\S+ \(crash\+0x\w+\)" + AT + r"\n    #1 main\S+ \S+" + AT)
    with tempfile.TemporaryDirectory(prefix="baton-test-") as folder:
        told(report, folder).matches(wanted)
        logged = told("other\n" + re.sub("^", "Nov 30 12:00:00 host crash[7]: ", report, flags=re.M), folder)
        expect(len(re.findall(AT, logged.out)) >= 5 and "task(void*, void*)" in logged.out, logged.out)
        if own[1] != "none":  # another file stands there by now
            expect(not re.search(AT, told(report.replace(own[1], own[1][::-1]), folder).out), "lines of another file")
        other, debug = f"{folder}/crash", f"{folder}/crash.debug"
        call(["objcopy", "--only-keep-debug", own[0], debug])
        call(["objcopy", "--strip-debug", f"--add-gnu-debuglink={debug}", own[0], other])
        told(report.replace(own[0], other), folder).matches(wanted)
        Path(debug).unlink()
        expect(not re.search(AT, told(report.replace(own[0], other), folder).out), "lines without debug information")


@test("baton stacks FILE: damaged reports, names that a terminal would obey, modules that are no files: no harm")
def hostile():
    report = run("crash", "segv", env=ENV).exits(-11).err
    chance = random.Random(16)
    with tempfile.TemporaryDirectory(prefix="baton-test-") as folder:
        os.mkfifo(f"{folder}/fifo")
        (Path(folder) / "text").write_text("no ELF file")
        paths = ("/dev/zero", "/dev/tty", "/proc/self/mem", f"{folder}/fifo", f"{folder}/text", f"{folder}/gone", "/", folder)
        made_up = "".join(f"    #{i} _ZN\x1b[2J{i}+0x1 ({Path(path).name}+0x{i})\n    #{i} {Path(path).name}+0xffffffffffffffff\n"
                          for i, path in enumerate(paths))
        made_up += "  modules\n" + "".join(f"    {path} build-id {'none' if i % 2 else '00ff'}\n"
                                          for i, path in enumerate(paths))
        result = told(made_up + "baton: SIG\n#\n#1\n#1 \n#1 (\n#1 ()\n#1 +0x (+0x1)\n#1 _Z+0x1 (a+0x)\n", folder)
        expect("\x1b" not in result.out and " at " not in result.out, result.out)
        text = ""
        for _ in range(40):
            damaged = bytearray(report, "latin-1")
            for _ in range(8):
                damaged[chance.randrange(len(damaged))] = chance.randrange(1, 127)
            text += damaged.decode("latin-1")[:chance.randrange(len(report))] + "\n"
        result = told(text, folder)
        expect(len(result.out) >= len(text) / 2 and not re.search(r"[\x00-\x08\x0b-\x1f]", result.out), "not cleaned")


@needs("gdb")
@test("gdb: baton-stacks of a live process, and of its core")
def gdb():
    process = start("wait")
    wanted = r"crash_here(.*\n)+submitted by\n  #0 0x\w+ second_submit(.*\n)+submitted by\n  #0 0x\w+ first_submit.*\n.* main"
    script = ROOT / "scripts" / "gdb" / "baton-gdb.py"
    commands = ["-nx", "-batch", "-ex", f"source {script}", "-ex", "thread apply all -q baton-stacks"]
    with tempfile.TemporaryDirectory(prefix="baton-test-") as folder:
        try:
            when_it_waits(process)
            live = call(["gdb", *commands[:2], "-p", process.pid, *commands[2:]])
            expect(re.search(wanted, live.stdout), live.stdout + live.stderr)
            call(["gcore", "-o", f"{folder}/core", process.pid])
        finally:
            process.kill()
            process.wait()
        core = next(Path(folder).glob("core.*"), None)
        expect(core, "gcore wrote nothing")
        dead = call(["gdb", *commands, PROGRAMS / "crash", core])
        expect(re.search(wanted, dead.stdout), dead.stdout + dead.stderr)


@needs("binutils")
@test("USDT: the probes are listed")
def probes():
    notes = subprocess.run(["readelf", "-n", LIBRARY], capture_output=True, text=True).stdout
    found = set(re.findall(r"Provider: baton\s+Name: (\w+)", notes))
    expect(found == {"submit", "start", "end", "drop"}, found)
    line, = re.findall(r"^sudo bpftrace -e '(.*)'$", (ROOT / "scripts/man/baton-cookbook.7.md").read_text(), re.M)
    used = re.findall(r"usdt:[\w/.]+/libbaton\.so:baton:(\w+)", line)
    expect(used and set(used) <= found and line.count("{") == line.count("}"), f"the cookbook's line: {line}")
