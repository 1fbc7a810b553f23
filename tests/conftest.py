"""What pytest has to know of these tests: @test functions, Check suites, limits, the closing line.

Options of ours: --pick REGEX (names and promises: what `make test T=...` gives), --loop N,
--suites-under COMMAND, --promises, --release, --cpu N.
"""
import os
import re
import resource
import shlex
import shutil
import signal
import sys
import tempfile
import threading
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).resolve().parent / room) for room in ("lib", "integration")]
import harness  # noqa: E402
import needs  # noqa: E402
import patience  # noqa: E402

patience.heed_signals()

SUITE_LIMIT = 600
IS_OLD = not hasattr(pytest, "version_tuple")  # before 7.0 a path is py.path's and has other names


def pytest_addoption(parser):
    group = parser.getgroup("baton")
    group.addoption("--pick", metavar="REGEX", default=os.environ.get("BATON_TEST_PICK", ""),
                    help="only tests whose name (room.test[case]) or promise matches")
    group.addoption("--loop", type=int, default=1, metavar="N", help="each test so many times")
    group.addoption("--suites-under", metavar="COMMAND", default="",
                    help="what runs the Check suites: valgrind, setarch -R ...")
    group.addoption("--release", action="store_true", help="also what takes minutes (tests with the marker release), and programs under valgrind")
    group.addoption("--cpu", type=int, default=0, metavar="N",
                    help="the N files and tests that took most of a processor's time, whatever else the machine did")
    group.addoption("--promises", action="store_true", help="list the tests and their promises, run none")


def pytest_configure(config):
    config.addinivalue_line("markers", "needs(names, programs): skipped where one of them is not (tests/lib/needs.py)")
    for name, (_, why) in needs.NEEDS.items():
        config.addinivalue_line("markers", f"{needs.marker_of(name)}: skipped where {why}")
    limit_by_patience(config)
    config.option.collectonly = config.option.collectonly or config.option.promises
    if harness.MACHINE and not hasattr(config, "workerinput"):  # tests that call strip mean its programs' one
        config.baton_tools = tempfile.TemporaryDirectory()
        for tool in ("strip", "objcopy", "nm"):
            (Path(config.baton_tools.name) / tool).symlink_to(shutil.which(f"{harness.MACHINE}-linux-gnu-{tool}"))
        os.environ["PATH"] = f"{config.baton_tools.name}:{os.environ['PATH']}"


# ---- what is a test ------------------------------------------------------------------------------

def pytest_pycollect_makeitem(collector, name, obj):
    """A function marked with @test, in the file that it stands in."""
    if not hasattr(obj, "promise") or obj.__module__ != collector.obj.__name__:
        return None
    return list(collector._genfunctions(name, obj))


def pytest_generate_tests(metafunc):
    turns = metafunc.config.option.loop
    if turns > 1:
        metafunc.fixturenames.append("turn_of_loop")
        metafunc.parametrize("turn_of_loop", range(turns), ids=[f"turn {n + 1}" for n in range(turns)])


def is_suite(name):
    return name.startswith("test_") and name.endswith(".c")


if IS_OLD:
    def pytest_collect_file(path, parent):
        return SuiteFile.from_parent(parent, fspath=path) if is_suite(path.basename) else None
else:
    def pytest_collect_file(file_path, parent):
        return SuiteFile.from_parent(parent, path=file_path) if is_suite(file_path.name) else None


def pytest_itemcollected(item):
    needs.mark_case(item)


def pytest_runtest_setup(item):
    for marker in item.iter_markers("needs"):
        needs.require(*marker.args, **marker.kwargs)


class SuiteFile(pytest.File):
    """tests/unit/test_NAME.c: one test, a program made with Check; every check that passes is counted."""

    def collect(self):
        turns = self.config.option.loop
        for turn in range(turns):
            yield Suite.from_parent(self, name=place_of(self).stem + (f"[turn {turn + 1}]" if turns > 1 else ""))


class Suite(pytest.Item):
    promise = "its checks pass"

    def runtest(self):
        harness.this_machine_only()
        program = harness.BUILD / "tests" / "unit" / place_of(self).stem
        if not program.exists():
            harness.skip(f"{program.name} was not built here")
        # Check's own limits are seconds of the clock.
        environment = {**os.environ, "CK_VERBOSITY": "normal", "CK_TIMEOUT_MULTIPLIER": "60"}
        try:
            under = shlex.split(self.config.option.suites_under)
            done = patience.call([*under, program], limit=SUITE_LIMIT, env=environment)
        except patience.Late as late:
            raise harness.Failure(f"$ {program}\n{late}\n{late.out[-6000:]}{late.err[-2000:]}") from None
        if done.returncode == 77:
            harness.skip(done.stdout.strip().rpartition("\n")[2])
        counts = re.search(r"Checks: (\d+)", done.stdout)
        if done.returncode != 0 or not counts:
            raise harness.Failure(f"$ {program}\n--- exit {done.returncode}\n{done.stdout[-6000:]}{done.stderr[-2000:]}")
        self.user_properties.append(("checks", int(counts.group(1))))

    def repr_failure(self, excinfo, style=None):
        return str(excinfo.value) if excinfo.errisinstance(harness.Failure) else super().repr_failure(excinfo)

    def reportinfo(self):
        return self.fspath if IS_OLD else self.path, 0, f"unit.{self.name}"


def place_of(item):
    return Path(item.fspath) if IS_OLD else item.path


def full_name(item):
    """room.test[case], as RULES.md and T= say it."""
    place = place_of(item)
    return f"unit.{item.name}" if place.suffix == ".c" else f"{re.sub('^test_', '', place.stem)}.{item.name}"


