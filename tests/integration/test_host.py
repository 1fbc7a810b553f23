"""E21: what the host may do to itself before it first meets us, and what it then still finds: sandboxes, no
memory, libraries that are not there."""
import difflib
import re
import sys
import tempfile
from pathlib import Path

import harness
from compile import compiled
from harness import CARRIERS, LIBRARY, PROGRAMS, ROOT, carry, expect, idle, plain, test
from needs import missing, needs, unable
from test_launcher import baton

sys.path.append(str(ROOT / "tests/bench"))
import measure  # noqa: E402

CALLS = ("jump", "key", "get", "set", "symbol")
HOOKS = re.findall(r"^HOOK\((\w+), .*?,\s*(\w+),\s*\(", (ROOT / "shim/interpose/hooks.def").read_text(), re.M)
NAMES = [name for _, name in HOOKS]
LISTS = {"c": "cc", "cc": "c++"}


@test("E21: a first call in a sandbox, or without memory, needs nothing of the system",
      each=[(how, call) for how in ("strict", "filter", "memory") for call in CALLS])
def first_call(how, call):
    before = plain("host_sandbox", how, call)
    if before.code == 77:
        unable("no seccomp here")
    if before.code == -9 and (how, call) == ("strict", "symbol"):
        unable("the first dlsym of this C library asks the system itself")
    before.ok().says("lived")
    idle("host_sandbox", how, call).same_as(before)
    for items in ("tls:request_word", "key:request_key", "key:no_such;tls:nor_this"):
        carry(items, "host_sandbox", how, call, env={"BATON_REPORT": "/nonexistent/report"}).same_output_as(before)


@test("E21: a thread that waits or wakes in a sandbox needs nothing of the system, where a verdict is wanted either", each=("strict", "filter"))
def waits_noted(how, tmp_path):
    before = plain("host_sandbox", how, "wake")
    if before.code == 77:
        unable("no seccomp here")
    before.ok().says("woken", "lived")
    carry("key:request_key", "host_sandbox", how, "wake").same_output_as(before)
    baton("run", "--verdict", "--report", tmp_path / "counts", "--carry", "key:request_key", "--", PROGRAMS / "host_sandbox", how, "wake") \
        .ok().says("woken", "lived")


END = dict.fromkeys(("unseen", "again"), "ended in a sandbox, perhaps$")
SHUT = ("strict", "filter", "unseen", "twice", "again")


@test("E21: a program that ends in a sandbox ends as without us, whatever is to be told at the end", each=(*SHUT, "fails", "wide", "none"))
def ends_in_a_sandbox(how, tmp_path):
    before = plain("sandbox_end", how)
    if before.code == 77:
        unable("no seccomp here")
    before.says("sees nothing", "it ends")
    settings = {"BATON_CARRY": "key:request_key;tls:nothing_here", "BATON_LOG": "warn"}
    after = idle("sandbox_end", how, env={**settings, "BATON_REPORT": tmp_path / "counts"})
    expect(after.code == before.code and after.out == before.out.replace("nothing", "the key"), after.literal())
    expect(how in (*SHUT, "fails") or after.err, "said nothing of what matched nothing")
    # The line of a report, or what stood in its place while the program ran.
    expect((tmp_path / "counts").exists() == (how not in (*SHUT, "fails")), how)
    baton("report", tmp_path / "counts").ok().matches("^pthread +1 ").matches(END.get(how, "ended in a sandbox$") if how in SHUT else "^program")
    for settings in ({"BATON_REPORT": "stderr"}, {"BATON_CARRY": "key:request_key", "BATON_REPORT": "stderr"}):
        after = idle("sandbox_end", how, env=settings)
        expect(after.code == before.code and after.out.split()[-2:] == ["it", "ends"], after.literal())
        expect(bool(after.err) == (how in ("wide", "none")), after.literal() + after.err)


@test("E21: a sandbox that kills at futexes which say who has them has nothing to kill, at exit or when many threads have ended unseen",
      each=[(how, count) for how in ("seen", "unseen", "inherited", "none") for count in ("few", "many", "ended", "living")])
