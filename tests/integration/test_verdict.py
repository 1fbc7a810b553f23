"""What a user is told of a run: the verdict, the warnings, and reports for machines."""
import json
import os
import re
import signal
import subprocess
import tempfile
from pathlib import Path

import patience
from harness import CARRIERS, Failure, PROGRAMS, ROOT, carry, plain, test
from needs import needs
from test_launcher import BATON, baton, expect

GLIB = PROGRAMS / "stale_pool_glib"
NOTHING_TO_CARRY = """#include "baton_adapter.h"
static const char *start(void) { return 0; }
static enum baton_adapter_result capture(void **captured) { return BATON_ADAPTER_NONE; }
static enum baton_adapter_result attach(void *captured, void **attached) { return BATON_ADAPTER_OK; }
static void end(void *object) { }
const struct baton_adapter baton_adapter = {BATON_ADAPTER_VERSION, "none", start, capture, attach, end, end};
"""


@test("the verdict: what was carried, what was not and why, and the command to type next; its status with --require")
def gives_a_verdict():
    def verdict(items, *words, options=("--verdict",)):
        return baton("run", *options, "--carry", items, "--", *(words or (GLIB,)))
    verdict("key:request_key").ok().complains("baton: ok: 5 tasks saw their submitter's values\n")
    verdict("key:request_key;tls:request_key").ok().complains(
        "PARTIAL: 5 tasks saw", "tls:request_key matched nothing", "it is not thread-local; if it holds a pthread key, "
        "write key:request_key", f"next: baton check tls:request_key {GLIB}\n")
    verdict("key:request_kei").complains("NOTHING CARRIED: key:request_kei matched nothing",
                                         "the nearest is request_key@main")
    verdict("key:request_key;fenv,mpfr").complains("PARTIAL: 5 tasks saw", "1 setting is wrong")
    verdict("fenv", "true").ok().complains("NOTHING CARRIED: no handoff was seen")
    verdict("fenv", "sh", "-c", "kill -KILL $$").exits(-9).complains("ended by signal 9")
    baton("run", "--verdict", "true").complains("nothing was asked for")
    pool = PROGRAMS / "discover_pool"
    baton("run", "--verdict", "--hook", "pool_submit(kind=call,fn=1,arg=2)", "--", pool).complains(
        f"hooks are named, and no item that they would carry (BATON_CARRY); what there is to carry: baton discover -- {pool}\n")
    verdict("key:tenant_key", pool).complains("NOTHING CARRIED: no task saw a value: 2 threads were started before",
                                              "likely a pool of the program's own; which function", f": baton discover -- {pool}\n")
    # Status 65 only where the program itself says that all is well, and only if not everything was carried.
    require = ("--require",)
    verdict("key:request_key", options=require).exits(0)
    verdict("key:request_kei", options=require).exits(65)
    verdict("fenv", "true", options=require).exits(65)
    verdict("fenv", "sh", "-c", "exit 7", options=require).exits(7)
    # Several processes are one run: the shell has no request_key.
    verdict("key:request_key", "sh", "-c", f"{GLIB}; {GLIB}; exit 4").exits(4).complains("ok: 10 tasks")


def function_at(program, place):
    """The function of a program that the call at MODULE+0xOFFSET stands in."""
    offset = int(place.split("+0x")[1], 16)
    for line in subprocess.run(["nm", "-SC", "--defined-only", program], capture_output=True, text=True, check=True).stdout.splitlines():
        words = line.split(maxsplit=3)
        if len(words) == 4 and words[2] in "tTW" and int(words[0], 16) <= offset < int(words[0], 16) + int(words[1], 16):
            return words[3]
    raise Failure(f"{place} is in no function of {program}")


WOKEN = {"discover_pool": ("worker", "pool_submit"), "discover_pool_cxx": ("Pool::run|_M_run", "Pool::enqueue")}


