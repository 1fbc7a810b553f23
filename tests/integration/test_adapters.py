"""Adapters (issue of values): contexts of real libraries, through code of their own."""
import re
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

from harness import PROGRAMS, ROOT, Failure, carry, idle, plain, run, test
from needs import needs, require

ADAPTERS = {"log4cxx": "adapter_log4cxx", "log4cplus": "adapter_log4cplus", "boost-log": "adapter_boost_log",
            "openssl-libctx": "adapter_openssl", "mpfr": "adapter_mpfr", "otel-thread-ctx": "adapter_otel",
            "custom-labels": "adapter_labels"}


def item(name):
    require(adapters=[name])
    return f"adapter:{name}"


@test("adapter: the context of a request is its task's, also of a task's own handoffs, and nobody else's", each=ADAPTERS)
def adapter(name):
    for how in (plain, idle):
        how(ADAPTERS[name]).wrong()
    carry(item(name), ADAPTERS[name]).ok().quiet().clean().slot_is(f"adapter:{name}", "bound")


@test("D19: a record or set that the task took over is the task's to free", each=("otel-thread-ctx", "custom-labels"))
def taken_over(name):
    carry(item(name), ADAPTERS[name], "takes").says("submitter has 7").clean()


@needs("valgrind")
@test("adapters under valgrind: every object is ended once", timeout=200,
      each=[(name, *args) for name in ADAPTERS for args in ((), ("takes",))
            if not args or name in ("otel-thread-ctx", "custom-labels")])
def under_valgrind(name, *args):
    after = run("valgrind", "-q", "--error-exitcode=9", "--leak-check=full", "--errors-for-leak-kinds=definite",
                PROGRAMS / ADAPTERS[name], *args, env={"BATON_CARRY": item(name)}, timeout=100)
    if after.code == 9:
        after.fail("valgrind complains")


@test("an adapter of the user's, in C++, that keeps a scope object around each task")
def users_own():
    path = f"adapter:{PROGRAMS / 'scope_adapter.so'}"
    plain("scope_program").wrong()
    carry(path, "scope_program").ok().quiet().clean().slot_is(path, "bound")


@test("an adapter that was built with version 1 of the interface still works: a thread's end is an end like others")
def first_version():
    path = f"adapter:{PROGRAMS / 'first_adapter.so'}"
    after = carry(path, "scope_program").quiet().clean().slot_is(path, "bound")
    after.says("right 43", "submitter has 7", "see nothing lent 0", "see its own 0 WRONG")


@test("an adapter that was built with version 2, which had no wanted names, still works: nothing behind its table is read")
def second_version():
    path = f"adapter:{PROGRAMS / 'second_adapter.so'}"
    carry(path, "scope_program").ok().quiet().clean().slot_is(path, "bound")


@test("what an adapter wants is found where the program does not export it: thread-locals, functions, objects")
def wanted_hidden():
    names = subprocess.run(["nm", "-D", PROGRAMS / "adapter_labels_hidden"], capture_output=True, text=True).stdout
    if "custom_labels" in names:
        raise Failure("the names are exported")
    plain("adapter_labels_hidden").wrong()
    carry(item("custom-labels"), "adapter_labels_hidden").ok().quiet().clean().slot_is("adapter:custom-labels", "bound")


WANTED = """#include "baton_adapter.h"
%s
static enum baton_adapter_result capture(void **captured) { return BATON_ADAPTER_NONE; }
static enum baton_adapter_result attach(void *captured, void **attached) { return BATON_ADAPTER_OK; }
static void end(void *object) { }
static struct baton_adapter_wanted wanted[] = {{"%s", 0, BATON_ADAPTER_%s, %d}};
static const char *start(void) { return wanted[0].at || wanted[0].address ? 0 : "it is not there"; }
const struct baton_adapter baton_adapter = {BATON_ADAPTER_VERSION, "wants", start, capture, attach, end, end, 0, 0,
                                            wanted, 1};
"""


@test("what an adapter wants is never its own copy; what is missing is said; what is optional is left to its start",
      each=(("static __thread int x;", "behind_functions", "THREAD_LOCAL", 0, "bound", ""),
            ("__thread long only_here;", "only_here", "THREAD_LOCAL", 0, "unmatched", "is in the adapter alone"),
            ("__thread long request_id;", "request_id", "THREAD_LOCAL", 0, "bound", ""),
            ("", "no_such_function", "FUNCTION", 0, "unmatched", "is not in the program or its libraries yet"),
            ("", "request_get", "FUNCTION", 0, "bound", ""), ("", "request_get", "OBJECT", 0, "unmatched", "not in"),
            ("", "no_such_object", "OBJECT", 1, "unmatched", "it is not there")))