def knows_no_owners(how, count, tmp_path):
    before = plain("sandbox_owners", how, count)
    if before.code == 77:
        unable("no seccomp here")
    before.ok().says("0 of ")
    for report in ("", tmp_path / "counts"):
        after = idle("sandbox_owners", how, count, env={"BATON_CARRY": "key:request_key", "BATON_REPORT": report})
        expect(after.code == 0 and after.out == ("3 of 3" if count == "few" else "200 of 200") + " saw it\n", after.literal())


@needs("strace")
@test("E21: without a report nobody is asked at exit who lives; nor when many threads live", each=("few", "living"))
def asks_nobody_who_lives(count, tmp_path):
    trace = tmp_path / "calls"
    plain("strace", "-f", "-o", trace, "-E", f"LD_PRELOAD={LIBRARY}", "-E", "BATON_CARRY=key:request_key", "-E", "BATON_REPORT=",
          PROGRAMS / "sandbox_owners", "none", count).ok()
    calls = trace.read_text()
    expect("_PI" not in calls, "asked who lives")
    expect(('/thread-self/status", O_RDONLY|O_NOCTTY' in calls) == (count == "living"), "how many threads there are")


@needs("strace")
@test("E21: at exit nothing is looked for, opened or allocated, but for the report itself and who lives, which it tells", each=("key:request_key", "key:request_ky;tls:request_wrd"))
def exit_asks_little(items, tmp_path):
    trace, report = tmp_path / "calls", tmp_path / "counts"
    plain("strace", "-f", "-o", trace, "-E", f"LD_PRELOAD={LIBRARY}", "-E", f"BATON_CARRY={items}", "-E", f"BATON_REPORT={report}",
          "-E", "BATON_LOG=warn", PROGRAMS / "sandbox_end", "none").ok()
    calls = trace.read_text().splitlines()
    ended = max(i for i, line in enumerate(calls) if " exit(0)" in line)
    asked = [line for line in calls[ended:] if re.search(r" (open\w*|readlink\w*|mmap|brk|pread64|newfstatat|faccessat)\((?!\d+, \"\")", line)]
    expect([str(report) in line or "/proc/thread-self/status" in line for line in asked] in ([True], [True, True]), asked)
    expect(sum(str(report) in line for line in asked) == 1, asked)
    if "request_ky" in items:
        expect("the nearest is request_key@main" in report.read_text(), report.read_text())


@test("a run by baton run has its report, and its verdict, where the program ends in a sandbox", each=("filter", "unseen"))
def ends_in_a_sandbox_launched(how, tmp_path):
    if plain("sandbox_end", how).code == 77:
        unable("no seccomp here")
    # What an earlier process has left there is kept, and none of this run's.
    idle("sandbox_end", how, env={"BATON_CARRY": "key:request_key", "BATON_REPORT": tmp_path / "counts"}).ok()
    expect([path.suffix for path in tmp_path.iterdir()] == [".live"], "nothing was left")
    baton("run", "--carry", "key:request_key", "--report", tmp_path / "counts", "--", PROGRAMS / "sandbox_end", how).ok() \
        .says("sees the key", "it ends").complains("baton: ok: 1 ")
    expect([path.name for path in tmp_path.iterdir()] == ["counts"], "something is left")
    report = baton("report", tmp_path / "counts").ok().matches("^pthread +1 ")
    expect(report.out.count("\nprogram") == 1 and report.out.startswith("program"), report.out)


@test("E21: what is handed over in a sandbox is carried as everywhere", each=("filter", "memory"))
def task(how):
    before = plain("host_sandbox", how, "task").ok().says("lived")
    idle("host_sandbox", how, "task").same_as(before)
    if how == "memory":  # there is none for the thread
        carry("tls:request_word;key:request_key", "host_sandbox", how, "task").same_as(before)
        return
    before.says("word empty", "key empty")
    carry("tls:request_word;key:request_key", "host_sandbox", how, "task").ok().says("word carried", "key carried")
    carry("tls:no_such_word", "host_sandbox", how, "task").same_as(before)