@needs("glibc 2.34")
@test("the verdict says where threads waited and from where they were woken: at exit, after a signal, in the report", each=list(WOKEN))
def names_who_waits(name):
    program, (waiter, waker) = PROGRAMS / name, WOKEN[name]
    where = rf"; \d threads? waited at ({name}\+0x[0-9a-f]+) and (?:was|were) woken from ({name}\+0x[0-9a-f]+): likely a pool of " \
            rf"the program's own; which function: baton discover -- {program}"

    key = {"discover_pool": "tenant_key", "discover_pool_cxx": "_ZN6server5Scope10tenant_keyE"}[name]

    def look(*words):
        said = baton("run", "--verdict", "--report", report, "--carry", f"key:{key}", "--", program, *words).err
        found = re.search(where, said)
        expect(found, said)
        expect(re.search(waiter, function_at(program, found[1])), f"{found[1]} is in {function_at(program, found[1])}")
        expect(waker in function_at(program, found[2]), f"{found[2]} is in {function_at(program, found[2])}")
        return found
    with tempfile.TemporaryDirectory() as folder:
        report = f"{folder}/counts.json"
        found = look()
        last = json.loads(Path(report).read_text().splitlines()[-1])["waited"]
        expect((last["at"], last["from"]) == found.groups() and last["wakes"], last)
        baton("report", "--verdict", report).says(f"waited at {last['at']}")
        if name == "discover_pool":
            look("40", str(int(signal.SIGKILL)))
        # Another library's own waiting is none of the program's business where its tasks saw what they should.
        baton("run", "--verdict", "--report", report, "--carry", "key:request_key", "--", GLIB).ok().complains("ok: 5 tasks saw")


WAITED = r"\d threads? waited at (pool_\w+\+0x[0-9a-f]+), woken from (pool_\w+\+0x[0-9a-f]+) by threads that had values, "
RAN = r"100 tasks (?:saw|ran with) their submitter's values[^\n]*"
BESIDE = rf"baton: PARTIAL: {RAN}, but {WAITED}looked for one and had none: likely a pool of the program's own; which function: baton discover -- "
UNHELPED = rf"baton: ok: {RAN}; {WAITED}and had none when they waited: if they work for these, baton discover -- "


@needs("glibc 2.34")
@test("a pool of the program's own beside what is carried: the verdict names it, at exit and in the report; of variables, "
      "which it might pass on by itself, it says what it has seen", each=("key:tenant_key", "tls:current_request", "key:tenant_key;tls:current_request"))
def names_a_pool_beside(items, tmp_path):
    program, report = PROGRAMS / "pool_beside", tmp_path / "counts"
    said = baton("run", "--verdict", "--report", report, "--carry", items, "--", program, "own").err
    found = re.match(BESIDE if "key:" in items else UNHELPED, said)
    expect(found, said)
    expect("run" in function_at(program, found[1]) and "enqueue" in function_at(program, found[2]), said)
    waited = json.loads(report.read_text())["waited"]
    expect((waited["at"], waited["from"]) == found.groups() and waited["held"] == 100 <= waited["wakes"] <= 101, waited)
    expect((waited["missed"] > 50) == ("key:" in items), waited)
    baton("run", "--require", "--carry", items, "--", program, "own").exits(65 if "key:" in items else 0)
    stripped = tmp_path / "pool_stripped"
    if items.startswith("tls"):
        offset = next(int(line.split()[1], 16) for line in subprocess.run(["readelf", "-sW", program], capture_output=True, text=True, check=True)
                      .stdout.splitlines() if " TLS " in line and line.endswith("current_request"))
        subprocess.run(["strip", "-o", stripped, program], check=True)
        said = baton("run", "--verdict", "--carry", f"tls:pool_stripped+0x{offset:x}:8", "--", stripped, "own").err
        expect(re.match(UNHELPED, said), said)


@needs("glibc 2.34")
@test("who waits and is right is accused of nothing: values passed on by hand, who needs none, who awaits answers, who collects what is done",
      each=("hand", "quiet", "log", "future", "collect"))
def names_nobody_who_is_right(mode):
    for items in ("key:tenant_key", "tls:current_request", "key:tenant_key;tls:current_request"):
        said = baton("run", "--verdict", "--carry", items, "--", PROGRAMS / "pool_beside", mode).err
        is_unhelped = mode == "log" or (mode == "quiet" and items.startswith("tls"))
        expect(re.match(UNHELPED, said) if is_unhelped else re.match("baton: ok: [12]00 tasks", said) and "waited at" not in said, said)


