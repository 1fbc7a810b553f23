"""What an integration test is made of: a promise, a program, three ways to run it.

    from harness import test, plain, idle, carry

    @test("A1: the task sees the value of the moment it was handed over")
    def task_sees_the_value_of_its_submit():
        plain("values", "change").says("task sees 2")
        carry("key:request_key", "values", "change").ok().says("task sees 1").clean()

plain()   runs a program without the library,
idle()    with the library loaded and nothing configured,
carry()   with the library and slots to carry; its report is read back.
Every run has a time limit, an environment of its own without the caller's BATON_* and LD_PRELOAD,
and its process group is killed when the limit has passed. They are tests of pytest: -k, --lf, --pdb and
fixtures such as tmp_path work as everywhere (tests/conftest.py).

How to test:

    make test                                   everything: these tests and the Check suites
    make test T=B13                             by a regex on names (room.test[case]) and promises
    make test T=uv TEST_ARGS="-x --lf"          the rest goes to pytest; --loop 20 runs each 20 times
    /usr/bin/python3 -m pytest -n 2 -k nested   the same without building first
    /usr/bin/python3 -m pytest --promises -q    what is promised
    make asan ubsan tsan valgrind               the Check suites (T= does not hold there)
    scripts/mutants REGEX                       which one-line changes no test notices (tests/mutants.txt)
    make check; .ci/run                         what must pass; what a release needs

A test is one function with @test("RULE: promise"), one small program of tests/programs that knows
nothing of the library, and two runs or more: plainly it is wrong, carried it is right. `each=` makes
one test of each element, as pytest.mark.parametrize does; parameters beyond those are fixtures. Break
the code once and see the test fail; put the line that you broke into tests/mutants.txt.

No test may hang on time. Limits are seconds of an idle machine and grow with the load (patience.py):
run(..., timeout=), @test(..., timeout=) and call(..., limit=) for anything else, never subprocess with
a timeout of its own. A program that waits for something waits for that, not for some milliseconds.
What this machine does not have is @needs("valgrind") (needs.py, the one table of such); what it cannot do, which shows
only when it is tried, is unable("why") of the same file. Both are told at the end. Needs of a program stand in its first lines
(tests/lib/build-program), packages in scripts/setup.
"""
import contextlib
import functools
import inspect
import json
import os
import re
import shlex
import subprocess
import tempfile
import time
import zlib
from pathlib import Path

import patience
import pytest
from patience import call  # noqa: F401  for tests

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("BATON_TEST_BUILD", ROOT / "build")).resolve()
LIBRARY = BUILD / "libbaton.so"
PROGRAMS = BUILD / "tests" / "programs"
# Another machine than this one: its programs run under qemu, its compiler is prefixed (make check-aarch64).
MACHINE = os.environ.get("BATON_TEST_MACHINE", "")
SYSROOT = os.environ.get("BATON_TEST_SYSROOT", f"/usr/{MACHINE}-linux-gnu")
# qemu makes no child that ends without a signal, so the library cannot start its planner there, and says so.
UNPLANNED = b"baton: BATON_HOOKS: baton-plan could not be started: functions inside of a module, and calls of constructors, are not seen\n"
# What is said of a function inside of a module where the build found no Zydis.
WITHOUT_ZYDIS = "baton was built without Zydis"


class Failure(AssertionError):
    """A promise was broken; the text shows the run that broke it."""


def expect(condition, why):
    if not condition:
        raise Failure(why)


def skip(why):
    """This machine cannot show it."""
    raise pytest.skip.Exception(why, **({"_use_item_location": True} if hasattr(pytest, "version_tuple") else {}))


def this_machine_only():
    if MACHINE:
        skip(f"not for {MACHINE}")


def limit_passed(limit):
    __tracebackhide__ = True
    raise Failure(f"the test still ran after {limit}")