def source_of_references():
    """A program, and a library that it opens: which of our names do weak references and lookups find?"""
    assert len(NAMES) > 300
    lines = ["#define _GNU_SOURCE", "#include <dlfcn.h>", "#include <stdio.h>", "#include <string.h>",
             "#ifdef __cplusplus", 'extern "C" {', "#endif"]
    lines += [f'extern char weak_{name}[] __asm__("{name}") __attribute__((weak));' for name in NAMES]
    lines += ["#ifdef __cplusplus", "}", "#endif",
              "static const struct { const char *name; const void *weak; } names[] = {"]
    lines += [f'{{"{name}", weak_{name}}},' for name in NAMES]
    lines += ["};", """
#define COUNT (sizeof names / sizeof *names)
static void say(const char *who)
{
    for (size_t i = 0; i < COUNT; i++)
        if (names[i].weak) printf("%s: %s is there\\n", who, names[i].name);
}
#ifdef LIBRARY
__attribute__((constructor)) static void begin(void) { say("constructor"); }
#else
static void look(const char *how, void *handle)
{
    for (size_t i = 0; i < COUNT; i++) {
        const char *why;
        void *found;
        dlerror();
        found = dlsym(handle, names[i].name);
        why = dlerror();
        if (found || !why) printf("%s: %s %s\\n", how, names[i].name, found ? "found" : "without an error");
    }
}
int main(int argc, char **argv)
{
    say("program");
    for (int turn = 0; turn < 2; turn++) {
        look("default", RTLD_DEFAULT);
        look("next", RTLD_NEXT);
        look("program", dlopen(NULL, RTLD_LAZY));
        for (int i = 1; i < argc; i++)
            if (!dlopen(argv[i], RTLD_LAZY | RTLD_LOCAL)) printf("%s: %s\\n", argv[i], dlerror());
    }
    return 0;
}
#endif
"""]
    return "\n".join(lines)


def built(folder, language, binding):
    source = Path(folder) / f"names.{language}"
    source.write_text(source_of_references())
    words = ("-w", source, "-O1", "-fPIC", f"-Wl,-z,{binding}", "-ldl")
    return (compiled(f"names-{language}-{binding}", *words, compiler=LISTS[language]),
            compiled(f"names-{language}-{binding}.so", *words, "-DLIBRARY", "-shared", compiler=LISTS[language]))


@test("E21: a library that is not loaded is not there: weak references and lookups of every row of hooks.def",
      each=[(language, binding) for language in LISTS for binding in ("lazy", "now")])
def absent(language, binding):
    with tempfile.TemporaryDirectory() as folder:
        program, library = built(folder, language, binding)
        before = plain(program, library).ok().quiet()
        if "uv_queue_work" in before.out or "pthread_exit" not in before.out:
            before.fail("expected libc's names and no others")
        idle(program, library).same_as(before)
        for items in ("key:request_key", "tls:no_such_word"):
            carry(items, program, library).same_as(before)


@needs(of=lambda name: (name,))
@test("E21: a library that comes later is there from then on, for whom it is",
      each=("libuv.so.1", "libglib-2.0.so.0", "libgomp.so.1", "libevent-2.1.so.7"))
def later(name):
    with tempfile.TemporaryDirectory() as folder:
        program, library = built(folder, "c", "now")
        before = plain(program, name, library).never_says("cannot open")
        idle(program, name, library).same_as(before)
        after = carry("tls:no_such_word", program, name, library)
        after.out = without_threads(after.out)
        before.out = without_threads(before.out)
        after.same_as(before)


@needs("libuv.so.1")
@test("E21: what was opened for its opener alone is found by its handle, whoever has asked for its names in vain")
def by_its_handle():
    with tempfile.TemporaryDirectory() as folder:
        _, library = built(folder, "c", "now")
        main = Path(folder) / "main.c"
        main.write_text('''#include <dlfcn.h>
#include <stdio.h>
int main(int argc, char **argv)
{
    void *uv = dlopen("libuv.so.1", RTLD_LAZY | RTLD_LOCAL), *asks = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    return !(asks && uv && dlsym(uv, "uv_queue_work") && dlsym(uv, "uv_timer_start"));
}
''')
        program = compiled("by-its-handle", main, "-ldl")
        before = plain(program, library).ok()
        idle(program, library).same_as(before)
        for items in ("key:request_key", "tls:no_such_word"):
            carry(items, program, library).same_as(before)