def wanted(declared, name, kind, is_optional, state, reason):
    with tempfile.TemporaryDirectory(prefix="baton-adapter-") as folder:
        source, path = Path(folder) / "wants.c", Path(folder) / "wants.so"
        source.write_text(WANTED % (declared, name, kind, is_optional))
        subprocess.run(["cc", "-w", "-shared", "-fPIC", "-I", ROOT / "include", source, "-o", path], check=True)
        after = carry(f"adapter:{path}", "strict", "enter", "right").ok().slot_is(f"adapter:{path}", state)
        if reason not in after.slot(f"adapter:{path}")["reason"]:
            after.fail(f"expected {reason!r}")


def of_another_version(version, *missing):
    """The source of an adapter that must be refused."""
    return ("extern const void *const baton_adapter[8]; static int f(void) { return 0; }\n"
            f"const void *const baton_adapter[8] = {{ (void *){version}, \"odd\", 0"
            + "".join(", 0" if name in missing else ", f" for name in ("capture", "attach", "detach", "release", "end"))
            + "};\n")


@test("E22: an adapter of a later version, or without one of its functions, is refused", each=(
    ("0",), ("4",), ("2", "capture"), ("2", "attach"), ("2", "detach"), ("2", "release")))
def unfit(version, *missing):
    with tempfile.TemporaryDirectory(prefix="baton-adapter-") as folder:
        source, path = Path(folder) / "odd.c", Path(folder) / "odd.so"
        source.write_text(of_another_version(version, *missing))
        subprocess.run(["cc", "-w", "-shared", "-fPIC", source, "-o", path], check=True)
        carry(f"adapter:{path}", "scope_program").wrong().complains("an adapter of another version, or without")


@test("the guide: an adapter is built by the line given there, without baton's source, and works")
def build_line():
    line = re.search(r"^c\+\+ .*scope_adapter\.so\.cc.*$", (ROOT / "scripts/man/guide.md").read_text(), re.M).group(0)
    needed = ("include/baton_adapter.h", "tests/programs/scope_adapter.so.cc", "tests/programs/tracer.h")
    with tempfile.TemporaryDirectory(prefix="baton-adapter-") as folder:
        for name in needed:
            (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, Path(folder) / name)
        built = subprocess.run(shlex.split(line), cwd=folder, capture_output=True, text=True)
        if built.returncode or built.stderr:
            raise Failure(f"$ {line}\n{built.stderr}")
        path = f"adapter:{folder}/scope_adapter.so"
        carry(path, "scope_program").ok().quiet().clean().slot_is(path, "bound")


@test("what an adapter brings is noted: functions that the program had asked for in vain are hooked in the libraries that come with it")
def brings_a_library():
    adapter, plugin = PROGRAMS / "brings_glib.so", PROGRAMS / "late_word.so"
    plain("brought", plugin).wrong().says("nothing has come")
    plain("env", f"LD_PRELOAD={plugin}:{adapter}", PROGRAMS / "brought", plugin).wrong().says("0 of 4 right")
    idle("brought", plugin).wrong().says("nothing has come")
    carry(f"adapter:{adapter}", "brought", plugin).wrong().says("0 of 4 right")
    carry(f"tls:request_word;adapter:{adapter}", "brought", plugin).ok().says("4 of 4 right").slot_is(f"adapter:{adapter}", "bound")


@test("an adapter whose library is not there waits, and the program is as without it", each=("log4cxx", "mpfr"))
def library_missing(name):
    after = carry(item(name), "stale_pool_glib", "key", "exclusive").wrong().quiet().clean()
    after.slot_is(f"adapter:{name}", "unmatched")


@test("E22: an adapter that is not there, or not an adapter, is refused")
def not_an_adapter():
    carry("adapter:nonsense", "scope_program").wrong().complains("adapter:nonsense", "the name of an adapter")
    carry("adapter:/nowhere/at_all.so", "scope_program").wrong().complains("column 9: expected a file that exists")
    path = PROGRAMS / "policy_codec.so"
    carry(f"adapter:{path}", "scope_program").wrong().complains("it exports no baton_adapter")