def test(promise, each=None, timeout=None, release=False):
    """Make a function a test of pytest. `each`: run it once for every element (a tuple is spread over the
    first parameters; further ones are fixtures). `timeout`: seconds of an idle machine, if two minutes
    are not enough. `release`: takes minutes, so that only .ci/run has it (--release); a function says of each element
    whether it is such: compilers and levels that every run need not have once more."""
    def register(function):
        values = arguments = [argument if isinstance(argument, tuple) else (argument,) for argument in each or ()]
        item = spread(function, max(map(len, values), default=0))
        item.promise = promise
        if each is not None:
            names = list(inspect.signature(item).parameters)[:item.count]
            if item.rest:
                values = [value[:item.count - 1] + (value[item.count - 1:],) for value in values]
            marks = [[pytest.mark.release] * bool(callable(release) and release(*given)) for given in arguments]
            cases = [pytest.param(*value, marks=mark,
                                  id=" ".join(map(str, argument)) if isinstance(argument, tuple) else str(argument))
                     for value, argument, mark in zip(values, each, marks)]
            item = pytest.mark.parametrize(names, cases)(item)
        item = pytest.mark.release(item) if release and not callable(release) else item
        return pytest.mark.timeout(timeout)(item) if timeout else item
    return register


def spread(function, count):
    """The function as pytest calls it: by names, and *rest is one parameter that holds a tuple.
    `count`: so many parameters at most are given by the elements of `each`."""
    parameters = list(inspect.signature(function).parameters.values())
    rest = any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters)
    if rest:
        count = len(parameters)
    # A parameter that has a default and gets nothing keeps it.
    parameters = [parameter.replace(kind=parameter.POSITIONAL_OR_KEYWORD, default=parameter.empty)
                  for n, parameter in enumerate(parameters) if n < count or parameter.default is parameter.empty]

    def item(*given, **values):
        __tracebackhide__ = True
        if given or not parameters:  # one test calls another
            return function(*given)
        given = [values[parameter.name] for parameter in parameters]
        return function(*(given[:-1] + list(given[-1]) if rest else given))
    item.__signature__ = inspect.Signature(parameters)
    item.__name__, item.__module__, item.__doc__ = function.__name__, function.__module__, function.__doc__
    item.__wrapped__ = function
    item.count, item.rest = count, rest
    return item


def names_of_tests():
    """room.function of every test in the suite, whichever are being run."""
    names = set()
    for path in sorted((ROOT / "tests" / "integration").glob("test_*.py")):
        room = path.stem.removeprefix("test_")
        marked = re.finditer(r"^@test\(.*?^def (\w+)", path.read_text(), re.M | re.S)
        names.update(f"{room}.{found.group(1)}" for found in marked)
    return names




