"""baton check: what it says of each item, and that the run does as it says."""
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from harness import PROGRAMS, ROOT, plain, run, test
from needs import needs, require, unable
from test_launcher import BATON, baton, expect

GLIB = PROGRAMS / "stale_pool_glib"


@test("check says what to do about an item that will not work")
def says_what_to_do():
    def check(items, program=GLIB, code=1):
        return baton("check", items, program).exits(code)
    check("tls:request_key").says("it is not thread-local; if it holds a pthread key, write key:request_key")
    check("key:request_kei").says("near: request_key in stale_pool_glib")
    check("tls:main").says("it is a function: write fn:get=main")
    check("key:request_key@libnone").says("has no module libnone")
    check("fenv,locale").complains("the next item stands after a ';'")
    check("fenv", code=0).says("found in every program")
    with tempfile.TemporaryDirectory() as folder:
        stripped = Path(folder, "stripped")
        shutil.copy(GLIB, stripped)
        subprocess.run(["strip", stripped], check=True)
        notes = subprocess.run(["readelf", "-n", stripped], capture_output=True, text=True, check=True).stdout
        build_id = notes.split("Build ID: ")[1].split()[0] if "Build ID" in notes else ""
        check("tls:hidden_one", stripped).says("the symbols of stripped are stripped", build_id,
                                               "or write tls:main+0xOFFSET:SIZE")


@test("check says when an adapter's library is not in the program")
def adapters():
    require(adapters=["mpfr"])
    baton("check", "adapter:mpfr", GLIB).exits(1).says("does not use libmpfr")
    baton("check", "mpfr", GLIB).exits(1).complains("expected adapter:mpfr")
    if (PROGRAMS / "demo_mpfr").exists():
        baton("check", "adapter:mpfr", PROGRAMS / "demo_mpfr").ok().says("found libmpfr")


@test("check says why, when its helper or the loader cannot be started")
def cannot_start(tmp_path):
    for file in ("baton-cli", "libbaton.so"):
        shutil.copy(ROOT / "build" / file, tmp_path)
    helper = tmp_path / "baton-plan"
    helper.write_bytes(b"no program")
    helper.chmod(0o755)
    plain(str(tmp_path / "baton-cli"), "check", "fenv", GLIB).exits(1).complains("baton-plan: cannot be run: Exec format error")
    baton("check", "fenv", GLIB, env={"BATON_TEST_LOADER": "/nowhere"}).exits(1).complains("the system's loader cannot be asked")


@test("check looks at what runs: behind a wrapper, behind a script; and says what cannot be")
def looks_behind():
    baton("check", "key:request_key", "--", "timeout", "3000", GLIB).ok().says(f"timeout starts {GLIB}", "found in")
    baton("check", "key:request_key", "--", "sh", "-c", f"exec {GLIB} --fast").ok().says(f"starts {GLIB}")
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "start")
        script.write_text(f"#!{GLIB}\n")
        script.chmod(0o755)
        baton("check", "key:request_key", script).ok().says(f"a script; what runs is {GLIB}", "found in")
        script.write_text(f"#!/bin/sh\nset -e\n[ $# = 9 ] && exec true\nexec env A=1 timeout 3000 '{GLIB}' \"$@\" 2>&1\n")
        baton("check", "key:request_key", script).ok().says(f"{script} starts {GLIB}, which is looked at", "found in")
        baton("check", "key:request_key", "--", "timeout", "3000", script).ok().says(f"timeout starts {GLIB}")
        script.chmod(0o644)
        baton("check", "key:request_key", "--", "sh", script).ok().says(f"sh starts {GLIB}")
        script.chmod(0o755)
        script.write_text('#!/bin/sh\nexec "$SERVER"\n')
        baton("check", "key:request_key", script).exits(1).says("what it starts in turn cannot be told")
        script.write_text("#!/no/such/interpreter\n")
        baton("check", "key:request_key", script).exits(1)
    baton("check", GLIB, "key:request_key").exits(2).complains(f"baton check key:request_key {GLIB}")
    baton("check", "key:request_key").exits(2).complains("is an item; which program?")
    baton("check", GLIB).ok().says("no item was given", "baton discover")
    static = PROGRAMS / "static_program"
    if static.exists():
        baton("check", "fenv", static).exits(1).complains("statically linked")