@test("counts by item: handoffs that captured a value, those that had none, runs that it was attached in", each=CARRIERS)
def counts_by_item(kind):
    def counts(captured, empty, attached, program, mode):
        after = carry(CARRIERS[kind], program, mode, kind).ok().clean()
        wanted = {"captured": captured, "empty": empty, "attached": attached}
        if after.slot(CARRIERS[kind])["counts"] != wanted:
            after.fail(f"expected {wanted}")
    counts(4, 1, 4, "uv_work", "after")  # the first is submitted before there is a value
    counts(3, 2, 3, "uv_work", "cancel")
    counts(5, 1, 5, "gomp", "parallel")
    counts(1, 0, 3, "glib_source", "keeps")  # one registration, three runs


@test("counts by item: threads, one run each, however they end and whatever they set", each=("return", "own", "exit"))
def counts_threads(mode):
    after = carry("key:owned_key", "thread_ends", mode).ok().clean()
    if after.slot("key:owned_key")["counts"] != {"captured": 3, "empty": 0, "attached": 3}:
        after.fail("expected three threads")


@test("an item that is bound and carries nothing: its counts say so, in the report and in its table")
def counts_nothing(tmp_path):
    source, adapter, report = tmp_path / "none.c", tmp_path / "none.so", tmp_path / "counts"
    source.write_text(NOTHING_TO_CARRY)
    subprocess.run(["cc", "-w", "-shared", "-fPIC", "-I", ROOT / "include", source, "-o", adapter], check=True)
    baton("run", "--report", report, "--carry", f"adapter:{adapter};key:request_key", "--", GLIB).ok() \
        .complains("had no value where work was handed over")
    slots = json.loads(report.read_text())["slots"]
    expect([slot["counts"] for slot in slots] == [{"captured": 0, "empty": 5, "attached": 0},
                                                  {"captured": 5, "empty": 0, "attached": 5}], f"the counts are {slots}")
    baton("report", report).ok().says("captured      empty   attached", "          0          5          0  ",
                                      "          5          0          5  ")
    baton("report", "--prometheus", report).ok().says('item="key:request_key",what="attached"} 5\n')


# Of a run time that does not leave by a jump, as its compiler likes.
RUNTIME = """
#include <pthread.h>
int runtime_wait(pthread_cond_t *cond, pthread_mutex_t *mutex) { return -pthread_cond_wait(cond, mutex); }
int runtime_signal(pthread_cond_t *cond) { return -pthread_cond_signal(cond); }
"""


FORKS = """
#include <sys/wait.h>
#include <unistd.h>
int serve_all(int argc, char **argv);
int main(int argc, char **argv)
{
    int status;
    pid_t child = fork();
    if (!child) return serve_all(argc, argv);
    waitpid(child, &status, 0);
    return 0;
}
"""


@needs("gcc", "glibc 2.34")
@test("a child of fork notes who waits in a table of its own: nothing of it is its parent's")
def child_has_its_own(tmp_path):
    source, program, report = tmp_path / "forks.c", tmp_path / "forks", tmp_path / "counts"
    source.write_text(FORKS)
    subprocess.run(["gcc", "-O1", "-w", "-Dmain=serve_all", "-c", ROOT / "tests/programs/discover_pool.c", "-o", tmp_path / "pool.o"], check=True)
    subprocess.run(["gcc", "-O1", "-pthread", source, tmp_path / "pool.o", "-o", program], check=True)
    baton("run", "--verdict", "--report", report, "--carry", "key:tenant_key", "--", program)
    child, parent = [json.loads(line) for line in report.read_text().splitlines()]
    expect("waited" not in parent and "waited" in child, f"{parent}, {child}")
    expect(function_at(program, child["waited"]["at"]) == "worker" and function_at(program, child["waited"]["from"]) == "pool_submit",
           child["waited"])


@needs("glibc 2.34")
@test("the verdict names who waited by a futex, an eventfd of its own or a copy of one, a pipe or a pair of sockets, too",
      each=("futex", "read", "poll", "ppoll", "epoll", "epoll_pwait", "epoll_pwait2", "dup", "dup2", "dup3", "fcntl",
            "pipe", "pipe2", "readv", "recv", "recvmsg"))