class Result:
    def __init__(self, command, settings, code, out, err, report, seconds):
        self.command, self.settings = command, settings
        self.code, self.out, self.err, self.report = code, out, err, report
        self.seconds = seconds

    def literal(self):
        """The command line that repeats this run."""
        words = [f"{name}={shlex.quote(value)}" for name, value in self.settings.items()]
        return " ".join(words + [shlex.quote(word) for word in self.command])

    def fail(self, why):
        __tracebackhide__ = True
        def block(title, text):
            return f"--- {title}\n{text.rstrip()[-4000:]}\n" if text.strip() else ""
        report = json.dumps(self.report) if self.report is not None else ""
        raise Failure(f"{why}\n$ {self.literal()}\n--- exit {self.code}\n"
                      + block("stdout", self.out) + block("stderr", self.err)
                      + block("report", report))

    # Each check returns the result, so that they read as one sentence.

    def exits(self, code):
        """Exit 77 of a plain run of a program of ours: the library here is without what it tests."""
        __tracebackhide__ = True
        if self.code == 77 != code and "LD_PRELOAD" not in self.settings and str(PROGRAMS) in self.command[0]:
            skip(f"tried here: {Path(self.command[0]).name} says that the library here is without what it tests")
        if self.code != code:
            self.fail(f"expected exit {code}, got {self.code}")
        return self

    def ok(self):
        __tracebackhide__ = True
        return self.exits(0)

    def wrong(self):
        """The program itself says that what it saw was wrong (exit 1): the plain half of a test."""
        __tracebackhide__ = True
        return self.exits(1)

    def quiet(self, but=None):
        """Nothing on stderr; `but`: what the other run said, too, numbers aside (libraries say much at times)."""
        __tracebackhide__ = True
        said, allowed = (re.sub(r"\d+", "N", run.err if run else "") for run in (self, but))
        if said and said != allowed:
            self.fail(f"expected {repr(allowed) if allowed else 'nothing'} on stderr")
        return self

    def says(self, *texts):
        __tracebackhide__ = True
        for text in texts:
            if text not in self.out:
                self.fail(f"expected {text!r} on stdout")
        return self

    def never_says(self, *texts):
        __tracebackhide__ = True
        for text in texts:
            if text in self.out:
                self.fail(f"did not expect {text!r} on stdout")
        return self

    def complains(self, *texts):
        __tracebackhide__ = True
        for text in texts:
            if text not in self.err:
                self.fail(f"expected {text!r} on stderr")
        return self

    def matches(self, pattern, stream="out"):
        __tracebackhide__ = True
        if not re.search(pattern, getattr(self, stream), re.M):
            self.fail(f"expected a match of {pattern!r} on std{stream}")
        return self

    def same_as(self, other):
        """Stdout, stderr and exit code are what they were in the other run."""
        __tracebackhide__ = True
        for what in ("code", "out", "err"):
            if getattr(self, what) != getattr(other, what):
                self.fail(f"{what} differs from the other run:\n$ {other.literal()}\n"
                          f"{getattr(other, what)!r}\n")
        return self

    def same_output_as(self, other):
        """As same_as, but a message on stderr is allowed."""
        __tracebackhide__ = True
        if (self.code, self.out) != (other.code, other.out):
            self.fail(f"differs from the other run: exit {other.code}, stdout {other.out!r}")
        return self

    # What the report says.

    def reported(self):
        __tracebackhide__ = True
        if self.report is None:
            self.fail("no report was written")
        return self.report

    def clean(self, contexts=0, records=0):
        """No value is left at exit, as many contexts as then are still attached, and at most so many records."""
        __tracebackhide__ = True
        report = self.reported()
        for what, wanted in (("contexts_alive", contexts), ("records_alive", 0), ("values_alive", 0)):
            if report.get(what) != wanted and not (what == "records_alive" and report.get(what) in range(records + 1)):
                self.fail(f"{what} is {report.get(what)}, expected {wanted}")
        if "stacks_unseen" in report:
            self.fail("a task was left before it returned")
        return self

    def carried(self, family, at_least=1, exactly=None):
        __tracebackhide__ = True
        count = self.reported().get("families", {}).get(family, {}).get("carried", 0)
        if count != exactly if exactly is not None else count < at_least:
            wanted = at_least if exactly is None else exactly
            self.fail(f"{family} carried {count}, expected {wanted}")
        return self

    def bare(self, family, at_least=1):
        __tracebackhide__ = True
        reasons = self.reported().get("families", {}).get(family, {}).get("bare", {})
        if sum(reasons.values()) < at_least:
            self.fail(f"{family} ran {reasons} bare, expected at least {at_least}")
        return self

    def slot(self, item):
        __tracebackhide__ = True
        for slot in self.reported().get("slots", ()):
            if slot.get("item") == item:
                return slot
        self.fail(f"the report does not know the item {item!r}")

    def slot_is(self, item, state):
        __tracebackhide__ = True
        slot = self.slot(item)
        if slot.get("state") != state:
            self.fail(f"{item} is {slot.get('state')!r} ({slot.get('reason')}), expected {state!r}")
        return self


def not_built(path):
    """Why a program is not there: tests/lib/build-program has noted it."""
    with contextlib.suppress(OSError):
        return f"{path.name} was not built here: it needs {path.with_name(path.name + '.left').read_text().strip()}"
    return f"{path.name} was not built here"


def find_program(program):
    """A program of ours by its name, anything else by PATH or path."""
    program = str(program)
    ours = PROGRAMS / program
    if "/" not in program and ours.exists():
        return str(ours)
    if "/" not in program and any((ROOT / "tests" / "programs").glob(program + ".c*")):
        skip(not_built(ours))
    return program


def read_report(path, pid):
    """The report of one process: children append theirs to the same file, one a line."""
    with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
        for line in path.read_text().splitlines():
            report = json.loads(line)
            if report.get("pid") == pid:
                return report
    return None