@test("check and run execute nothing that the file names: a loader of its own is not run to list its libraries")
def runs_nothing():
    with tempfile.TemporaryDirectory() as folder:
        ran, loader, program = Path(folder, "ran"), Path(folder, "ld.so"), Path(folder, "program")
        loader.write_text(f"#!/bin/sh\ntouch {ran}\n")
        loader.chmod(0o755)
        source = Path(folder, "a.c")
        source.write_text("_Thread_local int there; int main(void) { return there; }\n")
        built = subprocess.run(["gcc", source, "-o", program, f"-Wl,--dynamic-linker={loader}"], capture_output=True)
        expect(built.returncode == 0, built.stderr)
        baton("check", "tls:there", program).ok().complains("names a loader that is not the system's").says("found in")
        alone = baton("check", program).exits(1).complains("names a loader that is not the system's", str(loader), "is not known")
        expect("can be loaded" not in alone.out, alone.out)
        expect(not ran.exists(), "the file's own loader was run")


@test("names of the file that is looked at reach a terminal without what it would obey")
def cleans_names():
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder, "a.c"), Path(folder, "a")
        source.write_text("static __thread int requested_id_zzz;\nint main(void) { return requested_id_zzz++; }\n")
        subprocess.run(["gcc", source, "-o", program], check=True)
        program.write_bytes(program.read_bytes().replace(b"requested_id_zzz", b"requested_id\x1b[2J"))
        said = baton("check", "tls:requested_id", program).exits(1)
        expect("\033" not in said.out + said.err, f"an escape came through: {said.out!r}")
        said.says("near: requested_id\\x1b[2J in a")


@test("a terminal sees that something goes on when looking takes long; a pipe does not")
def shows_progress():
    with tempfile.TemporaryDirectory() as folder:
        for name in ("baton-cli", "libbaton.so"):
            shutil.copy(ROOT / "build" / name, folder)
        slow = Path(folder, "baton-plan")
        slow.write_text("#!/bin/sh\nsleep 3.2\necho looked\n")
        slow.chmod(0o755)
        words = f"{folder}/baton-cli check fenv {GLIB}"
        terminal = plain("script", "-qec", words, "/dev/null").ok()
        terminal.matches(rf"baton: looking at {GLIB}: ([2-9]|\d\d) s").says("looked")
        plain("sh", "-c", words).ok().quiet().says("looked")


@test("a terminal sees that a report or profile is read, a trace converted, when it takes long; a pipe does not")
def shows_reading():
    with tempfile.TemporaryDirectory() as folder:
        report, trace, samples, fifo = (Path(folder, name) for name in ("report", "trace", "samples", "fifo"))
        baton("trace", "-o", trace, "--report", report, "--carry", "key:request_key", GLIB).ok()
        samples.write_text("a 1/1 [000] 1.000000: cycles:\n\t1000 f (/bin/a)\n\n")
        os.mkfifo(fifo)
        cli = ROOT / "build" / "baton-cli"
        for words, doing, result in (
                (f"(cat {report}; sleep 3.2) | {cli} report -", "reading -", "request_key"),
                (f"(cat {samples}; sleep 3.2) | {cli} flame --folded - {trace}", f"reading - and {trace}", "f 1"),
                (f"(sleep 3.2; cat {fifo}) & {cli} trace --convert csv -o {fifo} {trace}; wait", f"converting {trace}", "posix|glib")):
            terminal = plain("script", "-qec", words, "/dev/null").ok()
            terminal.matches(rf"baton: {doing}: ([2-9]|\d\d) s\r +\r").matches(result)
            done = plain("sh", "-c", words).ok().matches(result)
            expect("baton: reading" not in done.err + done.out and "baton: converting" not in done.err + done.out, done.err)


# The run binds what check finds, and nothing else.
AGREE = ["key:request_key", "tls:request_id", "tls:request_key", "key:request_kei", "key:nope",
         "fn:get=request_get,set=request_set", "fn:get=request_get,set=nope", "swap:request_swap", "swap:request_key",
         "fenv", "locale", "locale,dup", "name", "ioprio", "key:request_key@main", "key:request_key@libglib",
         "tls:errno@libc", "key:request_key,clone=nope,free=free"]