def names_futexes_and_eventfds(mode):
    program = PROGRAMS / "waits_futex"
    result = baton("run", "--verdict", "--carry", "key:request_key", "--", program, mode).ok().says("wrong 30")
    found = re.search(r"waited at (waits_futex\+0x[0-9a-f]+) and w\w+ woken from (waits_futex\+0x[0-9a-f]+)", result.err)
    expect(found and [function_at(program, place) for place in found.groups()] == ["await_task", "hand_over"], result.err)


@test("a program that polls at an address where nothing is gets its error, where a verdict is wanted, too")
def polls_nowhere():
    plain("waits_futex", "nowhere").ok().says("poll -1")
    baton("run", "--verdict", "--carry", "key:request_key", "--", PROGRAMS / "waits_futex", "nowhere").ok().says("poll -1")


@needs("binutils", "x86-64", of=lambda compiler: (compiler,))
@test("who waits goes on by a jump, with all arguments of syscall where the caller has put them, in a build for debugging, too, by",
      each=("gcc", "clang"))
def leaves_by_jumps(compiler, tmp_path):
    built = tmp_path / "shim/waits"
    plain("make", "-s", "-C", ROOT, f"B={tmp_path}", f"CC={compiler}", "CFLAGS=-g", built / "calls.o", built / "fds.o", timeout=60).ok()
    for file, name in ("calls", "syscall"), ("calls", "sem_wait"), ("fds", "read"), ("fds", "fcntl"), ("fds", "recv"), ("fds", "ppoll"), ("fds", "epoll_pwait2"):
        code = plain("objdump", "-d", f"--disassemble={name}", built / f"{file}.o").ok().out
        expect(re.search(r"jmpq? +\*", code), f"{name} calls: {code}")


@needs("gcc", "glibc 2.34")
@test("the verdict names who called the run time, not the run time")
def names_callers_of_the_runtime(tmp_path):
    source, program = tmp_path / "runtime.c", tmp_path / "server"
    source.write_text(RUNTIME)
    subprocess.run(["gcc", "-O1", "-shared", "-fPIC", source, "-o", tmp_path / "libstdc++.so.77"], check=True)
    subprocess.run(["gcc", "-O1", "-w", "-pthread", "-Dpthread_cond_wait=runtime_wait", "-Dpthread_cond_signal=runtime_signal",
                    ROOT / "tests/programs/discover_pool.c", tmp_path / "libstdc++.so.77", f"-Wl,-rpath,{tmp_path}",
                    "-o", program], check=True)
    said = baton("run", "--verdict", "--carry", "key:tenant_key", "--", program).err
    found = re.search(r"waited at (server\+0x[0-9a-f]+) and w\w+ woken from (server\+0x[0-9a-f]+)", said)
    expect(found and [function_at(program, place) for place in found.groups()] == ["worker", "pool_submit"], said)


@test("a program that is started by a link is called by the link's name; a script's interpreter by its own")
def called_as_started(tmp_path):
    link, script = tmp_path / "server", tmp_path / "script"
    link.symlink_to(GLIB)
    script.write_text(f"#!{GLIB}\n")
    script.chmod(0o755)
    for started, name in ((GLIB, "stale_pool_glib"), (link, "server"), (script, "stale_pool_glib")):
        report = tmp_path / f"{Path(started).name}.json"
        baton("run", "--report", report, "--carry", "key:request_key", "--", started)
        program = json.loads(report.read_text())["program"]
        expect(program.endswith(f"/{name}"), f"{started} is called {program}")