def run(program, *args, preload=True, env=None, timeout=patience.LIMIT, stdin="", cwd=None, before=(),
        launched=False, watch=None):
    """Run one program to its end, for `timeout` seconds of an idle machine at most. `env` adds to the environment; `before` precedes us in LD_PRELOAD;
    `launched`: by `baton run` instead of LD_PRELOAD; `watch`: looks at its memory (memory.py)."""
    command = [find_program(program)] + [str(arg) for arg in args]
    if MACHINE and not command[0].startswith(str(BUILD)):
        skip(f"{program} is not a program of {MACHINE}")
    if MACHINE and launched:
        skip("baton run starts programs of this machine")
    if MACHINE and before:
        skip("what is preloaded first is of this machine")
    if launched:
        command = [str(ROOT / "scripts" / "baton"), "run", "--"] + command
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith(("BATON_", "LD_"))}
    environment["LC_ALL"] = "C"
    environment.setdefault("PWD", os.getcwd())  # the shell of scripts/baton adds it where it is missing
    # Who is inlined where, and a debugger's door, cost a tenth of valgrind's start and show in no test.
    environment.setdefault("VALGRIND_OPTS", "--read-inline-info=no --vgdb=no")
    settings = {}
    libraries = [str(path) for path in before] + ([str(LIBRARY)] if preload and not launched else [])
    emulator = []
    if MACHINE:
        emulator = [f"qemu-{MACHINE}", "-L", SYSROOT]
        for library in [":".join(libraries)] * bool(libraries):
            emulator += ["-E", f"LD_PRELOAD={library}"]
    elif libraries:
        settings["LD_PRELOAD"] = ":".join(libraries)
    settings.update({name: str(value) for name, value in (env or {}).items()})
    with tempfile.TemporaryDirectory(prefix="baton-test-") as folder:
        os.chmod(folder, 0o1777)  # a program may become another user
        report_file = Path(folder) / "report.json"
        if preload and settings.get("BATON_CARRY") and "BATON_REPORT" not in settings:
            environment["BATON_REPORT"] = str(report_file)
            # Counting reads takes the long ways: half of the runs go without, always the same ones.
            words = [word for word in map(str, (Path(program).name, *args)) if "/" not in word]
            if zlib.crc32(" ".join(words).encode()) & 1:
                environment["BATON_READS"] = "off"
        environment.update(settings)
        started = time.monotonic()
        process = subprocess.Popen(emulator + command, env=environment, cwd=cwd, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   start_new_session=True)
        late = None
        if watch:
            watch.begin(process.pid)
        try:
            out, err = patience.finish(process, stdin.encode(), timeout)
        except patience.Late as passed:
            late, out, err = passed, passed.out, passed.err
        finally:
            if watch:
                watch.end()
        report = read_report(report_file, process.pid)
    if MACHINE:
        err = err.replace(UNPLANNED, b"")
    result = Result(command, settings, process.returncode, out.decode(errors="replace"),
                    err.decode(errors="replace"), report, time.monotonic() - started)
    if late:
        result.fail(str(late))
    patches_code(result.out + result.err + json.dumps(report))
    return result


def patches_code(said):
    """What was said of functions inside of modules is no failure where the build found no Zydis."""
    if WITHOUT_ZYDIS in said and not plan_has("libZydis"):
        skip("tried here: baton-plan was built without Zydis, so it patches no code (libzydis-dev)")


@functools.lru_cache(maxsize=None)
def plan_has(library):
    """Whether baton-plan was linked with it."""
    return library.encode() in (BUILD / "baton-plan").read_bytes()


def plain(program, *args, **how):
    return run(program, *args, preload=False, **how)


def idle(program, *args, **how):
    return run(program, *args, **how)


def carry(items, program, *args, env=None, **how):
    return run(program, *args, env={"BATON_CARRY": items, **(env or {})}, **how)


def uncounted(items, program, *args, env=None, **how):
    """carry() as most programs run: without a report nothing counts, and what repeats goes by its short ways."""
    return carry(items, program, *args, env={**(env or {}), "BATON_REPORT": ""}, **how).ok()


# The ways in which tests/programs/carrier.h keeps "the current request", as items to carry.
CARRIERS = {
    "key": "key:request_key",
    "tss": "key:request_tss",
    "tls": "tls:request_id",
    "fn": "fn:get=request_get,set=request_set",
    "swap": "swap:request_swap",
}