def promise(item):
    return getattr(item, "promise", None) or getattr(getattr(item, "function", None), "promise", "")


def is_for_now(item):
    """What takes minutes is a release's, and programs under valgrind are where nobody asks for tests by name."""
    option = item.config.option
    if option.release:
        return True
    asked = option.pick or option.keyword or option.markexpr or any(".py" in name for name in item.config.args)
    return not item.get_closest_marker("release") and (asked or not item.get_closest_marker(needs.marker_of("valgrind")))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    wanted = re.compile(config.option.pick, re.I)
    picked, others = [], []
    for item in items:
        text = f"{full_name(item)} {promise(item)}"
        item.extra_keyword_matches.update(re.findall(r"[\w.]+", text))
        (picked if is_for_now(item) and wanted.search(text) else others).append(item)
    if others:
        config.hook.pytest_deselected(items=others)
    # What takes long is begun first, so that no processor waits at the end for another's last test.
    picked.sort(key=lambda item: -limit_of(item))
    items[:] = picked


def limit_of(item):
    if isinstance(item, Suite):
        return SUITE_LIMIT
    marker = item.get_closest_marker("timeout")
    return marker.args[0] if marker else 0


def pytest_collection_finish(session):
    if session.config.option.promises:
        for item in session.items:
            print(f"{full_name(item)}: {promise(item)}")


# ---- limits --------------------------------------------------------------------------------------

@pytest.hookimpl(optionalhook=True)
def pytest_timeout_set_timer(item, settings):
    """pytest-timeout's seconds, from the mark or the ini file, as seconds of an idle machine."""
    import pytest_timeout
    item.cancel_timeout = None
    # Workers of older releases (execnet before 2.0) may run beside their main thread, where no signal can be waited for. What
    # their tests start has limits of its own.
    if threading.current_thread() is not threading.main_thread():
        return True
    left = patience.Patience(max(settings.timeout, SUITE_LIMIT + 60 if isinstance(item, Suite) else 0))

    def look(signum, frame):
        if left.over() and not pytest_timeout.is_debugging():
            harness.limit_passed(left)

    before = signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, 1, 1)

    def cancel():
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    item.cancel_timeout = cancel
    return True


def limit_by_patience(config):
    """pytest-timeout before 2.0 asks nobody who sets the timer."""
    plugin = config.pluginmanager.get_plugin("timeout")
    if plugin and not hasattr(plugin, "pytest_timeout_set_timer"):
        plugin.timeout_setup = lambda item: pytest_timeout_set_timer(item, plugin.get_params(item))


# ---- what is told --------------------------------------------------------------------------------

@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """The promise stands above what broke it."""
    outcome = yield
    report = outcome.get_result()
    if report.failed and promise(item):
        report.sections.insert(0, ("promise", promise(item)))


def spent():
    """Seconds of a processor: ours, and those of children that have been waited for."""
    return sum(usage.ru_utime + usage.ru_stime for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    before = spent()
    yield
    item.user_properties.append(("cpu", spent() - before))


def pytest_terminal_summary(terminalreporter, config):
    if not config.option.cpu:
        return
    of_test, of_file = {}, {}
    for report in (report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, ())):
        seconds = dict(report.user_properties).get("cpu", 0)
        if report.when == "call":
            of_test[report.nodeid] = seconds
            file = report.nodeid.partition("::")[0]
            of_file[file] = of_file.get(file, 0) + seconds
    terminalreporter.section(f"{sum(of_test.values()):.0f} s of processors")
    for seconds_of in (of_file, of_test):
        for name in sorted(seconds_of, key=seconds_of.get, reverse=True)[:config.option.cpu]:
            terminalreporter.line(f"{seconds_of[name]:8.1f}  {name}")


def tally(reporter):
    """-> (passed, failed, skipped): each check of a suite that passed counts as a test."""
    passed = sum(dict(report.user_properties).get("checks", 1) for report in reporter.stats.get("passed", ())
                 if getattr(report, "when", "call") == "call")
    failed = len(reporter.stats.get("failed", ())) + len(reporter.stats.get("error", ()))
    return passed, failed, len(reporter.stats.get("skipped", ()))


def pytest_sessionfinish(session, exitstatus):
    session.config.baton_status = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config):
    """The last line, in words that programs read."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if hasattr(config, "workerinput") or reporter is None or config.option.collectonly or config.option.help \
            or config.option.version or getattr(config.option, "showfixtures", False) or config.option.markers:
        return
    passed, failed, skipped = tally(reporter)
    if not passed and not failed and not skipped:
        print("no test matches")
    # Ended early, or nothing to run: no success, whatever was counted.
    failed = failed or int(getattr(config, "baton_status", 1) != 0)
    if skipped:
        print(f"{skipped} skipped")
    print(f"{passed} passed, {failed} failed", flush=True)


# ---- who runs what -------------------------------------------------------------------------------

def pytest_xdist_make_scheduler(config, log):
    return Fine(config, log)


try:
    from xdist.scheduler.load import LoadScheduling
except ImportError:  # pytest without -n
    pass
else:
    class Fine(LoadScheduling):
        """Two tests at a time to each worker: ours take from 5 ms to a minute, the long ones first."""

        def schedule(self):
            if self.collection is None and self._check_nodes_have_same_collection():
                self.collection = list(self.node2collection.values())[0]
                self.pending[:] = range(len(self.collection))
            for node in self.nodes:
                self.check_schedule(node)

        def check_schedule(self, node, duration=0):
            if node.shutting_down:
                return
            room = 2 - len(self.node2pending[node])
            if self.pending and room > 0:
                self._send_tests(node, room)
            if not self.pending:
                node.shutdown()