@test("- is standard output or input where that can be; no option makes a file of this name")
def dash_is_no_file(tmp_path):
    program, trace = ("--carry", "key:request_key", "--", GLIB), tmp_path / "x.trace"
    for name in ("-", "stdout"):
        said = baton("run", "--report", name, *program, cwd=tmp_path).ok().complains("ok: 5 tasks").out
        expect('{"baton":' in said, f"no report on standard output: {said}")
        baton("run", "--no-verdict", "--report", name, *program, cwd=tmp_path).ok().says('{"baton":')
    baton("trace", "-o", "-", *program, cwd=tmp_path).exits(2).complains("expected a file", "./-")
    baton("trace", "-o", trace, *program, cwd=tmp_path).ok()
    baton("trace", "-o", "-", "--convert", "csv", trace, cwd=tmp_path).ok().matches(r"\A\w+,\w+")
    baton("discover", "--json", "-o", "-", "--", GLIB, cwd=tmp_path).exits(2).complains("-o takes a file")
    baton("discover", "-o", "-", "--", GLIB, cwd=tmp_path).ok().says("key:request_key")
    for command in (("run", GLIB), ("check", GLIB), ("trace", GLIB)):
        baton(command[0], "--config", "-", *command[1:], cwd=tmp_path).exits(2).complains("expected a file", "./-")
    left = sorted(path.name for path in tmp_path.iterdir())
    expect(left == ["x.trace"], f"files that nobody named: {left}")


@test("the verdict stays out of pipes; what came to nothing is said all the same, by who handed work over")
def warns_in_pipes():
    baton("run", "--carry", "key:request_key", GLIB).ok().quiet()
    baton("run", "--carry", "key:request_key;tls:nope", GLIB).ok() \
        .matches(r'\Abaton: BATON_CARRY="tls:nope": matched nothing: [^\n]*\n\Z', "err")
    baton("run", "--carry", "key:request_key;tls:nope", "sh", "-c", f"{GLIB}; exit 0").ok() \
        .matches(r'\Abaton: BATON_CARRY="tls:nope": matched nothing: [^\n]*\n\Z', "err")
    baton("run", "--no-verdict", "--carry", "key:request_key;tls:nope", GLIB).ok().quiet()
    baton("run", "--carry", "key:request_key", "--hook", "g_thread_pool_get_max_threads(kind=call,fn=1,arg=2)", GLIB) \
        .ok().complains("never fired")


@test("the verdict on a terminal: by itself, in colour unless NO_COLOR")
def verdict_on_a_terminal():
    def on_terminal(**env):
        words = f"{BATON} run --carry key:request_key {GLIB} >/dev/null"
        return plain("script", "-qec", words, "/dev/null", env={"TERM": "xterm", **env}).ok()
    on_terminal().says("\033[32mok: 5 tasks saw their submitter's values\033[0m")
    on_terminal(NO_COLOR="1").says("baton: ok: 5 tasks").never_says("\033[")
    on_terminal(TERM="dumb").never_says("\033[")