@test("check and the run agree about", each=AGREE)
def agree(item):
    found = run(str(BATON), "check", item, GLIB, preload=False)
    result = run(GLIB, env={"BATON_CARRY": item})
    states = [slot["state"] for slot in result.reported()["slots"]]
    expect((found.code == 0) == (states == ["bound"]),
           f"check says {found.code}: {found.out}{found.err}; the run says {states}")


# What is asked for, and of which program. Whether it works is not said here: check and the run have to agree on it.
ASKED = [(program, items) for program, lists in {
    "stale_pool_glib": ("key:request_key", "key:request_tss", "tls:request_id", "fn:get=request_get,set=request_set",
                        "swap:request_swap", "key:request_kei", "tls:request_key", "key:request_id", "swap:request_key",
                        "key:request_key@main", "key:request_key@libglib", "key:request_key@libnone", "tls:errno",
                        "tls:errno@libc", "locale", "fenv;name", "key:request_key;tls:nope", "adapter:mpfr",
                        "fn:get=request_get,set=nope", "key:request_key,copy=8", "tls:request_id,ref=nope,unref=nope",
                        "tls:main+0x100000:8", "auto", "auto;key:request_key"),
    "adapter_mpfr": ("auto", "adapter:mpfr", "adapter:log4cxx", "tls:__gmpfr_default_fp_bit_precision", "tls:request_id;auto"),
    "typed": ("tls:_Z4userB5cxx11", "tls:_ZZN3mdc11get_contextB5cxx11EvE7context"),
    "thread_state": ("auto", "locale,dup;ioprio"),
}.items() for items in lists]


@test("check says 0 of what the run carries, and of nothing else", each=ASKED)
def agrees(program, items):
    require(programs=[program], adapters=["mpfr"] if program == "adapter_mpfr" else ())
    path = PROGRAMS / program
    checked = baton("check", "--carry", items, path)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "counts.json")
        ran = run(path, *(("key", "exclusive") if program == "stale_pool_glib" else
                          ("locale", "return") if program == "thread_state" else ()),
                  env={"BATON_CARRY": items, "BATON_REPORT": report, "BATON_HOOKS": ""})
        counts = json.loads(report.read_text().splitlines()[0])
    carries = bool(counts["slots"]) and all(slot["state"] == "bound" for slot in counts["slots"]) \
        and not counts.get("wrong_settings")
    expect((checked.code == 0) == carries, f"check says {checked.code}:\n{checked.out}{checked.err}the run: {counts['slots']}\n{ran.err}")


# Programs that no library can be loaded with, or this one not: how they are made, what is said, and what is theirs at the end.
def built(program, *words):
    source = program.with_suffix(".c")
    source.write_text('#include <stdio.h>\nint main(void) { puts("ran"); return 0; }\n')
    if subprocess.run([*words, source, "-o", program], capture_output=True).returncode:
        unable(f"{words} builds nothing here")


def with_head(at, value):
    def make(program):
        built(program, "gcc")
        data = bytearray(program.read_bytes())
        data[at] = value
        program.write_bytes(data)
    return make


def for_musl(program):
    """A real one where there is musl's compiler; elsewhere one that names its loader."""
    built(program, *(["musl-gcc"] if shutil.which("musl-gcc") else ["gcc", "-Wl,--dynamic-linker=/lib/ld-musl-no.so.1"]))


def privileged(program):
    shutil.copy("/usr/bin/id", program)
    shutil.chown(program, "nobody")


def static(program):
    built(program, "gcc", "-static")


KINDS = {"32 bits": (with_head(4, 1), "a 32-bit program"), "another machine": (with_head(18, 8), "made for another machine"),
         "musl": (for_musl, "made for musl"), "setuid": (privileged, "has more rights than you"),
         "static": (static, "statically linked")}


def kind_needs(kind):
    return ("gcc", "root") if kind == "setuid" else ("gcc",)