@needs("libuv.so.1")
@test("E21: a module that came later finds what its own libraries have, and RTLD_NEXT nothing else",
      each=[(needed, mode) for needed in ("needs", "without") for mode in ("LOCAL", "GLOBAL")])
def of_its_own(needed, mode):
    with tempfile.TemporaryDirectory() as folder:
        plugin, main = Path(folder) / "plugin.c", Path(folder) / "main.c"
        plugin.write_text('''#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
static void look(const char *how, void *place)
{
    void *found = dlsym(place, "uv_queue_work");
    printf("%s: %s\\n", how, found ? "found" : dlerror() ? "an error" : "no error");
}
void asks(void) { look("default", RTLD_DEFAULT); look("next", RTLD_NEXT); }
''')
        main.write_text(f'''#include <dlfcn.h>
int main(int argc, char **argv)
{{
    void *plugin = (dlopen("libuv.so.1", RTLD_NOW | RTLD_{mode}), dlopen(argv[1], RTLD_NOW));
    if (!plugin) return 1;
    ((void (*)(void))dlsym(plugin, "asks"))();
    return 0;
}}
''')
        libuv = ("-Wl,--no-as-needed", "-l:libuv.so.1") if needed == "needs" else ()
        library = compiled(f"own-{needed}.so", plugin, "-fPIC", "-shared", *libuv)
        program = compiled(f"own-{mode}", main, "-ldl")
        before = plain(program, library).ok().says("next: found" if needed == "needs" else "next: an error")
        idle(program, library).same_as(before)
        for items in ("key:request_key", "tls:no_such_word", "auto"):
            carry(items, program, library).same_as(before)


def without_threads(said):
    """Before glibc 2.34 threads are libpthread's: once a library that needs it has been opened, nobody knows who else asks
    for its names (man 7 baton-limits)."""
    threads = {name for family, name in HOOKS if family in ("PTHREAD", "KEYS")} if missing(["glibc 2.34"]) else ()
    return "".join(line for line in said.splitlines(True) if not re.fullmatch(r"constructor: (\w+) is there\n", line)
                   or line.split()[1] not in threads)


@test("E21: a library that was bound before us and has asked for names that nobody has", each=("lazy", "now"))
def bound_before(binding):
    with tempfile.TemporaryDirectory() as folder:
        _, library = built(folder, "c", binding)
        main = Path(folder) / "main.c"
        main.write_text("int main(void) { return 0; }\n")
        program = compiled(f"linked-{binding}", "-Wl,--no-as-needed", main, library, f"-Wl,-rpath,{library.parent}")
        before = plain(program).ok().says("constructor: pthread_exit is there").never_says("uv_queue_work")
        idle(program).same_as(before)
        carry("tls:no_such_word", program).same_as(before)


# What its maps may show beside the library itself: what was asked for (a report has its live one),
# and pages that are shared with its children.
SHOWN = {"stack": ("libunwind", "liblzma", "libgcc_s"), "strict": ("libunwind", "liblzma", "libgcc_s"), "adapter": ("mpfr", "libgmp"),
         "watched": ("/dev/shm/baton-",), "report": (), "idle": ()}
CARRYING, HOOKED = ("/dev/zero (deleted)", "/memfd:baton (deleted)", ".live"), ("/baton/",)


def without_ours(result, shown=()):
    """That there are settings is theirs to see, and which library; nothing else is."""
    lines = [line for line in result.out.splitlines() if not (line.startswith("map ") and any(name in line for name in (*shown, "/libbaton.so")))]
    # Where the launcher's stand among the variables is theirs, too; and into which gap the kernel puts a library.
    listed = "variable ", "map "
    lines = [line for line in lines if not line.startswith(listed)] + sorted(line for line in lines if line.startswith(listed))
    result.out = "\n".join(lines).replace("and the loader's", "no others")
    result.err = ""
    return result