@test("baton run stays itself where it waits: signals reach the program, its end is ours")
def waits_transparently():
    for name in ("TERM", "HUP", "INT", "QUIT", "WINCH", "USR1"):
        process = subprocess.Popen([BATON, "run", "--verdict", "sh", "-c", f"trap 'exit 9' {name}; echo up; while :; do sleep 0.05; done"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   # Under nohup HUP is ignored, and a shell cannot trap what was ignored when it came.
                                   preexec_fn=lambda: [signal.signal(each, signal.SIG_DFL) for each in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)])
        expect(process.stdout.readline() == "up\n", "the program did not start")
        process.send_signal(getattr(signal, f"SIG{name}"))
        expect(patience.wait(process) == 9, f"SIG{name}: ended with {process.returncode}")
    # What the program sends to its group comes to it once, and what a terminal sends.
    for name in ("USR1", "INT"):
        process = subprocess.Popen([BATON, "run", "--verdict", "sh", "-c", f"trap 'n=1$n' {name}; kill -{name} 0; sleep 0.2; echo $n"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
        expect(patience.finish(process)[0] == "1\n", name)
    mine, theirs = os.openpty()
    process = subprocess.Popen(["setsid", "--ctty", BATON, "run", "--verdict", "sh", "-c",
                                "trap 'n=1$n' INT; echo up; read word; sleep 0.2; echo $n >&2; exit 0"],
                               stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    expect(process.stdout.readline() == "up\n", "the program did not start")
    os.write(mine, b"\x03\n")
    expect("\n1\n" in "\n" + patience.finish(process)[1], "the terminal's signal did not come once")
    os.close(mine)
    os.close(theirs)
    baton("run", "--verdict", "sh", "-c", "kill -SEGV $$").exits(-11)


@test("the process that a service manager speaks to becomes the program, whatever is to be told of its run")
def spoken_to():
    with tempfile.TemporaryDirectory() as folder:
        def number(env, *options):
            process = subprocess.Popen(["sh", "-c", f"{env} exec {BATON} run --carry fenv --report {folder}/counts {' '.join(options)} -- sh -c 'echo $$'"],
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            out, err = patience.finish(process)
            expect(process.returncode == 0, err)
            return int(out) == process.pid, err
        expect(not number("true;")[0], "it did not stay, with nobody to speak to it")
        expect(not number("LISTEN_PID=1 WATCHDOG_PID=1 SYSTEMD_EXEC_PID=1 NOTIFY_SOCKET=@x")[0], "it became the program for somebody else")
        for env in ("LISTEN_PID=$$", "WATCHDOG_PID=$$", "NOTIFY_SOCKET=@x SYSTEMD_EXEC_PID=$$", "NOTIFY_SOCKET=@x"):
            became, err = number(env)
            expect(became and not err, f"{env}: {err}")
        expect("no verdict: the service manager" in number("LISTEN_PID=$$", "--verdict")[1], "not said")
        expect(len(list(Path(folder).glob("counts.*.live"))) == 5, "no report of those that nobody waited for")


@test("a process that goes on when the program has ended is named in the verdict, and nothing of it stays in our folder")
def goes_on():
    with tempfile.TemporaryDirectory() as folder:
        # It ends when its standard input does.
        command = ["sh", "-c", "exec 3<&0; cat <&3 & until [ -e /proc/$!/exe ] && grep -q live /proc/$!/maps; do sleep 0.05; done"]
        env = {**os.environ, "TMPDIR": folder}
        for option in (("--report", f"{folder}/counts"), ("--verdict",)):
            process = subprocess.Popen([BATON, "run", "--carry", "fenv", *option, "--", *command], stdin=subprocess.PIPE,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=env)
            said = process.stderr.readline()
            number = re.search(r"[(]process (\d+) still runs: (.*)[)]$", said)
            expect(number, said)
            if option == ("--verdict",):
                expect(number[2] == "--report FILE keeps what it counts" and not list(Path(folder).glob("baton-run*")), said)
            else:
                expect(number[2] == f"baton report --now {number[1]}", said)
                baton("report", "--now", number[1]).ok().says("still running")
            patience.finish(process)
        # What carries nothing and ends by _exit, as dash does, leaves no report, and was not to.
        baton("run", "--verdict", "sh", "-c", "true").complains("NOTHING CARRIED: nothing was asked for", "baton discover -- sh")


@test("baton run: says which programs cannot carry anything, also behind a wrapper; and what was mistyped")
def says_what_cannot_be():
    static = PROGRAMS / "static_program"
    if static.exists():
        baton("run", static).complains(f"{static}: statically linked")
        baton("run", "timeout", "3000", static).complains(f"{static}, which ", "timeout starts: statically linked")
        with tempfile.TemporaryDirectory() as folder:
            script = Path(folder, "start")
            script.write_text(f"#!{static}\n")
            script.chmod(0o755)
            baton("run", script).complains(f"a script; what runs is {static}", "statically linked")
    baton("run", "--carry", "key:a").exits(2).complains("--carry 'key:a;key:b'")
    baton("run", "true", "--carry", "key:a").ok().complains("stands behind the program's name",
                                                            "baton run --carry key:a -- true")
    if (ROOT / "build" / "adapters" / "mpfr.so").exists():
        baton("run", "--carry", "mpfr", "true").complains("expected adapter:mpfr")
    for items in ("fenv,locale", "key:a,key:b"):
        baton("run", "--carry", items, "true").complains("the next item stands after a ';'")


@test("baton report: Prometheus text sums processes; JSON in and out is the same; --require is a status")
def reports_for_machines():
    with tempfile.TemporaryDirectory() as folder:
        counts = Path(folder, "counts.json")
        for _ in range(2):
            baton("run", "--carry", "key:request_key", "--report", counts, GLIB).ok()
        text = baton("report", "--prometheus", counts).ok().quiet()
        text.says(f'baton_handoffs_total{{program="{GLIB}",family="glib.pool"}} 10\n',
                  "# TYPE baton_handoffs_total counter\n")
        for line in text.out.splitlines():
            expect(line.startswith("# ") or re.fullmatch(r'[a-z_]+\{([a-z]+="[^"]*",?)*\} -?[0-9]+', line),
                   f"no Prometheus: {line}")
        again = baton("report", "--json", counts).ok().out.splitlines()
        expect([json.loads(line) for line in again] ==
               [json.loads(line) for line in counts.read_text().splitlines()], "JSON came out another")
        baton("report", "--verdict", "--require", counts).ok().says("ok: 10 tasks")
        baton("run", "--carry", "key:nope", "--report", counts, GLIB)
        baton("report", "--require", counts).exits(65)


SOME_EMPTY = r"""
#include <pthread.h>
#include <stdio.h>
__thread long used, never;
pthread_key_t used_key, never_key;
static long *behind_get(void) { static __thread long state; return &state; }
long *never_at(void) { return behind_get(); }
static long saw;
static void *task(void *unused) { saw += used + (long)pthread_getspecific(used_key); return unused; }
int main(void)
{
    pthread_t thread;
    pthread_key_create(&used_key, 0);
    pthread_key_create(&never_key, 0);
    for (long i = 0; i < 60; i++) { /* values come late, and one at a time */
        if (i > 20) pthread_setspecific(used_key, (void *)i);
        if (i > 40) used = i;
        pthread_create(&thread, 0, task, 0);
        pthread_join(thread, 0);
    }
    printf("%ld\n", saw + never);
    return 0;
}
"""


STORED_LATE = """#include <pthread.h>
#include <stdlib.h>
pthread_key_t late_key, never_key, *late_private;
static void *nothing(void *unused) { return unused; }
int main(void)
{
    pthread_t thread;
    pthread_key_t made;
    pthread_create(&thread, NULL, nothing, NULL);
    pthread_join(thread, NULL);
    pthread_key_create(&made, NULL);
    pthread_setspecific(late_key = made, &made);
    late_private = malloc(sizeof *late_private);
    pthread_key_create(late_private, NULL);
    return pthread_setspecific(*late_private, &made);
}
"""


@needs("gcc")
@test("a key that was stored when nothing was handed over any more is said to be that, not to be missing")
def stored_late(tmp_path):
    program = tmp_path / "late"
    subprocess.run(["gcc", "-x", "c", "-", "-pthread", "-o", program], input=STORED_LATE, text=True, check=True)
    slots = carry("key:late_key;key:late_private;key:never_key", program).ok().reported()["slots"]
    expect([slot["state"] for slot in slots] == ["unmatched"] * 3, slots)
    stored = "a key is stored in it, but nothing was handed over since"
    expect([slot["reason"] for slot in slots] == [stored, stored, "no key has been stored in it yet"], slots)


@test("an item that is bound and never had a value is said, in verdict and report; one that had a value late is not")
def bound_and_empty(tmp_path):
    source, program = tmp_path / "some.c", tmp_path / "some"
    source.write_text(SOME_EMPTY)
    subprocess.run(["gcc", "-w", "-g", "-rdynamic", "-pthread", source, "-o", program], check=True)
    others = "key:used_key;tls:used;fenv"
    baton("run", "--verdict", "--require", "--carry", others, "--", program).ok().complains("ok: 39 tasks ran with")
    for item in ("key:never_key", "tls:never", "fn:at=never_at,size=8"):
        report = tmp_path / "counts"
        baton("run", "--verdict", "--carry", f"{others};{item}", "--report", report, "--", program).ok().complains(
            f"PARTIAL: 39 tasks ran with their submitter's values, but {item} had no value where work was handed over; next: ")
        empty = [slot["item"] for slot in json.loads(report.read_text().splitlines()[-1])["slots"] if "empty" in slot]
        expect(empty == [item], f"{empty}")


@test("an item that was carried and whose key the program deletes when it is done counts as bound; one that never had a value does not",
      each=("", ",native"))
def deleted_at_the_end(option):
    item, other = f"key:by=make_key#2{option}", "key:by=make_key#1"
    how = "--require", "--hook", "pool_submit(kind=call,fn=1,arg=2)", "--carry"
    saw = "40 tasks ran with their submitter's values"
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report")
        baton("run", *how, item, "--report", report, "--verdict", "--", PROGRAMS / "discover_keys_by").ok().complains(f"ok: {saw}")
        slot, = json.loads(report.read_text().splitlines()[-1])["slots"]
        expect((slot["state"], slot["reason"]) == ("bound", "its key was deleted"), f"{slot}")
        expect(slot["counts"]["captured"] == slot["counts"]["attached"] == 40, f"{slot}")
    baton("run", *how, f"{item};{other}", "--", PROGRAMS / "discover_keys_by").exits(65).complains(
        f"PARTIAL: {saw}, but {other} matched nothing: its key was deleted")
    carry(item, "discover_keys_by", env={"BATON_WARN": "on", "BATON_HOOKS": how[2]}).ok().quiet()


SOME_READ = r"""
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <stdlib.h>
pthread_key_t seen_key, other_key;
static int mine;
static long sum;
static long look(pthread_key_t key) { int *value = pthread_getspecific(key); return value ? *value : 0; }
static void *inner(void *unused) { sum += look(seen_key); return unused; }
static void *task(void *arg)
{
    pthread_t thread;
    switch ((long)arg) {
    case 1: /* looks at what it has set by itself only */
        pthread_setspecific(seen_key, &mine);
        sum += look(seen_key);
        break;
    case 2:
        sum += look(seen_key) + look(seen_key) + look(other_key);
        break;
    case 3: /* writes in between */
        sum += look(seen_key);
        pthread_setspecific(other_key, &mine);
        sum += look(seen_key);
        break;
    case 5: /* writes first */
        pthread_setspecific(other_key, &mine);
        sum += look(seen_key) + look(seen_key);
        break;
    case 4: /* hands over, and does not look */
        pthread_create(&thread, 0, inner, 0);
        pthread_join(thread, 0);
    }
    return arg;
}
int main(int argc, char **argv)
{
    pthread_t thread;
    int values[] = {7, 100};
    pthread_key_create(&seen_key, 0);
    pthread_key_create(&other_key, 0);
    pthread_setspecific(seen_key, &values[0]);
    pthread_setspecific(other_key, &values[1]);
    for (long i = 0; i < (argc > 1 ? 2 : 6); i++) {
        pthread_create(&thread, 0, task, (void *)i);
        pthread_join(thread, 0);
    }
    printf("%ld\n", sum);
    fflush(stdout);
    if (getenv("END")) abort();
    return 0;
}
"""


@test("saw is said of tasks that read a value they were given, once each; a run in which none did is no success")
def counts_what_was_read(tmp_path):
    source, program = tmp_path / "some.c", tmp_path / "some"
    source.write_text(SOME_READ)
    subprocess.run(["gcc", "-w", "-g", "-rdynamic", "-pthread", source, "-o", program], check=True)
    report = tmp_path / "counts"

    def verdict(items, *words, **options):
        return baton("run", "--verdict", "--report", report, "--carry", items, "--", program, *words, **options)
    saw = "4 tasks saw their submitter's values"
    verdict("key:seen_key;key:other_key").ok().says("149\n").complains(f"ok: {saw}; 3 more did not look at them\n")
    expect(json.loads(report.read_text())["read"] == 4, "what was read stands in the report")
    verdict("key:seen_key;tls:nope").complains(f"PARTIAL: {saw}, but tls:nope matched nothing")
    verdict("key:seen_key", env={"END": "1"}).complains(f"ok: {saw}; 3 more did not look at them (ended by signal 6")
    verdict("key:seen_key;fenv").complains("ok: 7 tasks ran with their submitter's values\n")
    verdict("key:seen_key", env={"BATON_READS": "off"}).complains("ok: 7 tasks ran with their submitter's values\n")
    verdict("key:seen_key;key:other_key", "none").ok().complains(
        "NOTHING CARRIED: no task saw a value: 2 tasks ran with one and read none; what tasks read: baton discover -- ")
    baton("run", "--require", "--carry", "key:seen_key", "--", program, "none").exits(65)
    baton("report", report).ok().says("unread: yes")