@needs(of=kind_needs)
@test("check and run agree about programs that nothing can be loaded with, also behind a wrapper and a script", each=list(KINDS))
def agree_on_kinds(kind):
    make, why = KINDS[kind]
    with tempfile.TemporaryDirectory() as folder:
        program, script = Path(folder, "program"), Path(folder, "start")
        Path(folder).chmod(0o755)
        make(program)
        program.chmod(0o4755 if kind == "setuid" else 0o755)
        script.write_text(f'#!/bin/sh\nexec {program} "$@"\n')
        script.chmod(0o755)
        for words in ([program], ["timeout", "5", program], [script]):
            checked = baton("check", "fenv", "--", *words).exits(1).complains(why)
            expect("found" not in checked.out, checked.out)
            # A kernel may run what another refuses; a file of no format that it knows is a shell's to read.
            plainly = plain("sh", "-c", '"$@"; exit $?', "sh", *map(str, words))
            ran = baton("run", "--require", "--carry", "fenv", "--", *words).complains(why)
            # It is said, and the program is as it is without us: its output, and its status where that says something else.
            expect(ran.code == (65 if kind in ("32 bits", "another machine", "musl") else plainly.code or 65), f"{words}: {ran.code}")
            freely = baton("run", "--carry", "fenv", "--", *words).complains(why)
            expect(freely.out == plainly.out, f"{words}: {freely.out} instead of {plainly.out}: {freely.err}")
            if len(words) > 1:
                expect(freely.code == plainly.code, f"{words}: {freely.code} instead of {plainly.code}: {freely.err}")


def without_places(home, *words, noexec):
    """A run in a mount namespace of its own, in which folders of objects are mounted so that no code can be loaded from them."""
    mounts = "".join(f'mkdir -p "{place}" && mount -t tmpfs -o mode=755{",noexec" if noexec else ""} none "{place}" && '
                     for place in ("/run", "/tmp/baton-0", "/var/tmp/baton-0", "$HOME/.baton"))
    space = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
    return plain(*space, "sh", "-c", f'{mounts} exec "$@"', "sh", *map(str, words), env={"HOME": str(home)})


@test("check and run agree where no code can be loaded from any folder that an object may lie in (noexec)")
def agree_on_noexec(tmp_path):
    hook = "pool_submit(kind=call,fn=1,arg=2)"
    program = PROGRAMS / "discover_pool"
    if without_places(tmp_path, "true", noexec=True).code:
        unable("no mounts of one's own")
    for noexec in (True, False):
        checked = without_places(tmp_path, BATON, "check", "--carry", "key:tenant_key", "--hook", hook, program, noexec=noexec)
        ran = without_places(tmp_path, BATON, "run", "--require", "--carry", "key:tenant_key;tls:current_request", "--hook", hook,
                             "--", program, noexec=noexec)
        expect((checked.code == 0) == (ran.code == 0) == (not noexec), f"{checked.out}{checked.err}{ran.err}")
        if noexec:
            checked.says("no place for the object", "/run/baton: no code can be loaded from it (noexec)", "/.baton: no code")
            ran.complains("no place for the object that hooks functions", "(noexec)")
        else:
            ran.says("right 40 wrong 0")


@needs("gcc", "x86-64")
@test("check and run agree without Zydis: what needs a patch is refused with that reason, the rest is hooked")
def agree_without_zydis(tmp_path):
    objects = [path for path in (ROOT / "build/scripts/plan").glob("*.o") if path.name != "patch.o"]
    for name in ("baton-cli", "libbaton.so"):
        shutil.copy(ROOT / "build" / name, tmp_path)
    subprocess.run(["gcc", "-std=gnu11", "-D_GNU_SOURCE", f"-I{ROOT}/shim", f"-I{ROOT}/scripts/plan", ROOT / "scripts/plan/patch.c",
                    *objects, ROOT / "build/libbaton_core.a", "-ldl", "-o", tmp_path / "baton-plan"], check=True)
    for program, hook, is_inside in ((PROGRAMS / "discover_pool", "pool_submit(kind=call,fn=1,arg=2)", True),
                                     (GLIB, "g_slist_sort(kind=call,fn=2,arg=1)", False)):
        checked = plain(tmp_path / "baton-cli", "check", hook, program)
        expect((checked.code != 0) == is_inside, checked.out)
        ran = plain(tmp_path / "baton-cli", "run", "--hook", hook, "--", program)
        expect(("built without Zydis" in ran.err) == is_inside == ("built without Zydis" in checked.out), f"{checked.out}{ran.err}")