SETTINGS = {
    "key": {"BATON_CARRY": "key:request_key"},
    "word": {"BATON_CARRY": "tls:request_word"},
    "unmatched": {"BATON_CARRY": "tls:no_such_word"},
    "strict": {"BATON_CARRY": "tls:request_word", "BATON_STRICT": "on"},
    "stack": {"BATON_CARRY": "key:by=main"},
    "adapter": {"BATON_CARRY": "adapter:mpfr"},
    "state": {"BATON_CARRY": "locale;fenv;name;ioprio"},
    "report": {"BATON_REPORT": "/dev/null", "BATON_LOG": "debug"},
    "watched": {"BATON_CARRY": "key:request_key", "BATON_LIVE": "on", "BATON_LATENCY": "on"},
}


@test("E21: environment, descriptors, signals, errno, floating point and what /proc shows are as without us",
      each=[(name, way) for name in ("idle", *SETTINGS) for way in ("preload", "launcher", "hooks")])
def state(name, way):
    before = plain("host_state").ok()
    settings = dict(SETTINGS.get(name, {}))
    if way == "hooks":
        settings["BATON_HOOKS"] = "submit(kind=call,fn=1,arg=2)"
    shown = SHOWN.get(name, ()) + (CARRYING if settings or way != "preload" else ()) + (HOOKED if way == "hooks" else ())
    result = without_ours(idle("host_state", env=settings, launched=way != "preload"), shown)
    before = without_ours(before)
    if before.out != result.out:
        result.fail("\n".join(difflib.unified_diff(before.out.splitlines(), result.out.splitlines(), lineterm="", n=0)))


@needs("valgrind")
@test("E21: idle, no lock is taken: no instruction of ours is atomic", each=("race", "glib_pool", "first_call"))
def takes_no_lock(program, tmp_path):
    def atomics(run, *items):
        file = tmp_path / "calls"
        run(*items, "valgrind", "-q", "--tool=callgrind", "--dump-instr=yes", f"--callgrind-out-file={file}", PROGRAMS / program,
            *{"race": ("clean", "key"), "glib_pool": ("drop", "key"), "first_call": ("environ",)}[program])
        return measure.parse_callgrind(file).atomics({LIBRARY.name})
    harness.find_program(program)
    expect(atomics(idle) == 0, "an atomic instruction of ours was executed")
    expect(atomics(carry, "key:request_key") > 0, "carrying, there are some")


@test("a host that has little: small stacks, no descriptor left, many threads alive at once",
      each=[(what, kind) for what in ("threads", "stack", "files") for kind in CARRIERS])
def little(what, kind):
    for run in (plain, idle):
        run("hard_limits", what, kind, *["300"] * (what == "threads")).wrong()
    carry(CARRIERS[kind], "hard_limits", what, kind, *["300"] * (what == "threads")).ok().quiet().clean()


@test("ten thousand threads alive at once", each=("key", "tls"), release=True)
def many_threads(kind):
    for run in (plain, idle):
        run("hard_limits", "threads", kind, "10000").wrong().says("threads 10000\n")
    carry(CARRIERS[kind], "hard_limits", "threads", kind, "10000").ok().quiet().clean().says("threads 10000\n")


@test("the table of keys is full: idle takes none of the program's, carrying one", each=CARRIERS)
def all_keys(kind):
    def keys_of(result):
        return int(re.search(r"^keys (\d+)$", result.out, re.M).group(1))
    before = plain("hard_limits", "keys", kind).wrong()
    keys = keys_of(before)
    idle("hard_limits", "keys", kind).same_as(before)
    after = carry(CARRIERS[kind], "hard_limits", "keys", kind).ok().quiet().clean()
    if keys_of(after) != keys - 1:
        after.fail(f"the program gets other than {keys - 1} keys")


@test("A1: functions of newer libraries than are installed: GLib 2.78, libuv 1.46, BIND 9.20", each=CARRIERS)
def newer_names(kind):
    library = PROGRAMS / "newer_names.so"
    for run in (plain, idle):
        run("newer_names", library, kind).wrong().says("timeout sees 9 WRONG", "connect sees 9 WRONG", "work sees 9 WRONG", "a job sees 9 WRONG")
    carry(CARRIERS[kind], "newer_names", library, kind).ok().quiet().clean() \
        .carried("glib.source").carried("uv.request").carried("isc", exactly=2)
